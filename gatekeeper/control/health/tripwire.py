"""The trip-wire: a version that fails its users loses its weight within a second, without plans and without statistics.

It watches every version that has weight and is not stable, and has two reasons:

* **down**: all its backends are ejected, none is about to be asked for the first time;
* **errors**: at least the part ``errors`` of at least ``least`` requests within ``within`` seconds were answered with
  5xx, testers' requests left out; unless stable did as badly in that time, for then it is not the version.

Neither moves anybody to a stable version without a ready backend. After stable was without one, a version that is down
is given the time that its checks need to see that it is back: what took both away was not the version, and stable is
not to be favoured for being asked first. What was counted before a version had weight, and while it is not watched,
counts for nothing.
"""

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from gatekeeper.clock import Clock
from gatekeeper.control.health.health import Condition
from gatekeeper.core.model import Service, State, Trip, Version
from gatekeeper.core.trip import TripVersion
from gatekeeper.errors import GatekeeperError

log = logging.getLogger("gatekeeper.tripwire")

LOOK_SECONDS: Final = 0.2
"""How often the counters are read: a fifth of the second that this may take, with the command after it."""
AGAIN_SECONDS: Final = 1.0
"""A trip that is refused (the state file takes no writes) is tried again after this: each try is an event, and a line
in the log."""
COMPLAIN_SECONDS: Final = 10.0
"""And it is said that the version keeps its weight as often as this."""
RETURN_MOST: Final = 30.0
"""Seconds at most that a version is given to come back with stable; checks may be hours apart."""

Counts = Callable[[str, str], tuple[int, int]]
"""Service and version to answers so far and those of them with 5xx; both without testers' requests."""
Conditions = Callable[[str, str], Collection[Condition]]
"""Service and version to what its backends are."""


class Submit(Protocol):
    def __call__(self, command: TripVersion, *, via: str) -> Awaitable[object]: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """``version`` is to lose its weight, for ``reason``."""

    service: str
    version: str
    reason: str


class Recent:
    """Answers and failures within the last ``within`` seconds, from samples of two counters."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int, int]] = deque()

    def sample(self, now: float, answers: int, failed: int, within: float) -> tuple[int, int]:
        """What happened since the newest sample that is ``within`` old, or else since the first."""
        samples = self._samples
        if samples and (answers < samples[-1][1] or failed < samples[-1][2]):
            samples.clear()  # the version left and came back, with other counters
        samples.append((now, answers, failed))
        # A little less than ``within``: looks come a little late, and a window of one look more would see too much.
        while len(samples) > 2 and samples[1][0] <= now - within + LOOK_SECONDS / 4:
            samples.popleft()
        _, first, first_failed = samples[0]
        return answers - first, failed - first_failed


@dataclass(slots=True)
class TripWire:
    """``look`` about every LOOK_SECONDS. Pure: it is told everything."""

    _recent: dict[tuple[str, str], Recent] = field(default_factory=dict)
    _without: dict[str, float] = field(default_factory=dict)
    """When the stable version of a service was seen without a ready backend last."""
    _watching: tuple[State | None, list[tuple[Service, Trip, list[str]]]] = (None, [])
    """A state, and whom it has to be watched for: found once, as there may be 10,000 services and few such versions."""

    def look(self, now: float, state: State, counts: Counts, conditions: Conditions) -> list[Decision]:
        """Who is to lose its weight now. ``now`` is monotonic seconds."""
        recent: dict[tuple[str, str], Recent] = {}
        without: dict[str, float] = {}
        decisions = []
        if self._watching[0] is not state:
            self._watching = state, list(_watched(state))
        for service, trip, versions in self._watching[1]:
            lately: dict[str, tuple[int, int]] = {}
            for name in (service.stable, *versions):
                key = service.name, name
                recent[key] = self._recent.get(key) or Recent()
                lately[name] = recent[key].sample(now, *counts(*key), trip.within)
            if Condition.READY not in conditions(service.name, service.stable):
                without[service.name] = now
                continue
            if service.name in self._without:
                without[service.name] = self._without[service.name]
            for name in versions:
                reason = _failing(trip, lately[name], lately[service.stable])
                if now - without.get(service.name, -math.inf) >= _return_seconds(service.versions[name]):
                    reason = _down(conditions(service.name, name)) or reason
                if reason:
                    decisions.append(Decision(service.name, name, reason))
        self._recent, self._without = recent, without
        return decisions


def _watched(state: State) -> Iterator[tuple[Service, Trip, list[str]]]:
    for known in state.services.values():
        service, weights = known.definition, known.running.split.weights
        versions = [name for name, weight in weights.items() if weight > 0 and name != service.stable]
        if service.trip is not None and versions:
            yield service, service.trip, versions


def _return_seconds(version: Version) -> float:
    """How much later than another one a version's checks may notice that its backends are back."""
    check = version.health
    if check is None:
        return 0.0
    return min(RETURN_MOST, check.rise * (check.interval * (1 + check.jitter) + check.timeout))


def _down(conditions: Collection[Condition]) -> str:
    if not conditions or any(each is not Condition.EJECTED for each in conditions):
        return ""
    return "its backend is ejected" if len(conditions) == 1 else f"all its {len(conditions)} backends are ejected"


def _failing(trip: Trip, mine: tuple[int, int], others: tuple[int, int]) -> str:
    requests, failed = mine
    if requests < trip.least or failed < trip.errors * requests:
        return ""
    if others[0] and others[1] >= trip.errors * others[0]:
        return ""
    return f"{failed} of {requests} requests failed within {trip.within:g} s"


class Watch:
    """Looks as long as it runs, and asks for what the trip-wire decides."""

    def __init__(
        self,
        state: Callable[[], State],
        counts: Counts,
        conditions: Conditions,
        submit: Submit,
        clock: Clock,
    ) -> None:
        """``submit`` carries out a command, and raises GatekeeperError when it is refused."""
        self._state = state
        self._counts = counts
        self._conditions = conditions
        self._submit = submit
        self._clock = clock
        self._wire = TripWire()
        self._soon = asyncio.Event()
        self._asking: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._complained = float("-inf")

    def look_soon(self) -> None:
        """A backend's condition has changed: do not wait for the next look."""
        self._soon.set()

    async def run(self) -> None:
        """Until it is cancelled; what was asked for by then may still happen."""
        while True:
            now = self._clock.monotonic()
            for decision in self._wire.look(now, self._state(), self._counts, self._conditions):
                self._ask_for(decision)
            # Not without a pause: conditions may change many times in a row.
            await asyncio.sleep(LOOK_SECONDS / 4)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS * 3 / 4):
                    await self._soon.wait()
            self._soon.clear()

    def _ask_for(self, decision: Decision) -> None:
        """One that is slow to be granted holds up no other, and is not asked for twice."""
        key = decision.service, decision.version
        if key not in self._asking:
            task = self._asking[key] = asyncio.create_task(self._demand(decision))
            task.add_done_callback(lambda _: self._asking.pop(key))

    async def _demand(self, decision: Decision) -> None:
        service, version, reason = decision.service, decision.version, decision.reason
        command = TripVersion(actor="trip-wire", service=service, version=version, reason=reason)
        try:
            await self._submit(command, via="gatekeeper")
        except GatekeeperError as error:
            now = self._clock.monotonic()
            if now - self._complained >= COMPLAIN_SECONDS:
                self._complained = now
                log.error(  # noqa: TRY400 - a refusal, which says it all
                    "a version that fails keeps its weight",
                    extra={"service": service, "version": version, "reason": reason, "refusal": str(error)},
                )
            await asyncio.sleep(AGAIN_SECONDS)
