"""Verbs about what was: history, its pruning, the difference of two revisions, going back to one, who did what."""

from typing import Any

import click
from click.shell_completion import CompletionItem

from gatekeeper.interface import arguments, change, completion, render
from gatekeeper.interface.change import Wish, wishes
from gatekeeper.interface.failures import objects
from gatekeeper.interface.session import current, shared

OLDEST = 10 * 365 * 86400
"""Seconds: further back no history goes."""
REVISION = click.IntRange(min=0)


class History(click.Group):
    """``history [SERVICE]`` shows, ``history prune`` prunes; ``history -- prune`` is of a service called prune."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = self._first_word(args)
        if at is not None and args[at] in self.commands:
            args = [args[at], *args[:at], *args[at + 1 :]]
        elif not ({"-h", "--help"} & set(args) or (ctx.resilient_parsing and at is None)):
            # TAB after ``history`` may still become either.
            args = [show.name or "", *args]
        return super().parse_args(ctx, args)

    def _first_word(self, args: list[str]) -> int | None:
        """The place of the first word that is neither an option nor an option's value."""
        takes_value = {
            name for command in self.commands.values() for one in command.params for name in one.opts if _valued(one)
        }
        skip = False
        for at, word in enumerate(args):
            if skip:
                skip = False
            elif word == "--":
                return None
            elif word.startswith("-"):
                skip = word in takes_value
            else:
                return at
        return None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What may come next is a verb or the name of a service."""
        return [*super().shell_complete(ctx, incomplete), *completion.service(ctx, self.params[0], incomplete)]


def _valued(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Option) and not parameter.is_flag


@click.group(cls=History, subcommand_metavar="[show] [SERVICE] | prune")
@shared
def history() -> None:
    """The revisions, the newest first.

    When, who, what, why; with SERVICE only those that changed it.
    """


@history.command(name="show")
@click.argument("service", required=False, shell_complete=completion.service)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, the newest.")
@shared
def show(service: str | None, limit: int) -> None:
    """Show them; the word may be left out."""
    session = current()
    query = {"limit": str(limit), **({"service": service} if service is not None else {})}
    data = session.client().get("/v1/revisions", **query)
    found = data if isinstance(data, list) else data.get("revisions", [])
    session.emit(found, lambda: render.show(_history(found, service)))


def _history(revisions: list[dict[str, Any]], service: str | None) -> render.Table:
    rows = [
        (
            str(one.get("revision", "")),
            render.moment(one.get("at")),
            str(one.get("actor", "")),
            str(one.get("action", "")),
            render.weights(one.get("weights") or {}) if service is not None else render.changed(one) or render.NOTHING,
            str(one.get("note") or ""),
        )
        for one in revisions
    ]
    return render.Table(("revision", "at", "actor", "action", "weights", "note"), rows, frozenset({"revision"}))


@history.command()
@click.option("--before", type=click.IntRange(min=1), metavar="REV", help="Remove revisions below REV.")
@click.option(
    "--older-than",
    callback=arguments.duration(1, OLDEST, "1s to 3650d"),
    metavar="TIME",
    help="Remove what is older than TIME: 90d.",
)
@wishes(confirmable=False)
@shared
def prune(before: int | None, older_than: int | None, wish: Wish) -> int | None:
    """Remove old revisions, audit rows and events, for good.

    What later states need stays. Nothing else ever removes history.
    """
    if (before is None) == (older_than is None):
        raise click.UsageError("give --before REV or --older-than TIME: what is removed never comes back")
    session = current()
    what = f"before revision {before}" if before is not None else f"older than {render.duration(older_than or 0)}"
    if not wish.dry_run and not session.agree(f"Remove what is {what}, for good?"):
        return change.not_agreed()
    body: dict[str, Any] = {"before": before} if before is not None else {"older_than": f"{older_than}s"}
    client = session.client()
    reply = client.call("POST", "/v1/history/prune", body=body, query=wish.query(), expect=wish.expect).data
    session.emit(reply, lambda: _pruned(reply, what))
    return None


def _pruned(reply: dict[str, Any], what: str) -> None:
    removed = reply.get("removed") or {}
    counts = f"{removed.get('revisions')} revisions, {removed.get('events')} events, {removed.get('audit')} audit rows"
    click.echo(f"{'would remove' if reply.get('dry_run') else 'removed'} what was {what}: {counts}")


@click.command()
@click.argument("before", type=REVISION, metavar="A")
@click.argument("after", type=REVISION, metavar="B")
@click.option("--service", metavar="S", shell_complete=completion.service, help="Only what concerns this service.")
@shared
def diff(before: int, after: int, service: str | None) -> None:
    """What differs between the revisions A and B.

    One line for each thing that is another in B than in A.
    """
    session = current()
    query = {"diff": str(before), **({"service": service} if service is not None else {})}
    reply = session.client().get(f"/v1/revisions/{after}", **query)
    session.emit(reply, lambda: _differences(reply, before, after))


def _differences(reply: dict[str, Any], before: int, after: int) -> None:
    lines = change.change_lines(reply.get("changes"))
    click.echo("\n".join(lines) if lines else f"nothing differs between revisions {before} and {after}")


@click.command()
@click.argument("revision", type=REVISION, metavar="N")
@click.option("--service", metavar="S", shell_complete=completion.service, help="Only this service.")
@wishes(confirmable=True)
@shared
def restore(revision: int, service: str | None, wish: Wish) -> int | None:
    """Make everything as it was at revision N.

    Versions, rules, weights, settings; a new revision equal to the old one. Shows the difference first.
    """
    session = current()
    client = session.client()
    path = f"/v1/revisions/{revision}/restore"
    only = {"service": service} if service is not None else {}
    expect = wish.expect
    if session.asks and not wish.dry_run:
        proposed = client.call("POST", path, query=wish.query(dry_run=True) | only, expect=expect).data
        if not change.agreed_to(session, proposed, "Apply this?"):
            return change.not_agreed()
        expect = proposed.get("base")
    reply = client.call("POST", path, query=wish.query() | only, expect=expect).data
    change.show(session, reply, wish, subject=f"{service or 'everything'} as at revision {revision}")
    return None


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, the newest.")
@click.option("--before", type=click.IntRange(min=1), metavar="ID", help="Only rows before this one: the next page.")
@shared
def audit(limit: int, before: int | None) -> None:
    """Who did what, and what came of it.

    Every command, those that were refused too, the newest first.
    """
    session = current()
    query = {"limit": str(limit), **({"before": str(before)} if before is not None else {})}
    data = session.client().get("/v1/audit", **query)
    found = data if isinstance(data, list) else objects(data.get("audit"))
    session.emit(found, lambda: render.show(_audit(found)))


def _audit(rows: list[dict[str, Any]]) -> render.Table:
    columns = ("id", "at", "actor", "via", "action", "service", "revision", "outcome", "detail")
    cells = [
        [render.moment(row.get(name)) if name == "at" else str(row.get(name) or "") for name in columns] for row in rows
    ]
    return render.Table(columns, cells, frozenset({"id", "revision"}))


VERBS = (history, diff, restore, audit)
