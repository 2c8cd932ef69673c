"""What the judge says: ``release verdict`` for pipelines; ``release seconds`` and ``replay`` for who checks it."""

import sys
from collections.abc import Iterator
from typing import IO, Any

import click

from gatekeeper.errors import GatekeeperError
from gatekeeper.interface import render, verdict_view
from gatekeeper.interface.failures import DONE, FAILED, REFUSED, USAGE, ClientError, objects, reason
from gatekeeper.interface.session import current, shared
from gatekeeper.interface.verbs_released import ID, SERVICE, release_path

PASSED = "passed"
LINES = "application/x-ndjson"
LINE_BYTES = 16 * 1024 * 1024
"""Of one line of a record: a second of 64 routes and as many weights has a thousandth of it."""


@click.command()
@SERVICE
@ID
@shared
def verdict(service: str, release: int | None) -> int:
    """What the judge says of a release, as a gate.

    Exit 0 if the new version is proven good enough, else 4; what is missing is said.
    """
    session = current()
    found = session.client().get(f"{release_path(service, release)}/verdict")
    session.emit(found, lambda: _said(found))
    return DONE if found.get("kind") == PASSED else REFUSED


def _said(found: dict[str, Any]) -> None:
    if found.get("kind") is None:
        click.echo(render.clean(found.get("sentence")))
        return
    click.echo(render.clean(f"{verdict_view.kind(found)}: {found.get('sentence')}"))
    verdicts = objects(found.get("verdicts"))
    for one in verdicts if len(verdicts) > 1 else ():
        click.echo(render.clean(f"  {one.get('service')}: {verdict_view.kind(one)}: {one.get('sentence')}"))


@click.command()
@SERVICE
@ID
@click.option("--service", "which", metavar="NAME", help="Which one, of several that move as one.")
@shared
def seconds(service: str, release: int | None, which: str | None) -> None:
    """What the judge was told, second by second.

    Lines of JSON on standard output, for `gatekeeper replay`, which judges them again.
    """
    path = f"{release_path(service, release)}/seconds"
    query = {"service": which} if which is not None else {}
    for piece in current().client().pieces(path, LINES, **query):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), metavar="FILE|-")
@shared
def replay(file: str) -> int:
    """Judge recorded seconds again.

    FILE is what `gatekeeper release seconds` gave. Exit 0 if every second gives the very odds that were recorded, bit
    for bit; 1 if one does not; 2 if FILE is no record.
    """
    session = current()
    session.local()
    from gatekeeper import app

    try:
        with click.open_file(file, "rb") as source:
            found = app.replay(_lines(source))
    except OSError as error:
        raise ClientError(f"cannot read it: {reason(error)}", file, "name a FILE that is there", USAGE) from error
    except GatekeeperError as error:
        line = getattr(error, "line", 0)
        where = f"{file}, line {line}" if line else file
        way_out = "fetch it anew with `gatekeeper release seconds SERVICE ID`"
        raise ClientError(str(error), where, way_out, USAGE) from error
    session.emit(found, lambda: render.write(verdict_view.replayed(found)))
    return DONE if found["identical"] else FAILED


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: source.readline(LINE_BYTES), b"")


OF_RELEASE = (verdict, seconds)
VERBS = (replay,)
