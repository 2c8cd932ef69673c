"""Several workers, one judge: their parts become seconds, each once, in order, whoever is late, hangs or dies."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.judge.recording import Recording
from gatekeeper.core.codec import CodecError
from gatekeeper.core.judge.gather import GRACE, OPEN_MOST, Gathering
from gatekeeper.core.judge.part import Part
from gatekeeper.core.judge.second import SEAL_AFTER, Arm, Cell, Second, Totals
from tests.core.judge.workers import Request, memory, part
from tests.core.judge.worlds import Remembered

OVERDUE = SEAL_AFTER + GRACE + 1
ROUTES = ("/a", "/b")
SECONDS = 4
WEIGHTS = (0.1, 0.25, 0.6)

# The reference

requests = st.builds(
    lambda at, unit, weight, failed, took, route, backend, counted, keyed, worker: Request(
        at,
        unit if keyed else None,
        weight,
        unit < weight * 2**32,
        failed,
        took,
        route,
        backend,
        counted,
        worker,
    ),
    st.integers(0, SECONDS - 1),
    # Low bits that differ, so that nobody takes another's place, and high ones that give every label.
    st.builds(lambda number, place: place << 17 | number, st.integers(0, 2), st.sampled_from([0, 5000, 12000, 30000])),
    st.sampled_from(WEIGHTS),
    st.booleans(),
    st.sampled_from([0.001, 0.05, 0.3, 30.0]),
    st.sampled_from([*ROUTES, "/other", ""]),
    st.sampled_from(["g1", "g2"]),
    st.integers(0, 9).map(bool),
    st.integers(0, 9).map(bool),
    st.integers(0, 2),
)


def units_differ(found):
    """One number has one place on the ring."""
    places = {}
    return all(places.setdefault(each.unit & 7, each.unit) == each.unit for each in found if each.unit is not None)


def recorded(found, *, sticky, warm_up):
    """The seconds of the reference. Within a second it is told of lower workers' requests first."""
    recording = Recording(sticky=sticky, routes=ROUTES, warm_up=warm_up, units=Remembered())
    for each in sorted(found, key=lambda each: (each.at, each.worker)):
        attempt = recording.begin(
            each.at + 0.5,
            candidate=each.candidate,
            weight=each.weight,
            unit=each.unit,
            route=each.route,
            backend=each.backend,
            counted=each.counted,
        )
        # Ended by any means: of a time the reference makes the same buckets, and what is late has failed.
        recording.end(attempt, each.at + 0.5 + each.took, failed=each.failed)
    return list(recording.seal(1000.0))[:SECONDS]


def gathered(found, random, *, sticky, warm_up):
    """The seconds of three workers whose messages come as they like; looked at after each."""
    units, seen = memory() if sticky else (None, None)
    gathering = Gathering(units, warm_up=warm_up, routes=ROUTES)
    gathering.workers([0, 1, 2])
    told, seconds = [0, 0, 0], []
    while min(told) < SECONDS:
        worker = random.choice([name for name in range(3) if told[name] < SECONDS])
        upto = random.randint(told[worker], SECONDS - 1)
        parts = []
        for at in range(told[worker], upto + 1):
            mine = [each for each in found if (each.at, each.worker) == (at, worker)]
            if mine:
                parts.append(part(at, mine, sticky=sticky, seen=seen, routes=ROUTES))
        random.shuffle(parts)
        gathering.add(worker, upto, parts)
        told[worker] = upto + 1
        seconds += gathering.take(SECONDS + 1.0)
    assert (gathering.missing, gathering.late) == (0, 0)
    return [replace(each, crowded=0.0) for each in seconds]


@settings(deadline=None, max_examples=80)
@given(
    found=st.lists(requests, max_size=40).filter(units_differ),
    random=st.randoms(use_true_random=False),
    sticky=st.booleans(),
    warm_up=st.sampled_from([0, 0, 2]),
)
def test_whatever_workers_see_and_whenever_they_say_it_the_seconds_are_those_of_the_reference(
    found, random, sticky, warm_up
):
    assert gathered(found, random, sticky=sticky, warm_up=warm_up) == recorded(found, sticky=sticky, warm_up=warm_up)


# When a second is handed on


def begun(*workers, units=None, **more):
    gathering = Gathering(units, **more)
    gathering.workers(workers)
    return gathering


def some(at, *, worker=0, candidate=True, failed=True):
    return part(at, [Request(at, None, 0.1, candidate, failed, worker=worker)])


def ats(seconds):
    return [second.at for second in seconds]


def test_a_second_waits_for_every_worker_that_is_there():
    gathering = begun(1, 2)
    gathering.add(1, 0, [some(0)])
    assert gathering.take(1.5) == []
    gathering.add(2, 0, [some(0)])
    (second,) = gathering.take(1.6)
    assert second.candidate == Totals(2, 2)
    assert second.cells == (Cell(0.1, Arm(), Arm(2, 2, 2, 2, {63: 2})),)
    assert gathering.take(1.7) == []


def test_seconds_without_a_request_are_handed_on_too():
    gathering = begun(1)
    gathering.add(1, 2, [])
    assert gathering.take(3.0) == [Second(0), Second(1), Second(2)]


def test_seconds_come_in_order_whatever_was_told_first():
    gathering = begun(1, 2)
    gathering.add(1, 3, [some(3), some(1)])
    gathering.add(2, 0, [])
    assert ats(gathering.take(5.0)) == [0]
    gathering.add(2, 3, [some(2)])
    assert [(each.at, each.candidate.requests) for each in gathering.take(5.0)] == [(1, 1), (2, 1), (3, 1)]


def test_a_second_that_is_not_over_is_not_handed_on():
    gathering = begun(1)
    gathering.add(1, 5, [])
    assert ats(gathering.take(2.99)) == [0, 1]


def test_a_worker_that_hangs_is_waited_for_until_its_second_is_overdue_and_is_said_to_be_missing():
    gathering = begun(1, 2)
    for at in range(20):
        gathering.add(1, at, [some(at)])
    assert gathering.take(OVERDUE - 0.01) == []
    (first,) = gathering.take(OVERDUE)
    assert (first.at, first.missing, first.candidate.requests) == (0, 1, 1)
    assert ats(gathering.take(OVERDUE + 1.0)) == [1]
    assert gathering.missing == 2
    # What it says at last is too late for these, and in time for the others.
    gathering.add(2, 3, [some(at) for at in range(4)])
    assert gathering.late == 2
    assert [(each.at, each.candidate.requests, each.missing) for each in gathering.take(OVERDUE + 1.0)] == [
        (2, 2, 0),
        (3, 2, 0),
    ]


def test_the_same_told_twice_counts_once():
    gathering = begun(1, 2)
    gathering.add(1, 1, [some(0), some(1)])
    gathering.add(1, 1, [some(0), some(1)])
    gathering.add(1, 2, [some(1), some(2), some(2)])
    gathering.add(2, 2, [])
    assert [each.candidate.requests for each in gathering.take(3.0)] == [1, 1, 1]
    assert gathering.late == 4


def test_a_second_that_a_worker_said_was_empty_stays_so():
    gathering = begun(1, 2)
    gathering.add(1, 1, [])
    gathering.add(1, 2, [some(1)])
    gathering.add(2, 2, [])
    assert [each.candidate.requests for each in gathering.take(3.0)] == [0, 0, 0]
    assert gathering.late == 1


def test_a_worker_takes_back_nothing_of_what_it_told():
    gathering = begun(1)
    gathering.add(1, 3, [])
    gathering.add(1, 1, [])
    assert ats(gathering.take(4.0)) == [0, 1, 2, 3]


def test_what_is_not_sealed_yet_is_not_taken():
    gathering = begun(1)
    gathering.add(1, 1, [some(0), some(2)])
    gathering.add(1, 2, [])
    assert [each.candidate.requests for each in gathering.take(3.0)] == [1, 0, 0]
    assert gathering.late == 1


def test_a_worker_that_died_is_not_waited_for_and_what_it_had_is_said_to_be_missing():
    gathering = begun(1, 2)
    gathering.add(1, 0, [some(0)])
    gathering.add(2, 0, [some(0)])
    assert ats(gathering.take(1.2)) == [0]
    gathering.add(1, 1, [some(1)])
    assert gathering.take(2.4) == []
    gathering.workers([1])
    assert [(each.at, each.missing) for each in gathering.take(2.5)] == [(1, 1)]
    gathering.add(1, 4, [])
    # It died in second 2; what came after it never had.
    assert [(each.at, each.missing) for each in gathering.take(5.0)] == [(2, 1), (3, 0), (4, 0)]
    assert gathering.missing == 2


def test_what_a_worker_told_before_it_died_counts():
    gathering = begun(1, 2)
    gathering.add(2, 2, [some(0), some(1), some(2)])
    gathering.workers([1])
    gathering.add(1, 2, [some(1)])
    assert [each.candidate.requests for each in gathering.take(3.0)] == [1, 2, 1]


def test_what_came_before_a_worker_that_joined_later_does_not_wait_for_it():
    gathering = begun(1)
    gathering.add(1, 2, [some(0)])
    gathering.workers([1, 2])
    assert ats(gathering.take(3.0)) == [0, 1, 2]
    gathering.add(1, 4, [])
    gathering.add(2, 3, [some(3)])
    assert [(each.at, each.candidate.requests) for each in gathering.take(5.0)] == [(3, 1)]
    # From its first report on it is one of them.
    gathering.add(1, 5, [])
    gathering.add(2, 4, [])
    assert ats(gathering.take(6.0)) == [4]
    assert gathering.missing == 0


def test_a_worker_that_replaces_the_only_one_does_not_vouch_for_what_was_before_it():
    gathering = begun(1)
    gathering.add(1, 0, [])
    assert ats(gathering.take(1.2)) == [0]
    gathering.workers([])
    gathering.workers([2])
    assert gathering.take(8.0) == []
    gathering.add(2, 7, [some(7)])
    (second,) = gathering.take(8.5)
    assert (second.at, second.missing) == (7, 6)
    assert gathering.missing == 6


def test_a_worker_of_the_same_number_that_comes_later_is_another_one():
    gathering = begun(1)
    gathering.add(1, 0, [])
    gathering.take(1.0)
    gathering.workers([])
    for now in range(1, 40):
        gathering.take(float(now))
    gathering.workers([1])
    gathering.add(1, 60, [])
    assert ats(gathering.take(61.0)) == [60]


def test_without_anybody_no_second_is_handed_on_and_the_time_is_no_evidence():
    gathering = begun(1)
    gathering.workers([])
    for now in range(100):
        assert gathering.take(float(now)) == []
    assert gathering.next == 100 - OVERDUE
    gathering.workers([2])
    gathering.add(2, 100, [some(100)])
    (second,) = gathering.take(101.0)
    assert (second.at, second.missing) == (100, 100)


def test_before_it_is_known_who_is_there_it_waits():
    gathering = Gathering(None)
    gathering.add(1, 1, [some(0)])
    assert gathering.take(2.0) == []
    gathering.workers([1])
    assert ats(gathering.take(2.0)) == [0, 1]


def test_a_long_silence_is_passed_over_at_once():
    gathering = begun(1)
    gathering.take(10**9)
    assert gathering.next == 10**9 - OVERDUE + 1
    assert gathering.missing == gathering.next


def test_a_worker_that_runs_ahead_cannot_fill_the_memory():
    gathering = begun(1, 2)
    gathering.add(1, 10_000, [some(at) for at in range(10_000)])
    assert gathering.late == 10_000 - OPEN_MOST
    assert len(gathering._open) == OPEN_MOST


def test_nothing_is_kept_of_workers_and_seconds_that_are_gone():
    gathering = begun(0)
    for at in range(500):
        gathering.workers([at])
        gathering.add(at, at, [some(at)])
        gathering.take(at + 1.0)
    assert gathering.next == 500
    assert len(gathering._open) == len(gathering._cut) == 0
    assert len(gathering._reports) <= 2


# Restart


def test_a_restart_loses_what_waits_and_goes_on_with_the_second_that_is_now():
    units, _ = memory()
    gathering = begun(1, units=units, warm_up=2, routes=ROUTES)
    gathering.add(1, 20, [part(at, [Request(at, 7, 0.1, True, True)], sticky=True) for at in range(3, 6)])
    assert len(gathering.take(5.0)) == 5
    kept = json.dumps(gathering.dump())
    assert len(kept) < 200
    again = Gathering.load(json.loads(kept), units, first=30)
    again.workers([9])
    again.add(9, 30, [part(30, [Request(30, 7, 0.1, True, True)], sticky=True)])
    (second,) = again.take(31.0)
    assert (second.at, second.missing) == (30, 25)
    assert second.cells[0].candidate == Arm(1), "the unit has been bet on"
    assert again.dump() == {"next": 31, "warm_up": 2, "routes": list(ROUTES), "missing": 25, "late": 0}


def test_it_never_goes_back_and_refuses_what_it_has_not_written():
    kept = begun(1, first=5).dump()
    assert Gathering.load(kept, None, first=2).next == 5
    with pytest.raises(CodecError, match="missing"):
        Gathering.load({"warm_up": 0}, None)


# Units


def shared(*found, **more):
    """What becomes of one second that several workers saw."""
    units, seen = memory()
    gathering = begun(*range(len(found)), units=units, routes=ROUTES, warm_up=0)
    for worker, mine in reversed([*enumerate(found)]):
        gathering.add(worker, 0, [part(0, mine, sticky=True, seen=seen, routes=ROUTES, **more)])
    return gathering.take(1.0)[0]


def test_a_unit_seen_by_two_workers_is_one_unit():
    bad, good = Request(0, 7, 0.1, True, True, route="/a"), Request(0, 7, 0.1, True, took=0.05, route="/b")
    second = shared([good, bad], [bad, replace(bad, route="/b")])
    (cell,) = second.cells
    # The first request is that of the lower worker, the failures are of both.
    assert cell.candidate == Arm(4, 1, 1, 0, {20: 1})
    assert {name: tally.candidate_errors for name, tally in cell.routes.items()} == {"/a": 1, "/b": 1}
    assert shared([bad], [good]).cells[0].candidate == Arm(2, 1, 1, 1, {63: 1})
    assert shared([good], [good]).cells[0].candidate == Arm(2, 0, 1, 0, {20: 1})


def test_of_two_weights_in_a_second_the_lower_one_is_asked_first_whoever_saw_it():
    low, high = Request(0, 7, 0.1, False, True), Request(0, 7, 0.6, True, True)
    for order in ([low], [high]), ([high], [low]), ([high, low], []):
        cells = shared(*order).cells
        assert [(cell.weight, cell.stable.errors, cell.candidate.errors) for cell in cells] == [
            (0.1, 1, 0),
            (0.6, 0, 0),
        ]


def entry(*row):
    """What becomes of a unit's entry, sent as it is."""
    data = {"at": 0, "cells": [[0.1, [0, 0, 0, 0, []], [1, 0, 0, 0, []], {}]], "units": [list(row)]}
    gathering = begun(1, units=memory()[0])
    gathering.add(1, 0, [Part.load(data)])
    return gathering.take(1.0)[0].cells[0].candidate


def test_who_was_seen_before_by_the_worker_is_no_draw_and_who_failed_first_is_slowest():
    assert entry(7, 1, 0.1, -1, 0, 1, []) == Arm(1, 1)
    assert entry(7, 1, 0.1, 5, 1, 1, []) == Arm(1, 1, 1, 1, {63: 1})


def test_the_order_in_which_workers_report_changes_nothing():
    one = [Request(0, 7, 0.1, True, True)]
    other = [Request(0, 7, 0.1, True, took=0.05), Request(0, 8, 0.1, False, True)]
    found = []
    for order in ((0, 1), (1, 0)):
        units, _ = memory()
        gathering = begun(0, 1, units=units)
        for worker in order:
            gathering.add(worker, 0, [part(0, (one, other)[worker], sticky=True)])
        found.append(gathering.take(1.0))
    assert found[0] == found[1]


def test_workers_that_left_out_different_parts_of_the_units_are_brought_to_the_smaller_part():
    found = [Request(0, unit, 0.1, True, True) for unit in range(16)]
    units, _ = memory()
    gathering = begun(1, 2, 3, units=units)
    for worker, keep in ((1, 1), (2, 4), (3, 2)):
        gathering.add(worker, 0, [part(0, found, sticky=True, keep=keep)])
    (second,) = gathering.take(1.0)
    # Rent is paid for all, and 1 of 4 units was looked at.
    assert second.cells[0].candidate == Arm(48, 4, 4, 4, {63: 4})
    assert second.keep == 4
    # Whoever was left out has its coin still.
    for worker in (1, 2, 3):
        gathering.add(worker, 1, [part(1, found if worker == 1 else [], sticky=True)])
    (second,) = gathering.take(2.0)
    assert second.cells[0].candidate == Arm(16, 12, 12, 12, {63: 12})


def test_with_a_third_version_there_are_no_fresh_coins_from_then_on():
    found = []
    for others in (False, True):
        units, _ = memory()
        gathering = begun(1, units=units)
        gathering.add(1, 0, [part(0, [Request(0, 7, 0.1, False, True)], sticky=True)])
        gathering.add(1, 1, [part(1, [Request(1, 8, 0.1, False, True)], sticky=True, others=others)])
        gathering.add(1, 2, [part(2, [Request(2, unit, 0.5, True, True) for unit in (7, 8, 9)], sticky=True)])
        found.append([(cell.weight, cell.fresh, cell.candidate.errors) for cell in gathering.take(3.0)[-1].cells])
    assert found[0] == [((0.5 - 0.1) / 0.9, True, 2), (0.5, False, 1)]
    assert found[1] == [(0.5, False, 1)]


def test_how_full_the_memory_of_units_is_is_told_with_each_second():
    assert shared([Request(0, 7, 0.1, True, True)]).crowded == 2**-17
    assert shared([Request(0, 7, 0.1, True)]).crowded == 2**-20


def test_entries_of_units_mean_nothing_where_labels_are_drawn_per_request():
    gathering = begun(1)
    gathering.add(1, 0, [part(0, [Request(0, 7, 0.1, True, True)], sticky=True)])
    assert gathering.take(1.0)[0].cells == (Cell(0.1, Arm(), Arm(1)),)


def test_an_empty_part_is_as_good_as_none():
    gathering = begun(1)
    gathering.add(1, 0, [Part(0)])
    assert gathering.take(1.0) == [Second(0)]
