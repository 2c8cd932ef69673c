"""What people do to flags: setting, switching, killing, going back, removing."""

from dataclasses import replace

from gatekeeper.core.command import Confirm, Expire, Reload, RemoveFlag, ScheduleFlags, apply
from gatekeeper.core.flags.model import FlagSchedule, Made
from gatekeeper.core.flags.schedule import due
from gatekeeper.core.model import Origin
from gatekeeper.core.split import lengths
from tests.core.flags.states import (
    SCHEDULE,
    THEME,
    D,
    back,
    begun,
    essence,
    file,
    flag,
    runs,
    said,
    setting,
    shares,
    switching,
)
from tests.core.states import ANN, NOW, do, refusal, service

OTHER_SALT = "77" * 16


def removing(name="new"):
    return RemoveFlag(**ANN, name=name)


def event(state, command, now=NOW):
    outcome = apply(state, command, now)
    assert len(outcome.events) == 1
    return outcome.events[0]


def paths(state, command):
    return [change.path for change in apply(state, command, NOW).changes]


def killed(state=None):
    return do(state or begun(said(on=True)), switching(on=False, kill=True))


# Setting


def test_percent_moves_the_split_and_nothing_else():
    before = begun(said(on=True, percent=D(1)))
    after = do(before, setting(percent=D(10)))
    assert after.revision == 2
    assert shares(after) == {"on": D(10), "off": D(90)}
    assert (runs(after).on, flag(after).definition, runs(after).split.salt) == (
        True,
        flag(before).definition,
        runs(before).split.salt,
    )
    assert (runs(after).revision, runs(after).changed_at) == (2, NOW)
    assert after.services == before.services


def test_the_salt_is_new_where_one_variant_held_everything():
    before = begun(said(percent=D(0)))
    assert runs(do(before, setting(percent=D(10), salt=OTHER_SALT))).split.salt == OTHER_SALT
    later = do(do(before, setting(percent=D(10))), setting(percent=D(20), salt=OTHER_SALT))
    assert runs(later).split.salt != OTHER_SALT


def test_what_changes_nothing_is_the_very_state():
    state = begun(said(on=True, percent=D(10), owner="anna"))
    for changes in ({"percent": D(10)}, {"on": True}, {"owner": "anna"}, {}, {"split": {"on": D(10), "off": D(90)}}):
        assert apply(state, setting(**changes), NOW).state is state


def test_the_event_tells_the_flag_before_and_after():
    told = event(begun(said(percent=D(1))), setting(percent=D(10), on=True))
    assert (told["kind"], told["flag"], told["actor"], told["revision"], told["at"]) == (
        "flag_changed", "new", "ann", 2, NOW
    )  # fmt: skip
    assert told["before"] == {"on": False, "killed": False, "split": {"on": 1, "off": 99}}
    assert told["after"] == {"on": True, "killed": False, "split": {"on": 10, "off": 90}}
    assert paths(begun(said(percent=D(1))), setting(percent=D(10), on=True)) == ["flags.new.split", "flags.new.on"]


def test_a_change_of_the_definition_remembers_what_the_file_said():
    before = begun(said(on=True, percent=D(10)))
    after = do(before, setting(owner="anna", expires="2027-01-31"))
    assert (flag(after).definition.owner, flag(after).definition.expires) == ("anna", "2027-01-31")
    assert runs(after).made == Made(flag(after).definition, flag(before).definition)
    again = do(after, setting(owner="ben"))
    assert runs(again).made.replaced == flag(before).definition
    as_before = do(again, setting(owner="", expires=""))
    assert runs(as_before).made is None
    assert flag(as_before).definition == flag(before).definition


def test_where_a_flag_starts_is_not_where_it_is():
    after = do(begun(said(percent=D(5))), setting(percent=D(10), on=True, owner="anna"))
    assert (flag(after).definition.split["on"], flag(after).definition.on) == (5, False)
    assert (shares(after)["on"], runs(after).on) == (10, True)


def test_new_variants_keep_the_parts_of_those_that_stay():
    before = begun(said(**THEME, on=True, split={"light": D(90), "dark": D(10)}))
    after = do(before, setting(variants={"light": "light", "blue": "blue", "dark": "dark"}))
    assert shares(after) == {"light": D(90), "blue": D(0), "dark": D(10)}
    assert lengths(runs(after).split) == lengths(runs(before).split)
    moved = do(before, setting(variants={"light": "light", "blue": "blue"}, split={"blue": D(1)}))
    assert shares(moved) == {"light": D(0), "blue": D(1)}
    lost = do(do(before, setting(split={"dark": D(1)})), setting(variants={"light": "x", "blue": "y"}))
    assert shares(lost) == {"light": D(90), "blue": D(0)}


def test_a_new_flag_is_made_where_there_is_none():
    state = do(begun(), setting("other", new=True, percent=D(5), on=True))
    assert flag(state, "other").definition.origin is Origin.DEPLOY
    assert (runs(state, "other").on, shares(state, "other")["on"]) == (True, 5)
    assert runs(state, "other").made == Made(flag(state, "other").definition)
    assert refusal(state, setting("other", new=True)).code == "flag_exists"
    assert event(begun(), setting("other", new=True))["before"] is None


def test_a_flag_that_is_not_there_is_refused_with_the_one_that_was_meant():
    for command in (setting("nwe"), switching("nwe"), back("nwe"), removing("nwe")):
        refused = refusal(begun(), command)
        assert (refused.status, refused.code, refused.allowed) == (404, "unknown_flag", "new")
        assert "did you mean new?" in refused.detail


def test_what_cannot_be_a_flag_is_refused_with_every_problem():
    refused = refusal(begun(), setting(split={"x": D(1)}, off="y"))
    assert (refused.status, refused.code) == (422, "invalid_flag")
    assert [problem.path for problem in refused.problems] == ["off", "split.x"]


def test_services_have_to_be_there():
    refused = refusal(begun(), setting(services=("shpo",)))
    assert (refused.status, refused.problems[0].path) == (422, "services")
    assert "did you mean shop?" in refused.problems[0].message


def test_flags_that_do_not_fit_into_the_line_are_refused():
    long = {"variants": {"a": "x" * 3000, "b": "b"}, "off": "b"}
    state = do(begun(), setting("one", new=True, **long))
    for command in (setting("two", new=True, **long), setting("new", **long)):
        refused = refusal(state, command)
        assert (refused.status, refused.code) == (409, "too_many_flags")
        assert "fewer flags" in refused.allowed


# Switching


def test_on_and_off():
    state = begun()
    on = do(state, switching())
    assert (runs(on).on, runs(do(on, switching(on=False))).on) == (True, False)
    assert apply(on, switching(), NOW).state is on
    assert apply(state, switching(on=False), NOW).state is state
    assert (event(state, switching())["kind"], event(on, switching(on=False))["kind"]) == ("flag_on", "flag_off")
    assert shares(on) == shares(state)


def test_a_killed_flag_is_off_until_it_is_revived():
    state = killed()
    assert (runs(state).killed, runs(state).on) == (True, False)
    for command in (switching(), setting(on=True), back()):
        refused = refusal(state, command)
        assert (refused.status, refused.code) == (409, "flag_killed")
        assert "--revive" in refused.allowed
    assert runs(do(state, setting(percent=D(5)))).killed
    assert apply(state, switching(on=False), NOW).state is state
    assert apply(state, switching(on=False, kill=True), NOW).state is state


def test_a_revival_needs_a_reason():
    state = killed()
    assert refusal(state, switching(revive=True, note=" ")).status == 422
    alive = do(state, switching(revive=True, note="fixed"))
    assert (runs(alive).killed, runs(alive).on) == (False, True)
    assert event(state, switching(revive=True, note="fixed"))["revived"] is True
    assert event(begun(), switching(on=False, kill=True))["killed"] is True


def test_words_that_do_not_go_together_are_refused():
    assert refusal(begun(), switching(kill=True)).code == "invalid_switch"
    assert refusal(begun(), switching(on=False, revive=True)).code == "invalid_switch"


def test_nothing_but_a_revival_revives():
    state = killed(begun(said(on=True, schedule=SCHEDULE)))
    definition = file(said(on=True, owner="anna"))
    assert runs(do(state, Reload(**ANN, definition=definition, entropy="e"))).killed
    assert runs(do(state, Reload(**ANN, definition=definition, entropy="e", reset_split=True))).killed
    scheduled = do(state, ScheduleFlags(actor="schedule"), NOW + 150)
    assert (runs(scheduled).killed, runs(scheduled).on) == (True, False)
    assert runs(scheduled).scheduled == (NOW + 100,)


# Going back


def test_a_rollback_takes_back_the_last_change_and_then_the_one_before():
    first = begun(said(on=True, percent=D(1)))
    second = do(first, setting(percent=D(10)))
    third = do(second, setting(owner="anna", percent=D(20)))
    fourth = do(third, switching(on=False))
    one = do(fourth, back())
    assert essence(flag(one)) == essence(flag(third))
    two = do(one, back())
    assert essence(flag(two)) == essence(flag(second))
    three = do(two, back())
    assert essence(flag(three)) == essence(flag(first))
    refused = refusal(three, back())
    assert (refused.status, refused.code) == (409, "nothing_to_undo")
    assert three.revision == 7
    told = event(fourth, back())
    assert (told["kind"], told["undid"]) == ("flag_rollback", 4)


def test_a_rollback_after_a_revival_takes_back_what_was_before_the_kill():
    state = do(begun(said(percent=D(1))), setting(percent=D(10)))
    state = do(do(state, switching(on=False, kill=True)), switching(revive=True, note="r"))
    state = do(state, switching(on=False))
    assert (runs(do(state, back())).on, shares(do(state, back()))["on"]) == (True, 10)


def test_a_change_that_is_undone_already_is_no_step_back():
    state = do(begun(said(percent=D(1), on=True)), setting(percent=D(10)))
    state = do(do(state, switching(on=False, kill=True)), switching(revive=True, note="r"))
    after = do(state, back())
    assert (runs(after).on, shares(after)["on"]) == (True, 1)


def test_only_so_many_changes_can_be_taken_back():
    state = begun()
    for number in range(1, 14):
        state = do(state, setting(percent=D(number)))
    for number in range(12, 2, -1):
        state = do(state, back())
        assert shares(state)["on"] == number
    assert refusal(state, back()).code == "nothing_to_undo"


def test_a_rollback_that_would_make_the_line_too_long_is_refused():
    state = begun(said(variants={"a": "x" * 3000, "b": "b"}, off="b"))
    state = do(state, setting(variants={"a": "x", "b": "b"}))
    state = do(state, setting("other", new=True, variants={"a": "x" * 3000, "b": "b"}, off="b"))
    assert refusal(state, back()).code == "too_many_flags"


# Removing


def test_what_a_command_made_can_be_removed():
    state = do(begun(), setting("other", new=True))
    after = do(state, removing("other"))
    assert list(after.flags) == ["new"]
    told = event(state, removing("other"))
    assert (told["kind"], told["after"]) == ("flag_removed", None)


def test_what_the_file_defines_is_removed_there_and_what_commands_said_of_it_here():
    state = begun(said(owner="file"))
    refused = refusal(state, removing())
    assert (refused.status, refused.code) == (409, "flag_in_file")
    changed = do(do(state, setting(owner="anna")), setting(percent=D(10)))
    after = do(changed, removing())
    assert (flag(after).definition, runs(after).made) == (flag(state).definition, None)
    assert shares(after)["on"] == 10


# What waits to be confirmed


def test_a_change_that_nobody_confirms_is_undone():
    before = begun(said(on=True, percent=D(1)))
    state = do(before, setting(percent=D(10), owner="anna", confirm_within=60.0))
    assert state.pending[0].flags == {"new": flag(before)}
    assert state.pending[0].before == {}
    after = do(state, Expire(actor="gatekeeper", revision=2))
    assert essence(flag(after)) == essence(flag(before))
    assert after.pending == ()
    told = event(state, Expire(actor="gatekeeper", revision=2))
    assert (told["kind"], told["flags"], told["services"]) == ("undone", ["new"], [])


def test_a_new_flag_that_nobody_confirms_is_gone():
    state = do(begun(), setting("other", new=True, confirm_within=60.0))
    assert refusal(state, back("other")).code == "nothing_to_undo"
    assert list(do(state, Expire(actor="gatekeeper", revision=2)).flags) == ["new"]


def test_while_a_change_waits_nobody_else_changes_the_flag():
    state = do(begun(said("other"), said()), setting(percent=D(10), confirm_within=60.0))
    refused = refusal(state, setting(percent=D(20)))
    assert (refused.status, refused.code, refused.problems[0].message) == (
        409, "awaiting_confirmation", "flag new: changed by ann"
    )  # fmt: skip
    assert do(state, setting("other", percent=D(20))).pending == state.pending
    confirmed = apply(state, Confirm(**ANN), NOW)
    assert confirmed.events[0]["flags"] == ["new"]
    assert shares(do(confirmed.state, setting(percent=D(20))))["on"] == 20


def test_a_rollback_of_a_change_that_waits_takes_all_of_it_back_and_settles_it():
    before = begun(said(on=True, percent=D(1)))
    state = do(before, setting(percent=D(10), owner="anna", confirm_within=60.0))
    after = do(state, back())
    assert essence(flag(after)) == essence(flag(before))
    assert after.pending == ()


def test_a_flag_is_killed_at_once_and_for_good_whatever_waits():
    state = do(begun(said(on=True)), setting(percent=D(10), confirm_within=60.0))
    after = do(state, switching(on=False, kill=True))
    assert (runs(after).killed, after.pending) == (True, ())
    assert runs(do(after, Expire(actor="gatekeeper", revision=2))).killed
    refused = refusal(state, switching(on=False, kill=True, confirm_within=60.0))
    assert (refused.status, refused.code) == (422, "invalid_confirm_within")


def test_what_does_not_fit_any_more_is_not_put_back():
    long = {"variants": {"a": "x" * 3000, "b": "b"}, "off": "b"}
    state = do(begun(said(**long)), setting(variants={"a": "x", "b": "b"}, confirm_within=60.0))
    state = do(state, setting("other", new=True, **long))
    assert refusal(state, back()).code == "too_many_flags"
    outcome = apply(state, Expire(actor="gatekeeper", revision=2), NOW)
    assert outcome.events[0]["kept"] == ["new"]
    assert (outcome.state.pending, outcome.state.flags) == ((), state.flags)


def test_a_reload_with_flags_waits_like_any_change():
    before = begun(said(), said("gone"))
    state = do(before, Reload(**ANN, definition=file(said(owner="x"), said("more")), entropy="e", confirm_within=60.0))
    assert list(state.pending[0].flags) == ["new", "gone", "more"]
    after = do(state, Expire(actor="gatekeeper", revision=2))
    assert {name: essence(one) for name, one in after.flags.items()} == {
        name: essence(one) for name, one in before.flags.items()
    }


def test_what_is_left_of_a_change_goes_on_waiting_when_one_of_its_flags_is_settled():
    state = do(begun(said()), Reload(**ANN, definition=file(said(owner="x")), entropy="e", confirm_within=60.0))
    both = do(
        begun(said(), said("other")),
        Reload(**ANN, definition=file(said(owner="x"), said("other", owner="x")), entropy="e", confirm_within=60.0),
    )
    kill = switching(on=False, kill=True)
    assert [list(item.flags) for item in do(both, kill).pending] == [["other"]]
    assert do(state, kill).pending == ()


def test_a_schedule_of_a_flag_that_waits_is_left_until_it_is_settled():
    state = begun(said(schedule=FlagSchedule(NOW + 10)), said("other", schedule=FlagSchedule(NOW + 10)))
    state = do(state, setting(percent=D(1), confirm_within=60.0))
    after = do(state, ScheduleFlags(actor="schedule"), NOW + 20)
    assert (runs(after).on, runs(after, "other").on) == (False, True)
    assert not due(after, NOW + 20)
    after = do(do(after, Confirm(**ANN)), ScheduleFlags(actor="schedule"), NOW + 30)
    assert runs(after).on


def test_commands_leave_what_they_do_not_concern_the_very_same():
    state = begun(said(), said("other"), services=(service(), service("cart")))
    after = do(state, switching())
    assert after.flags["other"] is state.flags["other"]
    assert after.services == state.services
    assert replace(after, flags=state.flags, revision=1) == state
