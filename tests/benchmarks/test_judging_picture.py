"""The picture of the judge is drawn from what was recorded, and shows the story."""

import json

import pytest

from benchmarks.judging_picture import LOG, PICTURE, Moment, draw, moments, until_rollback
from gatekeeper.core import codec
from gatekeeper.core.judge.second import Arm, Cell, Second


def test_the_picture_in_the_documents_is_the_one_of_the_record_beside_it():
    assert PICTURE.read_text() == draw(until_rollback(moments(LOG.read_text().splitlines())))


def test_a_record_tells_odds_weights_and_first_failures():
    cells = (Cell(0.05, Arm(19, 2), Arm(1, 1)), Cell(0.02, Arm(0, 0), Arm(0, 3), fresh=True))
    line = json.dumps({"second": codec.dump(Second(0, cells)), "odds": 0.0, "kind": "collecting"})
    quiet = json.dumps({"second": codec.dump(Second(1)), "odds": 4.605170185988092, "kind": "rollback"})
    found = moments([json.dumps({"judge": {}}), line, quiet])
    assert found == [
        Moment(0, 1.0, 0.05, 2, 4, "collecting"),
        Moment(1, pytest.approx(100.0), 0.05, 0, 0, "rollback"),
    ]


def test_what_came_after_the_rollback_is_not_drawn():
    story = [Moment(at, 10.0**at, 0.05, 0, 1, "rollback" if at >= 2 else "collecting") for at in range(5)]
    assert until_rollback(story) == story[:3]
    assert until_rollback(story[:2]) == story[:2]
    text = draw(until_rollback(story))
    assert "rolled back after 3 s" in text
    assert text.count("<circle") == 3
    assert "rolled back" not in draw(story[:2])
