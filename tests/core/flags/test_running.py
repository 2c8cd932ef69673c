"""How flags follow their file: a reload, a start, a whole earlier revision; and what is said to differ."""

import json
from dataclasses import fields, replace

import pytest

from gatekeeper.core.codec import dump, load
from gatekeeper.core.command import Past, Reload, Restore, apply, initial_state
from gatekeeper.core.difference import compare, past_state
from gatekeeper.core.flags.model import Flag, FlagFails, FlagSchedule, FlagType
from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.model import Origin, Pattern, PatternKind, State, When
from gatekeeper.core.split import SplitError
from tests.core import states
from tests.core.flags.states import (
    THEME,
    D,
    back,
    begun,
    essence,
    file,
    flag,
    kept,
    runs,
    said,
    setting,
    shares,
    switching,
)
from tests.core.states import ANN, NOW, do, refusal, service


def reload(state, *flags, **options):
    return apply(state, Reload(**ANN, definition=file(*flags), entropy="fresh", **options), NOW + 1)


def restoring(state, *, to=1, **options):
    was = states.past(state)
    past = Past(was.settings, was.services, flags=kept(state))
    return Restore(**ANN, revision=to, past=past, entropy="fresh", **options)


def started(last, *flags):
    stored = {name: item.running for name, item in last.services.items()}
    return initial_state(file(*flags), stored, last.revision + 1, "e", NOW, last)


# A reload


def test_the_same_file_changes_nothing():
    state = do(begun(said(percent=D(5)), said("theme", **THEME)), setting(percent=D(10)))
    assert reload(state, said(percent=D(5)), said("theme", **THEME)).state is state


def test_a_reload_keeps_what_runs_and_takes_the_rest_from_the_file():
    state = do(begun(said(percent=D(5))), setting(percent=D(10), on=True))
    after = reload(state, said(percent=D(70), on=False, owner="anna", expires="2027-01-31")).state
    assert (shares(after)["on"], runs(after).on) == (10, True)
    assert runs(after).split == runs(state).split
    assert (flag(after).definition.owner, runs(after).revision, runs(after).changed_at) == ("anna", 3, NOW + 1)


def test_with_reset_split_flags_begin_anew():
    state = do(begun(said(percent=D(5))), setting(percent=D(10), on=True))
    after = reload(state, said(percent=D(5)), reset_split=True).state
    assert (shares(after)["on"], runs(after).on) == (5, False)
    assert (shares(do(after, back()))["on"], runs(do(after, back())).on) == (10, True)
    assert reload(after, said(percent=D(5)), reset_split=True).state is after


def test_with_reset_split_a_killed_flag_stays_as_it_was():
    state = do(do(begun(said(percent=D(5), on=True)), setting(percent=D(10))), switching(on=False, kill=True))
    assert reload(state, said(percent=D(5), on=True), reset_split=True).state is state


def test_a_flag_of_the_file_that_is_gone_is_gone_and_a_new_one_begins():
    outcome = reload(begun(said(), said("other")), said(), said("third", on=True))
    assert list(outcome.state.flags) == ["new", "third"]
    assert [change.path for change in outcome.changes] == ["flags.other", "flags.third"]
    assert outcome.events[0]["changes"] == dump(outcome.changes)
    assert runs(outcome.state, "third").on


def test_what_a_command_made_stays_until_the_file_names_it():
    state = do(begun(), setting("mine", new=True, percent=D(5), on=True))
    assert reload(state, said()).state is state
    after = reload(state, said(), said("mine", owner="file")).state
    assert (flag(after, "mine").definition.owner, runs(after, "mine").made) == ("file", None)
    assert flag(after, "mine").definition.origin is Origin.FILE
    assert (shares(after, "mine")["on"], runs(after, "mine").on) == (5, True)
    assert list(reload(after, said()).state.flags) == ["new"]


def test_what_a_command_said_holds_as_long_as_the_file_says_the_same():
    state = do(begun(said(owner="file")), setting(owner="anna"))
    assert reload(state, said(owner="file")).state is state
    edited = reload(state, said(owner="file", description="d")).state
    assert (flag(edited).definition.owner, runs(edited).made) == ("file", None)
    assert reload(state, said("other")).state.flags.keys() == {"other"}
    adopted = reload(state, said(owner="anna")).state
    assert runs(adopted).made is None


def test_after_an_edit_of_the_file_a_rollback_brings_no_older_definition():
    state = do(begun(said(percent=D(1))), setting(owner="anna", percent=D(2)))
    edited = reload(state, said(description="d")).state
    after = do(edited, back())
    assert (flag(after).definition.description, shares(after)["on"]) == ("d", 1)


def test_a_variant_that_the_file_drops_gives_its_part_to_the_others():
    before = said(variants={"a": "1", "b": "2", "c": "3"}, off="a", split={"a": D(50), "b": D(30), "c": D(20)})
    after = reload(begun(before), said(variants={"a": "1", "b": "2"}, off="a")).state
    assert shares(after) == {"a": D(50), "b": D(30)}


def test_a_file_whose_flags_do_not_fit_with_those_of_commands_is_refused():
    long = {"variants": {"a": "x" * 3000, "b": "b"}, "off": "b"}
    state = do(begun(said()), setting("mine", new=True, **long))
    command = Reload(**ANN, definition=file(said(**long)), entropy="e")
    assert refusal(state, command).code == "too_many_flags"


# A start


def test_a_start_goes_on_with_what_was_decided():
    last = do(begun(said(percent=D(5)), said("gone")), setting(percent=D(10), on=True))
    last = do(last, setting("mine", new=True))
    state, notes = started(last, said(percent=D(5)))
    assert notes == []
    assert state.flags == {"new": last.flags["new"], "mine": last.flags["mine"]}


def test_a_start_says_where_the_file_is_the_later_word():
    last = do(begun(said(owner="file")), setting(owner="anna"))
    _, notes = started(last, said(owner="ben"))
    assert notes == ["what a command said of flag new holds no longer, the file says otherwise since"]
    _, notes = started(last, said("other"))
    assert notes == ["flag new is gone: the file does not name it any more"]


def test_a_start_with_an_empty_store_begins_as_the_file_says():
    state, _ = initial_state(file(said(percent=D(5), on=True)), {}, 1, "e", NOW)
    assert (shares(state)["on"], runs(state).on, runs(state).revision) == (5, True, 1)


def test_a_start_whose_flags_do_not_fit_leaves_out_what_commands_made():
    long = {"variants": {"a": "x" * 3000, "b": "b"}, "off": "b"}
    last = do(do(begun(said(percent=D(1))), setting(owner="anna")), setting("mine", new=True, **long))
    state, notes = started(last, said(percent=D(1)), said("theirs", **long))
    assert list(state.flags) == ["new", "theirs"]
    assert (flag(state).definition.owner, runs(state).made) == ("", None)
    assert "flags that commands made or changed are left out" in notes[0]


def test_a_change_that_waits_goes_on_waiting_after_a_start_unless_the_file_changed_the_flag():
    last = do(begun(said(), said("other")), setting(percent=D(5), confirm_within=60.0))
    state, notes = started(last, said(), said("other", owner="x"))
    assert (list(state.pending[0].flags), notes) == (["new"], [])
    state, notes = started(last, said(owner="x"), said("other"))
    assert state.pending == ()
    assert "waits no longer to be confirmed" in notes[0]


def test_a_damaged_split_of_a_flag_stops_the_start_and_names_it():
    last = begun(said())
    broken = replace(flag(last), running=replace(runs(last), split=replace(runs(last).split, stacks={"on": ((0, 5),)})))
    with pytest.raises(SplitError, match="the stored split of flag new is damaged"):
        started(replace(last, flags={"new": broken}), said())


# A whole earlier revision


def test_a_restore_brings_back_flags_as_they_were():
    first = do(begun(said(percent=D(5)), said("gone")), setting("mine", new=True))
    later = reload(first, said(owner="x")).state
    later = do(do(later, setting(percent=D(50), on=True)), setting("more", new=True))
    outcome = apply(later, restoring(first), NOW)
    assert {name: essence(one) for name, one in outcome.state.flags.items() if name != "gone"} == {
        name: essence(one) for name, one in first.flags.items() if name != "gone"
    }
    assert flag(outcome.state, "gone").definition == flag(first, "gone").definition
    assert {change.path for change in outcome.changes} >= {
        "flags.gone",
        "flags.more",
        "flags.new.split",
        "flags.new.on",
    }
    assert apply(outcome.state, restoring(first), NOW).state is outcome.state


def test_a_flag_that_was_killed_since_stays_so_and_one_that_was_killed_then_is_only_off():
    first = begun(said(on=True))
    dead = do(first, switching(on=False, kill=True))
    after = do(do(dead, setting(percent=D(50))), restoring(first))
    assert (runs(after).killed, runs(after).on, shares(after)["on"]) == (True, False, 100)
    alive = do(dead, switching(revive=True, note="r"))
    again = do(alive, restoring(dead))
    assert (runs(again).killed, runs(again).on) == (False, False)


def test_a_flag_that_was_killed_then_and_is_gone_comes_back_killed():
    dead = do(begun(said(on=True), said("other")), switching(on=False, kill=True))
    gone = reload(dead, said("other")).state
    after = do(gone, restoring(dead, to=2))
    assert (runs(after).killed, runs(after).on) == (True, False)


def test_a_revision_from_before_flags_leaves_them_alone():
    state = do(begun(), setting(percent=D(5)))
    was = states.past(state)
    assert apply(state, Restore(**ANN, revision=1, past=was, entropy="e"), NOW).state is state


def test_a_restore_of_one_service_leaves_flags_alone():
    first = begun(said(percent=D(5)))
    later = do(first, setting(percent=D(50)))
    assert apply(later, restoring(first, service="shop"), NOW).state is later


def test_a_restore_that_does_not_fit_is_refused():
    long = {"variants": {"a": "x" * 3000, "b": "b"}, "off": "b"}
    first = begun(said(**long))
    broken = replace(first, flags={**first.flags, "two": flag(begun(said("two", **long)), "two")})
    assert refusal(begun(said()), restoring(broken)).code == "too_many_flags"


# What is said to differ


CHANGED = {
    "type": {"type": FlagType.STRING, "variants": {"on": "1", "off": "0"}},
    "variants": {"variants": {"on": True, "off": False, "third": True}},
    "off": {"off": "on"},
    "split": {"percent": D(1)},
    "on": {"on": True},
    "when": {"when": When(headers=(("x", Pattern(PatternKind.EXACT, ("y",))),))},
    "services": {"services": ("shop",)},
    "owner": {"owner": "anna"},
    "expires": {"expires": "2027-01-31"},
    "schedule": {"schedule": FlagSchedule(NOW)},
    "follow": {"follow": "shop"},
    "description": {"description": "d"},
    "analysis": {"analysis": Analysis()},
    "on_fail": {"analysis": Analysis(), "on_fail": FlagFails.OFF},
}


@pytest.mark.parametrize("name", [item.name for item in fields(Flag) if item.name not in ("name", "origin")])
def test_no_part_of_a_flag_changes_without_being_shown(name):
    outcome = reload(begun(), said(**CHANGED[name]))
    assert flag(outcome.state).definition == said(**CHANGED[name])
    shown = f"flags.new.{name}{' in the file' if name in ('split', 'on') else ''}"
    assert any(change.path.startswith(shown) for change in outcome.changes)
    json.dumps(outcome.events)


def test_what_runs_is_shown_where_it_differs():
    before = begun()
    one = flag(before)
    for change, path in (
        ({"killed": True}, "flags.new.killed"),
        ({"following": "green"}, "flags.new.following"),
        ({"scheduled": (1.0,)}, "flags.new.scheduled"),
        ({"on": True}, "flags.new.on"),
    ):
        after = replace(before, flags={"new": replace(one, running=replace(one.running, **change))})
        assert [item.path for item in compare(before, after)] == [path]


def test_a_past_revision_can_be_compared_with_the_present():
    first = do(begun(said(percent=D(5))), setting("mine", new=True))
    later = do(first, setting(percent=D(50), on=True))
    was = states.past(first)
    past = past_state(Past(was.settings, was.services, flags=kept(first)), later)
    assert [change.path for change in compare(past, later)] == ["flags.new.split", "flags.new.on"]
    unknown = past_state(was, later)
    assert not list(compare(unknown, later))


# As JSON


def test_a_state_with_flags_is_written_and_read_again():
    state = begun(
        said(percent=D("12.5"), when=CHANGED["when"]["when"], schedule=FlagSchedule(NOW, NOW + 1)),
        said("layout", variants={"a": {"x": [1, 1.5, None, "y"]}, "b": {}}, off="b"),
        services=(service(),),
    )
    state = do(do(state, setting(percent=D(3), owner="anna", confirm_within=60.0)), setting("mine", new=True))
    assert load(State, json.loads(json.dumps(dump(state)))) == state
