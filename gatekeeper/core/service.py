"""The decision within one service: which version a request gets.

Order of precedence, each step only if the one before did not decide:

1. a tester's force (``core.tester``), which never fails over;
2. the first rule that matches, which names a version or a split of its own;
3. stickiness, within the split that decides: the page that is open (``core.skew``), then the pinned assignment;
4. the split, at the point of the unit's id, or drawn where there is no unit.

Then health: a version without a ready backend fails over to stable, or to the version with the most weight that has
one; a version without weight, not being stable, gets nobody that way, because nobody released it.

A pin belongs to the browser. Rules with a split follow it where that split gives the version weight, and replace it
only when the service's own split could not use it either; else two splits would rewrite each other's pins for ever.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from decimal import Decimal

from gatekeeper.core.decision import FORCED, PAGE, PINNED, RULE, SPLIT, STICKY, Decision, Draw, VersionRoute
from gatekeeper.core.flags.evaluate import FlagSet
from gatekeeper.core.head import Head
from gatekeeper.core.model import OnUnavailable, Rule, ServiceState, Split, StickyMode, UnitKind, When
from gatekeeper.core.rules import RuleIndex
from gatekeeper.core.shadow.runs import runs
from gatekeeper.core.skew import Pages
from gatekeeper.core.split import SPACE, bounds
from gatekeeper.core.sticky import (
    DASHBOARD_COOKIES,
    OWN_COOKIE_SECONDS,
    CookieLine,
    Signer,
    Strip,
    hasher,
    new_id,
    own_cookie_name,
    own_finder,
    page_cookie_name,
    seal,
    stripper,
    tester_cookie_name,
)
from gatekeeper.core.tester import Gate
from gatekeeper.core.units import unit_finders

Ready = Sequence[int]
"""Ready backends by slot."""

_from_bytes = int.from_bytes


class SplitRoute:
    """A split with the decisions it can lead to; two lists run beside the bounds, so one bisect finds the answer."""

    __slots__ = ("fresh", "hasher", "known", "page", "pinned", "uppers")

    def __init__(self, service: "ServiceRoute", split: Split, rule: str | None) -> None:
        total = sum(split.weights.values())
        shares = {name: float(weight / total) for name, weight in split.weights.items() if weight > 0}

        def decisions(reason: str) -> dict[str, Decision]:
            return {
                name: Decision(service, service.versions[name], reason, rule, weight=share)
                for name, share in shares.items()
            }

        self.uppers, owners = bounds(split)
        known = decisions(STICKY if rule is None else RULE)
        fresh = decisions(SPLIT if rule is None else RULE)
        self.known = [known[name] for name in owners]
        self.fresh = [fresh[name] for name in owners]
        self.pinned = decisions(PINNED)
        """By version, those that hold weight; so is ``page``."""
        self.page = decisions(PAGE)
        self.hasher = hasher(bytes.fromhex(split.salt))


class ServiceRoute:
    """One service, compiled; immutable but for a bounded memo of addresses, and for ``tells_units``."""

    __slots__ = (
        "_by_gate",
        "_fail_overs",
        "_finders",
        "_forced",
        "_gate",
        "_mints",
        "_own",
        "_own_line",
        "_own_only",
        "_pages",
        "_pins",
        "_seals",
        "_split",
        "_strip",
        "by_fields_alone",
        "definition",
        "mirrors",
        "name",
        "rules",
        "slots",
        "stable",
        "stripped",
        "tells_units",
        "timeouts",
        "versions",
    )

    def __init__(self, state: ServiceState, slots: Mapping[str, int]) -> None:
        """``slots`` has every version of the definition.

        Raises KeyError where state and slots do not belong together, and what ``compile_when`` raises.
        """
        definition, running = state.definition, state.running
        secret = bytes.fromhex(running.secret)
        names = tuple(definition.versions)
        self.name = definition.name
        self.definition = definition
        self.timeouts = definition.timeouts
        self.stripped = definition.path_prefix if definition.strip_prefix else ""
        """The prefix that paths lose."""
        self.slots = {name: slots[name] for name in names}
        self.versions = {
            name: VersionRoute(
                definition.name,
                name,
                self.slots[name],
                version,
                running.split.weights.get(name, Decimal(0)),
                b"X-Gatekeeper-Version: %b\r\nX-Gatekeeper-Revision: %d\r\n" % (name.encode(), running.revision),
            )
            for name, version in definition.versions.items()
        }
        self.stable = self.versions[definition.stable]
        self._strip: Strip | None = None

        self._gate = Gate(definition.testers, self.name, names, secret)
        self._by_gate = self._gate.always_asks
        self._forced = {name: Decision(self, route, FORCED, forced=True) for name, route in self.versions.items()}
        self._split = SplitRoute(self, running.split, None)
        self.rules = _rule_index(self, definition.rules, running.rules)
        self._fail_overs = self._fail_over_order() if definition.on_unavailable is OnUnavailable.FAIL_OVER else ()

        sticky = definition.sticky
        self._finders, self._mints = unit_finders(self.name, () if sticky.mode is StickyMode.NONE else sticky.by)
        self._own = own_finder(self.name)
        self._own_only = self._mints and len(self._finders) == 1
        self._own_line = CookieLine(own_cookie_name(self.name), OWN_COOKIE_SECONDS)
        self._pins = Signer(secret, b"pin") if sticky.mode is StickyMode.PIN else None
        self._seals = {name: seal(name, running.since.get(name, 0)) for name in names}
        self._pages = Pages(self.name, definition.skew, self.versions, running) if definition.skew > 0 else None
        self.by_fields_alone = (
            self._pages is None
            and self._pins is None
            and not self._by_gate
            and all(source.kind is not UnitKind.CLIENT_IP for source in sticky.by)
        )
        """Whether the decision for a known unit follows from a request's fields and ``rules``, and nothing else of it.
        """
        self.mirrors = runs(definition)
        """What is copied of the requests that a rule decided, and under None of all others; None if nothing is."""
        self.tells_units = False
        """Whether somebody wants decisions to say for which unit they were made; a copy each, so mostly nobody does."""

    @property
    def cookie_strip(self) -> Strip:
        """Takes gatekeeper's cookies of this service, and the dashboard's, out of the value of a Cookie field.

        Compiled when first used: it takes half a millisecond, and there may be ten thousand services.
        """
        if self._strip is None:
            self._strip = stripper(
                (
                    own_cookie_name(self.name),
                    page_cookie_name(self.name),
                    tester_cookie_name(self.name),
                    *DASHBOARD_COOKIES,
                )
            )
        return self._strip

    def decide(
        self,
        head: Head,
        client_ip: str,
        proxied: bool,
        secure: bool,
        ready: Ready,
        draw: Draw,
        now: float,
        flags: FlagSet | None = None,
    ) -> Decision:
        """See the module. One function with a branch per phase, because every call on this path costs as much as a
        branch; a service that only splits by its own cookie passes six tests of a flag, one search and one hash.

        ``proxied``: the client's address is hearsay. ``secure``: the client came by TLS. ``now``: wall seconds.
        ``flags``: the service's.
        """
        lines = b""
        if head.force or self._by_gate:
            answer = self._gate.ask(head, client_ip, proxied, secure, now)
            if answer is not None:
                if answer.version is not None:
                    forced = self._force(answer.version, answer.set_cookie, ready)
                    return forced if flags is None else self._with_flags(forced, flags, head, client_ip, draw)
                lines = answer.set_cookie

        split = self._split
        decision: Decision | None = None
        if self.rules is not None:
            target = self.rules.first(head, client_ip)
            if isinstance(target, Decision):
                decision = target
            elif target is not None:
                split = target

        navigates = False
        if self._pages is not None:
            navigates = self._pages.navigates(head)
            if decision is None and not navigates:
                decision = self._follow_page(self._pages, split, head.cookie, ready, now)

        to_pin = False
        minted = b""
        unit: bytes | None = None
        point = -1
        if decision is None:
            if self._pins is not None:
                decision, to_pin = self._follow_pin(self._pins, split, head.cookie, ready)
            if decision is None:
                if self._own_only:
                    # The default, without the detour: worth a tenth of the decision.
                    match = self._own(head.cookie)
                    if match is not None:
                        unit = match[1]
                else:
                    for find in self._finders:
                        unit = find(head, client_ip)
                        if unit:
                            break
                if unit:
                    hashed = split.hasher.copy()
                    hashed.update(unit)
                    point = _from_bytes(hashed.digest(), "big")
                    decision = split.known[bisect_right(split.uppers, point)]
                elif self._mints:
                    minted = new_id(draw(), draw())
                    hashed = split.hasher.copy()
                    hashed.update(minted)
                    point = _from_bytes(hashed.digest(), "big")
                    decision = split.fresh[bisect_right(split.uppers, point)]
                else:
                    decision = split.fresh[bisect_right(split.uppers, draw() % SPACE)]

        if not ready[decision.version.slot]:
            decision = self._fail_over(decision, ready)
        if flags is not None:
            if not unit and flags.by_unit:
                unit = minted or self.unit_of(head, client_ip)
                if not unit and self._mints:
                    unit = minted = new_id(draw(), draw())
            decision = flags.evaluate(head, client_ip, unit or None, decision.version.name, draw).on(decision)
        if to_pin:
            lines += self._pin(decision, split, head.cookie, minted, secure, draw)
        elif minted:
            lines += self._own_line.line(minted, secure)
        if navigates and self._pages is not None and not decision.unavailable:
            lines += self._pages.note(decision.version.name, head.cookie, now, secure)
        if self.tells_units and (unit or minted):
            return decision.of_unit(point, unit or minted, lines)
        return decision.with_cookie(lines) if lines else decision

    def unit_of(self, head: Head, client_ip: str) -> bytes | None:
        """The id of who sent the request, if it has one."""
        for find in self._finders:
            unit = find(head, client_ip)
            if unit:
                return unit
        return None

    def _with_flags(self, decision: Decision, flags: FlagSet, head: Head, client_ip: str, draw: Draw) -> Decision:
        unit = self.unit_of(head, client_ip) if flags.by_unit else None
        return flags.evaluate(head, client_ip, unit, decision.version.name, draw).on(decision)

    def _force(self, version: str, lines: bytes, ready: Ready) -> Decision:
        decision = self._forced[version]
        if not ready[decision.version.slot]:
            decision = decision.nowhere()
        return decision.with_cookie(lines) if lines else decision

    def _follow_page(self, pages: Pages, split: SplitRoute, cookie: bytes, ready: Ready, now: float) -> Decision | None:
        opened = pages.open(cookie, now)
        if opened is None or not ready[self.versions[opened[0]].slot]:
            return None
        name = opened[0]
        followed = split.page.get(name)
        if followed is None and split is self._split and pages.kept(name, now):
            # Superseded is a word about the service's own split: a rule's split never held the version.
            followed = Decision(self, self.versions[name], PAGE, weight=0.0)
        return followed

    def _follow_pin(self, pins: Signer, split: SplitRoute, cookie: bytes, ready: Ready) -> tuple[Decision | None, bool]:
        """The pinned decision, if the pin can be followed here, and whether the pin is to be written anew."""
        name = self._pinned_version(pins, cookie)
        if name is None:
            return None, True
        followed = split.pinned.get(name)
        if followed is not None and ready[followed.version.slot]:
            return followed, False
        return None, split is self._split or name not in self._split.pinned

    def _pinned_version(self, pins: Signer, cookie: bytes) -> str | None:
        match = self._own(cookie) if cookie else None
        if match is None or match[2] is None:
            return None
        for name, sealed in self._seals.items():
            if pins.verify(match[1], sealed, match[2]):
                return name
        return None

    def _pin(
        self, decision: Decision, split: SplitRoute, cookie: bytes, minted: bytes, secure: bool, draw: Draw
    ) -> bytes:
        """The Set-Cookie line that pins the browser to what was decided, under the id it has or gets now."""
        name = decision.version.name
        if self._pins is None or decision.unavailable or name not in split.pinned:
            # Failed over to where no weight is: nothing to stay with. A new browser still gets its id.
            return self._own_line.line(minted, secure) if minted else b""
        match = self._own(cookie)
        own = minted or (match[1] if match is not None else new_id(draw(), draw()))
        return self._own_line.line(own + b"." + self._pins.tag(own, self._seals[name]), secure)

    def _fail_over(self, decision: Decision, ready: Ready) -> Decision:
        for version in self._fail_overs:
            if ready[version.slot]:
                return decision.elsewhere(version)
        return decision.nowhere()

    def _fail_over_order(self) -> tuple[VersionRoute, ...]:
        others = [route for route in self.versions.values() if route is not self.stable and route.weight > 0]
        # sorted() is stable: equal weights go by the order of definition.
        return (self.stable, *sorted(others, key=lambda route: -route.weight))


def _rule_index(
    service: ServiceRoute, rules: Sequence[Rule], splits: Mapping[str, Split]
) -> RuleIndex[Decision | SplitRoute] | None:
    """Rules with their version's decision, or with their own split; None without rules."""
    targets: list[tuple[When, Decision | SplitRoute]] = []
    for rule in rules:
        if rule.to is not None:
            targets.append((rule.when, Decision(service, service.versions[rule.to], RULE, rule.name)))
        else:
            targets.append((rule.when, SplitRoute(service, splits[rule.name], rule.name)))
    return RuleIndex(targets) if targets else None
