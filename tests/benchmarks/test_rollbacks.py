"""What is made of the moments of a rollback."""

import json

import pytest

from benchmarks import rollbacks
from benchmarks.rollbacks import Candidate, Played, Way, as_json, markdown


def way(*seconds, done=0.01):
    """Ways back whose last requests came so many seconds after they were asked for."""
    found = Way([100.0 + number for number in range(len(seconds))], [], list(seconds))
    found.ended = [begin + done for begin in found.begun]
    return found


def played(asked=0.01, failing=0.2, killed=0.2, **lost):
    return Played(
        way(*[0.001] * 98, asked, asked),
        way(0.4),
        way(failing),
        way(0.0, done=killed),
        {"requests": 1000, **lost},
        {"requests": 2000, "not_ok": 70},
    )


def test_the_last_request_is_the_last_one_before_the_next_release():
    found = Way([10.0, 20.0, 30.0], [10.1, 20.1, 30.1])
    found.find_last([9.99, 10.02, 15.0, 19.9, 20.5, 31.0], [10.2, 20.2, 30.2])
    assert found.last == pytest.approx([0.02, -0.1, -9.5])
    assert found.done == pytest.approx([0.1] * 3)


def test_a_candidate_that_nobody_ever_reached_has_no_last_request():
    found = Way([10.0], [10.1])
    found.find_last([], [10.2])
    assert found.last == [-1.0]


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        (played(), "reached"),
        (played(asked=0.0501), "missed"),
        (played(failing=1.1), "missed"),
        (played(killed=1.1), "missed"),
        (played(read=1), "missed"),
        (played(not_ok=1), "missed"),
    ],
)
def test_the_verdict_takes_all_of_it_into_account(one, verdict):
    text = markdown(one, {"cpu": "x"})
    assert f"trips at most 1 s: {verdict}." in text
    assert "of 2,000 during the trips 70 failed" in text


def test_every_single_way_is_kept():
    kept = json.loads(as_json(played(), {"cpu": "x"}))
    assert len(kept["asked"]["last"]) == 100
    assert kept["killed"]["done"] == [0.2]


def test_the_log_of_the_candidate_is_read_whatever_the_order_of_its_lines(tmp_path):
    (tmp_path / "green.access").write_text("12.500 200 green\n12.250 500 green\n")
    assert Candidate([], tmp_path).moments() == [12.25, 12.5]


def test_a_refusal_of_what_was_asked_is_no_measurement(monkeypatch):
    admin = rollbacks.Admin.__new__(rollbacks.Admin)
    admin._socket = type("Socket", (), {"sendall": lambda *_: None})()
    monkeypatch.setattr(admin, "_read", lambda: {"detail": "green is tripped"})
    with pytest.raises(rollbacks.BenchmarkError, match="green is tripped"):
        admin.ask("POST", "/v1/services/shop/releases", {})
