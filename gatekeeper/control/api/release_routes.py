"""The part of the table of operations that is about releases."""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from gatekeeper.control.api import release_answers as answers
from gatekeeper.control.api import release_bodies as bodies
from gatekeeper.control.api.operation import Call, Content, Operation
from gatekeeper.control.api.parameters import DRY_RUN, NOTE, duration, flag, number, text
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.releases import BY_THOSE_ASKED, WITH_REASON, Releases
from gatekeeper.control.api.report import MARKDOWN, Reports
from gatekeeper.control.api.verdict_answers import ReleaseVerdict
from gatekeeper.control.api.verdicts import LINES, Verdicts
from gatekeeper.control.api.verify import Verify
from gatekeeper.control.store.history import PAGE
from gatekeeper.control.store.rows import Answer
from gatekeeper.core.command import Verb
from gatekeeper.core.model import Role

_RELEASES: Final = "/v1/services/{service}/releases"
_RELEASE: Final = _RELEASES + "/{release}"
_LIST: Final = (
    text("build", "Only those whose candidate was this build."),
    number("limit", "How many at most.", default=20, high=PAGE),
    number("before", "Only what is older than this one: the next page.", default=0),
    flag("active", "Only those that are under way."),
)
_OF_A_WRITE: Final = (DRY_RUN, NOTE)
"""Without ``confirm_within``: a release has its own way back."""
_WAIT: Final = duration(
    "wait",
    "How long all checks together may take; those that run then are ended and have failed.",
    low=1.0,
    high=3600.0,
    default=120.0,
    pattern=r"^([1-9]\d{0,2}s|[1-9]m|[1-5]\dm|1h)$",
)
_NOT_ONE: Final = ("unknown_release", "no_release")
_START: Final = {"to": "green", "plan": "careful"}
_VERIFY: Final = {"version": "green"}

_ACTS: Final = {
    Verb.APPROVE: "Agree to the next step that asks one's group",
    Verb.REJECT: "Refuse it: it ends, and users are where they were before",
    Verb.PAUSE: "Keep it where it is",
    Verb.RESUME: "Go on, where somebody or the plan paused it",
    Verb.SKIP: "Leave out what it is at: checks, gates or a hold",
    Verb.PROMOTE: "Give the candidate everything now; the steps that are left are left out",
    Verb.ABORT: "End it; users are where they were before",
}
_REFUSED: Final = {
    Verb.APPROVE: ("forbidden", "own_release", "not_asked", "nobody_is_asked", "unknown_gate"),
    Verb.REJECT: ("forbidden", "reason_required"),
    Verb.SKIP: ("reason_required", "own_release", "candidate_not_ready"),
    Verb.PROMOTE: ("approval_missing", "not_verified", "not_proven", "frozen", "candidate_not_ready"),
}


def looking(parts: Parts) -> list[Operation]:
    releases, reports, verdicts, verify = Releases(parts), Reports(parts), Verdicts(parts), Verify(parts)
    return [
        Operation(
            "plans",
            "GET",
            "/v1/plans",
            Role.VIEWER,
            "The plans, which of them are used if none is named, what moves as one, and freezes",
            releases.plans,
            answers.Plans,
            etag=True,
        ),
        Operation(
            "all_releases",
            "GET",
            "/v1/releases",
            Role.VIEWER,
            "The releases of all services, newest first",
            releases.all,
            answers.Releases,
            query=_LIST,
            etag=True,
        ),
        Operation(
            "releases",
            "GET",
            _RELEASES,
            Role.VIEWER,
            "The releases of a service, newest first",
            releases.listed,
            answers.Releases,
            query=_LIST,
            etag=True,
        ),
        Operation(
            "release",
            "GET",
            _RELEASE,
            Role.VIEWER,
            "One release: where it is, what it waits for, its steps and gates, its evidence, who did what",
            releases.show,
            answers.Release,
            etag=True,
            codes=_NOT_ONE,
        ),
        Operation(
            "release_report",
            "GET",
            _RELEASE + "/report",
            Role.VIEWER,
            "The release with every revision it made, for a change ticket",
            reports.report,
            answers.Report,
            etag=True,
            codes=_NOT_ONE,
            also=(MARKDOWN,),
        ),
        Operation(
            "release_verdict",
            "GET",
            _RELEASE + "/verdict",
            Role.VIEWER,
            "What the judge says of a release, and what that rests on",
            verdicts.verdict,
            ReleaseVerdict,
            etag=True,
            codes=_NOT_ONE,
        ),
        Operation(
            "release_seconds",
            "GET",
            _RELEASE + "/seconds",
            Role.VIEWER,
            "What the judge was told, second by second, as `gatekeeper replay` reads it",
            verdicts.seconds,
            LINES,
            query=(text("service", "Which one, of several that move as one."),),
            codes=(*_NOT_ONE, "no_seconds", "busy"),
        ),
        Operation(
            "verify",
            "POST",
            "/v1/services/{service}/verify",
            Role.OPERATOR,
            "Make the checks of a plan now",
            verify.verify,
            answers.Verification,
            query=(_WAIT,),
            content=Content(bodies.VerifyBody, context=verify.context, needed=True, example=_VERIFY),
            codes=("unknown_version", "nothing_to_verify", "busy"),
        ),
    ]


def changing(parts: Parts, again: Callable[[Call, Answer], web.Response]) -> list[Operation]:
    releases = Releases(parts)
    start = Operation(
        "start_release",
        "POST",
        _RELEASES,
        Role.OPERATOR,
        "Bring a version to users by a plan",
        releases.start,
        answers.ReleaseOutcome,
        query=_OF_A_WRITE,
        content=Content(bodies.StartBody, context=releases.context, needed=True, example=_START),
        again=again,
        codes=(
            "unknown_version",
            "already_stable",
            "draining",
            "holds_weight",
            "tripped",
            "frozen",
            "invalid_plan",
            "invalid_services",
        ),
    )
    acts = [
        Operation(
            f"{verb.value}_release",
            "POST",
            f"{_RELEASE}/{verb.value}",
            Role.VIEWER if verb in BY_THOSE_ASKED else Role.OPERATOR,
            summary,
            releases.act(verb),
            answers.ReleaseOutcome,
            query=_OF_A_WRITE,
            content=Content(
                bodies.ApproveBody if verb is Verb.APPROVE else bodies.ActBody,
                needed=verb in WITH_REASON,
                example={"reason": "checked by hand"} if verb in WITH_REASON else None,
            ),
            again=again,
            codes=(*_NOT_ONE, "wrong_state", *_REFUSED.get(verb, ())),
        )
        for verb, summary in _ACTS.items()
    ]
    return [start, *acts]
