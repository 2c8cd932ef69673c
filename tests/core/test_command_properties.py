"""What holds after every sequence of commands, whatever they are and whoever refuses them."""

import json
from dataclasses import dataclass, field, replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core import routing
from gatekeeper.core.codec import dump, load
from gatekeeper.core.command import (
    Command,
    Confirm,
    Deploy,
    Drain,
    Expire,
    Outcome,
    Refused,
    Reload,
    ResetTrip,
    Restore,
    Retire,
    Rollback,
    SetSplit,
    TripVersion,
    apply,
)
from gatekeeper.core.model import Definition, HealthCheck, Rule, Settings, Split, State, When
from gatekeeper.core.split import check, lengths
from tests.core.routes import slots
from tests.core.states import NOW, definition, essence, past, service, split_rule, start, version, weights, written

SERVICES = ("shop", "blog")
VERSIONS = ("blue", "green", "red", "one", "two")
names = st.sampled_from(VERSIONS)
fronts = st.sampled_from(SERVICES)

some_versions = st.builds(
    lambda name, at, build: version(name, f"http://{at}:80", build=build),
    names,
    st.sampled_from(("here", "there")),
    st.sampled_from((None, "7")),
)
one_weight = st.sampled_from([Decimal(0), Decimal(1), Decimal("2.5"), Decimal(90)])


@st.composite
def files(draw: st.DrawFn) -> Definition:
    """What somebody may have written into the file meanwhile."""
    found = []
    for name in draw(st.sampled_from((SERVICES, SERVICES, ("shop",)))):
        there = ["blue", *draw(st.lists(st.sampled_from(("green", "red", "one")), unique=True))]
        of_rule = draw(st.sampled_from(there))
        rules = draw(
            st.sampled_from(((), (split_rule(**{"blue": 1, of_rule: 3}),), (Rule("staff", When(), to=of_rule),)))
        )
        split = {draw(st.sampled_from(there)): Decimal(100), "blue": Decimal(100)}
        item = service(name, " ".join(there), rules=rules, split=split, stable=draw(st.sampled_from(there)))
        if draw(st.booleans()):
            edited = {key: replace(each, health=HealthCheck(rise=9)) for key, each in item.versions.items()}
            item = replace(item, versions=edited)
        found.append(item)
    return definition(*found, settings=Settings(trusted_proxies=draw(st.sampled_from(((), ("10.0.0.0/8",))))))


def answer(state: State, command: Command, now: float) -> Outcome | Refused:
    try:
        return apply(state, command, now)
    except Refused as refused:
        return refused


@dataclass
class History:
    """A state and all before it, by revision; what the store would look up is looked up here."""

    state: State
    states: dict[int, State] = field(default_factory=dict)
    now: float = NOW

    def __post_init__(self) -> None:
        self.states[self.state.revision] = self.state

    def do(self, command: Command) -> bool:
        """Whether it made a revision; checks what every command promises."""
        before, text = self.state, written(self.state)
        self.now += 1
        outcome = answer(before, command, self.now)
        assert written(before) == text
        if isinstance(outcome, Refused):
            assert outcome.status in {404, 409, 422}
            return False
        if outcome.state.revision == before.revision:
            assert outcome.state is before
            assert not outcome.changes
            assert not outcome.events
            return False
        assert outcome.state.revision == before.revision + 1
        assert outcome.changes
        assert [event["revision"] for event in outcome.events] == [outcome.state.revision]
        json.dumps([dump(outcome.changes), dump(outcome.events)], allow_nan=False)
        self.state = outcome.state
        self.states[self.state.revision] = self.state
        return True


def draw_command(data: st.DataObject, history: History) -> Command:
    draw, state = data.draw, history.state
    within = draw(st.sampled_from((None, None, 60.0)))
    ann = {"actor": "ann", "confirm_within": within}
    earlier = draw(st.sampled_from(sorted(history.states)))
    service_name = draw(fronts)
    there = list(state.services[service_name].definition.versions) if service_name in state.services else []
    version_name = draw(st.sampled_from((*there, *there, *VERSIONS)))
    then = history.states[earlier]
    match draw(st.integers(0, 13)):
        case 0 | 1 | 2:
            wanted = draw(st.dictionaries(st.sampled_from(there or VERSIONS), one_weight, min_size=1))
            return SetSplit(**ann, service=service_name, weights=wanted, salt=f"{state.revision:032x}")
        case 3:
            return Rollback(**ann, service=service_name)
        case 4:
            held = then.services[service_name].running.split.weights if service_name in then.services else None
            return Rollback(**ann, service=service_name, to_revision=earlier, weights=held)
        case 5:
            stored = {name: each.services[name].running for each in history.states.values() for name in each.services}
            return Reload(
                **ann, definition=draw(files()), entropy=str(earlier), reset_split=draw(st.booleans()), stored=stored
            )
        case 6 | 7:
            return Deploy(**ann, service=service_name, version=draw(some_versions))
        case 8:
            return Retire(**ann, service=service_name, version=version_name)
        case 9:
            return Drain(**ann, service=service_name, version=version_name, seconds=30.0)
        case 10:
            return TripVersion(actor="gatekeeper", service=service_name, version=version_name, reason="errors")
        case 11:
            return ResetTrip(**ann, service=service_name)
        case 12:
            only = draw(st.sampled_from((None, *SERVICES)))
            return Restore(**ann, revision=earlier, past=past(then), service=only, entropy="e")
        case _:
            waiting = [item.revision for item in state.pending] or [earlier]
            revision = draw(st.sampled_from(waiting))
            return draw(
                st.sampled_from((Confirm(actor="ann", revision=revision), Expire(actor="g", revision=revision)))
            )


def begin(*, rules: bool) -> History:
    ruled = (split_rule(blue=1, green=1), split_rule("third", red=1)) if rules else ()
    return History(start(service(rules=ruled, split=weights(blue=60, green=40)), service("blog")))


def split_is_sound(split: Split, versions: object, marked: object) -> None:
    check(split)
    assert any(split.weights.values())
    for name, weight in split.weights.items():
        assert name in versions  # type: ignore[operator]
        assert not weight or name not in marked  # type: ignore[operator]


def is_sound(state: State) -> None:
    for name, item in state.services.items():
        there, run = item.definition.versions, item.running
        marked = {*run.tripped, *run.draining}
        assert list(run.split.weights) == list(there)
        for split in (run.split, *run.rules.values()):
            split_is_sound(split, there, marked)
        assert list(run.rules) == [rule.name for rule in item.definition.rules if rule.split is not None]
        for marks in (run.tripped, run.draining, run.superseded, run.since, run.deployed):
            assert marks.keys() <= there.keys()
        assert item.definition.stable in there
        assert item.definition.stable not in marked
        assert not run.retired.keys() & there.keys()
        assert all(there[key] == each.version for key, each in run.deployed.items())
        for undo in run.undo:
            assert not any(undo.weights.get(key) for key in run.tripped)
        assert run.revision <= state.revision, name
    waiting = [name for item in state.pending for name in item.before]
    assert len(waiting) == len(set(waiting))
    assert sum(item.settings is not None for item in state.pending) <= 1
    assert load(State, json.loads(written(state))) == state
    routing.compile(state, slots(state))


@settings(deadline=None, max_examples=150)
@given(st.data(), st.booleans())
def test_every_sequence_of_commands_leaves_a_sound_state(data, rules):
    history = begin(rules=rules)
    for _ in range(data.draw(st.integers(1, 14))):
        if history.do(draw_command(data, history)):
            is_sound(history.state)


@settings(deadline=None, max_examples=100)
@given(st.data(), st.booleans())
def test_what_nobody_confirms_leaves_no_trace(data, rules):
    history = begin(rules=rules)
    for _ in range(data.draw(st.integers(0, 8))):
        history.do(draw_command(data, history))
    history.state = replace(history.state, pending=())
    before = history.state
    command = replace(draw_command(data, history), confirm_within=60.0)
    if not history.do(command):
        return
    assert [item.revision for item in history.state.pending] == [history.state.revision]
    others = replace(before, revision=history.state.revision, pending=history.state.pending)
    assert history.do(Expire(actor="gatekeeper", revision=history.state.revision))
    assert essence(history.state) == essence(others)
    assert history.state.pending == ()


@settings(deadline=None, max_examples=100)
@given(st.data(), st.booleans())
def test_a_restore_gives_the_weights_and_definitions_of_then(data, rules):
    history = begin(rules=rules)
    for _ in range(data.draw(st.integers(1, 10))):
        history.do(draw_command(data, history))
    revision = data.draw(st.sampled_from(sorted(history.states)))
    then = history.states[revision]
    only = data.draw(st.sampled_from((None, *then.services)))
    before = history.state
    command = Restore(actor="ann", revision=revision, past=past(then), service=only, entropy="e")
    outcome = answer(before, command, NOW)
    if isinstance(outcome, Refused):
        assert outcome.code == "tripped"
        return
    state = outcome.state
    for name in then.services if only is None else (only,):
        assert state.services[name].definition == then.services[name].definition
        assert dict(state.services[name].running.split.weights) == dict(then.services[name].running.split.weights)
        assert state.services[name].running.retired == then.services[name].running.retired
    if only is None:
        assert state.services.keys() == then.services.keys()
        assert state.settings == then.settings
    else:
        assert all(state.services[name] is item for name, item in before.services.items() if name != only)
    assert apply(state, command, NOW).state is state


@settings(deadline=None, max_examples=100)
@given(st.data(), st.booleans())
def test_where_a_version_is_withdrawn_nobody_else_moves(data, rules):
    history = begin(rules=rules)
    for _ in range(data.draw(st.integers(1, 10))):
        history.do(draw_command(data, history))
    before = history.state
    name = data.draw(names)
    kind = data.draw(st.sampled_from(("retire", "drain", "trip")))
    command = {
        "retire": Retire(actor="ann", service="shop", version=name),
        "drain": Drain(actor="ann", service="shop", version=name, seconds=1.0),
        "trip": TripVersion(actor="ann", service="shop", version=name, reason="errors"),
    }[kind]
    if "shop" not in before.services or not history.do(command):
        return
    stable = before.services["shop"].definition.stable
    old, new = before.services["shop"].running, history.state.services["shop"].running
    for was, now in [(old.split, new.split), *((old.rules[key], new.rules[key]) for key in old.rules)]:
        kept = {key for key in {*was.weights, *now.weights} if key not in {name, stable}}
        assert all(was.stacks.get(key) == now.stacks.get(key) for key in kept)
        assert lengths(now).get(name, 0) == 0
        assert now.salt == was.salt
    assert name not in new.superseded
