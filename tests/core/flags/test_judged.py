"""Which flags can be judged, by what terms; and that the judge may turn one off whatever waits."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.core.command import Expire, apply
from gatekeeper.core.flags.judged import share, terms
from gatekeeper.core.flags.model import FlagFails, FlagSchedule
from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.model import Sticky, StickyMode, When
from tests.core.flags.states import THEME, begun, flag, said, setting, switching
from tests.core.states import ANN, NOW, do, refusal, service

D = Decimal
ASKED = Analysis()
NONE = Sticky(mode=StickyMode.NONE)
VERDICT = {"verdict": "rollback", "odds": 129.0}


def judged(**more):
    return said(**{"analysis": ASKED, "on": True, "percent": D(10), **more})


@pytest.mark.parametrize(
    ("changes", "part"),
    [({}, 0.1), ({"percent": D(100)}, 1.0), ({"percent": D(0)}, 0.0), ({"on": False}, 0.0),
     ({"percent": None, **THEME, "split": {"light": D(3), "dark": D(1)}}, 0.25)],
)  # fmt: skip
def test_the_share_is_that_of_all_variants_but_off(changes, part):
    assert share(flag(begun(judged(**changes)))) == part


def test_a_killed_flag_and_one_that_is_for_a_candidate_have_no_share():
    state = begun(judged())
    assert share(flag(do(state, switching(on=False, kill=True)))) == 0
    found = flag(state)
    assert share(replace(found, running=replace(found.running, following="green"))) == 0


def test_a_flag_without_an_analysis_has_no_terms():
    state = begun(said(on=True))
    assert terms(state, flag(state).definition) is None


@pytest.mark.parametrize(
    ("changes", "same"),
    [({"owner": "anna"}, True), ({"description": "d"}, True), ({"schedule": FlagSchedule(NOW + 1)}, True),
     ({"on_fail": FlagFails.OFF}, True), ({"percent": D(50)}, True),
     ({"analysis": Analysis(alpha=0.02)}, False), ({"when": When(methods=("GET",))}, False),
     ({"services": ("shop",)}, False), ({"off": "on"}, False),
     ({"variants": {"on": True, "off": False, "new": True}, "percent": None}, False)],
)  # fmt: skip
def test_another_judge_begins_where_what_it_judges_is_another_thing(changes, same):
    state = begun()
    assert (terms(state, judged(**changes)) == terms(state, judged())) is same


@pytest.mark.parametrize(("which", "units"), [(("shop",), False), (("cart",), True), ((), True)])
def test_units_have_variants_where_any_of_its_services_knows_them(which, units):
    state = begun(services=(service("shop", sticky=NONE), service("cart")))
    found = terms(state, judged(services=which))
    assert found is not None
    assert found.units is units


def test_both_sides_have_names_that_an_operator_knows():
    found = terms(begun(), judged(percent=None, **THEME))
    assert found is not None
    assert (found.stable, found.candidate) == ("new=light", "new=dark")
    many = {"variants": {name: name for name in "abcde"}, "off": "a", "percent": None}
    found = terms(begun(), judged(**many))
    assert found is not None
    assert found.candidate == "new=4 others"


# What may be asked


def test_what_is_to_become_of_it_needs_a_judge():
    refused = refusal(begun(), setting(on_fail=FlagFails.OFF))
    assert [problem.path for problem in refused.problems] == ["on_fail"]


def test_without_its_judge_it_is_kept():
    state = do(begun(judged(on_fail=FlagFails.OFF)), setting(analysis=False))
    assert (flag(state).definition.analysis, flag(state).definition.on_fail) == (None, FlagFails.KEEP)


def test_a_flag_that_follows_a_release_is_judged_with_it():
    refused = refusal(begun(judged()), setting(follow="shop"))
    assert [problem.path for problem in refused.problems] == ["analysis"]
    assert "in their plan" in refused.problems[0].message


def test_so_many_flags_are_judged_and_no_more():
    flags = [judged(name=f"f{number}") for number in range(16)]
    assert refusal(begun(*flags, said("one-more")), setting("one-more", analysis=ASKED)).code == "too_many_flags"


# What comes of it


def test_the_judge_turns_it_off_with_its_evidence_in_the_event():
    outcome = apply(begun(judged()), switching(on=False, verdict=VERDICT), NOW)
    assert not flag(outcome.state).running.on
    (event,) = outcome.events
    assert {"kind": "flag_off", **VERDICT}.items() <= event.items()


def test_the_judge_settles_a_change_that_waits_so_that_it_does_not_come_back():
    state = do(begun(judged()), setting(percent=D(50), confirm_within=60.0))
    assert refusal(state, switching(on=False)).status == 409
    after = do(state, switching(on=False, verdict=VERDICT))
    assert not after.pending
    assert apply(after, Expire(**ANN, revision=state.revision), NOW + 61).state is after
    assert not flag(after).running.on
