"""Recorded seconds judged again: the same floats to the last bit, or the place where they are not."""

import json
from math import inf, nextafter

import pytest

from gatekeeper.core.judge.judge import Judge
from gatekeeper.replay import SHOWN, ReplayError, replay
from tests.core.judge.recorded import SECONDS, header, judge, line, lines, record


def changed(found: list[bytes], place: int, **fields: object) -> list[bytes]:
    found = [*found]
    found[place] = line({**json.loads(found[place]), **fields})
    return found


def test_a_record_gives_the_very_odds_it_was_made_with():
    found = replay(record())
    assert (found["identical"], found["different"], found["seconds"]) == (True, 0, SECONDS)
    assert (found["release"], found["service"], found["began"]) == (41, "shop", 1_764_600_000.0)
    assert [told["kind"] for told in found["story"]] == ["collecting", "suspicious", "rollback"]
    assert "failures so far" in found["story"][-1]["sentence"]


@pytest.mark.parametrize("place", [1, 17, SECONDS])
def test_odds_that_are_another_by_one_bit_are_a_difference(place):
    odds = json.loads(record()[place])["odds"]
    found = replay(changed(record(), place, odds=nextafter(odds, inf)))
    assert found["identical"] is False
    (difference,) = found["differences"]
    assert (difference["line"], difference["at"], difference["what"]) == (place + 1, place - 1, "odds")


def test_a_verdict_that_was_not_said_is_a_difference():
    found = replay(changed(record(), 5, kind="passed"))
    assert found["differences"] == [
        {"line": 6, "at": 4, "what": "verdict", "recorded": "passed", "replayed": "collecting"}
    ]


def test_a_second_that_was_changed_shows_in_everything_after_it():
    second = json.loads(record()[50])["second"]
    second["cells"][0]["candidate"]["errors"] = 0
    found = replay(changed(record(), 50, second=second))
    assert found["different"] >= SECONDS - 49
    assert len(found["differences"]) == min(SHOWN, found["different"])
    assert found["differences"][0]["line"] == 51


def test_a_second_that_was_left_out_is_a_difference():
    found = record()
    del found[45]
    assert not replay(found)["identical"]


def test_a_verdict_is_asked_for_as_it_was_then():
    one = judge()
    found = [line(header(one)), *lines(one, range(10)), *lines(one, range(10, 20), overdue=True)]
    assert [told["kind"] for told in replay(found)["story"]] == ["collecting", "not_enough_data"]
    assert replay(found)["identical"]
    assert not replay(changed(found, 12, overdue=False))["identical"]


# A judge that was taken up anew


def test_a_header_that_says_what_the_seconds_come_to_changes_nothing():
    one = judge()
    first = [line(header(one)), *lines(one, range(30))]
    found = replay([*first, line(header(one)), *lines(one, range(30, SECONDS))])
    assert (found["identical"], found["taken_up"], found["seconds"]) == (True, [], SECONDS)


def test_a_judge_that_begins_where_the_seconds_did_not_come_to_is_said_and_followed():
    one = judge()
    first = [line(header(one)), *lines(one, range(30))]
    stored = one.dump()
    lost = lines(one, range(30, 35))
    again = Judge.load(stored)
    found = replay([*first, *lost, line(header(again)), *lines(again, range(40, SECONDS))])
    assert found["identical"]
    assert found["taken_up"] == [{"line": 1 + 30 + 5 + 1, "at": 29}]


# What is no record


def test_a_last_line_that_was_not_written_to_its_end_is_left_out():
    found = record()
    found[-1] = found[-1][:40]
    assert (replay(found)["seconds"], replay(found)["identical"]) == (SECONDS - 1, True)


@pytest.mark.parametrize(
    ("broken", "place", "says"),
    [
        (lambda found: [], 0, "empty"),
        (lambda found: found[1:], 1, "does not begin with"),
        (lambda found: [found[0], b"{\n", *found[1:]], 2, "not JSON"),
        (lambda found: [found[0], b'{"odds": NaN}\n'], 2, "not JSON"),
        (lambda found: [found[0], b"[1]\n"], 2, "no JSON object"),
        (lambda found: [found[0], line({"odds": 0.0})], 2, "no second"),
        (lambda found: changed(found, 3, second={"at": "x"}), 4, "no second"),
        (lambda found: changed(found, 0, judge={"analysis": {}}), 1, "what the judge knew"),
        (lambda found: [found[0][:50]], 1, "not JSON"),
        (lambda found: [b"[" * 100_000 + b"\n"], 1, "not JSON"),
    ],
)
def test_what_is_no_record_is_refused_with_its_line(broken, place, says):
    with pytest.raises(ReplayError, match=says) as refused:
        replay(broken(record()))
    assert refused.value.line == place


def test_numbers_of_the_right_types_that_no_judge_can_take_are_refused_and_no_fault_of_ours():
    second = json.loads(record()[1])["second"]
    second["cells"][0]["candidate"]["errors"] = 10**400
    with pytest.raises(ReplayError, match="cannot take it") as refused:
        replay(changed(record(), 1, second=second))
    assert refused.value.line == 2
