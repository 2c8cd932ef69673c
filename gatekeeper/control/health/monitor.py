"""Which backends may get requests, and why: checks, users' requests, host names and drains, put together.

The supervisor decides for all workers and sends them the whole picture on every change. A backend is known by its id,
the url of the file or, where that has a host name, ``URL#ADDRESS`` for each address: each has a standing of its own,
and what is known of one stays whatever becomes of the others. The first of these that holds is shown:

1. its version drains: ``draining``;
2. its host name was never found: ``pending``; or checks say ``pending`` or ``ejected``, see ``health``;
3. users' requests ejected it: ``ejected``, until its time is over and the check passes, see ``ejection``;
4. ``ready``.

A check is a GET on a connection of its own: a pooled one would show that a connection works, not that the backend
accepts.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, Final

from gatekeeper.clock import Clock, SystemClock
from gatekeeper.control.fleet.publish import Picture, Warm
from gatekeeper.control.health.ejection import Ejector
from gatekeeper.control.health.health import Condition, Health, Standing
from gatekeeper.control.health.resolver import Lookup, Resolver, missing_name, name_in, parts_of
from gatekeeper.control.health.roster import Key, Pair, Roster, roster
from gatekeeper.control.health.watched import Checker, Probe, Watched
from gatekeeper.core.model import Service, ServiceState, State, Version

Emit = Callable[[Mapping[str, Any]], None]
PROVED_SECONDS: Final = 60.0
"""A check that was passed before a backend was taken up counts for so long: the command may have to wait its turn."""
TICK_SECONDS: Final = 0.2
"""How often it is looked whose time out is over."""
_NOT_FOUND: Final = "its host name was not found yet"


class Monitor:
    """Watches every backend of the current state. ``follow`` whenever the state changed; ``stop`` at the end."""

    def __init__(
        self,
        emit: Emit,
        on_change: Callable[[Picture], None],
        *,
        probe: Probe,
        lookup: Lookup | None = None,
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``on_change`` gets the whole picture, at most once per turn of the event loop."""
        self._emit = emit
        self._on_change = on_change
        self._clock = clock or SystemClock()
        self._checker = Checker(probe, chance)
        self.resolver = Resolver(emit, self._found, lookup=lookup, chance=chance)
        self._state: dict[str, ServiceState] = {}
        self._rosters: dict[str, Roster] = {}
        self._watched: dict[Key, Watched] = {}
        self._ejectors: dict[Pair, Ejector] = {}
        self._restless: set[Pair] = set()
        """Those for which time alone may change something."""
        self._proved: dict[Key, float] = {}
        """When backends that no state names yet passed their check. Kept for PROVED_SECONDS."""
        self._told = True
        self._begun = False
        """Whether the first round is over. What is ready by then was so before us: nothing has to warm up."""
        self._ticker: asyncio.Task[None] | None = None
        self.ejections: dict[tuple[str, str, str], int] = {}
        """Service, version, cause (``check`` or ``requests``) -> how often."""

    def follow(self, state: State) -> bool:
        """Watch exactly the backends of ``state``; what is known of those that stay is kept.

        Whether the picture is another than before. A backend with a check starts as pending; a changed check applies
        from the next round on.
        """
        if self._ticker is None:
            self._ticker = asyncio.create_task(self._tick())
        changed = False
        for name in self._rosters.keys() - state.services.keys():
            self._leave(name)
            changed = True
        for name, service in state.services.items():
            # A command leaves the services it does not touch as they are, and most it touches get other weights only.
            known = self._state.get(name)
            if (
                known is None
                or known.definition is not service.definition
                or known.running.draining != service.running.draining
            ):
                self._state[name] = service
                changed |= self._place(service)
        self.resolver.follow({host for each in self._rosters.values() for host in each.hosts}, state.settings.dns)
        return changed

    def adopt(self, picture: Picture) -> None:
        """Begin with what the program before us showed, where we know less; after ``follow``, before ``first_round``.

        So a change of programs neither sends requests to what was ejected nor keeps them from what was ready.
        """
        found: dict[str, list[str]] = {}
        for backend in (each for versions in picture.values() for ids in versions.values() for each in ids):
            url, address = parts_of(backend)
            if address:
                found.setdefault(name_in(url), []).append(address)
        for host, addresses in found.items():
            self.resolver.adopt(host, addresses)
        for key, watched in self._watched.items():
            was = picture.get(key[0], {}).get(key[1], {}).get(key[2])
            ejector = self._ejectors.get(key[:2])
            if was == "ejected" and watched.health.check is None and ejector is not None and not missing_name(key[2]):
                ejector.adopt(key[2], self._clock.monotonic())
                self._restless.add(key[:2])
            elif watched.health.check is not None and was in {"ready", "ejected"}:
                watched.health.condition = Condition(was)
                watched.health.reason = "as the program before had it; not checked yet"
            self._settle(key, watched, "")

    def prove(self, service: str, version: str, backends: Iterable[str]) -> None:
        """Take these for ready when they come with one of the next states: they passed their check just now."""
        now = self._clock.monotonic()
        self._proved = {key: at for key, at in self._proved.items() if at > now - PROVED_SECONDS}
        self._proved.update(dict.fromkeys(((service, version, backend) for backend in backends), now))

    async def first_round(self, seconds: float) -> bool:
        """Wait until every name was looked up and every backend asked once, at most ``seconds``; whether all were."""
        try:
            async with asyncio.timeout(seconds):
                await self.resolver.first_round()
                # One that was found meanwhile is waited for as well.
                while waits := [each.checked.wait() for each in self._watched.values() if not each.checked.is_set()]:
                    await asyncio.gather(*waits)
        except TimeoutError:
            return False
        finally:
            self._begun = True
        return True

    async def stop(self) -> None:
        await self.resolver.stop()
        tasks = [watched.task for watched in self._watched.values() if watched.task is not None]
        if self._ticker is not None:
            self._ticker.cancel()
            tasks.append(self._ticker)
        for name in list(self._rosters):
            self._leave(name)
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # What is shown

    def picture(self) -> Picture:
        """Service -> version -> backend id -> condition, of all backends."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for (service, version, backend), watched in self._watched.items():
            found.setdefault(service, {}).setdefault(version, {})[backend] = watched.shown.value
        return found

    def warm(self) -> Warm:
        """Service -> version -> backend id -> seconds since it became ready, of those that still warm up."""
        found: dict[str, dict[str, dict[str, float]]] = {}
        now = self._clock.monotonic()
        for (service, version, backend), watched in self._watched.items():
            if watched.warm_from is None:
                continue
            age = now - watched.warm_from
            if age < self._rosters[service].definition.slow_start:
                found.setdefault(service, {}).setdefault(version, {})[backend] = round(age, 3)
            else:
                watched.warm_from = None
        return found

    def ids(self, service: str, version: str, url: str) -> Sequence[str]:
        """The backends that one url of the file stands for."""
        known = self._rosters.get(service)
        return known.ids.get(version, {}).get(url, (url,)) if known is not None else (url,)

    def health(self, service: str, version: str, backend: str) -> Standing | None:
        """How one backend stands, by its id; None if no state names it."""
        key = service, version, backend
        watched = self._watched.get(key)
        return Standing(watched.shown, self._reason(key, watched), watched.since) if watched is not None else None

    def conditions(self, service: str, version: str) -> list[Condition]:
        """Those of all backends of a version."""
        known = self._rosters.get(service)
        members = known.members(version) if known is not None else ()
        return [self._watched[service, version, each].shown for each in members]

    def ready(self, service: str, version: str) -> int:
        """How many backends of a version may get requests."""
        return self.conditions(service, version).count(Condition.READY)

    def _reason(self, key: Key, watched: Watched) -> str:
        service, version, backend = key
        if watched.shown is Condition.DRAINING:
            return _drain_words(self._rosters[service].draining[version], self._clock.wall())
        if host := missing_name(backend):
            trouble = self.resolver.trouble(host)
            return f"{_NOT_FOUND}: {trouble}" if trouble else _NOT_FOUND
        ejector = self._ejectors.get((service, version))
        if watched.health.condition is not Condition.READY or ejector is None:
            return watched.health.reason
        if (out := ejector.out(backend)) is not None:
            waits = "" if watched.health.well else f"; waits for its check: {watched.health.reason}"
            return out.words(self._clock.monotonic()) + waits
        return ejector.held(backend) or watched.health.reason

    # What users' requests say

    def hear(self, worker: int, started: float, rows: Iterable[Sequence[Any]]) -> None:
        """A worker's rows of service, version, backend id, requests, failures and reason, see ``Ejector.report``.

        ``started`` is when its process did, in monotonic seconds.
        """
        now = self._clock.monotonic()
        failing: set[Pair] = set()
        for service, version, backend, requests, failures, reason in rows:
            ejector = self._ejectors.get((service, version))
            if ejector is not None:
                ejector.report(worker, started, backend, int(requests), int(failures), str(reason), now)
                failing.add((service, version))
        for pair in failing:
            self._judge(pair)

    def _judge(self, pair: Pair) -> None:
        """Let users' requests and time have their say about one version."""
        ejector = self._ejectors.get(pair)
        if ejector is None:
            self._restless.discard(pair)
            return
        now = self._clock.monotonic()
        watched = {each: self._watched[*pair, each] for each in self._rosters[pair[0]].members(pair[1])}
        for backend in ejector.release(_ready(watched), lambda each: watched[each].health.well, now):
            self._settle((*pair, backend), watched[backend], "requests")
        verdict = ejector.judge(_ready(watched), now)
        for backend in verdict.ejected:
            self._settle((*pair, backend), watched[backend], "requests")
        for backend in verdict.held:
            self._emit({"kind": "backend_kept", **_named((*pair, backend)), "reason": ejector.held(backend)})
        if ejector.busy:
            self._restless.add(pair)
        else:
            self._restless.discard(pair)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            for pair in sorted(self._restless):
                self._judge(pair)

    # Which backends there are

    def _found(self, host: str) -> None:
        """A host name has other addresses than before, or another trouble."""
        names = [name for name, known in self._rosters.items() if host in known.hosts]
        placed = [self._place(self._state[name]) for name in names]
        if any(placed):
            self._send_soon()

    def _place(self, service: ServiceState) -> bool:
        """Watch the backends that a service has now; whether the picture is another than before."""
        definition = service.definition
        before = self._rosters.get(definition.name)
        new = self._rosters[definition.name] = roster(service, self.resolver.addresses)
        keys = dict.fromkeys(new.every())
        gone = [key for key in before.every() if key not in keys] if before is not None else []
        for key in gone:
            self._forget(key)
        came = [key for key in keys if self._keep(key, definition.versions[key[1]])]
        self._place_ejectors(definition, new)
        self._forget_counts(definition.name, definition.versions)
        for key in came:
            watched = self._watched[key]
            watched.shown = self._standing(key, watched)
            watched.warm_from = self._warm_from(watched)
        settled = [self._settle(key, self._watched[key], "") for key in keys]
        return bool(gone or came) or any(settled)

    def _place_ejectors(self, service: Service, members: Roster) -> None:
        for pair in [pair for pair in self._ejectors if pair[0] == service.name]:
            if service.ejection is None or pair[1] not in service.versions:
                del self._ejectors[pair]
        if service.ejection is not None:
            for name in service.versions:
                ejector = self._ejectors.setdefault((service.name, name), Ejector(service.ejection))
                ejector.follow(service.ejection, members.members(name), self._clock.monotonic())

    def _keep(self, key: Key, version: Version) -> bool:
        """Watch one backend, as before if it was; whether that is new."""
        known = self._watched.get(key)
        found = not missing_name(key[2])
        check = version.health if found else None
        if known is not None and (known.health.check is None) == (check is None):
            known.health.check, known.health.tls = check, version.tls
            return False
        self._forget(key)
        # A check that is new does not take away what served until now; only its failures do.
        was_ready = known is not None and known.health.condition is Condition.READY
        served = was_ready or self._proved.pop(key, float("-inf")) > self._clock.monotonic() - PROVED_SECONDS
        condition = Condition.READY if found and (check is None or served) else Condition.PENDING
        health = Health(check, condition, "not checked yet" if check else "no health check", tls=version.tls)
        watched = self._watched[key] = Watched(health, condition, self._clock.wall())
        self._checker.begin(key[2], watched, lambda: self._checked(key, watched))
        return True

    def _checked(self, key: Key, watched: Watched) -> None:
        self._settle(key, watched, "check")
        self._judge(key[:2])  # whoever is out may be needed now

    def _leave(self, service: str) -> None:
        for key in self._rosters.pop(service).every():
            self._forget(key)
        self._state.pop(service, None)
        for pair in [pair for pair in self._ejectors if pair[0] == service]:
            del self._ejectors[pair]
        self._forget_counts(service, ())

    def _forget_counts(self, service: str, versions: Container[str]) -> None:
        for counted in [each for each in self.ejections if each[0] == service and each[1] not in versions]:
            del self.ejections[counted]

    def _forget(self, key: Key) -> None:
        watched = self._watched.pop(key, None)
        if watched is not None:
            watched.end()

    # Conditions

    def _standing(self, key: Key, watched: Watched) -> Condition:
        service, version, backend = key
        if version in self._rosters[service].draining:
            return Condition.DRAINING
        if watched.health.condition is not Condition.READY:
            return watched.health.condition
        ejector = self._ejectors.get((service, version))
        return Condition.EJECTED if ejector is not None and ejector.out(backend) is not None else Condition.READY

    def _warm_from(self, watched: Watched) -> float | None:
        return self._clock.monotonic() if self._begun and watched.shown is Condition.READY else None

    def _settle(self, key: Key, watched: Watched, cause: str) -> bool:
        """Show what holds now; whether it is something else. With a ``cause`` it is told and sent."""
        condition, was = self._standing(key, watched), watched.shown
        if condition is was:
            return False
        watched.shown, watched.since = condition, self._clock.wall()
        watched.warm_from = self._warm_from(watched) if was is not Condition.DRAINING else None
        if cause:
            self._tell(key, watched, was, cause)
            self._send_soon()
        return True

    def _tell(self, key: Key, watched: Watched, was: Condition, cause: str) -> None:
        event = {
            "kind": "backend_" + watched.shown.value,
            **_named(key),
            "state": watched.shown.value,
            "was": was.value,
            "cause": cause,
            "reason": self._reason(key, watched),
        }
        if watched.shown is Condition.EJECTED:
            counted = key[0], key[1], cause
            self.ejections[counted] = self.ejections.get(counted, 0) + 1
        self._emit(event)

    def _send_soon(self) -> None:
        # Backends of one machine fail together; one message to the workers says it all.
        if self._told:
            self._told = False
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._told = True
        self._on_change(self.picture())


def _ready(watched: Mapping[str, Watched]) -> list[str]:
    return [name for name, each in watched.items() if each.shown is Condition.READY]


def _named(key: Key) -> dict[str, str]:
    return dict(zip(("service", "version", "backend"), key, strict=True))


def _drain_words(until: float, now: float) -> str:
    if until > now:
        return f"its version drains until {time.strftime('%H:%M:%S', time.gmtime(until))} UTC"
    return "its version was drained; weight or a deploy brings it back"
