"""Looking at releases: ``release show``, ``list`` and ``report``."""

from pathlib import Path
from typing import Any

import click

from gatekeeper.interface import completion, release_view, render
from gatekeeper.interface.client import service_path
from gatekeeper.interface.failures import USAGE, ClientError, objects, reason
from gatekeeper.interface.session import current, shared
from gatekeeper.interface.verbs_live import INTERVAL, go_on

LAST = "last"
"""Stands for the id of the release that is under way, or else was the last one."""
SERVICE = click.argument("service", shell_complete=completion.released)
ID = click.argument(
    "release", type=click.IntRange(min=1), required=False, metavar="[ID]", shell_complete=completion.release
)
MEDIA_TYPES = {"markdown": "text/markdown", "json": "application/json"}


def release_path(service: str, release: int | None) -> str:
    return service_path(service, "releases", LAST if release is None else str(release))


@click.command()
@SERVICE
@ID
@click.option("--watch", is_flag=True, help="Go on showing it until q or Ctrl-C.")
@INTERVAL
@shared
def show(service: str, release: int | None, watch: bool, interval: float) -> None:
    """Where a release is, and how it got there.

    What it waits for and who may open that, what comes next and when, its steps, its checks, its log. Without ID the
    one under way, or else the last one.
    """
    session = current()
    path, again = release_path(service, release), session.again("")
    if watch:
        go_on(session, path, lambda data: release_view.watched(data, again), interval)
        return
    data = session.client().get(path)
    session.emit(data, lambda: render.write(release_view.picture(data, again=again)))


@click.command(name="list")
@click.argument("service", required=False, shell_complete=completion.released)
@click.option("--build", metavar="TEXT", help="Only releases of this build.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, the newest.")
@shared
def listing(service: str | None, build: str | None, limit: int) -> None:
    """The releases, the newest first."""
    session = current()
    path = service_path(service, "releases") if service is not None else "/v1/releases"
    query = {"limit": str(limit), **({"build": build} if build is not None else {})}
    found = objects(session.client().get(path, **query).get("releases"))
    session.emit(found, lambda: render.show(release_view.listed(found)))


@click.command()
@SERVICE
@ID
@click.option("--format", "form", type=click.Choice([*MEDIA_TYPES]), help="Default: markdown, or json with --json.")
@click.option("--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write it there.")
@shared
def report(service: str, release: int | None, form: str | None, output: str | None) -> None:
    """A release with its evidence, for a change ticket.

    The five answers, every check with what it said, who approved what and when, and all that happened.
    """
    session = current()
    if form is None:
        form = "json" if session.as_json else "markdown"
    elif session.as_json and form != "json":
        raise click.UsageError(f"--json and --format {form} are two different formats; give one")
    found = session.client().call("GET", f"{release_path(service, release)}/report", accept=MEDIA_TYPES[form]).data
    text = _text(found)
    if output is None:
        click.echo(text)
        return
    try:
        Path(output).write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise ClientError(f"cannot write the report: {reason(error)}", output, "name another FILE", USAGE) from error
    if not session.as_json:
        click.echo(f"wrote {output}")


def _text(found: Any) -> str:
    """Without what could write escape sequences to a terminal: it holds what programs have said."""
    if isinstance(found, str):
        return "\n".join(render.clean(line.expandtabs(4)) for line in found.rstrip("\n").split("\n"))
    return render.as_json(found, indent=2)


VERBS = (show, listing, report)
