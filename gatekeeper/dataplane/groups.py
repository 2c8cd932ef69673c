"""One version's backends, and which of them gets the next request.

The least busy one for its weight, those without a request first, as HAProxy and nginx do it. Where that leaves several,
they take turns by weight: each has a virtual time, which a request moves on by 1/weight, and the earliest is next. Who
was away joins in at the time of the others instead of making up for what it missed (start-time fair queueing, Goyal et
al. 1996).

A backend in slow start may hold back the whole version if it is given more than it can do yet, and being new it is
always the least busy. So it is rationed: of all the requests it is offered its share by weight times ``factor`` (0.1
growing to 1), and only of those the rule above decides. Factors count against the largest of the version: where all are
new, nobody is rationed.
"""

from collections.abc import Mapping, Sequence

from gatekeeper.core.model import Backend as Entry
from gatekeeper.dataplane.backends import MAX_CONNECTIONS, UNIX, Backend, Secure

Members = list[tuple[Backend, int]]
"""Backends with their weights."""


class Group:
    """``entries`` are the backends as defined, ``members`` those they are by the last picture, ``states``."""

    __slots__ = ("_now", "_rationed", "entries", "members", "ready", "secure", "slow_start", "states")

    def __init__(self, members: Members, entries: tuple[Entry, ...] = ()) -> None:
        self.entries = entries
        self.states: Mapping[str, str] | None = None
        self.members = members
        self.ready: Members = []
        self.secure: Secure | None = None
        self.slow_start = 0.0
        self._now = 0.0
        """The virtual time at which the last request was given."""
        self._rationed: list[Backend] = []
        self.refresh()

    def resolved(self, states: Mapping[str, str]) -> list[tuple[str, int]]:
        """Ids with their weights in a picture of this version: an entry's addresses where it has some, else its url."""
        addresses: dict[str, list[str]] = {}
        for identity in states:
            url, mark, _ = identity.partition("#")
            if mark and not url.startswith(UNIX):
                addresses.setdefault(url, []).append(identity)
        # In order, as name servers shuffle their answers.
        return [
            (identity, entry.weight)
            for entry in self.entries
            for identity in sorted(addresses.get(entry.url, ())) or (entry.url,)
        ]

    def fill(self, members: Members, states: Mapping[str, str]) -> None:
        self.members, self.states = members, states
        self.refresh()
        if self.secure is not None:
            self.protect(self.secure)

    def protect(self, secure: Secure) -> None:
        """Connect to those with https by these means, also to those that come later."""
        self.secure = secure
        for backend, _ in self.members:
            if backend.url.startswith("https:"):
                backend.protect(secure)

    def refresh(self, allowed: Sequence[str] = ("ready",)) -> int:
        """Look at states and factors again; how many may get requests, by their state."""
        self.ready = [member for member in self.members if member[0].state in allowed]
        self.ration()
        return len(self.ready)

    def ration(self) -> None:
        ready = self.ready
        self._rationed = []
        top = max((backend.factor for backend, _ in ready), default=1.0)
        total = sum(backend.factor * weight for backend, weight in ready)
        for backend, weight in ready:
            if backend.factor < top:
                backend.share = backend.factor * weight / total
                self._rationed.append(backend)
            else:
                backend.share = backend.credit = 0.0

    def claim(self, tried: tuple[Backend, ...] = ()) -> Backend | None:
        """Choose a ready backend and count the request in flight, in one step; None where none can take one.

        ``tried`` are avoided while there is another choice.
        """
        ready = self.ready
        count = len(ready)
        if count == 1:
            backend = ready[0][0]
            if backend.connections >= MAX_CONNECTIONS and not backend.idle:
                return None
            backend.in_flight += 1
            return backend
        if self._rationed:
            ready = self._offered(tried)
        best: Backend | None = None
        best_load = float("inf")
        best_turn = 0.0
        best_weight = 1
        for backend, weight in ready:
            busy = backend.in_flight
            load = (busy + 1) / weight if busy else 0.0
            if tried and backend in tried:
                load += 1e9  # behind all others, but better than nothing
            if (load < best_load or (load == best_load and backend.turn < best_turn)) and (
                backend.idle or backend.connections < MAX_CONNECTIONS
            ):
                best, best_load, best_turn, best_weight = backend, load, backend.turn, weight
        if best is not None:
            best.in_flight += 1
            if best_turn > self._now:  # noqa: PLR1730 - max() would cost a tenth of the whole choice
                self._now = best_turn
            best.turn = self._now + 1 / best_weight
            if best.share:
                best.credit -= 1.0
        return best

    def _offered(self, tried: tuple[Backend, ...]) -> Members:
        """Those that the present request may go to: all but who has had its ration; all, where nobody else can."""
        for backend in self._rationed:
            # What was offered and not needed is not saved up: it would come as a burst.
            backend.credit = min(1.0 + backend.share, backend.credit + backend.share)
        offered = [member for member in self.ready if not member[0].share or member[0].credit >= 1.0]
        able = any(
            backend not in tried and (backend.idle or backend.connections < MAX_CONNECTIONS) for backend, _ in offered
        )
        return offered if able else self.ready
