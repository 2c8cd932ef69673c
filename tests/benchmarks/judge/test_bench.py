"""A small version of the benchmark of the judge: the same rows, fewer releases of them, and its gates."""

from dataclasses import replace

import pytest

from benchmarks.judge import fair, report
from benchmarks.judge import rows as names
from benchmarks.judge.__main__ import run
from benchmarks.judge.catalogue import all_rows
from benchmarks.judge.gates import ENOUGH, gates
from benchmarks.judge.peeking import Counts, msprt, z_peek
from benchmarks.judge.release import Fired, Result
from benchmarks.judge.report import Gate, Line, wilson
from benchmarks.judge.rows import Row
from benchmarks.judge.rules import Argo, Flagger, Kayenta, Minute, higher
from gatekeeper.core.judge.verdict import Cause

ROWS = {row.name: (place, row) for place, row in enumerate(all_rows())}


def lines_of(wanted, releases):
    rows = [ROWS[name][1] for name in wanted]
    return {row.name: Line(row, [row.once(f"{row.name}/{number}") for number in range(releases)]) for row in rows}


def test_rows_have_names_of_their_own():
    assert len(ROWS) == len(all_rows())
    assert sum(row.releases for row in all_rows() if row.null) >= ENOUGH


def test_the_mean_wealth_over_many_random_paths_is_at_most_one():
    found = fair.measure(20_000)
    assert 0.5 < found.mean <= found.bound < 1.2
    assert 0 < found.ever <= found.ever_bound


def test_equal_versions_are_not_rolled_back_whatever_the_weather():
    """36 releases; two false ones of them would be a chance of one in twenty even at the 1 % that is promised."""
    wanted = [
        "base 1 %, w 50 %, 5 rps",
        "base 0.1 %, w 5 %, 2000 rps",
        "ramp, three bad minutes of both (30 %)",
        "ramp, errors of both jump from .1 % to 1.5 %",
        "candidate better (1 % against 5 %), units",
        "stable's failures take 30 s, the candidate's none",
    ]
    found = lines_of(wanted, 6)
    assert sum(len(line.fired("judge")) for line in found.values()) <= 1
    assert not any(line.misrouted for line in found.values())
    assert len(found[wanted[3]].fired("Flagger")) == 6


def test_what_is_worse_is_found_as_soon_as_the_gates_ask():
    found = lines_of([names.OF_TWO, names.OUTAGE_OF_TWO], 60)
    checked = gates(list(found.values()))
    assert len(checked) == 2
    assert all(gate.holds for gate in checked), checked


def test_what_is_slower_is_found_and_what_is_tolerated_is_not():
    (slower,) = lines_of(["slowest 3 % x1.5, w 5 %, 50 rps"], 5).values()
    assert len(slower.fired("judge")) == 5
    found = lines_of([names.TOLERATED[0], names.MARGIN], 2)
    assert all(gate.holds for gate in gates(list(found.values())) if gate.name.endswith("rolled back"))


def test_ways_to_record_that_are_wrong_are_seen_to_be():
    found = lines_of(
        [
            "stable's take 30 s, booked when they end",
            "stable's take 30 s, left out if they end late",
            "retry storms (x4), every error counted",
            "retry storms (x4), first error per unit",
            "+5 points, first attempts",
            "+5 points, what a retry on stable made of it",
        ],
        4,
    )
    wrong, forgotten, storms, *right = [len(line.fired("judge")) for line in found.values()]
    assert (wrong, forgotten, *right) == (4, 4, 0, 4, 0)
    assert storms > 0


def test_results_depend_on_the_seed_and_on_nothing_else():
    name = "+5 points, base 1 %, ramp, 50 rps"
    place, row = ROWS[name]
    (line,) = run([(place, replace(row, releases=3))], scale=1.0, processes=1)
    assert list(line.results) == [row.once(f"{name}/{number}") for number in range(3)]


# The other rules


def minutes(rule, count, **counts):
    return [rule.add(Minute(**counts)) for _ in range(count)]


def test_flagger_gives_up_at_the_fifth_bad_minute_and_ignores_empty_ones():
    assert minutes(Flagger(), 5, candidate=100, candidate_errors=2) == [False] * 4 + [True]
    assert not any(minutes(Flagger(), 50, candidate=100, candidate_errors=1))
    assert not any(minutes(Flagger(), 50, stable=100, stable_errors=100))
    assert minutes(Flagger(), 5, candidate=3, candidate_times=[0.1, 0.1, 0.9])[-1]


def test_argo_gives_up_at_the_fourth_bad_five_minutes():
    assert minutes(Argo(), 20, candidate=100, candidate_errors=6).index(True) == 19
    assert not any(minutes(Argo(), 60, candidate=100, candidate_errors=5))


def test_kayenta_compares_minutes_every_five_of_them_from_the_tenth_on():
    rule = Kayenta()
    fired = [
        rule.add(Minute(stable=100, candidate=100, stable_errors=minute % 3, candidate_errors=5 + minute % 3))
        for minute in range(12)
    ]
    assert fired.index(True) == 9
    assert not any(minutes(Kayenta(), 60, stable=100, candidate=100, stable_errors=1, candidate_errors=1))


def test_a_shift_is_higher_only_with_enough_minutes_and_beyond_the_tolerance():
    assert higher([2.0, 2.1, 2.2, 2.3] * 5, [1.0, 1.1, 1.2, 1.3] * 5)
    assert not higher([2.0, 2.1], [1.0, 1.1])
    assert not higher([1.0, 2.0, 3.0] * 4, [1.0, 2.0, 3.0] * 4)


# Tests that are looked at again and again


def test_a_z_test_needs_some_requests_and_errors_and_a_difference_above_its_quantile():
    assert not z_peek(Counts(1000, 29, 0, 29))
    assert not z_peek(Counts(1000, 30, 0, 4))
    assert not z_peek(Counts(0, 100, 0, 50))
    # 10 % against 5 %, of 200 each: z = 1.90; of 400 each: 2.69.
    assert not z_peek(Counts(200, 200, 10, 20))
    assert z_peek(Counts(400, 400, 20, 40))
    assert not z_peek(Counts(400, 400, 40, 20))


def test_a_mixture_test_asks_for_more_than_one_look_does():
    assert not msprt(Counts(400, 400, 20, 40))
    assert msprt(Counts(4000, 4000, 200, 400))
    assert not msprt(Counts(4000, 4000, 400, 200))
    assert not msprt(Counts(4000, 29, 0, 29))
    assert msprt(Counts(4000, 30, 0, 30))
    assert not msprt(Counts(0, 100, 0, 50))


def test_what_others_decide_is_noted_beside_the_judge_and_not_where_it_is_not_asked():
    found = lines_of(["+5 points, base 1 %, w 1 %, 2000 rps", "base 1 %, w 50 %, 5 rps, 15 min"], 2)
    worse, alone = found.values()
    assert {who: len(worse.fired(who)) for who in report.WHO} == dict.fromkeys(report.WHO, 2)
    assert not any(alone.fired(who) for who in report.OTHERS)


# What is reported


def test_wilson_knows_that_none_of_few_is_not_none():
    assert wilson(0, 10) == (0.0, pytest.approx(0.2775, abs=1e-3))
    assert wilson(5, 10) == (pytest.approx(0.2366, abs=1e-3), pytest.approx(0.7634, abs=1e-3))
    assert wilson(0, 0) == (0.0, 1.0)


def line(name=names.OF_TWO, *, fired=(), releases=4, null=False, table=names.DETECT, cause=Cause.NONE):
    results = [Result({"judge": Fired(10 * each, each)}) for each in fired]
    results += [Result(cause=cause)] * (releases - len(fired))
    return Line(Row(table, name, releases, lambda _seed: Result(), null), results)


def held(lines, **options):
    return {gate.name: gate.holds for gate in gates(lines, **options)}


def test_a_gate_asks_for_the_median_and_releases_that_never_ended_count():
    name = f"{names.OF_TWO}: median candidate requests"
    assert held([line(fired=(100, 120, 130, 500))]) == {name: True}
    assert held([line(fired=(100, 120))]) == {name: False}


def test_the_bound_on_false_rollbacks_needs_enough_releases():
    null = line("equal", releases=2000, null=True, table=names.FALSE)
    assert list(held([null], enough=2000).values()) == [True, True, True, True]
    assert list(held([null]).values()) == [False, True, True, True]
    bad = line("equal", fired=range(20), releases=2000, null=True, table=names.FALSE)
    assert not all(held([bad], enough=2000).values())
    misrouted = line("equal", releases=2000, null=True, cause=Cause.ROUTING)
    assert not all(held([misrouted], enough=2000).values())


def test_tolerated_changes_may_never_be_rolled_back():
    assert held([line(names.MARGIN, fired=(9,))])[f"{names.MARGIN}: rolled back"] is False


def test_the_tables_name_everybody_and_show_a_dash_for_what_was_caught_in_under_half():
    text = report.markdown([line(fired=(100,))], None, {"date": "today"}, [Gate("a", 2, 1)])
    assert "| | releases | judge | Flagger | Argo | Kayenta |" in text
    assert f"| {names.OF_TWO} | 4 | - (25 %) | - (0 %) |" in text
    assert "| a | 2 | 1 | **missed** |" in text
    assert text.endswith("date today.\n")
