"""A version leaves: no table gives it new requests, and what is under way for it has some time to end.

Requests may finish. Tunnels, which would stay for days, are told to leave, each at another moment. What is left at the
end of the time is cut. Only what was under way at the beginning is meant: a version may be called back meanwhile, and
what it gets then is not touched.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from gatekeeper.dataplane.life import OVER
from gatekeeper.dataplane.tunnel import Tunnel

if TYPE_CHECKING:
    from gatekeeper.dataplane.ending import Ending
    from gatekeeper.dataplane.plane import Plane

# Exchanges cut in one turn of the loop: an end costs 0.1 ms, and the others' requests go on between them.
CUTS_AT_ONCE = 8

monotonic = time.monotonic

Report = Callable[[int, int], None]
"""Takes how many finished and how many were cut."""


class Departure:
    """One version's. ``look`` until it says that there is nothing more to wait for; ``report`` is called once."""

    def __init__(
        self, plane: "Plane", name: tuple[str, str], seconds: float, report: Report, call_soon: Callable[..., object]
    ) -> None:
        """``name`` is service and version, ``call_soon`` the loop's."""
        self._plane = plane
        self._call_soon = call_soon
        self._name = name
        self._report = report
        self._end = monotonic() + seconds
        self._cut = 0
        self._reported = False
        self._rest: list[Ending] = []
        goodbye = plane.goodbye_end(seconds)
        for connection in plane.connections:
            current = connection.exchange
            if current is None:
                continue
            exchange = current.exchange if isinstance(current, Tunnel) else current
            decision = exchange.decision
            if (decision.service.name, decision.version.name) == name:
                self._rest.append(exchange)
                exchange.leave_by = min(exchange.leave_by, goodbye)
                if isinstance(current, Tunnel):
                    current.leave_before(goodbye)
        self._begun = len(self._rest)
        plane.backends.close_idle(self._name)

    def look(self, now: float) -> bool:
        """Whether all has ended or is being cut, as the time is over; ``now`` is monotonic seconds."""
        self._rest = [exchange for exchange in self._rest if exchange.state is not OVER]
        if self._rest and now < self._end:
            return False
        self._cut_some()
        return True

    def cut(self) -> None:
        """Do not wait any longer."""
        self._cut_some(len(self._rest))

    def _cut_some(self, most: int = CUTS_AT_ONCE) -> None:
        rest = self._rest
        for _ in range(min(len(rest), most)):
            exchange = rest.pop()
            current = exchange.downstream.exchange
            if exchange.state is not OVER and current is not None:
                self._cut += 1
                current.withdraw()
        if rest:
            self._call_soon(self._cut_some)
        elif not self._reported:  # a sweep may come upon what was cut at the worker's end
            self._reported = True
            self._plane.backends.close_idle(self._name)
            self._report(self._begun - self._cut, self._cut)
