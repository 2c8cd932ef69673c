"""What is played, and what is refused."""

import argparse

import pytest

from benchmarks.processes import BenchmarkError
from benchmarks.proxies import __main__ as harness
from benchmarks.proxies import latency
from benchmarks.proxies.cases import CASES
from benchmarks.proxies.contestants import CONTESTANTS
from benchmarks.proxies.measure import Layout, doubt, fitting
from tests.benchmarks.proxies.made import run, timed


def player(monkeypatch, runs, names=("nginx", "gatekeeper"), **options):
    """A harness whose measurements are ``runs``, in their order; errors among them are raised."""
    left = iter(runs)

    def one(_case, _contestant, _seconds):
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(harness, "run_once", one)
    monkeypatch.setattr(harness, "PAUSE_SECONDS", 0)
    chosen = {"rounds": 1, "seconds": 1, "attempts": 2, "rehearse": False} | options
    return harness.Harness(names, argparse.Namespace(**chosen))


@pytest.mark.parametrize(
    ("doubtful", "why"),
    [
        (run("nginx", busy=0.7), "the load was the bottleneck"),
        (run("nginx", foreign=0.2), "other programs used 20%"),
        (BenchmarkError("3 requests failed"), "3 requests failed"),
    ],
)
def test_a_run_that_is_not_to_be_believed_is_refused_and_the_others_are_played(monkeypatch, doubtful, why):
    played = player(monkeypatch, [doubtful, doubtful, run("gatekeeper")])
    played.loaded(["tls"])
    assert why in played.results.refused["tls", "nginx"]
    assert list(played.results.rounds["tls"][0]) == ["gatekeeper"]


def test_a_doubted_run_is_tried_again(monkeypatch):
    played = player(monkeypatch, [run("nginx", foreign=0.2), run("nginx"), run("gatekeeper")])
    played.loaded(["tls"])
    assert not played.results.refused
    assert played.results.rounds["tls"][0]["nginx"].foreign == 0


def test_what_was_refused_once_is_not_tried_in_later_rounds(monkeypatch):
    bad, good = run("nginx", busy=0.5), run("gatekeeper")
    played = player(monkeypatch, [bad, bad, good, good, good], rounds=3)
    played.loaded(["tls"])
    assert [list(each) for each in played.results.rounds["tls"]] == [["gatekeeper"]] * 3


def test_a_rehearsal_believes_anything(monkeypatch):
    played = player(monkeypatch, [run("nginx", busy=0.1, foreign=0.9), run("gatekeeper", busy=0.1)], rehearse=True)
    played.loaded(["tls"])
    assert not played.results.refused


def test_cases_and_proxies_take_turns(monkeypatch):
    seen = []

    def one(case, contestant, _seconds):
        seen.append((case.name, contestant.name))
        return run(contestant.name)

    played = player(monkeypatch, [], rounds=2)
    monkeypatch.setattr(harness, "run_once", one)
    played.loaded(["tls", "connect"])
    turn = [(case, name) for case in ("tls", "connect") for name in ("nginx", "gatekeeper")]
    assert seen == turn * 2


def test_the_floor_may_outrun_the_load_but_not_beside_others():
    assert doubt(run("floor", busy=0.7)) == ""
    assert "other programs" in doubt(run("floor", foreign=0.2))


@pytest.mark.parametrize(
    ("late", "foreign", "why"),
    [(0.00001, 0.0, ""), (0.0003, 0.0, "the load was the bottleneck"), (0.00001, 0.1, "other programs")],
)
def test_times_of_a_driver_that_was_late_are_not_believed(late, foreign, why):
    found = latency.doubt(timed("nginx", 0.001, 0.002, late=late, foreign=foreign))
    assert why in found
    assert bool(found) == bool(why)


def test_rates_are_parts_of_what_the_slower_of_the_two_can_do():
    rates = latency.Rates({"nginx": 80_000, "gatekeeper": 40_000, "caddy": 12_000})
    assert list(rates.of("gatekeeper")) == list(rates.of("direct")) == [(0.25, 10_000), (0.5, 20_000), (0.7, 28_000)]
    assert list(rates.of("caddy")) == [(0.25, 10_000)]


def test_words_choose_cases_proxies_or_both():
    every = [*CASES, *harness.SPECIAL]
    assert harness.chosen("") == (every, list(CONTESTANTS))
    assert harness.chosen("gatekeeper,nginx") == (every, ["nginx", "gatekeeper"])
    assert harness.chosen("soak,tls") == (["tls", "soak"], list(CONTESTANTS))
    assert harness.chosen("small,nginx") == (["small"], ["nginx"])
    with pytest.raises(BenchmarkError, match="unknown: ngnix"):
        harness.chosen("ngnix")


def test_a_word_that_is_unknown_is_told_with_those_that_are_known(capsys):
    with pytest.raises(SystemExit):
        harness.main(["--only", "nonsense"])
    assert "unknown: nonsense (cases: small," in capsys.readouterr().err


def test_a_worker_has_a_core_of_its_own_where_there_are_enough():
    assert Layout.of(1, 2) == Layout((0,), (1,))
    assert Layout.of(2, 4) == Layout((0, 1), (2, 3))
    assert not Layout.of(2, 4).shared
    assert Layout.of(2, 2) == Layout((0, 1), (0, 1))
    assert Layout.of(2, 2).shared


def test_no_more_connections_are_made_than_files_allow(monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 20_000))
    assert fitting(10_000) == 9_500
    assert fitting(64) == 64
