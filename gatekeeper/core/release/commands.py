"""What can be asked of releases, as commands. What comes of them is in ``start``, ``acts`` and ``advance``."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gatekeeper.core.outcome import Command
from gatekeeper.core.release.calendar import Offset
from gatekeeper.core.release.model import CheckResult, VerdictView
from gatekeeper.core.release.plan import DIRECT, Plan


class Verb(StrEnum):
    """What people may do to a release."""

    APPROVE = "approve"
    REJECT = "reject"
    PAUSE = "pause"
    RESUME = "resume"
    SKIP = "skip"
    PROMOTE = "promote"
    ABORT = "abort"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseCommand(Command):
    """What every command about releases may know of the world.

    ``offset`` says how many seconds a time zone is east of UTC at a wall second. ``steady`` is the wall time of the
    process counted by its monotonic clock, so that holds are measured by what really passed; None: the wall clock.
    ``ready`` says of each service of the release whether its candidate has a ready backend; None: not known, and then
    no step is taken that asks for it.
    """

    offset: Offset
    steady: float | None = None
    ready: Mapping[str, bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRelease(ReleaseCommand):
    """Move each of ``services`` (name -> version) by ``plan``, all as one. ``groups`` are the actor's.

    ``at`` (wall seconds) replaces the plan's.
    """

    services: Mapping[str, str]
    plan: Plan = DIRECT
    at: float | None = None
    groups: tuple[str, ...] = ()

    @property
    def service(self) -> str:
        """For the audit."""
        return ", ".join(self.services)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act(ReleaseCommand):
    """What the actor, member of ``groups``, does to the ``release`` (None: that of ``service``, the active or last).

    ``gate`` is the one an approval is for; None: those of the next step that asks for any.
    """

    event: Verb
    service: str | None = None
    release: int | None = None
    reason: str = ""
    groups: tuple[str, ...] = ()
    gate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDone(ReleaseCommand):
    """All checks of ``gate`` have come to an end. What is not being verified any more changes nothing."""

    release: int
    gate: str
    results: tuple[CheckResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged(ReleaseCommand):
    """What the judge says now; ``demand.is_news`` says whether it is worth a command. Once of kind ``rollback``, for
    one cause, it is acted upon as the plan's ``on_fail`` says.
    """

    release: int
    verdict: VerdictView


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance(ReleaseCommand):
    """Do what is due by now: go on, let approvals expire, pause what takes too long, end a retention."""

    release: int
