"""``release``: bring a version to users by a plan, and all that people do to it on its way."""

import time
from dataclasses import dataclass
from typing import Any

import click

from gatekeeper.interface import (
    arguments,
    change,
    completion,
    following,
    release_view,
    render,
    verbs_released,
    verbs_verdict,
    when,
)
from gatekeeper.interface.change import Wish, wishes
from gatekeeper.interface.client import service_path
from gatekeeper.interface.failures import objects
from gatekeeper.interface.session import Session, current, shared
from gatekeeper.interface.verbs_released import ID, SERVICE, release_path


@click.group()
@shared
def release() -> None:
    """Bring a version to users by a plan.

    SERVICE may be a name of `releases:` in the file: services that move as one.
    """


def _moment(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return when.read(value, time.time())
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error


@release.command()
@SERVICE
@click.option("--to", required=True, metavar="VERSION", shell_complete=completion.version, help="The new version.")
@click.option("--plan", metavar="PLAN", shell_complete=completion.plan, help="Default: the service's; none: at once.")
@click.option(
    "--at", callback=_moment, metavar="TIME", help="First step not before: 2026-12-01T06:00, 18:30, 'in 10m'."
)
@click.option(
    "--with",
    "others",
    multiple=True,
    callback=arguments.pairs("=", "cart=green"),
    metavar="SERVICE=VERSION",
    shell_complete=completion.move,
    help="Another service that moves as one with it; repeatable.",
)
@click.option("--wait", "waits", is_flag=True, help="Follow it to its end; exit 1 unless it was promoted.")
@wishes(confirmable=False)
@shared
def start(
    service: str,
    to: str,
    plan: str | None,
    at: float | None,
    others: list[tuple[str, str]],
    waits: bool,
    wish: Wish,
) -> int | None:
    """Release a version.

    By the plan: its checks, then people and time, then step by step. Without any plan all users get it at once.
    """
    session = current()
    client = session.client()
    body: dict[str, Any] = {"to": to}
    if plan is not None:
        body["plan"] = plan
    if at is not None:
        body["at"] = at
    if others:
        body["with"] = _unique(others)
    path = service_path(service, "releases")
    expect = wish.expect
    if session.asks and plan is None and not wish.dry_run:
        proposed = client.call("POST", path, body=body, query=wish.query(dry_run=True), expect=expect).data
        if _at_once(proposed["release"]["plan"]):
            if not session.agree(f"There is no plan for {render.clean(service)}: all users get {to} at once. Go on?"):
                return change.not_agreed()
            expect = proposed.get("base")
    reply = client.call("POST", path, body=body, query=wish.query(), expect=expect).data
    if not waits or wish.dry_run:
        session.emit(reply, lambda: _show(session, reply, wish, "started"))
        return None
    if not session.as_json:
        _show(session, reply, wish, "started")
    followed = release_path(service, reply["release"]["id"])
    code, found = following.to_the_end(session, client, followed, reply["release"])
    session.emit(found, lambda: click.echo(f"release {found['id']}: {render.clean(found.get('headline'))}"))
    return code


def _unique(others: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, version in others:
        if name in found or not version:
            what = "is named twice" if name in found else "has no version"
            raise click.BadParameter(f"{name!r} {what}; it looks like cart=green", param_hint="'--with'")
        found[name] = version
    return found


def _at_once(plan: dict[str, Any]) -> bool:
    """Whether nothing stands between the start and all users."""
    (first, *more) = plan["steps"]
    gates = [plan.get("verify"), plan.get("approve"), plan.get("at"), plan.get("window")]
    return not (more or any(gates) or any(first.get(name) for name in ("hold", "approve", "pause", "verify")))


def _show(session: Session, reply: dict[str, Any], wish: Wish, done: str) -> None:
    """What was done, and what comes next."""
    found = reply["release"]
    what = f"release {found['id']} of {render.listing(found.get('services') or [])}"
    end = change.ending(reply, dry_run=wish.dry_run)
    repeated = reply.get("base") == reply.get("revision")
    click.echo(f"{render.clean(what)}: {end if repeated or wish.dry_run else f'{done}; {end}'}")
    for line in release_view.situation(found, session.again("")):
        click.echo(f"  {line}")


@dataclass(frozen=True, slots=True)
class Act:
    """What people do to a release that is under way. ``done`` says it afterwards; with ``why`` it needs a reason."""

    name: str
    done: str
    text: str
    why: bool = False


ACTS = (
    Act("approve", "approved", "Agree to the next step that asks your group.\n\nNever to a release of your own."),
    Act("reject", "rejected", "Refuse it: it ends, and users are where they were before.", why=True),
    Act("pause", "paused", "Keep it where it is; the time of its hold does not go on."),
    Act("resume", "resumed", "Go on, where somebody or the plan paused it."),
    Act("skip", "skipped", "Leave out what it is at: checks, gates or a hold.", why=True),
    Act("promote", "promoted", "Give the new version all users now; the steps that are left are left out."),
    Act("abort", "aborted", "End it; users are where they were before."),
)


def _verb(act: Act) -> click.Command:
    @SERVICE
    @ID
    @click.option("--reason", required=act.why, metavar="TEXT", help="Why; kept with the release and in the audit.")
    @wishes(confirmable=False, noted=False)
    @shared
    def verb(service: str, release: int | None, reason: str | None, wish: Wish, gate: str | None = None) -> int | None:
        return _done(act, service, release, {"reason": reason, "gate": gate}, wish)

    if act.name == "approve":
        text = "Only this one: start, or how many steps come before it."
        verb = click.option("--gate", metavar="GATE", help=text)(verb)
    return click.command(act.name, help=act.text)(verb)


def _done(act: Act, service: str, release: int | None, body: dict[str, str | None], wish: Wish) -> int | None:
    session = current()
    client = session.client()
    path = release_path(service, release)
    if act.name == "promote" and session.asks and not wish.dry_run:
        seen = client.get(path)
        if not session.agree(f"{_left_out(seen)} Go on?"):
            return change.not_agreed()
        path = release_path(service, seen["id"])  # the one that was looked at, and no later one
    sent = {name: value for name, value in body.items() if value is not None}
    reply = client.call("POST", f"{path}/{act.name}", body=sent, query=wish.query(), expect=wish.expect).data
    session.emit(reply, lambda: _show(session, reply, wish, act.done))
    return None


def _left_out(seen: dict[str, Any]) -> str:
    """What a promotion now leaves out."""
    left = sum(stage.get("state") in {"now", "to_come"} for stage in objects(seen.get("timeline")))
    names = dict.fromkeys(str(move.get("to")) for move in objects(seen.get("moves")))
    steps = "1 step" if left == 1 else f"{left} steps"
    return render.clean(f"{', '.join(names)} gets all users now; what is left of the plan ({steps}) is left out.")


for _room in (verbs_released.VERBS, verbs_verdict.OF_RELEASE, map(_verb, ACTS)):
    for _each in _room:
        release.add_command(_each)

VERBS = (release,)
