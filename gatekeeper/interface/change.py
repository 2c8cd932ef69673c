"""What all verbs that change something share: their options, the question before, what is said after."""

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from gatekeeper.interface import arguments, render
from gatekeeper.interface.failures import REFUSED, objects
from gatekeeper.interface.session import Session

PENDING = "pending."
"""Paths of changes that wait to be confirmed: the text says so by itself."""
RELEASE = re.compile(r"releases\.([0-9]+)(?:\.(.+))?")
"""Parts of a release: what has become of it is said, `release show` has the rest."""
DRAINING = re.compile(r"services\.[^.]+\.draining\..+")
CONFIRM_LOW, CONFIRM_HIGH = 10, 7 * 86400
"""Seconds: nobody confirms faster than in ten of them, and after a week nobody remembers."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How a change is wanted. ``confirm_within`` in seconds; None: for good."""

    expect: int | None = None
    dry_run: bool = False
    note: str = ""
    confirm_within: int | None = None

    def query(self, *, dry_run: bool | None = None) -> dict[str, str]:
        """The parameters of the request; ``dry_run`` overrides, for a look before the question."""
        found = {}
        if self.dry_run if dry_run is None else dry_run:
            found["dry_run"] = "1"
        if self.note:
            found["note"] = self.note
        if self.confirm_within is not None:
            found["confirm_within"] = f"{self.confirm_within}s"
        return found


def wishes(
    *, confirmable: bool, noted: bool = True, also: str = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options of a change to a verb, which gets them as one argument, ``wish``. ``also`` is another name of
    ``--note``.
    """
    options = [
        click.option("--expect", type=click.IntRange(0), metavar="REV", help="Refuse if the revision is another one."),
        click.option("--dry-run", is_flag=True, help="Only say what would happen."),
    ]
    if noted:
        names = ("--note", also) if also else ("--note",)
        options.append(click.option(*names, "note", default="", metavar="TEXT", help="Why; kept in the history."))
    if confirmable:
        within = arguments.duration(CONFIRM_LOW, CONFIRM_HIGH, "10s to 7d")
        text = "Undo it after TIME (10s to 7d) unless confirmed."
        options.append(click.option("--confirm-within", callback=within, metavar="TIME", help=text))

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def verb(
            *args: Any,
            expect: int | None,
            dry_run: bool,
            note: str = "",
            confirm_within: int | None = None,
            **more: Any,
        ) -> Any:
            return function(*args, wish=Wish(expect, dry_run, note, confirm_within), **more)

        found: Callable[..., Any] = verb
        for option in reversed(options):
            found = option(found)
        return found

    return decorate


def not_agreed() -> int:
    """What is said and returned when the question was answered with no."""
    click.echo("gatekeeper: not confirmed; nothing was changed", err=True)
    return REFUSED


def agreed_to(session: Session, proposed: dict[str, Any], question: str) -> bool:
    """Show what a dry run would change, on standard error, and ask; True if there is nothing to ask about."""
    lines = change_lines(proposed.get("changes"))
    for line in lines:
        click.echo(f"  {line}", err=True)
    return not lines or session.agree(question)


def show(session: Session, reply: dict[str, Any], wish: Wish, *, subject: str = "", before: str = "") -> None:
    """Print the reply, see ``describe``."""
    session.emit(reply, lambda: describe(session, reply, wish, subject=subject, before=before))


def describe(session: Session, reply: dict[str, Any], wish: Wish, *, subject: str = "", before: str = "") -> None:
    """One line of result, then what changed, one per line, then until when it is to be confirmed.

    ``subject`` is what was changed, where the reply's service alone does not say it; ``before`` the weights before.
    """
    subject = render.clean(subject or reply.get("service") or "")
    split = render.weights(reply["split"]) if isinstance(reply.get("split"), dict) else ""
    was = f" (was {before})" if before and before != split else ""
    parts = [f"{split}{was}"] if split else []
    parts.append(ending(reply, dry_run=wish.dry_run))
    click.echo(f"{subject}: {'; '.join(parts)}" if subject else "; ".join(parts))
    # The first line has said what became of the split, and the last ones say what is to be confirmed.
    said = {f"services.{reply.get('service') or subject}.split"} if split else set()
    for line in change_lines(reply.get("changes"), but=said):
        click.echo(f"  {line}")
    for warning in reply.get("warnings") or ():
        click.echo(f"  warning: {render.clean(warning)}", err=True)
    if reply.get("note"):
        click.echo(f"  {render.clean(reply['note'])}")
    if (deadline := reply.get("confirm_by")) and not wish.dry_run:
        click.echo(f"  undoes itself at {render.moment(deadline)} unless you confirm it:")
        click.echo(f"  {session.again('confirm ' + str(reply.get('revision')))}")


def ending(reply: dict[str, Any], *, dry_run: bool) -> str:
    """``revision 18, taken up by 2 of 2 workers in 3.4 ms``, or that nothing was changed."""
    revision, workers = reply.get("revision"), reply.get("workers") or {}
    if reply.get("base") == revision:
        return f"nothing to change at revision {revision}"
    if dry_run:
        return f"would become revision {revision}; nothing was changed"
    end = f"revision {revision}"
    if workers:
        end += f", taken up by {workers.get('acknowledged')} of {workers.get('total')} workers"
    if reply.get("ms") is not None:
        end += f" in {render.number(round(float(reply['ms']), 1))} ms"
    return end


def change_lines(changes: object, *, but: Collection[str] = ()) -> list[str]:
    """``PATH: BEFORE -> AFTER`` for each change, or added and removed; without the paths ``but``."""
    lines = []
    for change in (found := objects(changes)):
        path = str(change.get("path", ""))
        if path in but or path.startswith(PENDING):
            continue
        if release := RELEASE.fullmatch(path):
            lines += _became(release[1], release[2], change, found)
            continue
        show = _moment if DRAINING.fullmatch(path) else _compact
        before, after = change.get("before"), change.get("after")
        if before is None:
            what = f"added {show(after)}"
        elif after is None:
            what = f"removed (was {show(before)})"
        else:
            what = f"{show(before)} -> {show(after)}"
        lines.append(render.clean(f"{path}: {what}"))
    return lines


def _became(number: str, part: str | None, change: dict[str, Any], changes: list[dict[str, Any]]) -> list[str]:
    """``release 41: progressing -> rolled back (by ann)``, or ``release 41: started, shop to green, plan careful``."""
    before, after = change.get("before"), change.get("after")
    if part is None and isinstance(after, dict):
        moves = ", ".join(f"{service} to {version}" for service, version in dict(after.get("moves") or {}).items())
        return [render.clean(f"release {number}: started, {moves}, plan {after.get('plan')}")]
    if part != "state":
        return []
    reasons = (each.get("after") for each in changes if each.get("path") == f"releases.{number}.reason")
    why = f" ({reason})" if (reason := next(reasons, None)) else ""
    return [render.clean(f"release {number}: {_words(before)} -> {_words(after)}{why}")]


def _words(state: object) -> str:
    return str(state).replace("_", " ")


def _moment(value: object) -> str:
    return f"until {render.moment(value)}"


def _compact(value: object) -> str:
    if isinstance(value, dict) and value and all(isinstance(item, int | float) for item in value.values()):
        return render.weights(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
