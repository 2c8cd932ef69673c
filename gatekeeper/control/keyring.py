"""Certificates, keys and authorities: read by the supervisor, kept up with their files, handed down to the workers.

They are no part of a state: renewing one is no revision, and no key gets into the history. Three moments:

* A state names files that are new here (start, reload): they are read before it is taken up (``follow``).
* Files change: they are looked at every LOOK_SECONDS, so that whoever renews certificates need not know of us.
* An operator reloads: the same at once (``renew``).

A pair is taken up as a pair or not at all. What cannot be used is refused with an event, and the old one stays. Since
a certificate and its key are written one after the other, a pair that does not fit is refused only when it has not
changed between two looks.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gatekeeper.clock import Clock
from gatekeeper.core.model import BackendTls, KeyPair, State
from gatekeeper.core.outcome import Change
from gatekeeper.errors import GatekeeperError
from gatekeeper.tls.contexts import check_authorities
from gatekeeper.tls.material import Contexts, Material, check_tls, listeners_tls, wanted
from gatekeeper.tls.pem import Facts, Pair, Part, PemError, day, examine, read_pem

log = logging.getLogger("gatekeeper.keyring")

LOOK_SECONDS: Final = 2.0
"""Between two looks at the files. A renewal is in force after one to three of them."""
WARN_SECONDS: Final = 7 * 86400.0
"""A certificate that ends sooner is told of: whoever renews automatically does so weeks before."""

Tell = Callable[[Mapping[str, Any]], None]
Send = Callable[[Material], Awaitable[None]]
Stamp = tuple[Any, ...]
"""What tells that a file may hold something else: device, inode, size, time of change; or why it cannot be seen."""


class KeyringError(GatekeeperError):
    """A state names a file that cannot be used. The text names it and says why."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is taken up as one: a pair, or a file of authorities. ``server`` says that clients are shown the pair."""

    pair: KeyPair | None = None
    ca: str = ""
    server: bool = True

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.pair.cert, self.pair.key) if self.pair is not None else (self.ca,)


@dataclass(frozen=True, slots=True)
class _Held:
    text: Pair | str
    facts: Facts | None = None


class Keyring:
    """``open`` first, ``follow`` before every new state is sent down, ``settle`` when it has been."""

    def __init__(self, tell: Tell, send: Send, clock: Clock) -> None:
        """``send`` gives a material to all workers and waits until they use it."""
        self._tell = tell
        self._send = send
        self._clock = clock
        self._state: State | None = None
        self._held: dict[_Unit, _Held] = {}
        self._stamps: dict[_Unit, Stamp] = {}
        """Of what is held, or was refused last."""
        self._unsettled: dict[_Unit, Stamp] = {}
        self._early: dict[_Unit, float] = {}
        """When what was refused for being too early becomes valid: the clock of an authority may be ahead of ours."""
        self._warned: dict[_Unit, str] = {}
        """Of what kind of event was told last, empty if none."""
        self._refused: dict[_Unit, str] = {}
        """Why what is in the files now is not taken up."""
        self._lock = asyncio.Lock()
        self.contexts = Contexts(Material())
        """For the present material."""

    @property
    def material(self) -> Material:
        return self.contexts.material

    def troubles(self) -> list[str]:
        """Files that are refused, and certificates that have ended or are about to, in words."""
        found = []
        for unit in self._named():
            files, facts = " and ".join(unit.paths), self._held[unit].facts
            if why := self._refused.get(unit, ""):
                found.append(f"{files} cannot be used, what was in force before stays: {why}")
            if self._warned.get(unit) and facts is not None:
                found.append(f"{files}: {facts.expired(self._clock.wall()) or _ending(facts)}")
        return found

    async def open(self, state: State) -> None:
        """Read all that a state names. Raises KeyringError."""
        await self.follow(state)
        self.settle(state)

    async def follow(self, state: State) -> Material | None:
        """Read what is new in a state; all there is then for it and the one before, None when nothing is new.

        Raises KeyringError; nothing has changed then.
        """
        async with self._lock:
            new = [unit for unit in _units(state) if unit not in self._held]
            if not new:
                return None
            held, stamps = dict(self._held), dict(self._stamps)
            for unit in new:
                stamps[unit] = await asyncio.to_thread(_stamp, unit)
                found, why = await asyncio.to_thread(_read, unit)
                if found is None:
                    raise KeyringError(f"{' and '.join(unit.paths)}: {why}")
                held[unit] = found
            contexts = Contexts(_material(held))
            try:
                await asyncio.to_thread(check_tls, state, contexts)
            except PemError as error:
                raise KeyringError(str(error)) from error
            self._held, self._stamps, self.contexts = held, stamps, contexts
            return contexts.material

    async def lend(self, tls: BackendTls) -> Contexts:
        """Contexts for settings that no state has yet, by what the files hold now. Raises KeyringError."""
        units = [_Unit(pair=tls.pair, server=False)] if tls.pair is not None else []
        units += [_Unit(ca=tls.ca)] if tls.ca is not None else []
        held: dict[_Unit, _Held] = {}
        for unit in units:
            found, why = await asyncio.to_thread(_read, unit)
            if found is None:
                raise KeyringError(f"{' and '.join(unit.paths)}: {why}")
            held[unit] = found
        return Contexts(_material(held))

    def settle(self, state: State) -> None:
        """``state`` has been taken up: look after what it names, and forget the rest at the next change."""
        self._state = state
        self._warn()

    async def watch(self) -> None:
        """Look at the files for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._look()
            except Exception:
                # Traffic goes on by what is held; a defect here must not end the looking.
                log.exception("looking at certificates failed")
            self._warn()

    async def renew(self, actor: str, *, dry_run: bool = False) -> list[Change]:
        """Take up every file that changed, now; what did, or with ``dry_run`` would, come of it."""
        async with self._lock:
            return await self._take(dict.fromkeys(self._named(), True), actor, dry_run=dry_run)

    # Behind the scenes

    def _named(self) -> list[_Unit]:
        return _units(self._state) if self._state is not None else []

    async def _look(self) -> None:
        async with self._lock:
            units = self._named()
            stamps = await asyncio.to_thread(lambda: {unit: _stamp(unit) for unit in units})
            now = self._clock.wall()
            changed = {
                unit: stamp
                for unit, stamp in stamps.items()
                if stamp != self._stamps.get(unit) or self._early.get(unit, now) < now
            }
            settled = {unit: self._unsettled.get(unit) == stamp for unit, stamp in changed.items()}
            self._unsettled = changed
            if changed:
                await self._take(settled, "files")

    async def _take(self, units: Mapping[_Unit, bool], actor: str, *, dry_run: bool = False) -> list[Change]:
        """Take up these units; of those that map to False nothing is said when they cannot be used."""
        held, told = dict(self._held), []
        changes: list[Change] = []
        for unit, final in units.items():
            stamp = await asyncio.to_thread(_stamp, unit)
            found, why = await asyncio.to_thread(_read, unit)
            now = self._clock.wall()
            if found is not None and found.text == held[unit].text:
                why = ""
            elif found is not None and not (why := found.facts.expired(now) if found.facts is not None else ""):
                changes.append(Change(unit.paths[0], _until(held[unit]), _until(found)))
                told.append({"kind": "certificate_renewed", "actor": actor, **_about(unit, found)})
                held[unit] = found
            if why and final:
                changes.append(Change(unit.paths[0], _until(held[unit]), f"refused, the old one stays: {why}"))
            if dry_run:
                continue
            if why and final and self._stamps.get(unit) != stamp:
                told.append({"kind": "certificate_refused", "actor": actor, **_about(unit), "reason": why})
            if final or not why:
                self._refused[unit] = why
                self._stamps[unit] = stamp
                self._early.pop(unit, None)
                if why and found is not None and found.facts is not None and now < found.facts.not_before:
                    self._early[unit] = found.facts.not_before
        if held != self._held and not dry_run:
            await self._use(held)
        for event in told if not dry_run else ():
            self._tell(event)
        return changes

    async def _use(self, held: Mapping[_Unit, _Held]) -> None:
        named = set(self._named())
        self._held = {unit: one for unit, one in held.items() if unit in named}
        self._stamps = {unit: stamp for unit, stamp in self._stamps.items() if unit in named}
        self._refused = {unit: why for unit, why in self._refused.items() if unit in named}
        contexts = Contexts(_material(self._held))
        if self._state is not None:
            await asyncio.to_thread(check_tls, self._state, contexts)
        self.contexts = contexts
        await self._send(contexts.material)

    def _warn(self) -> None:
        """Tell, once, of every certificate that has ended or is about to."""
        now = self._clock.wall()
        for unit in self._named():
            facts = self._held[unit].facts
            if facts is None:
                continue
            kind = "certificate_expired" if facts.expired(now) else ""
            if not kind and facts.not_after - now < min(WARN_SECONDS, (facts.not_after - facts.not_before) / 3):
                kind = "certificate_expiring"
            if kind and self._warned.get(unit) != kind:
                reason = facts.expired(now) or _ending(facts)
                self._tell({"kind": kind, **_about(unit, self._held[unit]), "reason": reason})
            self._warned[unit] = kind


def _units(state: State) -> list[_Unit]:
    pairs, authorities = wanted(state)
    server = {pair for listener in listeners_tls(state) for pair in listener.pairs}
    return [
        *(_Unit(pair=pair, server=pair in server) for pair in sorted(pairs, key=lambda pair: (pair.cert, pair.key))),
        *(_Unit(ca=path) for path in sorted(authorities)),
    ]


def _material(held: Mapping[_Unit, _Held]) -> Material:
    pairs = {unit.pair: one.text for unit, one in held.items() if unit.pair and isinstance(one.text, Pair)}
    return Material(pairs, {unit.ca: one.text for unit, one in held.items() if isinstance(one.text, str)})


def _read(unit: _Unit) -> tuple[_Held | None, str]:
    """What the files hold, or why they cannot be used."""
    try:
        if unit.pair is None:
            text = read_pem(unit.ca, Part.CA)
            check_authorities(text)
            return _Held(text), ""
        pair = Pair(read_pem(unit.pair.cert, Part.CERT), read_pem(unit.pair.key, Part.KEY))
        return _Held(pair, examine(pair, client=not unit.server)), ""
    except PemError as error:
        return None, f"{error.part.value} {error}"


def _stamp(unit: _Unit) -> Stamp:
    stamps: list[Any] = []
    for path in unit.paths:
        try:
            found = os.stat(path)  # noqa: PTH116 - a path is a text here, from end to end
            stamps.append((found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns))
        except OSError as error:
            stamps.append(error.errno)
    return tuple(stamps)


def _about(unit: _Unit, held: _Held | None = None) -> dict[str, Any]:
    facts = held.facts if held is not None else None
    about: dict[str, Any] = {"files": list(unit.paths)}
    return {**about, "names": list(facts.names), "not_after": facts.not_after} if facts is not None else about


def _ending(facts: Facts) -> str:
    return f"the certificate ends on {day(facts.not_after)}"


def _until(held: _Held) -> str:
    return f"valid until {day(held.facts.not_after)}" if held.facts is not None else "other authorities"
