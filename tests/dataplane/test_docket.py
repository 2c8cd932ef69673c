"""The recording of one service, without sockets: what is handed on equals what the plainest recorder would say."""

from dataclasses import dataclass, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.judge.recording import Recording
from gatekeeper import COMPILED
from gatekeeper.core.decision import FORCED, PAGE, PINNED, RULE, SPLIT, STICKY
from gatekeeper.core.judge.gather import Gathering
from gatekeeper.core.judge.part import UNITS_SENT, Part
from gatekeeper.core.judge.units import SIZE, Units, first_seen
from gatekeeper.dataplane.docket import MOST_PARTS, Case, Docket
from gatekeeper.errors import Source

pytestmark = pytest.mark.skipif(
    COMPILED, reason="compiled code takes no stand-ins for requests; test_recording has real ones"
)
ORIGIN = 1000.0
ROUTES = ("/a", "/b")
CASE = Case(1, "shop", "blue", "green", False, ORIGIN, (0.05, 0.002), None, ROUTES, None)
READY = [0, 0, 1, 1, 1]


def route(**weights: int) -> Any:
    """A service with versions of these weights; slots from 2 on."""
    versions = {
        name: SimpleNamespace(name=name, slot=slot, weight=Decimal(weight))
        for slot, (name, weight) in enumerate(weights.items(), start=2)
    }
    return SimpleNamespace(versions=versions)


def exchange(started: float, **fields: Any) -> Any:
    decision = {"reason": SPLIT, "forced": False, "failed_over_from": None, "unit": -1}
    decision |= {name: fields.pop(name) for name in list(fields) if name in decision}
    known = {
        "started": started, "answered_at": -1.0, "status": 0, "error": None, "place": None, "last_backend": "b",
        "awaits_client": False, "head": SimpleNamespace(path=fields.pop("path", b"/")),
    }  # fmt: skip
    return SimpleNamespace(decision=SimpleNamespace(**decision), **(known | fields))


def docket(weights=None, ready=READY, seen=None, **case: Any) -> Docket:
    made = Docket(replace(CASE, **case), seen)
    made.bind(route(**(weights or {"blue": 50, "green": 50})), ready)
    return made


def answer(here: Docket, arm: int, started: float, took: float = 0.1, *, failed: bool = False, **fields: Any) -> None:
    status = 500 if failed else 200
    here.places[arm].end(exchange(started, answered_at=started + took, status=status, **fields), started + took)


def told(here: Docket, now: float) -> list[dict[str, Any]]:
    here.count()
    here.seal(now)
    parts = here.take()[3]
    for part in parts:
        Part.load(part)
    return parts


@dataclass(frozen=True)
class Asked:
    """One request: when it arrives and how long it takes (seconds), by whom, and what it comes to."""

    arrived: float
    took: float
    candidate: bool
    unit: int
    path: str
    failed: bool


asked = st.builds(
    Asked,
    arrived=st.integers(0, 5_000).map(lambda number: number / 1000),
    took=st.sampled_from([0.001, 0.02, 0.3, 2.5, 9.0]),
    candidate=st.booleans(),
    unit=st.integers(0, 12).map(lambda number: number * 0x9E3779B9 % 2**32),
    path=st.sampled_from(["/a", "/b", "/c"]),
    failed=st.booleans(),
)
WEIGHTS = [(90, 10), (75, 25), (75, 25), (90, 10), (50, 50), (20, 80)]
"""Of stable and candidate, second by second."""


@settings(deadline=None, max_examples=60)
@given(st.lists(asked, max_size=40, unique_by=lambda each: each.arrived), st.booleans())
def test_what_is_handed_on_equals_what_the_plainest_recorder_would_say(requests, by_unit):
    seen = Units.begin(bytearray(SIZE))
    memory = bytearray(SIZE)
    gathering = Gathering(Units.begin(memory) if by_unit else None, routes=ROUTES)
    gathering.workers({1})
    reference = Recording(sticky=by_unit, routes=ROUTES, units=seen)
    here = docket(units=by_unit, seen=memoryview(memory) if by_unit else None)
    if by_unit:  # a unit's label is one coin
        requests = [replace(each, candidate=each.unit > 2**32 * 0.6) for each in requests]
    events: list[tuple[float, int, int, Asked | None]] = [(float(second), 0, second, None) for second in range(30)]
    for number, each in enumerate(sorted(requests, key=lambda each: each.arrived)):
        events += [(each.arrived, 2, number, each), (each.arrived + each.took, 1, number, each)]
    opened: dict[int, tuple[Any, Any]] = {}
    expected, found = [], []
    for at, kind, number, each in sorted(events, key=lambda event: event[:3]):
        if each is None:
            expected += reference.seal(at)
            waits = [here.second(open_.started) for open_, _ in opened.values()]
            here.count()
            here.seal(ORIGIN + at, min(waits, default=None))
            _, _, upto, parts = here.take()
            gathering.add(1, upto, [Part.load(part) for part in parts])
            found += gathering.take(at)
            blue, green = WEIGHTS[min(number, len(WEIGHTS) - 1)]
            here.bind(route(blue=blue, green=green), READY)
        elif kind == 2:
            weight = WEIGHTS[min(int(at), len(WEIGHTS) - 1)][1] / 100
            unit = each.unit if by_unit else None
            attempt = reference.begin(
                at, candidate=each.candidate, weight=weight, unit=unit, route=each.path, backend="b"
            )
            began = exchange(
                ORIGIN + at,
                path=each.path.encode(),
                reason=STICKY if by_unit else SPLIT,
                unit=each.unit if by_unit else -1,
                place=here.places[each.candidate],
            )
            opened[number] = (began, attempt)
        else:
            began, attempt = opened.pop(number)
            reference.end(attempt, at, failed=each.failed)
            began.answered_at, began.status = ORIGIN + at, 500 if each.failed else 200
            began.place.end(began, ORIGIN + at)
    assert [replace(each, crowded=0.0) for each in found] == expected[: len(found)]
    assert len(found) >= 25


def test_a_fault_of_ours_and_a_fail_over_are_excluded_and_other_reasons_are_too():
    here = docket({"blue": 40, "green": 40, "red": 20})
    red = route(blue=1, green=1, red=1).versions["red"]
    answer(here, 1, ORIGIN, failed_over_from=red)
    for reason in (RULE, PINNED, PAGE, STICKY):
        answer(here, 1, ORIGIN, reason=reason)
    here.places[1].break_off(exchange(ORIGIN), Source.GATEKEEPER, ORIGIN + 1)
    (part,) = told(here, ORIGIN + 2)
    assert (part["cells"], part["excluded"], part["candidate"], part["others"]) == ([], 6, [6, 0, 0], True)


def test_what_is_forced_is_nowhere():
    here = docket()
    answer(here, 1, ORIGIN, reason=FORCED, forced=True)
    assert told(here, ORIGIN + 2) == []


def test_the_weight_is_the_candidates_part_of_what_the_two_have():
    here = docket({"blue": 30, "green": 10, "red": 60})
    answer(here, 0, ORIGIN)
    (part,) = told(here, ORIGIN + 2)
    assert (part["cells"][0][0], part["others"]) == (0.25, True)


def test_without_weight_or_with_one_side_down_no_label_is_drawn():
    for here in (docket({"blue": 0, "green": 0, "red": 1}), docket(ready=[0, 0, 1, 0])):
        answer(here, 0, ORIGIN)
        (part,) = told(here, ORIGIN + 2)
        assert (part["cells"], part["excluded"]) == ([], 1)


def test_a_table_without_one_of_the_versions_has_no_places():
    here = docket({"blue": 1, "red": 1})
    assert here.places == ()
    assert told(here, ORIGIN + 5) == []
    assert here.take()[2] == 4


def test_more_units_than_can_be_told_of_are_halved_by_the_low_bits_of_their_points():
    here = docket(units=True)
    points = [number * 0x9E3779B1 % 2**32 for number in range(3 * UNITS_SENT)]
    for point in points:
        answer(here, point >= 2**31, ORIGIN, unit=point, reason=STICKY, failed=point % 3 == 0)
    (part,) = told(here, ORIGIN + 2)
    keep = part["keep"]
    assert keep in (4, 8)
    assert sorted(entry[0] for entry in part["units"]) == sorted(point for point in points if not point % keep)
    assert part["cells"][0][1][0] + part["cells"][0][2][0] == len(points)


def test_a_unit_that_another_worker_told_of_meanwhile_is_not_told_again():
    memory = bytearray(SIZE)
    units, view = Units.begin(memory), memoryview(memory)
    here = docket(units=True, seen=view)
    answer(here, 1, ORIGIN, unit=5, reason=STICKY)
    answer(here, 1, ORIGIN, unit=6, reason=STICKY, failed=True)
    here.count()
    assert units.is_new(5)
    assert units.is_new(6)
    assert first_seen(view, 5)
    (part,) = told(here, ORIGIN + 2)
    assert part["units"] == [[6, 1, 0.5, -1, 0, 1, []]]


def test_what_a_supervisor_does_not_take_is_bounded():
    here = docket()
    for second in range(2 * MOST_PARTS):
        answer(here, 0, ORIGIN + second)
        here.count()
        here.seal(ORIGIN + second + 1)
    assert [part["at"] for part in here.take()[3]] == list(range(MOST_PARTS, 2 * MOST_PARTS))


@pytest.mark.parametrize("known", [False, True])
def test_a_request_of_a_second_that_was_handed_on_is_booked_to_the_next(known):
    here = docket()
    if known:
        answer(here, 0, ORIGIN + 1)
    assert len(told(here, ORIGIN + 3)) == known
    answer(here, 0, ORIGIN + 1)
    (part,) = told(here, ORIGIN + 4)
    assert part["at"] == 3


def test_more_weights_in_a_second_than_can_be_told_of_are_excluded():
    here = docket()
    for blue in range(40):
        here.bind(route(blue=blue, green=60), READY)
        answer(here, 1, ORIGIN)
    (part,) = told(here, ORIGIN + 2)
    assert (len(part["cells"]), part["excluded"]) == (32, 8)
