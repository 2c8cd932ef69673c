"""Runs in this worker: to whom copies of a mirror go under the present table, and what came of them so far."""

from typing import Any

from gatekeeper.core.decision import VersionRoute
from gatekeeper.core.shadow.model import Run
from gatekeeper.core.shadow.tally import Tally
from gatekeeper.dataplane.backends import Backend
from gatekeeper.dataplane.groups import Group


class Account:
    """What came of one run and was not told yet. ``in_flight`` are mirrored requests that are not over."""

    __slots__ = ("in_flight", "run", "service", "tally", "to")

    def __init__(self, service: str, to: str, run: str) -> None:
        self.service, self.to, self.run = service, to, run
        self.in_flight = 0
        self.tally = Tally()

    def take(self) -> list[Any] | None:
        """What came of it since the last call, as the supervisor is told; None if nothing did."""
        tally = self.tally
        if not tally.outcomes:
            return None
        self.tally = Tally()
        return [self.service, self.to, self.run, tally.to_message()]


class Running:
    """A mirror under the present table. Mirrors of one run share an account."""

    __slots__ = ("_turn", "account", "captured", "group", "methods", "mirror", "to")

    def __init__(self, run: Run, account: Account, to: VersionRoute, group: Group | None) -> None:
        self.mirror = run.mirror
        self.account = account
        self.to = to
        self.group = group
        self.methods = frozenset(method.encode() for method in run.mirror.methods)
        self.captured = run.mirror.compare.captured
        self._turn = 0

    def backend(self, group: Group | None) -> Backend | None:
        """The next of a version's ready backends, in turns: copies are few, and users' work is not theirs to spread."""
        if group is None or not group.ready:
            return None
        self._turn += 1
        return group.ready[self._turn % len(group.ready)][0]
