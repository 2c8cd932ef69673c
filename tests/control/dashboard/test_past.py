"""Ten minutes of rows: whole, in order, and never more memory than was said."""

import itertools
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.control.dashboard.past import COLUMNS, PAIRS, ROWS, Opinion, Past
from gatekeeper.control.dashboard.seconds import Row

BLUE, GREEN = ("shop", "blue"), ("shop", "green")


def row(requests=0, **more):
    return Row(
        **{
            **dict.fromkeys(("errors", "in_flight"), 0),
            **dict.fromkeys(("p50", "p95", "p99", "share"), None),
            "requests": requests,
            "weight": 1.0,
            **more,
        }
    )


def shown(past, service="shop", rows=None):
    return past.document([service], rows)[service]


def test_what_went_in_comes_out_and_what_is_not_known_is_none():
    past = Past()
    full = row(9, errors=1, p50=0.001234, p95=0.5, p99=60.0, in_flight=3, weight=0.333333, share=1.0)
    past.take(100.25, {BLUE: full, GREEN: row()}, {"shop": Opinion(12.5, 100.0, "suspicious")})
    found = shown(past)
    assert found["at"] == [100.25]
    assert found["versions"]["blue"] == {name: [getattr(full, name)] for name in COLUMNS}
    assert found["versions"]["green"]["share"] == [None]
    assert (found["odds"], found["bar"], found["verdict"]) == ([12.5], 100.0, ["suspicious"])
    assert shown(past, "cart") == {"at": [100.25], "versions": {}, "odds": [None], "bar": None, "verdict": [None]}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 45), st.one_of(st.none(), st.integers(0, 30)))
def test_it_is_the_last_rows_in_order_however_many_there_were(taken, wanted):
    past = Past(rows=20)
    for second in range(taken):
        past.take(float(second), {BLUE: row(second)}, {})
    expected = [*range(taken)][-20:]
    expected = expected if wanted is None else expected[len(expected) - min(wanted, len(expected)) :]
    found = shown(past, rows=wanted)
    assert found["at"] == expected
    assert found["versions"].get("blue", {"requests": []})["requests"] == expected
    assert len(found["odds"]) == len(found["verdict"]) == len(expected)


def test_who_comes_later_has_no_past_and_who_goes_is_forgotten_when_his_is_over():
    past = Past(rows=10)
    for second in range(5):
        past.take(float(second), {BLUE: row(1)}, {})
    for second in range(5, 9):
        past.take(float(second), {GREEN: row(2)}, {})
    found = shown(past)["versions"]
    assert found["green"]["requests"] == [None] * 5 + [2] * 4
    assert found["blue"]["requests"] == [1] * 5 + [None] * 4
    for second in range(9, 15):
        past.take(float(second), {GREEN: row(2)}, {})
    assert [*shown(past)["versions"]] == ["green"]


def test_odds_without_a_judge_are_none_and_are_forgotten_too():
    past = Past(rows=4)
    past.take(0.0, {}, {"shop": Opinion(), "cart": Opinion(1.0, 100.0, "collecting")})
    past.take(1.0, {}, {"cart": Opinion(2.0, 100.0, "rollback")})
    past.take(2.0, {}, {})
    assert shown(past, "cart")["odds"] == [1.0, 2.0, None]
    assert shown(past, "cart")["verdict"] == ["collecting", "rollback", None]
    for second in range(3, 8):
        past.take(float(second), {}, {})
    assert shown(past, "cart") == {"at": [4.0, 5.0, 6.0, 7.0], "versions": {}, "odds": [None] * 4, "bar": None,
                                   "verdict": [None] * 4}  # fmt: skip


def test_beyond_the_bound_the_busiest_have_a_past():
    past = Past(rows=10, pairs=3)
    quiet = {("shop", f"q{at}"): row(1) for at in range(3)}
    past.take(0.0, quiet, {})
    past.take(1.0, {**quiet, ("shop", "busy"): row(50), ("shop", "still"): row(0)}, {})
    assert ("shop", "busy") in past.names
    assert ("shop", "still") not in past.names
    assert len([*past.names]) == 3
    past.take(2.0, {**quiet, ("shop", "busy"): row(0), ("shop", "still"): row(1)}, {})
    assert ("shop", "busy") in past.names, "one quiet second makes nobody quiet"


def test_versions_that_are_gone_make_room_at_once():
    past = Past(rows=10, pairs=2)
    past.take(0.0, {("shop", "a"): row(1000), ("shop", "b"): row(1000)}, {})
    past.take(1.0, {("shop", "c"): row(0), ("shop", "b"): row(0)}, {})
    assert {*past.names} == {("shop", "b"), ("shop", "c")}


def test_no_number_is_too_large_for_its_cell():
    past = Past(rows=2)
    past.take(0.0, {BLUE: row(2**40, p99=1e9, in_flight=2**33)}, {})
    found = shown(past)["versions"]["blue"]
    assert found["requests"] == [2**32 - 2]
    assert found["p99"] == [(2**32 - 2) / 1e6]


def test_its_memory_is_what_was_said_however_many_versions_there_are():
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        past = Past()
        names = [(f"service{at // 3}", f"v{at % 3}") for at in range(PAIRS * 3)]
        for second, at in zip(range(30), itertools.count(), strict=False):
            past.take(
                float(second), {name: row(at) for name in names}, {name[0]: Opinion(1.0, 9.0, "x") for name in names}
            )
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len([*past.names]) == PAIRS
    assert past.size <= ROWS * (PAIRS * (8 * 4 + 9) + 8)
    assert held < past.size * 1.1 + 1_000_000
