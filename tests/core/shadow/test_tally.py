"""What comes of copies, added up; which differences are noise is asked when somebody looks."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.core.shadow.compare import Comparison, Difference, Kind, Place, compare
from gatekeeper.core.shadow.model import Compare
from gatekeeper.core.shadow.tally import (
    OTHER,
    PLACES_MOST,
    SAMPLES_MOST,
    SETS_MOST,
    TIMES,
    Outcome,
    Tally,
    Times,
    bound,
    bucket,
)
from tests.core.shadow.answers import answer

PRICE, CLOCK = Place(Kind.JSON, "$.price"), Place(Kind.JSON, "$.time")


def found(*places: Place, noise: tuple[Place, ...] = (), twice: bool = True) -> Comparison:
    return Comparison(tuple(Difference(*place, "l", "r") for place in places), noise, twice, 0.01, 0.02)


def tally_of(*comparisons: Comparison) -> Tally:
    tally = Tally()
    for each in comparisons:
        tally.compared(each, "GET /cart")
    return tally


def test_equal_answers_are_compared_and_not_different():
    tally = tally_of(found(), found())
    assert (tally.asked, tally.different) == (2, 0)


def test_a_request_that_differs_in_two_places_is_one():
    assert tally_of(found(PRICE, CLOCK), found()).different == 1


def test_a_copy_without_an_answer_is_different():
    tally = tally_of(found())
    tally.failed(Outcome.TIMEOUT, "GET /slow")
    assert (tally.asked, tally.different) == (2, 1)
    assert tally.places[Place(Kind.ANSWER, "timeout")].samples[0].request == "GET /slow"


def test_noise_that_was_learned_later_takes_earlier_differences_back():
    tally = tally_of(*[found(CLOCK)] * 3, *[found()] * 100)
    assert tally.different == 3
    tally.compared(found(noise=(CLOCK,)), "GET /")
    assert tally.is_noise(CLOCK)
    assert tally.different == 0


def test_a_request_that_also_differs_where_stable_never_does_still_counts():
    tally = tally_of(found(CLOCK, PRICE), found(noise=(CLOCK,)))
    assert tally.different == 1


def test_one_slip_of_stable_does_not_hide_a_candidate_that_always_differs():
    tally = tally_of(found(noise=(PRICE,)), *[found(PRICE)] * 50)
    assert not tally.is_noise(PRICE)
    assert tally.different == 50


def test_a_status_hides_less_behind_stables_failures_than_a_field():
    status = Place(Kind.STATUS, "")
    tally = tally_of(found(noise=(status, PRICE)), *[found(status, PRICE)] * 8)
    assert not tally.is_noise(status)
    assert tally.is_noise(PRICE)


def test_members_with_names_of_their_own_are_noise_together():
    tally = tally_of(found(noise=(Place(Kind.MEMBER, "$.by.*"),)), found(Place(Kind.MEMBER, "$.by.k17")))
    assert tally.different == 0


def test_samples_places_sets_and_noise_are_bounded():
    tally = Tally()
    chance = random.Random(7)
    for _ in range(3000):
        places = {Place(Kind.JSON, f"$.k{chance.randrange(400)}") for _ in range(5)}
        tally.compared(
            found(*places, noise=tuple(Place(Kind.HEADER, f"h{chance.randrange(900)}") for _ in range(2))), ""
        )
    assert len(tally.places) <= PLACES_MOST + 1
    assert tally.places[Place(Kind.JSON, OTHER)].count > 0
    assert all(len(seen.samples) <= SAMPLES_MOST for seen in tally.places.values())
    assert len(tally.sets) <= SETS_MOST + PLACES_MOST + 1
    assert len(tally.noise) <= 2 * PLACES_MOST
    assert tally.different == 3000
    Tally.of_message(json.loads(json.dumps(tally.to_message())))


def test_when_sets_are_full_the_place_that_speaks_against_the_candidate_is_kept():
    tally = tally_of(found(noise=tuple(Place(Kind.JSON, f"$.n{at}") for at in range(20))))
    chance = random.Random(3)
    for _ in range(1000):
        quiet = {Place(Kind.JSON, f"$.n{chance.randrange(20)}") for _ in range(4)}
        tally.compared(found(*quiet, *([PRICE] if chance.random() < 0.1 else []), noise=tuple(quiet)), "")
    assert tally.different == tally.places[PRICE].count


actions = st.lists(
    st.tuples(st.sampled_from([*Outcome]), st.sets(st.sampled_from([PRICE, CLOCK, Place(Kind.STATUS, "")]))),
    max_size=20,
)


def counted(steps) -> Tally:
    tally = Tally()
    for outcome, places in steps:
        if outcome is Outcome.COMPARED:
            tally.compared(found(*places, noise=tuple(places)[:1]), "GET /")
        elif outcome in (Outcome.REFUSED, Outcome.TIMEOUT):
            tally.failed(outcome, "GET /")
        else:
            tally.count(outcome)
    return tally


@given(actions, actions)
def test_two_workers_together_count_what_one_would_have(first, second):
    both = counted(first)
    both.plus(counted(second))
    alone = counted([*first, *second])
    one, other = both.to_message(), alone.to_message()
    for each in (one, other):
        for name in ("user", "candidate"):
            each[name][1] = round(each[name][1], 6)
    assert one == other
    assert (both.asked, both.different) == (alone.asked, alone.different)


@given(actions)
def test_what_was_sent_is_what_arrives(steps):
    tally = counted(steps)
    assert Tally.of_message(json.loads(json.dumps(tally.to_message()))) == tally


GOOD = counted([(Outcome.COMPARED, {PRICE, CLOCK}), (Outcome.TIMEOUT, set())]).to_message()


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {},
        {**GOOD, "outcomes": {"unheard": 1}},
        {**GOOD, "outcomes": {"sent": -1}},
        {**GOOD, "outcomes": {"sent": True}},
        {**GOOD, "twice": 1.5},
        {**GOOD, "places": [["json", "x" * 1000, 1, []]]},
        {**GOOD, "places": [["json", "$.x", 1, [["l", "r"]]]]},
        {**GOOD, "places": [["json", f"$.{at}", 1, []] for at in range(300)]},
        {**GOOD, "sets": [[[99], 1]]},
        {**GOOD, "sets": [[[-1], 1]]},
        {**GOOD, "sets": [[[0], 1]] * 1000},
        {**GOOD, "noise": [["json", "$.x"]]},
        {**GOOD, "user": [[[TIMES, 1]], 0.0]},
        {**GOOD, "user": [[], float("nan")]},
        {name: value for name, value in GOOD.items() if name != "sets"},
    ],
)
def test_what_is_no_tally_is_refused(wrong):
    with pytest.raises(ValueError, match=r".+"):
        Tally.of_message(wrong)


def test_a_time_lies_in_the_bucket_that_ends_at_or_after_it():
    assert [bucket(seconds) for seconds in (0, 0.001, 0.0011, 1e9)] == [0, 0, 1, TIMES - 1]
    for place in range(TIMES - 1):
        assert bucket(bound(place)) == place
    times = Times()
    times.add(0.5)
    times.add(1.5)
    assert (sum(times.counts.values()), times.total) == (2, 2.0)


def test_three_planted_differences_are_found_in_200_requests_and_noise_is_not_reported():
    """Stable differs from itself by a random id in every answer and by a clock of whole seconds now and then."""
    chance, tally = random.Random(11), Tally()
    now = 1000.0

    def said(*, candidate: bool, broken: bool):
        body = {"id": chance.random(), "time": int(now), "items": [{"price": 5, "tax": 2 if candidate else 1}]}
        return answer(body, 500 if broken and candidate else 200, location="/new" if candidate else "/old")

    for at in range(200):
        now += 0.03
        user = said(candidate=False, broken=False)
        now += 0.005
        again, candidate = said(candidate=False, broken=False), said(candidate=True, broken=at % 20 == 0)
        tally.compared(compare(Compare(), user, candidate, again), "GET /cart")
    real = {(place.kind.value, place.path) for place in tally.places if not tally.is_noise(place)}
    assert real == {("status", ""), ("header", "location"), ("json", "$.items[*].tax")}
    assert tally.noise[Place(Kind.JSON, "$.id")] == 200
