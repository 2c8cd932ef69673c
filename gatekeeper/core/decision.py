"""What a decision says: the version a request goes to, and why.

Decisions are shared: the common ones are made when the table is compiled and handed out again and again. Nobody
changes one; what differs per request (a cookie, a fail-over) is a copy.
"""

from collections.abc import Callable
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


class VersionRoute:
    """A version of a service, ready for use. Nobody changes one. Equal only to itself.

    ``slot``: the position of its numbers in a metrics block, and of its readiness in ``ready``. ``head_lines``: field
    lines that tell the backend the version and the revision of the service's last change.
    """

    __slots__ = ("head_lines", "name", "service", "slot", "version", "weight")

    def __init__(
        self, service: str, name: str, slot: int, version: Version, weight: Decimal, head_lines: bytes
    ) -> None:
        self.service = service
        self.name = name
        self.slot = slot
        self.version = version
        self.weight = weight
        self.head_lines = head_lines


class Decision:
    """Read only by habit. No dataclass: compiled, its attributes need not be looked up (with a
    backend's, 12 % of the CPU of a request).

    ``rule``: the rule that decided or whose split did. ``set_cookie``: complete Set-Cookie lines, or empty.
    ``unavailable``: no backend is ready, neither in ``version`` nor where it may fail over to. ``weight``: the share,
    0..1, that the split gave to the version first wanted; 1 where no split was asked, 0 for a superseded version that
    an open page still uses. ``unit``: the point of the unit in the hash range of the split that decided; -1 where there
    is none, or nobody wants to know (``ServiceRoute.tells_units``). ``flags``: what the request has of each flag of the
    service; None where it has no flags. ``who``: the id of the unit; empty where there is none, or nobody wants to
    know.
    """

    __slots__ = (
        "failed_over_from", "flags", "forced", "reason", "rule", "service", "set_cookie", "unavailable", "unit",
        "version", "weight", "who",
    )  # fmt: skip

    def __init__(
        self,
        service: "ServiceRoute",
        version: VersionRoute,
        reason: str,
        rule: str | None = None,
        forced: bool = False,
        set_cookie: bytes = b"",
        failed_over_from: VersionRoute | None = None,
        unavailable: bool = False,
        weight: float = 1.0,
        unit: int = -1,
        flags: "Evaluated | None" = None,
        who: bytes = b"",
    ) -> None:
        self.service = service
        self.version = version
        self.reason = reason
        self.rule = rule
        self.forced = forced
        self.set_cookie = set_cookie
        self.failed_over_from = failed_over_from
        self.unavailable = unavailable
        self.weight = weight
        self.unit = unit
        self.flags = flags
        self.who = who

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
