"""kill -9 at any moment: what was acknowledged is there, what was not is there whole or not at all, traffic flows.

Several operators change everything at once (``storm``) while the supervisor is killed again and again, most often just
after a command was sent, so that the end falls into every part of carrying it out, also between the write and the
reply; sometimes while it starts; sometimes a worker dies instead. What was answered is then held against the history
(``ledger``).

``GATEKEEPER_LONG=1`` storms for ten minutes, ``GATEKEEPER_CRASH_SECONDS`` for as long as it says;
``GATEKEEPER_CRASH_SEED`` makes the same wishes and the same pauses again.
"""

import os
import random
import signal
import threading
import time
from collections import Counter

import pytest

from tests.system.kernel import gone
from tests.system.ledger import Ledger, check_file
from tests.system.programs import until
from tests.system.storm import CONFIRM_SECONDS, Operator
from tests.system.visitors import Visitor, running

pytestmark = [pytest.mark.system, pytest.mark.outside("nginx")]

SERVICES = ("shop", "blog", "cart")
WHO = 'location = /who { return 200 "$http_x_gatekeeper_version $http_x_gatekeeper_revision"; }'
SECONDS, LONG_SECONDS = 30.0, 600.0
OPERATORS, VISITORS = 4, 3
BETWEEN = (0.1, 0.8)
"""Seconds from the moment everything runs to the next blow."""
AFTER_SENDING = (0.0, 0.015)
"""Seconds from the moment something was sent to the blow; a change takes about 10 ms here."""
WHILE_STARTING = (0.05, 1.0)
"""Seconds from the start of a supervisor to its end, where it does not get to serving."""


def services(urls):
    """Three services by host; every version of each names one of the two backends."""
    versions = {name: {"backends": [url]} for name, url in zip(("blue", "green"), urls, strict=True)}
    return {name: {"hosts": [f"{name}.test"], "versions": versions, "sticky": {"mode": "none"}} for name in SERVICES}


class Executioner:
    """Kills and restarts by its dice. ``deaths`` are the times, from and to, in which a worker died."""

    def __init__(self, gatekeeper, seed, sent):
        self._gatekeeper, self._sent = gatekeeper, sent
        self._dice = random.Random(f"{seed} executioner")
        self.deaths = []
        self.done = Counter()

    def strike(self):
        """One blow, and everything running again."""
        dice = self._dice
        time.sleep(dice.uniform(*BETWEEN))
        kind = dice.choices(("supervisor", "start", "worker"), (6, 2, 2))[0]
        pause, while_starting, index = dice.uniform(*AFTER_SENDING), dice.uniform(*WHILE_STARTING), dice.randrange(2)
        self.done[kind] += 1
        if kind == "worker":
            self._kill_worker(index)
            return
        self._sent.clear()
        self._sent.wait(1)
        time.sleep(pause)
        self._kill_supervisor()
        if kind == "start":
            self._gatekeeper.launch()
            time.sleep(while_starting)
            self._kill_supervisor()
        self._gatekeeper.start()

    def _kill_supervisor(self):
        self._gatekeeper.process.kill()
        self._gatekeeper.process.wait()

    def _kill_worker(self, index):
        victim = until(lambda: self._serving(index))
        began = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        until(lambda: gone(victim))
        self.deaths.append((began, time.monotonic()))
        until(lambda: self._serving(index) not in (None, victim))

    def _serving(self, index):
        worker = self._gatekeeper.status()["workers"][index]
        return worker["pid"] if worker["state"] == "ready" else None


def test_what_was_acknowledged_survives_whatever_is_killed_and_traffic_flows(nginx, serve, long, tell):
    """Every acknowledged change is in the history, none half applied; a key acts once however often it is sent;
    supervisor, store and workers agree; no request fails but those in a worker that was killed."""
    seed = os.environ.get("GATEKEEPER_CRASH_SEED") or str(random.SystemRandom().randrange(10**6))
    seconds = float(os.environ.get("GATEKEEPER_CRASH_SECONDS") or (LONG_SECONDS if long else SECONDS))
    tell(seed=int(seed))  # told first, so that a failure can be had again
    urls = [nginx(name, WHO).url for name in ("blue", "green")]
    gatekeeper = serve({}, services=services(urls))
    sent = threading.Event()
    operators = [Operator(gatekeeper, index, seed, SERVICES, urls, sent.set) for index in range(OPERATORS)]
    visitors = [Visitor(gatekeeper, {"Host": f"{name}.test"}) for name in SERVICES[:VISITORS]]
    executioner = Executioner(gatekeeper, seed, sent)
    with running(*visitors):
        with running(*operators):
            end = time.monotonic() + seconds
            while time.monotonic() < end or not (replayed(operators) or time.monotonic() > end + seconds):
                executioner.strike()
        orders = [order for operator in operators for order in operator.orders]
        # What was to be confirmed and was not undoes itself, also where its supervisor did not live to do it.
        until(lambda: not gatekeeper.status()["pending"], CONFIRM_SECONDS + 5)
    assert [problem for operator in operators for problem in operator.problems] == []

    ledger = Ledger(gatekeeper)
    ledger.check_numbers()
    ledger.check_orders(orders)
    ledger.check_order_in_time(orders)
    ledger.check_audit(orders)
    undone = ledger.check_confirmations(orders)
    ledger.check_whole(orders, sorted(chosen(ledger.rows, orders, seed, everything=long)))
    ledger.check_present()
    visits = [visit for visitor in visitors for visit in visitor.visits]
    lost = [visit for visit in visits if visit.problem]
    # A visit can only be lost by being in the worker when it dies, and each visitor makes one at a time.
    assert all(any(visit.came <= dead and visit.left >= began for began, dead in executioner.deaths) for visit in lost)
    assert len(lost) <= VISITORS * len(executioner.deaths)

    assert replayed(operators), "no end fell between a write and its reply: this run shows less than it should"
    gatekeeper.process.terminate()
    assert gatekeeper.process.wait(20) == 0
    check_file(gatekeeper.folder / "state.db")
    tell(
        seconds=seconds,
        commands=len(orders),
        granted=sum(order.granted for order in orders),
        revisions=len(ledger.rows),
        between_write_and_reply=replayed(operators),
        sent_again=sum(order.attempts > 1 for order in orders),
        undone=undone,
        visits=len(visits),
        visits_lost=len(lost),
        **{f"killed_{kind}": count for kind, count in executioner.done.items()},
    )


def replayed(operators):
    """How many wishes were granted by a supervisor that did not live to say so."""
    return sum(order.replayed for operator in operators for order in operator.orders)


def chosen(rows, orders, seed, *, everything):
    """The revisions that are looked at whole: those around every blow, and as many others as there is time for."""
    numbers = [number for number in rows if number > 1]
    if everything:
        return set(numbers)
    near = {order.made + step for order in orders if order.made and order.attempts > 1 for step in (-1, 0, 1)}
    return (near & set(numbers)) | set(random.Random(seed).sample(numbers, min(300, len(numbers))))
