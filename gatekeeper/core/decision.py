"""What a decision says: the version a request goes to, and why.

Decisions are shared: the common ones are made when the table is compiled and handed out again and again. Nobody
changes one; what differs per request (a cookie, a fail-over) is a copy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from gatekeeper.core.model import Version

if TYPE_CHECKING:
    from gatekeeper.core.flags.evaluate import Evaluated
    from gatekeeper.core.service import ServiceRoute

Draw = Callable[[], int]
"""64 random bits."""

FORCED = "forced"
"""A tester asked for the version, and may."""
RULE = "rule"
"""A rule sent it to a version or to a split of its own."""
STICKY = "sticky"
"""The split, for a unit that was known."""
SPLIT = "split"
"""The split, for a new unit or a draw without one."""
PINNED = "pinned"
"""The browser's first assignment (mode pin)."""
PAGE = "page"
"""What an open page loads follows the page (skew)."""


@dataclass(frozen=True, slots=True, eq=False)
class VersionRoute:
    """A version of a service, ready for use. Equal only to itself."""

    service: str
    name: str
    slot: int
    """The position of its numbers in a metrics block, and of its readiness in ``ready``."""
    version: Version
    weight: Decimal
    head_lines: bytes
    """Field lines that tell the backend the version and the revision of the service's last change."""


@dataclass(slots=True, eq=False)
class Decision:
    """Read only by habit; ``frozen`` would triple the cost of making one."""

    service: "ServiceRoute"
    version: VersionRoute
    reason: str
    rule: str | None = None
    """The rule that decided or whose split did."""
    forced: bool = False
    set_cookie: bytes = b""
    """Complete Set-Cookie lines, or empty."""
    failed_over_from: VersionRoute | None = None
    unavailable: bool = False
    """No backend is ready, neither in ``version`` nor where it may fail over to."""
    weight: float = 1.0
    """The share, 0..1, that the split gave to the version first wanted; 1 where no split was asked, 0 for a
    superseded version that an open page still uses."""
    unit: int = -1
    """The point of the unit in the hash range of the split that decided; -1 where there is none, or nobody wants to
    know (``ServiceRoute.tells_units``)."""
    flags: "Evaluated | None" = None
    """What the request has of each flag of the service; None where it has no flags."""
    who: bytes = b""
    """The id of the unit; empty where there is none, or nobody wants to know."""

    def of_unit(self, point: int, who: bytes, lines: bytes) -> "Decision":
        """The same for the unit of this id, at this point, with these Set-Cookie lines."""
        return Decision(
            self.service,
            self.version,
            self.reason,
            self.rule,
            self.forced,
            lines,
            self.failed_over_from,
            self.unavailable,
            self.weight,
            point,
            self.flags,
            who,
        )

    def with_cookie(self, lines: bytes) -> "Decision":
        """The same with these Set-Cookie lines, the only ones."""
        return Decision(
            self.service,
            self.version,
            self.reason,
            self.rule,
            self.forced,
            lines,
            self.failed_over_from,
            self.unavailable,
            self.weight,
            self.unit,
            self.flags,
            self.who,
        )

    def with_flags(self, flags: "Evaluated") -> "Decision":
        """The same for a request with these flags."""
        return Decision(
            self.service,
            self.version,
            self.reason,
            self.rule,
            self.forced,
            self.set_cookie,
            self.failed_over_from,
            self.unavailable,
            self.weight,
            self.unit,
            flags,
            self.who,
        )

    def elsewhere(self, version: VersionRoute) -> "Decision":
        """Failed over to ``version``."""
        return Decision(
            self.service,
            version,
            self.reason,
            self.rule,
            self.forced,
            self.set_cookie,
            self.version,
            self.unavailable,
            self.weight,
            self.unit,
            self.flags,
            self.who,
        )

    def nowhere(self) -> "Decision":
        """No backend is ready: ``version`` stays the one wanted."""
        return Decision(
            self.service,
            self.version,
            self.reason,
            self.rule,
            self.forced,
            self.set_cookie,
            unavailable=True,
            weight=self.weight,
            unit=self.unit,
            flags=self.flags,
            who=self.who,
        )
