"""What goes down to the workers, compared with what a worker then has."""

import json
from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.control.fleet import publish
from gatekeeper.core.flags.model import FlagUndo, Made
from gatekeeper.core.model import Backend, Limits, Running, Service, ServiceState, Settings, Split, State, Version
from gatekeeper.dataplane.merging import merge
from tests.control.kept import flag

names = st.sampled_from(["shop", "cart", "search"])
flag_names = st.sampled_from(["banner", "theme"])
settings = st.sampled_from([Settings(), Settings(limits=Limits(body=1024))])


def service_state(name, blue):
    weights = {"blue": Decimal(blue), "green": Decimal(100 - blue)}
    versions = {version: Version(version, (Backend("http://127.0.0.1:9001"),)) for version in weights}
    return ServiceState(Service(name, versions, "blue", weights), Running(Split(weights, {}, "00"), "00"))


@st.composite
def states(draw, revision):
    services = {name: service_state(name, draw(st.sampled_from([0, 50, 100]))) for name in draw(st.sets(names))}
    flags = {
        name: flag(name, draw(st.sampled_from([0, 10, 100])), owner=draw(st.sampled_from(["", "web"])))
        for name in draw(st.sets(flag_names))
    }
    return State(revision, draw(settings), services, flags=flags)


def slots(state):
    return {name: {"blue": 2, "green": 3} for name in state.services}


def received(message):
    """The message as the worker reads it."""
    return json.loads(json.dumps(message))


@given(states(1), states(2))
def test_the_whole_and_then_the_difference_make_the_new_state(old, new):
    first = received(publish.whole(old, slots(old)))
    second = received(publish.changes(old, new, slots(new)))
    assert (first["base"], second["base"], second["revision"]) == (None, 1, 2)
    have, places = merge(first, None, {})
    assert (have, places) == (old, slots(old))
    assert merge(second, have, places) == (new, slots(new))


def test_a_change_of_one_split_costs_one_service():
    old = State(1, Settings(), {f"s{n}": service_state(f"s{n}", 100) for n in range(50)})
    new = State(2, old.settings, {**old.services, "s7": service_state("s7", 90)})
    message = publish.changes(old, new, slots(new))
    assert message["settings"] is None
    assert list(message["services"]) == ["s7"]
    assert message["services"]["s7"]["slots"] == {"blue": 2, "green": 3}


def test_a_change_of_one_split_does_not_send_the_definition_again():
    old = State(1, Settings(), {"shop": service_state("shop", 100)})
    running = service_state("shop", 90).running
    new = State(2, old.settings, {"shop": replace(old.services["shop"], running=running)})
    assert list(publish.changes(old, new, slots(new))["services"]["shop"]["state"]) == ["running"]
    assert merge(received(publish.changes(old, new, slots(new))), old, slots(old))[0] == new


def test_a_flip_of_a_flag_sends_that_flag_alone_and_not_its_definition():
    flags = {f"f{n}": flag(f"f{n}") for n in range(50)}
    old = State(1, Settings(), {"shop": service_state("shop", 100)}, flags=flags)
    flipped = replace(flags["f7"], running=replace(flags["f7"].running, on=False))
    new = replace(old, revision=2, flags=flags | {"f7": flipped})
    message = publish.changes(old, new, slots(new))
    assert (message["services"], list(message["flags"]), list(message["flags"]["f7"])) == ({}, ["f7"], ["running"])
    assert merge(received(message), old, slots(old))[0] == new


def test_what_only_commands_read_of_a_flag_is_not_sent():
    made = flag("f")
    undo = (FlagUndo(1, made.running.split.weights, on=True, definition=made.definition),) * 10
    long = replace(made, running=replace(made.running, undo=undo, made=Made(made.definition)))
    message = publish.whole(State(1, Settings(), {}, flags={"f": long}), {})
    assert merge(received(message), None, {})[0].flags == {"f": made}


def test_the_union_of_two_pictures_keeps_the_old_and_believes_the_new():
    old = {"shop": {"blue": {"a": "ready", "b": "ejected"}}, "gone": {"v": {"x": "ejected"}}}
    new = {"shop": {"blue": {"a": "pending"}, "green": {"c": "pending"}}}
    assert publish.union(old, new) == {
        "shop": {"blue": {"a": "pending", "b": "ejected"}, "green": {"c": "pending"}},
        "gone": {"v": {"x": "ejected"}},
    }
    assert old["shop"]["blue"] == {"a": "ready", "b": "ejected"}
