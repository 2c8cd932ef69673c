"""What is made of the moments of a change."""

import json
from dataclasses import replace
from itertools import accumulate

import pytest

from benchmarks import changes
from benchmarks.changes import BenchmarkError, Requests, Round, as_json, believable, markdown, moments, quantile

REQUESTS = Requests(rate=30_000, p50=0.002, p99=0.006, most=0.02)


def change(reply):
    """The moments of a change: a sixth of the reply for every part."""
    return list(accumulate([reply / 6] * 6, initial=100.0))


def played(slowest):
    """Ninety-eight changes of 10 ms and two that take ``slowest`` seconds."""
    return Round(REQUESTS, REQUESTS, REQUESTS, [change(0.01)] * 98 + [change(slowest)] * 2, 0.01, [0.001] * 200)


def test_a_quantile_is_a_value_that_was_seen():
    assert [quantile([3.0, 1.0, 2.0], share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 2.0, 3.0, 3.0]


@pytest.mark.parametrize(("slowest", "verdict"), [(0.0249, "24.9 ms"), (0.0251, "25.1 ms")])
def test_the_verdict_is_the_median_of_the_rounds(slowest, verdict):
    text = markdown([played(0.01), played(slowest), played(1.0)], {"cpu": "x"})
    reached = "reached" if slowest < 0.025 else "missed"
    assert f"{verdict} (median of 3 rounds, 300 changes), {reached}" in text
    assert "| **reply** | 10.00 ms | 10.00 ms |" in text
    assert "| without changes | 30,000 | 2.00 ms | 6.00 ms | 20.00 ms |" in text


def test_the_parts_add_up_to_the_reply_and_every_change_is_kept():
    one = played(0.06)
    assert sum(one.part(index, 0.99) for index in range(6)) == pytest.approx(one.reply(0.99))
    (kept,) = json.loads(as_json([one], {}))["rounds"]
    assert len(kept["changes"]) == 100
    assert kept["changes"][-1] == pytest.approx([0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06])


def test_a_round_that_others_disturbed_is_played_again_and_in_the_end_refused(monkeypatch):
    monkeypatch.setattr(changes, "PAUSE_SECONDS", 0)
    fine = played(0.01)
    rounds = [replace(fine, foreign=0.06), replace(fine, disk=[0.001] * 179 + [0.02] * 21), replace(fine, foreign=0.05)]
    assert believable(3, iter(rounds).__next__) is rounds[2]
    with pytest.raises(BenchmarkError, match="the disk alone took 20 ms"):
        believable(2, iter(rounds).__next__)
    with pytest.raises(BenchmarkError, match="others used 6% of the cores"):
        believable(1, iter(rounds).__next__)


def test_moments_out_of_order_are_no_measurement(tmp_path):
    marks = tmp_path / "marks"
    inside = {"revision": 7, "came": 1.1, "decided": 1.2, "stored": 1.3, "taken": 1.4, "done": 1.5}
    marks.write_text(json.dumps(inside) + "\n")
    assert moments([(1.0, 1.6, 7)], marks) == [[1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6]]
    with pytest.raises(BenchmarkError, match="out of order"):
        moments([(1.0, 1.45, 7)], marks)
