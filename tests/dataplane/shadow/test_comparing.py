"""Comparisons get so much time and no more."""

from dataclasses import replace

import pytest

from gatekeeper.core.shadow.model import Compare
from gatekeeper.core.shadow.tally import Outcome
from gatekeeper.dataplane.shadow import comparing, shadow
from tests.dataplane.shadow.mirrored import ONCE
from tests.dataplane.world import GET, OK


@pytest.fixture
def slow(mirrored, monkeypatch):
    """A world in which a comparison takes ``seconds``."""
    here = mirrored(replace(ONCE, in_flight=1000, compare=Compare(bytes=1000, noise=False)))
    here.seconds = 10 * comparing.LONG
    compare = shadow.compare

    def slowly(*answers):
        here.clock.advance(here.seconds)
        return compare(*answers)

    monkeypatch.setattr(shadow, "compare", slowly)
    return here


def answer(here, count):
    """So many requests, answered all at once."""
    asked = [here.asked(GET) for _ in range(count)]
    for wire in here.lines[-count:]:
        wire.send(OK)
    for _, backend in asked:
        backend.send(OK, run=False)
    here.loop.run()


def test_what_there_is_no_time_for_is_not_compared_and_counted(slow):
    answer(slow, 3)
    outcomes = slow.tally().outcomes
    assert (outcomes[Outcome.COMPARED], outcomes[Outcome.NOT_COMPARED]) == (1, 2)


def test_time_comes_back_by_its_share(slow):
    answer(slow, 2)  # the first took 5 ms, which count as 55, and 20 were saved up
    slow.clock.advance(35e-3 / comparing.SHARE - 0.1)
    answer(slow, 1)
    slow.clock.advance(0.15)
    answer(slow, 1)
    outcomes = slow.tally().outcomes
    assert (outcomes[Outcome.COMPARED], outcomes[Outcome.NOT_COMPARED]) == (2, 2)


def test_short_ones_count_little_more_than_their_time(slow):
    slow.seconds = comparing.LONG / 5
    answer(slow, 200)
    compared = slow.tally().outcomes[Outcome.COMPARED]
    assert compared == pytest.approx(comparing.SAVED / (1.2 * slow.seconds), rel=0.05)


def test_time_is_not_saved_up_for_ever(slow):
    slow.clock.advance(3600)
    answer(slow, 3)
    assert slow.tally().outcomes[Outcome.COMPARED] == 1


def test_quick_ones_are_all_compared_one_in_a_turn(slow):
    slow.seconds = 0.0
    answer(slow, 20)
    assert slow.tally().outcomes[Outcome.COMPARED] == 20


def test_a_comparison_that_fails_frees_what_it_held_and_the_next_ones_go_on(slow, monkeypatch):
    slow.seconds = 0.0
    good = shadow.compare
    failing = iter([True])

    def compare(*answers):
        if next(failing, False):
            raise ValueError("nobody expected that")
        return good(*answers)

    monkeypatch.setattr(shadow, "compare", compare)
    run = slow.loop.run

    def tolerant():
        try:
            run()
        except ValueError:
            run()

    monkeypatch.setattr(slow.loop, "run", tolerant)
    answer(slow, 3)
    assert slow.tally().outcomes[Outcome.COMPARED] == 2
    assert slow.shadows._held == 0
