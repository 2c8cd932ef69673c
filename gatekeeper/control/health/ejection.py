"""Passive ejection: a backend that fails users' requests gets none for a while. Pure; times are monotonic seconds.

One ``Ejector`` per version, because the floor is one of the version: requests may eject a backend only while at least
``keep`` of all of them, and always one, stay ready. A fault that all backends share (a database, a bad deploy) is not
mended by sending everybody to the last one, or to nobody.

* What counts is the time from the first failure within the window on, as exactly as it is known. Otherwise a backend
  that dies would have to fail for half of the window before half of its requests have failed.
* Workers report a backend only when it failed, with the requests since the row before, or of the last LOOK_BACK
  seconds. So a row's failures are of just now; its successes are spread evenly over the time it speaks of.
* Each time out is twice as long as the one before. Having been well for as long as the last one takes one doubling
  back, so a backend that flaps is out for longer and longer, and one that failed yesterday is not held to it.
* Coming back needs no proof where there are no checks: the next failures eject it again. Where there are, they must
  pass first; that is the caller's to say (``well``).
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from gatekeeper.core.model import Ejection

LOOK_BACK: Final = 4.0
"""Seconds before a failure that a worker's row tells of, at most."""
LATENESS: Final = 0.25
"""Seconds that a row's failures may be old: workers send rows ten times a second, busy ones a little later."""
STEPS: Final = 50
"""A window is counted in so many parts: bounds its memory, and its length is right to 2 %."""
REASON_LENGTH: Final = 200
"""Characters of a worker's reason that are shown: a line, not a page."""
ABSENT: Final = 256
"""Backends of a version that are out and were left out of the last lookup: a name server may give a part at a time."""
_DOUBLINGS: Final = 32
"""More than any ``most`` allows; keeps the power finite."""


@dataclass(frozen=True, slots=True)
class Out:
    """Why a backend is out, and until when at least."""

    until: float
    seconds: float
    why: str

    def words(self, now: float) -> str:
        left = math.ceil(self.until - now)
        return f"{self.why}; " + (f"back in {left} s at the earliest" if left > 0 else "its time out is over")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Backends that were ejected, and those that were not because of the floor though they fail; both new."""

    ejected: Sequence[str]
    held: Sequence[str]


class Tally:
    """Requests and failures of one backend within ``within`` seconds, from the first failure on."""

    def __init__(self, within: float) -> None:
        self._width = within / STEPS
        self._lateness = math.ceil(LATENESS / self._width)
        self._parts: dict[int, list[float]] = {}
        """Number of the part -> successes and failures in it."""

    def add(self, start: float, end: float, successes: float, failures: int) -> None:
        """Failures at ``end``, successes spread over ``start`` to ``end``."""
        last = int(end / self._width)
        first = max(int(start / self._width), last - STEPS)
        span = end - start
        for part in range(first, last + 1):
            begins = max(start, part * self._width)
            inside = (min(end, (part + 1) * self._width) - begins) / span if span > 0 else float(part == last)
            self._parts.setdefault(part, [0.0, 0.0])[0] += successes * max(0.0, inside)
        self._parts[last][1] += failures
        self._forget(last)

    def total(self, now: float) -> tuple[float, int]:
        """Requests (estimated) and failures."""
        self._forget(int(now / self._width))
        first = min((part for part, (_, failed) in self._parts.items() if failed), default=None)
        if first is None:
            return 0.0, 0
        counted = [found for part, found in self._parts.items() if part >= first - self._lateness]
        failures = sum(failed for _, failed in counted)
        return sum(passed for passed, _ in counted) + failures, int(failures)

    def _forget(self, last: int) -> None:
        for part in [part for part in self._parts if part < last - STEPS]:
            del self._parts[part]


@dataclass(slots=True)
class _Known:
    """What is known of one backend."""

    tally: Tally
    since: float
    """When it joined, or last came back."""
    why: str = ""
    """The last failure's reason."""
    level: int = 0
    """Doublings of the next time out."""
    out: Out | None = None
    heard: dict[int, float] = field(default_factory=dict)
    """Worker -> until when its rows have spoken of this backend. Bounded by the number of worker slots."""


class Ejector:
    """``follow`` first and whenever the version changes; ``report``, then ``judge``; ``release`` as time passes."""

    def __init__(self, policy: Ejection) -> None:
        self._policy = policy
        self._known: dict[str, _Known] = {}
        self._members: frozenset[str] = frozenset()
        self._held: dict[str, str] = {}

    def follow(self, policy: Ejection, members: Collection[str], now: float) -> None:
        """The version's backends from now on. Who stays, stays as it is; times out that run are not shortened."""
        if policy.within != self._policy.within:
            for known in self._known.values():
                known.tally = Tally(policy.within)
        self._policy = policy
        self._members = frozenset(members)
        absent = [name for name, known in self._known.items() if name not in self._members]
        for name in [name for name in absent if self._known[name].out is None] + absent[:-ABSENT]:
            self._known.pop(name, None)
        for name in self._members - self._known.keys():
            self._known[name] = _Known(Tally(policy.within), now)
        self._held = {name: why for name, why in self._held.items() if name in self._members}

    @property
    def floor(self) -> int:
        """How many of the backends must stay ready."""
        # Rounded first: 0.07 * 100 is 7.000000000000001, and that is not eight backends.
        return max(1, math.ceil(round(self._policy.keep * len(self._members), 6)))

    @property
    def busy(self) -> bool:
        """Whether time alone may change something."""
        return bool(self._held) or any(known.out is not None for known in self._known.values())

    def out(self, backend: str) -> Out | None:
        known = self._known.get(backend)
        return known.out if known is not None else None

    def held(self, backend: str) -> str:
        """Why a backend would be out but for the floor; empty otherwise."""
        return self._held.get(backend, "")

    def report(
        self, worker: int, started: float, backend: str, requests: int, failures: int, reason: str, now: float
    ) -> None:
        """A worker's row: so many requests lately, or since its last row of this backend, and so many of them failed.

        ``started`` is when the worker's process did. What is said of a backend that is out is about the time before.
        """
        if backend not in self._members:
            return
        known = self._known[backend]
        since = max(known.heard.get(worker, started), started, known.since, now - LOOK_BACK)
        known.heard[worker] = now
        if known.out is None and failures > 0:
            known.tally.add(min(since, now), now, max(0, requests - failures), failures)
            known.why = reason[:REASON_LENGTH]

    def adopt(self, backend: str, now: float) -> None:
        """Take a backend for ejected that somebody else ejected, it is not known for how long."""
        self._eject(self._known[backend], "it failed users' requests before this program took over", now)

    def judge(self, ready: Collection[str], now: float) -> Verdict:
        """Eject who fails too much, the worst first, as long as the floor allows. ``ready`` get requests now."""
        failing: list[tuple[float, int, str, str]] = []
        for name in self._members.intersection(ready):
            known = self._known[name]
            if known.out is not None:
                continue
            requests, failures = known.tally.total(now)
            if failures >= self._policy.failures and failures >= self._policy.errors * requests:
                many = max(round(requests), failures)
                why = f"{failures} of {many} requests failed within {self._policy.within:g} s: {known.why}"
                failing.append((-failures / requests, -failures, name, why))
        room = len(self._members.intersection(ready)) - self.floor
        ejected, held = [], {}
        for _, _, name, why in sorted(failing):
            if room > 0:
                room -= 1
                self._eject(self._known[name], why, now)
                ejected.append(name)
            else:
                held[name] = f"{why}; it stays, as {self.floor} of {len(self._members)} must"
        new = [name for name in held if name not in self._held]
        self._held = held
        return Verdict(ejected, new)

    def release(self, ready: Collection[str], well: Callable[[str], bool], now: float) -> list[str]:
        """Take back whose time is over, and others early where fewer than the floor would be ready; only who is well.

        Checks may leave a version without backends, time out may not.
        """
        waiting = [(known.out.until, name) for name, known in self._known.items() if known.out is not None]
        back: list[str] = []
        for until, name in sorted(waiting):
            if name not in self._members:
                if until <= now:
                    del self._known[name]
                continue
            if (until <= now or len(ready) + len(back) < self.floor) and well(name):
                known = self._known[name]
                known.out, known.since = None, now
                back.append(name)
        return back

    def _eject(self, known: _Known, why: str, now: float) -> None:
        been_well = now - known.since
        while known.level and been_well >= self._time_out(known.level - 1):
            known.level -= 1
            been_well -= self._time_out(known.level)
        seconds = self._time_out(known.level)
        known.level += 1
        known.out = Out(now + seconds, seconds, why)
        known.tally = Tally(self._policy.within)

    def _time_out(self, level: int) -> float:
        return float(min(self._policy.most, self._policy.out * 2 ** min(level, _DOUBLINGS)))
