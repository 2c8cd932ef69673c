"""All that a worker mirrors. It looks at a request when that begins, and is told of by those that it has chosen.

Users come first. Nothing of theirs waits for a copy, and where the worker has much to do, too many copies are under way
or too many bytes are held for them, no copy is made: that is counted, and the first thing that is given up.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from gatekeeper.channel import Message
from gatekeeper.core.codec import load
from gatekeeper.core.routing import RoutingTable
from gatekeeper.core.shadow.model import Mirror, Run
from gatekeeper.core.shadow.tally import Outcome
from gatekeeper.dataplane.groups import Group
from gatekeeper.dataplane.process import occupied_seconds
from gatekeeper.dataplane.shadow.comparing import Comparing
from gatekeeper.dataplane.shadow.copies import Copy
from gatekeeper.dataplane.shadow.lines import Lines
from gatekeeper.dataplane.shadow.runs import Account, Running
from gatekeeper.dataplane.shadow.shadow import Shadow

if TYPE_CHECKING:
    from gatekeeper.dataplane.ending import Ending
    from gatekeeper.dataplane.plane import Plane

MOST_HELD: Final = 32 * 1024 * 1024
"""Bytes that mirrored requests may take up in a worker: 128 of them with the usual bounds, three answers of 64 KiB and
a body of as much. Of those with larger bounds there are fewer at a time."""
MOST_LAG: Final = 0.02
"""Seconds by which the loop may be late before copies are shed: so long does every user wait then."""
MOST_BUSY: Final = 0.7
"""Part of the time that the worker may be at work, or wait for a core that others have, before they are: above it
queues grow, and each copy stands in them."""
REQUEST_SECONDS: Final = 30.0
"""How long a request may take to be sent on whole before nobody waits to copy it."""
TELL_SECONDS: Final = 1.0

monotonic = time.monotonic


class Shadows:
    """``bind`` to each table, ``check`` for what is asked besides, ``sweep`` often, ``look`` for what is to be told."""

    def __init__(self, plane: "Plane", loop: asyncio.AbstractEventLoop) -> None:
        self._plane = plane
        self._loop = loop
        self.call_soon = loop.call_soon
        self.comparing = Comparing(loop.call_soon)
        self.chance: Callable[[], float] = random.Random().random
        self._checks: dict[str, Run] = {}
        self._running: dict[tuple[str, str | None, str], Running] = {}
        """By service, rule and run; made when first used."""
        self._accounts: dict[tuple[str, str, str], Account] = {}
        """By service, version and run."""
        self._under_way: set[Shadow] = set()
        self._held = 0
        self._lines = Lines()
        self._busy = False
        self._looked_at = (0.0, 0.0)
        self._told = 0.0
        self._stopped = self._wanted = False

    def bind(self, table: RoutingTable) -> "Shadows | None":
        """Follow a new table, or what is checked; itself, or None where nothing is mirrored."""
        self._running = {}
        wanted = bool(self._checks) or any(route.mirrors is not None for route in table.services.values())
        self._wanted = wanted and not self._stopped
        return self if self._wanted else None

    def stop(self) -> None:
        """Mirror nothing any more: nobody is left to be told. ``bind`` is to follow."""
        self._stopped = True

    def check(self, checks: Iterable[list[Any]]) -> None:
        """Mirror for these checks and no others; ``bind`` is to follow."""
        self._checks = {service: Run(run, load(Mirror, mirror)) for service, run, mirror in checks}

    # Choosing

    def draw(self, exchange: "Ending") -> Shadow | None:
        """Whether a request that begins is mirrored: whom to tell of it."""
        decision = exchange.decision
        service = decision.service
        run = self._checks.get(service.name) if self._checks else None
        if run is None:
            mirrors = service.mirrors
            run = None if mirrors is None else mirrors.get(decision.rule)
        if (
            run is None
            or decision.version.name == run.mirror.to
            or self.chance() * 100.0 >= run.mirror.percent
            or decision.forced  # a tester's: what they try must not shift what is known of users'
        ):
            return None
        return self._drawn(exchange, run)

    def _drawn(self, exchange: "Ending", run: Run) -> Shadow | None:
        head = exchange.head
        running = self._find(exchange, run)
        if running is None or head.method not in running.methods or head.fields.upgrade or not head.authority:
            return None
        mirror, account = run.mirror, running.account
        if head.length > mirror.body:
            account.tally.count(Outcome.BODY_TOO_LARGE)
            return None
        answers = 3 if mirror.compare.noise else 2
        holds = answers * mirror.compare.bytes + (0 if exchange.request is None else mirror.body)
        if account.in_flight >= mirror.in_flight or not self._room(holds):
            account.tally.count(Outcome.SHED)
            return None
        shadow = Shadow(self, running, exchange, holds, monotonic() + REQUEST_SECONDS)
        account.in_flight += 1
        self._held += holds
        self._under_way.add(shadow)
        return shadow

    def _room(self, holds: int) -> bool:
        plane = self._plane
        return (
            not self._busy
            and not plane.draining
            and (not self._held or self._held + holds <= MOST_HELD)
            # Each client has two descriptors set aside; so many copies may be made of those that are not here.
            and self._lines.room(plane.most_clients - len(plane.connections))
        )

    def _find(self, exchange: "Ending", run: Run) -> Running | None:
        decision = exchange.decision
        service = decision.service
        key = (service.name, decision.rule, run.id)
        running = self._running.get(key)
        if running is None:
            to = service.versions.get(run.mirror.to)
            if to is None:
                return None  # it was retired while it was checked
            name = (service.name, to.name, run.id)
            account = self._accounts.get(name)
            if account is None:
                account = self._accounts[name] = Account(*name)
            group: Group | None = exchange.snapshot.groups[to.slot]
            running = self._running[key] = Running(run, account, to, group)
        return running

    # For those under way

    def copy(self, running: Running, method: bytes, over: Callable[[], None]) -> Copy:
        """One that has not begun."""
        return Copy(
            self._loop, self._lines, self._plane.response_heads,
            method=method, most=running.mirror.compare.bytes, wanted=running.captured, over=over,
        )  # fmt: skip

    def release(self, shadow: Shadow) -> None:
        """It is over, and what it held is free."""
        self._under_way.remove(shadow)
        self._held -= shadow.holds
        shadow.running.account.in_flight -= 1

    def leave(self, service: str, version: str) -> None:
        """Give up the copies that are under way for a version: it leaves, and may be gone at any time."""
        for shadow in [each for each in self._under_way if each.concerns(service, version)]:
            shadow.close()

    # Time, and what is told

    def sweep(self, now: float) -> None:
        """To be called often; ``now`` is monotonic seconds."""
        for shadow in [each for each in self._under_way if each.deadline < now]:
            shadow.expire()
        self._lines.sweep(now)
        if self._wanted:
            before, occupied_before = self._looked_at
            occupied = occupied_seconds()
            self._looked_at = now, occupied
            self._busy = self._plane.lag > MOST_LAG or occupied - occupied_before > MOST_BUSY * (now - before)

    def look(self, now: float, *, behind: bool = False) -> list[Message]:
        """What is to be sent up, once a second. ``behind``: whoever is told does not listen; it waits."""
        if not self._accounts or behind or now - self._told < TELL_SECONDS:
            return []
        self._told = now
        return self._tell()

    def _tell(self) -> list[Message]:
        found = [told for account in self._accounts.values() if (told := account.take()) is not None]
        current = {running.account for running in self._running.values()}
        self._accounts = {
            name: account for name, account in self._accounts.items() if account in current or account.in_flight
        }
        return [{"type": "shadow", "runs": found}] if found else []

    def close(self) -> list[Message]:
        """End all copies; the last of what came of them."""
        for shadow in list(self._under_way):
            shadow.close()
        self.comparing.clear()
        self._lines.close()
        return self._tell()
