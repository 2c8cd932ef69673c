"""Two operators who looked at the same state and want different things: one wins, the other is told what he missed."""

import contextlib
import json
import random
import threading

import pytest

from tests.system.programs import PATIENCE, UnixConnection

pytestmark = [pytest.mark.system, pytest.mark.outside("nginx")]

ROUNDS, LONG_ROUNDS = 200, 5_000
SHOP = "/v1/services/shop"


def wishes(dice, number, names):
    """Two different things to ask for in this round, each of which changes something."""
    return [
        dice.choice(
            [
                ("PUT", f"{SHOP}/split", {"blue": 100, "green": 1 + number % 40 + 40 * index}),
                ("PUT", f"{SHOP}/versions/of-{name}", {"backends": ["http://127.0.0.1:9"], "build": f"{number}"}),
            ]
        )
        for index, name in enumerate(names)
    ]


class Desk(threading.Thread):
    """An operator with a connection of his own; asks when the gate opens."""

    def __init__(self, gatekeeper, gate, name):
        super().__init__(name=name, daemon=True)
        self._gate, self._connection = gate, UnixConnection(gatekeeper.socket)
        self.wish, self.expected, self.reply = None, 0, None
        self.start()

    def run(self):
        with contextlib.suppress(threading.BrokenBarrierError), contextlib.closing(self._connection):
            while True:
                self._gate.wait()  # everybody has a wish
                self._gate.wait()
                method, path, body = self.wish
                fields = {"If-Match": f'"{self.expected}"'}
                self._connection.request(method, f"{path}?note={self.name}", json.dumps(body), fields)
                response = self._connection.getresponse()
                self.reply = response.status, json.loads(response.read()), response.getheader("ETag")
                self._gate.wait()  # everybody has an answer


def test_of_two_operators_with_the_same_if_match_exactly_one_wins_and_the_other_hears_what_changed(shop, long, tell):
    """Round after round, at the same moment: 200 for one, for the other 412 with the revision that holds now and the
    winner's change in it; nothing of the loser's is left."""
    gatekeeper = shop(workers=2)
    dice = random.Random(20261123)
    gate = threading.Barrier(3, timeout=PATIENCE)
    desks = [Desk(gatekeeper, gate, name) for name in ("anna", "ben")]
    wins = dict.fromkeys((desk.name for desk in desks), 0)
    rounds = LONG_ROUNDS if long else ROUNDS
    try:
        for number in range(rounds):
            before = gatekeeper.status()["revision"]
            gate.wait()
            for desk, wish in zip(desks, wishes(dice, number, wins), strict=True):
                desk.wish, desk.expected = wish, before
            gate.wait()
            gate.wait()
            (winner,) = [desk for desk in desks if desk.reply[0] == 200]
            (loser,) = [desk for desk in desks if desk is not winner]
            wins[winner.name] += 1
            status, problem, tag = loser.reply
            assert (status, problem["code"]) == (412, "revision_moved"), problem
            assert winner.reply[1]["revision"] == problem["revision"] == before + 1
            assert tag == f'"{before + 1}"'
            (row,) = problem["changed"]
            assert (row["revision"], row["note"]) == (before + 1, winner.name)
            assert row["changes"] == winner.reply[1]["changes"]
            assert str(before) in problem["detail"]
            assert str(before + 1) in problem["allowed"]
    finally:
        gate.abort()
    status, document = gatekeeper.call("GET", f"/v1/revisions?limit={rounds + 10}")
    assert status == 200
    notes = [row["note"] for row in document["revisions"] if row["note"]]
    assert {name: notes.count(name) for name in wins} == wins
    assert all(wins.values()), "one of them always came first: the other never had a chance to win"
    tell(rounds=rounds, **wins)
