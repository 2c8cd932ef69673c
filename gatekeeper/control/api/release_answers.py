"""What clients get of releases, plans and verifications, as models; see ``answers``."""

from typing import Annotated, Any, Literal

from pydantic import Field

from gatekeeper.control.api.answers import Next, Outcome
from gatekeeper.control.api.base import Answer, Share, WallSeconds
from gatekeeper.control.api.past_answers import Revision
from gatekeeper.control.api.verdict_answers import Verdict, VerdictInFull

ReleaseState = Literal["planned", "verifying", "waiting", "progressing", "paused", "promoted", "rolled_back", "aborted"]
StageState = Literal["done", "now", "to_come", "left_out"]
GateState = Literal["done", "failed", "now", "to_come", "skipped", "left_out"]
WaitKind = Literal["approval", "pause", "time", "window", "freeze", "judge", "backends"]
GateKind = Literal["verify", "approval", "time", "window", "freeze", "pause", "judge", "backends"]
Seconds = Annotated[float, Field(description="Seconds.")]


class Window(Answer):
    """Hours of some days."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]]
    hours: str
    timezone: str
    text: str


class Approval(Answer):
    """One member of each group is asked."""

    groups: list[str]
    expires: Annotated[float, Field(description="Seconds for which an approval counts.")]


class Step(Answer):
    weight: Annotated[float, Field(description="Percent of the service's traffic.")]
    hold: Seconds
    approve: Approval | None
    pause: bool
    verify: Annotated[list[str], Field(description="Names of checks.")]


class Plan(Answer):
    name: str
    verify: Annotated[list[str], Field(description="Names of checks.")]
    at: WallSeconds | None
    window: Window | None
    approve: Approval | None
    steps: list[Step]
    on_fail: Literal["rollback", "pause"]
    max_hold: Seconds
    retain: Seconds
    seconds: Annotated[float, Field(description="All holds together.")]
    definition: Annotated[dict[str, Any], Field(description="All of it, as `gatekeeper simulate` reads it.")]


class Freeze(Answer):
    reason: str
    since: WallSeconds | None
    until: WallSeconds | None
    window: Window | None
    services: Annotated[list[str], Field(description="Empty: all.")]
    in_force: bool
    ends: Annotated[WallSeconds | None, Field(description="Of one in force, if its end is known.")]
    text: str


class Group(Answer):
    """Services that are released, and taken back, as one."""

    services: list[str]
    plan: str | None


class Plans(Answer):
    revision: int
    plans: list[Plan]
    defaults: Annotated[dict[str, str], Field(description="Service to the plan it uses if none is named.")]
    groups: dict[str, Group]
    freezes: list[Freeze]


class Move(Answer):
    """``split`` is what it is now; null when a later release has the service, or it is gone."""

    service: str
    from_: Annotated[str, Field(alias="from")]
    to: str
    build: str | None
    before: Annotated[dict[str, float], Field(description="The split that a rollback returns to.")]
    split: Share | None


class Hold(Answer):
    """``over`` goes beyond ``seconds`` while the verdict does not let it pass."""

    seconds: float
    over: float
    counts: Annotated[bool, Field(description="False while it is paused.")]
    until: Annotated[WallSeconds | None, Field(description="When it ends if nothing happens.")]


class _Common(Answer):
    """``now`` is the time of the release, which never runs backwards; all its moments are of that time."""

    id: int
    revision: Annotated[int, Field(description="The one that changed it last.")]
    services: list[str]
    moves: list[Move]
    author: str
    author_groups: list[str]
    note: str
    created: WallSeconds
    state: ReleaseState
    active: bool
    headline: str
    step: Annotated[int, Field(description="The one whose weight is set, from 0; -1: none yet.")]
    steps: int
    since: WallSeconds
    now: WallSeconds
    paused_from: ReleaseState | None
    reason: Annotated[str, Field(description="Why it ended, or is paused.")]
    ended_at: WallSeconds | None
    retained_until: WallSeconds | None
    retained: Annotated[bool, Field(description="A rollback brings the old version back.")]
    hold: Hold | None
    next: Next | None
    allowed: Annotated[list[str], Field(description="What people may do that changes something.")]
    verdict: Verdict | None


class ReleaseBrief(_Common):
    plan: Annotated[str, Field(description="The name of it.")]


class Waiting(Answer):
    kind: WaitKind
    detail: str
    gate: str
    groups: list[str]
    until: WallSeconds | None
    who: Annotated[str, Field(description="Who may open it.")]


class QuestionAnswered(Answer):
    key: Literal["verified", "trigger", "hidden", "decides", "deployed"]
    question: str
    answer: str


class Gate(Answer):
    """``who`` passed it, gave a part of it, or skipped it; ``until`` is when it opens, if that is known."""

    kind: GateKind
    gate: str
    text: str
    state: GateState
    at: WallSeconds | None
    until: WallSeconds | None
    who: list[str]
    missing: list[str]


class Stage(Answer):
    """A step, and before it its gates in the order in which they are passed."""

    step: int
    weight: float
    hold: Seconds
    state: StageState
    from_: Annotated[WallSeconds | None, Field(alias="from")]
    to: WallSeconds | None
    expected: Annotated[WallSeconds | None, Field(description="When it begins if nobody keeps anybody waiting.")]
    gates: list[Gate]


class CheckResult(Answer):
    """``version`` is a digest of what was checked, ``current`` whether that is what is deployed."""

    gate: str
    service: str
    name: str
    passed: bool
    seconds: float
    output: str
    at: WallSeconds
    version: str
    current: bool


class Given(Answer):
    """An approval."""

    gate: str
    actor: str
    groups: list[str]
    reason: str
    at: WallSeconds
    expires: WallSeconds | None


class Skipped(Answer):
    gate: str
    what: str
    actor: str
    reason: str
    at: WallSeconds


class Entry(Answer):
    at: WallSeconds
    actor: str
    event: str
    text: str


class Release(_Common):
    plan: Annotated[Plan, Field(description="The copy that the release follows.")]
    waiting: list[Waiting]
    answers: Annotated[list[QuestionAnswered], Field(min_length=5, max_length=5)]
    timeline: Annotated[list[Stage], Field(description="One for each step of the plan.")]
    checks: list[CheckResult]
    checking: Annotated[list[str], Field(description="Checks that run now.")]
    verdicts: Annotated[list[VerdictInFull], Field(description="One for each service that is judged, or was.")]
    approvals: list[Given]
    skipped: list[Skipped]
    log: Annotated[list[Entry], Field(description="The oldest first.")]


class Releases(Answer):
    revision: int
    releases: Annotated[list[ReleaseBrief], Field(description="The newest first.")]


class ReleaseOutcome(Outcome):
    """``service`` is the name in the path, of a service or of several; these have no ``split``."""

    service: str
    split: Share | None = None
    release: Release


class ReportAbout(Answer):
    made: WallSeconds
    gatekeeper: Annotated[str, Field(description="The version that made the report.")]
    summary: str
    revisions: Annotated[list[Revision], Field(description="Those that the release made, the oldest first.")]


class Report(Release):
    report: ReportAbout


class CheckMade(Answer):
    name: str
    passed: bool
    seconds: float
    output: str
    at: WallSeconds


class Verification(Answer):
    revision: int
    service: str
    version: str
    build: str | None
    plan: str
    passed: bool
    seconds: float
    results: list[CheckMade]
