"""Plans: what a release does in which order, and what must be true to go on. Values only.

All durations are seconds, moments wall seconds. Weights of steps are percent of the service's traffic.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.shadow.model import Mirror


class OnFail(StrEnum):
    ROLLBACK = "rollback"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """A GET to every backend of the candidate. ``within`` bounds each; an empty ``body_contains`` asks for nothing."""

    path: str
    status: tuple[int, ...] = (200,)
    body_contains: str = ""
    within: float = 2.0


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """A program of the machine gatekeeper runs on; exit code 0 passes. ``{url}`` in ``run`` is the first backend's."""

    run: tuple[str, ...]
    timeout: float = 120.0


@dataclass(frozen=True, slots=True)
class ReleasedInCheck:
    """The same build was released at another gatekeeper (``url`` of its admin API, ``token_file`` for it)."""

    url: str
    service: str
    token_file: str | None = None
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class MirrorCheck:
    """Users' requests are copied to the candidate for ``seconds``; at least ``at_least`` answers must be compared.

    ``mirror`` is to nobody: the release says to whom. ``max_different`` is the part (0..1) of the answers that may
    differ, or be missing.
    """

    mirror: Mirror
    seconds: float = 600.0
    max_different: float = 0.001
    at_least: int = 100


@dataclass(frozen=True, slots=True)
class Check:
    """Exactly one of the four is set."""

    http: HttpCheck | None = None
    command: CommandCheck | None = None
    released_in: ReleasedInCheck | None = None
    mirror: MirrorCheck | None = None

    @property
    def name(self) -> str:
        """For people; the same check has the same name. Within a gate ``names`` tells them apart."""
        if self.http is not None:
            return f"http {self.http.path}"
        if self.command is not None:
            return f"command {' '.join(self.command.run)}"
        if self.released_in is not None:
            return f"released_in {self.released_in.url} {self.released_in.service}"
        if self.mirror is not None:
            return f"mirror {self.mirror.mirror.percent:g} %"
        return "nothing"


def names(checks: Iterable[Check]) -> list[str]:
    """The name of each of them in their order; those that look twice in one place are numbered from the second on."""
    found: list[str] = []
    for check in checks:
        name, number = check.name, 2
        while name in found:
            name, number = f"{check.name} ({number})", number + 1
        found.append(name)
    return found


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of some days in a time zone. ``days`` are 0 (Monday) to 6; ``start`` and ``end`` minutes of the local day.

    ``end`` is at most 1440. One before or at ``start`` is on the next day; a window belongs to the day it begins on.
    """

    days: tuple[int, ...]
    start: int
    end: int
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Freeze:
    """No start and no step then: from ``since`` until ``until`` and, if there is a ``window``, only while it is open.

    It never keeps anybody from a rollback. Without ``services`` it is for all of them.
    """

    reason: str = ""
    since: float | None = None
    until: float | None = None
    window: Window | None = None
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Approval:
    """One member of each of ``groups`` must agree, none of them the author, nobody for two groups.

    What was agreed to longer than ``expires`` ago counts no more.
    """

    groups: tuple[str, ...]
    expires: float = 86400.0


@dataclass(frozen=True, slots=True)
class Step:
    """``verify``, ``approve`` and ``pause`` come before its weight is set, ``hold`` after."""

    weight: Decimal
    hold: float = 0.0
    approve: Approval | None = None
    pause: bool = False
    verify: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """``verify`` and ``approve`` come before the first step, which is taken no earlier than ``at``.

    Every step is taken only while ``window`` is open. The last step's weight is 100. ``max_hold`` is the longest a
    hold goes on for want of a verdict that lets it end; ``retain`` how long a rollback brings the old version back
    after the promotion. Without an ``analysis`` nobody judges.
    """

    name: str
    steps: tuple[Step, ...]
    verify: tuple[Check, ...] = ()
    at: float | None = None
    window: Window | None = None
    approve: Approval | None = None
    on_fail: OnFail = OnFail.ROLLBACK
    max_hold: float = 86400.0
    retain: float = 3600.0
    analysis: Analysis | None = None


DIRECT: Final = Plan("direct", (Step(Decimal(100)),))
"""A release without a plan: everything at once, as soon as it is asked for."""


@dataclass(frozen=True, slots=True)
class Group:
    """Services that are released, and taken back, as one. ``plan`` is the one they use if none is named."""

    services: tuple[str, ...]
    plan: str | None = None


@dataclass(frozen=True, slots=True)
class Notify:
    """Who is told of events (``events`` names their kinds; none: all of releases). ``secret`` signs what is sent."""

    url: str
    secret: str = ""
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Releasing:
    """What the file says of releases. It decides no route, so workers never get it."""

    plans: Mapping[str, Plan] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    """Service -> the plan it uses if none is named."""
    groups: Mapping[str, Group] = field(default_factory=dict)
    freezes: tuple[Freeze, ...] = ()
    notify: tuple[Notify, ...] = ()
