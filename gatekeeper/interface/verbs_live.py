"""Verbs that look at the present: status, top. Both can go on looking, see ``screen``."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from gatekeeper.interface import completion, overview, render, screen, traffic
from gatekeeper.interface.client import service_path
from gatekeeper.interface.render import Part
from gatekeeper.interface.session import Session, current, shared

INTERVAL = click.option(
    "--interval", type=click.FloatRange(0.2, 3600), default=1.0, show_default=True, help="Seconds between."
)


@click.command()
@click.argument("service", required=False, shell_complete=completion.service)
@click.option("--watch", is_flag=True, help="Go on showing it until q or Ctrl-C.")
@INTERVAL
@shared
def status(service: str | None, watch: bool, interval: float) -> None:
    """How it is now.

    Versions, weights, the share that really flows, errors, latency, backends.
    """
    session = current()
    path = service_path(service) if service is not None else "/v1/status"
    if watch:
        go_on(session, path, overview.picture, interval)
    else:
        data = session.client().get(path)
        session.emit(data, lambda: render.write(overview.picture(data)))


@click.command()
@INTERVAL
@shared
def top(interval: float) -> None:
    """All versions by traffic, and the workers, live.

    Until q or Ctrl-C. Where no terminal is, one picture after the other.
    """
    go_on(current(), "/v1/status", traffic.picture, interval)


def go_on(session: Session, path: str, picture: Callable[[Mapping[str, Any]], Sequence[Part]], interval: float) -> None:
    """One picture of ``path`` after the other; with --json one document a line. Returns on ``q``."""
    if session.as_json:
        client = session.client()
        while True:
            click.echo(render.as_json(client.get(path)))
            time.sleep(interval)
    # On a terminal keys must be heard meanwhile, and the picture says what is away.
    bounds = {"timeout": screen.TIMEOUT, "patience": screen.PATIENCE} if screen.watched() else {}
    client = session.client(**bounds)
    screen.show(lambda: picture(client.get(path)), interval)


VERBS = (status, top)
