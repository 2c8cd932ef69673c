"""Releases as the API shows them: whole, in lists, and in a line of their services.

Everything is made of the release, of the state, and of what is known of the world (``looking.Look``); nothing waits.
"""

from dataclasses import asdict
from typing import Any

from gatekeeper.control.api import plan_views, verdict_views, wording
from gatekeeper.control.api.looking import Look, LookAt
from gatekeeper.control.api.timeline import timeline
from gatekeeper.core.model import Release, State
from gatekeeper.core.outcome import plain
from gatekeeper.core.release import answers, gates, lifecycle
from gatekeeper.core.release.guard import last_of
from gatekeeper.core.release.model import CheckResult, Given, Move, ReleaseState
from gatekeeper.core.release.moving import digest

Document = dict[str, Any]


def brief(state: State, release: Release, look: Look) -> Document:
    """As lists show it: without its evidence and its story, the plan by its name."""
    release = verdict_views.refreshed(release, look.standings)
    return {
        "id": release.id,
        "revision": release.revision,
        "services": list(release.services),
        "moves": [_move(state, release, move) for move in release.moves],
        "plan": release.plan.name,
        "author": release.author,
        "author_groups": list(release.author_groups),
        "note": release.note,
        "created": release.created,
        "state": release.state.value,
        "active": release.active,
        "headline": wording.headline(release),
        "step": release.step,
        "steps": len(release.plan.steps),
        "since": release.since,
        "now": look.at(release),
        "paused_from": release.paused_from.value if release.paused_from is not None else None,
        "reason": release.reason,
        "ended_at": release.ended_at,
        "retained_until": release.retained_until,
        "retained": release.retained,
        "hold": _hold(release, look),
        "next": wording.what_next(state, release, look),
        "allowed": [event.value for event in lifecycle.allowed(release, look.at(release))],
        "verdict": verdict_views.of_release(release),
    }


def full(state: State, release: Release, look: Look) -> Document:
    """All that is known of it."""
    release = verdict_views.refreshed(release, look.standings)
    waiting = wording.waiting_now(state, release, look)
    found = answers.answers(state, release)
    return {
        **brief(state, release, look),
        "plan": plan_views.plan(release.plan),
        "waiting": [wording.waiting(release, item) for item in waiting],
        "answers": [
            {"key": key, "question": question, "answer": found[key]} for key, question in answers.QUESTIONS.items()
        ],
        "timeline": timeline(state, release, look, waiting),
        "checks": [_check(state, release, result) for result in release.checks],
        "checking": list(look.checking),
        "verdicts": [verdict_views.document(standing) for standing in look.standings],
        "approvals": [_approval(release, given) for given in release.approvals],
        "skipped": [
            {"gate": each.gate, "what": each.what, "actor": each.actor, "reason": each.reason, "at": each.at}
            for each in release.skipped
        ],
        "log": [asdict(entry) for entry in release.log],
    }


def of_service(state: State, service: str, look_at: LookAt) -> Document:
    """``release`` and ``retained`` of a service: what is being released, and what a rollback brings back."""
    release = last_of(state, service)
    if release is None or not (release.active or release.retained):
        return {"release": None, "retained": None}
    move = next(move for move in release.moves if move.service == service)
    if release.retained:
        return {"release": None, "retained": {"version": move.stable, "until": release.retained_until}}
    look = look_at(release)
    release = verdict_views.refreshed(release, look.standings)
    return {
        "release": {
            "id": release.id,
            "state": release.state.value,
            "headline": wording.headline(release),
            "to": move.to,
            "next": wording.what_next(state, release, look),
            "waiting": [item.detail for item in wording.waiting_now(state, release, look)],
            "verdict": verdict_views.of_release(release),
        },
        "retained": None,
    }


def _move(state: State, release: Release, move: Move) -> Document:
    service = state.services.get(move.service)
    newest = last_of(state, move.service)
    mine = service is not None and newest is not None and newest.id == release.id
    return {
        "service": move.service,
        "from": move.stable,
        "to": move.to,
        "build": move.build,
        "before": plain(move.weights),
        "split": plain(service.running.split.weights) if service is not None and mine else None,
    }


def _hold(release: Release, look: Look) -> Document | None:
    """The hold that is under way, also one that is paused."""
    counts = release.state is ReleaseState.PROGRESSING
    if not counts and not (release.state is ReleaseState.PAUSED and release.paused_from is ReleaseState.PROGRESSING):
        return None
    seconds, over = release.plan.steps[release.step].hold, release.held_at(look.at(release))
    until = look.at(release) + seconds - over if counts and over < seconds else None
    return {"seconds": seconds, "over": over, "counts": counts, "until": until}


def _check(state: State, release: Release, result: CheckResult) -> Document:
    return {
        "gate": result.gate,
        "service": result.service,
        "name": result.name,
        "passed": result.passed,
        "seconds": result.seconds,
        "output": result.output,
        "at": result.at,
        "version": result.version,
        "current": result.version == _candidate(state, release, result.service),
    }


def _candidate(state: State, release: Release, name: str) -> str:
    """The digest of what is deployed as the candidate now; once the release is over, of what it was."""
    move = next((move for move in release.moves if move.service == name), None)
    if move is None:
        return ""
    service = state.services.get(name)
    version = service.definition.versions.get(move.to) if service is not None else None
    there = version is not None and (release.active or release.retained)
    return digest(version) if version is not None and there else move.digest


def _approval(release: Release, given: Given) -> Document:
    asked = gates.asks(release.plan).get(given.gate)
    return {
        "gate": given.gate,
        "actor": given.actor,
        "groups": list(given.groups),
        "reason": given.reason,
        "at": given.at,
        "expires": given.at + asked.expires if asked is not None else None,
    }
