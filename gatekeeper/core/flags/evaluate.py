"""What a request gets of each flag. One reading of a flag, ``FlagRoute``, serves the proxy and whoever asks by OFREP.

In this order: a flag that is off or killed gives its variant ``off``; so does one whose condition does not match, and
one that follows a release to whoever does not get the candidate; otherwise the split decides, by the unit that decides
the service's version too, at a point of the flag's own: not the same people get every flag first.

``FlagSet`` is all flags of one service. What a request gets follows from its unit and from which of the conditions
match, so that is what results are remembered by: twenty hashes cost as much as a whole request.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gatekeeper.core.decision import Decision, Draw
from gatekeeper.core.flags.header import line, member
from gatekeeper.core.flags.model import FlagState
from gatekeeper.core.head import Head
from gatekeeper.core.match import Matcher, View, compile_when
from gatekeeper.core.parts import When
from gatekeeper.core.split import SPACE, bounds, holder
from gatekeeper.core.sticky import hasher
from gatekeeper.errors import GatekeeperError

STATIC: Final = "STATIC"
"""Everybody has the same variant."""
TARGETING_MATCH: Final = "TARGETING_MATCH"
"""Everybody who meets the flag's condition, or gets the candidate, has the same variant."""
SPLIT: Final = "SPLIT"
"""The split, by the unit."""
DISABLED: Final = "DISABLED"
"""The flag is off, or killed."""
DEFAULT: Final = "DEFAULT"
"""The condition does not match, or somebody gets another version than the candidate."""

REMEMBERED: Final = 4096
"""Results remembered by unit and conditions, for each service: 4 MB with twenty flags, 25 MB with as many and as long
ones as there can be. When full the memory starts afresh, which costs a microsecond for each flag and unit, once."""
INTERNED: Final = 1024
"""Different results kept for each service. More come of many flags with splits; those are made anew."""
DECISIONS: Final = 64
"""Decisions kept with a result: versions times reasons, of which a service has fewer."""
LONGEST_UNIT: Final = 256
"""Bytes of a unit id that is remembered. Ids are shorter; a client can send 32 KiB."""

_from_bytes = int.from_bytes


class TargetingKeyMissing(GatekeeperError):  # noqa: N818 - OFREP's word
    """Who is asked for is not said, and the value depends on it."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """``reason`` is one of the words above. ``metadata`` has texts and numbers only."""

    value: Any
    variant: str
    reason: str
    metadata: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Evaluated:
    """The flags of one request; shared by all that get the same. Equal only to itself."""

    service: str
    line: bytes
    """The field line for the backend; empty where there is nothing to say."""
    variants: tuple[tuple[str, str], ...]
    """(flag, variant) of every flag of the service, in the order of names."""
    by_rest: "Callable[[Head, str], int] | None"
    """``FlagSet.by_rest`` where a condition sees more of a request than its fields; else every request with the same
    fields, unit and version has these."""
    drawn: frozenset[str] = frozenset()
    """The flags of which the split said the variant, by the unit or, without one, by a draw."""
    counter: Any = None
    """Free for whoever counts."""
    _decisions: dict[Decision, Decision] = field(default_factory=dict)

    def on(self, decision: Decision) -> Decision:
        """The decision with these flags. The common ones are shared, as decisions without flags are."""
        if decision.failed_over_from is not None or decision.unavailable:
            return decision.with_flags(self)  # a copy already
        found = self._decisions.get(decision)
        if found is None:
            if len(self._decisions) >= DECISIONS:
                self._decisions.clear()
            found = self._decisions[decision] = decision.with_flags(self)
        return found


class FlagRoute:
    """One flag, compiled; immutable."""

    __slots__ = (
        "_hasher",
        "_owners",
        "_uppers",
        "disabled",
        "following",
        "matcher",
        "members",
        "name",
        "pairs",
        "sole",
        "state",
    )

    def __init__(self, state: FlagState) -> None:
        """Raises what ``compile_when`` raises."""
        definition, running = state.definition, state.running
        self.state = state
        self.name = definition.name
        self.disabled = running.killed or not (running.on or running.following)
        matcher = compile_when(definition.when)
        self.matcher: Matcher | None = None if definition.when == When() else matcher
        self.following = running.following
        self.members = {variant: member(definition, variant) for variant in definition.variants}
        self.pairs = {variant: (definition.name, variant) for variant in definition.variants}
        self.sole = holder(running.split)
        """The variant that all have for whom the flag is on; None where there is a split."""
        self._uppers, self._owners = bounds(running.split)
        self._hasher = hasher(bytes.fromhex(running.split.salt))

    @property
    def gated(self) -> bool:
        """Whether it depends on the request, and not on the unit alone, for whom it is on."""
        return not self.disabled and (self.matcher is not None or bool(self.following))

    @property
    def split(self) -> bool:
        return not self.disabled and self.sole is None

    def opens(self, view: View, version: str) -> bool:
        """Whether the flag is on for this request, which gets that version."""
        if self.matcher is not None and not self.matcher.test(view):
            return False
        return not self.following or version == self.following

    def variant(self, unit: bytes | None, draw: Draw) -> str:
        """The variant of a unit for whom the flag is on; without a unit it is drawn."""
        return self.sole or self._at(self.point(unit) if unit is not None else draw() % SPACE)

    def point(self, unit: bytes) -> int:
        """The place of the unit in this flag's hash range."""
        hashed = self._hasher.copy()
        hashed.update(unit)
        return _from_bytes(hashed.digest(), "big")

    def _at(self, point: int) -> str:
        return self._owners[bisect_right(self._uppers, point)]

    def resolve(self, view: View, unit: bytes | None, version: Callable[[], str | None]) -> Resolution:
        """The same in detail. ``version`` says which one the unit gets, if somebody wants to know (None: not known).

        Raises ``TargetingKeyMissing`` where it depends on the unit and there is none.
        """
        off = self.state.definition.off
        if self.disabled:
            return self._resolution(off, DISABLED)
        if self.matcher is not None and not self.matcher.test(view):
            return self._resolution(off, DEFAULT)
        if self.following:
            had = version()
            if had is None:
                raise self._missing()
            if had != self.following:
                return self._resolution(off, DEFAULT)
        if self.sole is not None:
            return self._resolution(self.sole, TARGETING_MATCH if self.gated else STATIC)
        if unit is None:
            raise self._missing()
        return self._resolution(self._at(self.point(unit)), SPLIT)

    def _missing(self) -> TargetingKeyMissing:
        return TargetingKeyMissing(f"flag {self.name} depends on who asks; allowed: a targetingKey that is not empty")

    def _resolution(self, variant: str, reason: str) -> Resolution:
        definition = self.state.definition
        told = {"owner": definition.owner, "expires": definition.expires, "description": definition.description}
        metadata: dict[str, str | int | float | bool] = {name: text for name, text in told.items() if text}
        return Resolution(definition.variants[variant], variant, reason, metadata)


class FlagSet:
    """The flags of one service; immutable but for bounded memories."""

    __slots__ = ("_gates", "_known", "_rest", "_results", "by_unit", "flags", "service")

    def __init__(self, service: str, flags: Iterable[FlagRoute]) -> None:
        """``flags`` in the order of names."""
        self.service = service
        self.flags = tuple(flags)
        gates: dict[tuple[When, str], tuple[FlagRoute, int]] = {}
        for route in self.flags:
            if route.gated:
                # Conditions that several flags share are tested once.
                gates.setdefault(_gate(route), (route, 1 << len(gates)))
        self._gates = gates
        self.by_unit = any(route.split for route in self.flags)
        """Whether some flag needs a unit."""
        self._rest = tuple((route, bit) for (when, _), (route, bit) in gates.items() if _sees_more(when))
        self._known: dict[tuple[bytes | None, int], Evaluated] = {}
        self._results: dict[tuple[tuple[tuple[str, str], ...], frozenset[str]], Evaluated] = {}

    def evaluate(self, head: Head, client_ip: str, unit: bytes | None, version: str, draw: Draw) -> Evaluated:
        """What this request, which gets that version, has of each flag; ``draw`` gives 64 random bits."""
        open_gates = 0
        if self._gates:
            view = View(head, client_ip)
            for route, bit in self._gates.values():
                if route.opens(view, version):
                    open_gates |= bit
        if not self.by_unit:
            unit = None
        elif unit is None:
            return self._result(open_gates, None, draw)
        found = self._known.get((unit, open_gates))
        if found is None:
            found = self._result(open_gates, unit, draw)
            if unit is None or len(unit) <= LONGEST_UNIT:
                if len(self._known) >= REMEMBERED:
                    self._known.clear()
                self._known[unit, open_gates] = found
        return found

    def by_rest(self, head: Head, client_ip: str) -> int:
        """Which conditions are met of those that see more of a request than its fields: what else a result depends on
        where fields, unit and version are the same.
        """
        view = View(head, client_ip)
        found = 0
        for route, bit in self._rest:
            if route.matcher is not None and route.matcher.test(view):
                found |= bit
        return found

    def at(self, evaluated: Evaluated, version: str) -> Evaluated:
        """The same for a request that gets this version after all, in place of a candidate: what follows another one
        is off.
        """
        lost = {
            route.name: route.pairs[route.state.definition.off]
            for route in self.flags
            if route.following not in ("", version)
        }
        if not lost:
            return evaluated
        variants = tuple(lost.get(pair[0], pair) for pair in evaluated.variants)
        return self._shared(variants, evaluated.drawn.difference(lost))

    def copied(
        self, evaluated: Evaluated, head: Head, client_ip: str, unit: bytes | None, version: str, draw: Draw
    ) -> Evaluated:
        """The same for a copy that goes to another version: what follows that one is as a user who gets it would have
        it, what follows others is off, and all else stays, also where it was drawn.
        """
        found = self.at(evaluated, version)
        following = [route for route in self.flags if route.following == version and not route.disabled]
        if not following:
            return found
        view = View(head, client_ip)
        gained = {
            route.name: route.pairs[route.variant(unit, draw)] for route in following if route.opens(view, version)
        }
        variants = tuple(gained.get(pair[0], pair) for pair in found.variants)
        return self._shared(variants, found.drawn.difference(gained))

    def _result(self, open_gates: int, unit: bytes | None, draw: Draw) -> Evaluated:
        variants: list[tuple[str, str]] = []
        drawn: list[str] = []
        for route in self.flags:
            if route.disabled or (route.gated and not open_gates & self._gates[_gate(route)][1]):
                variants.append(route.pairs[route.state.definition.off])
                continue
            variants.append(route.pairs[route.variant(unit, draw)])
            if route.split:
                drawn.append(route.name)
        return self._shared(tuple(variants), frozenset(drawn))

    def _shared(self, variants: tuple[tuple[str, str], ...], drawn: frozenset[str]) -> Evaluated:
        found = self._results.get((variants, drawn))
        if found is None:
            members = (route.members[variant] for route, (_, variant) in zip(self.flags, variants, strict=True))
            found = Evaluated(self.service, line(members), variants, self.by_rest if self._rest else None, drawn)
            if len(self._results) < INTERNED:
                self._results[variants, drawn] = found
        return found


def _gate(route: FlagRoute) -> tuple[When, str]:
    return (route.state.definition.when, route.following)


def _sees_more(when: When) -> bool:
    return bool(when.path or when.query or when.methods or when.networks)
