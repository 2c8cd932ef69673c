"""Following a release to its end: each entry of its log as it comes, across restarts of gatekeeper."""

import time
from typing import Any

import click

from gatekeeper.interface import release_view, render
from gatekeeper.interface.client import Client
from gatekeeper.interface.failures import DONE, FAILED, UnreachableError, objects
from gatekeeper.interface.session import Session

LOOK_EVERY = 0.5
"""Seconds between two looks."""
AWAY_FOR = 60.0
"""Seconds that gatekeeper may be away: the release goes on when it is back, however long that takes."""
PROMOTED = "promoted"


def to_the_end(session: Session, client: Client, path: str, release: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """The exit code (0: promoted) and the release when it has ended. Raises UnreachableError when gatekeeper stays
    away.
    """
    _tell(session, {"waiting": release.get("waiting")}, release)
    try:
        while release.get("active"):
            time.sleep(LOOK_EVERY)
            fresh = _look(client, path)
            _tell(session, release, fresh)
            release = fresh
    except KeyboardInterrupt:
        service = render.clean((release.get("services") or [""])[0])
        click.echo(f"the release goes on; see `{session.again(f'release show {service}')}`", err=True)
        raise
    return DONE if release.get("state") == PROMOTED else FAILED, release


def _look(client: Client, path: str) -> dict[str, Any]:
    until = time.monotonic() + AWAY_FOR
    while True:
        try:
            return dict(client.get(path))
        except UnreachableError:
            if time.monotonic() >= until:
                raise
        time.sleep(LOOK_EVERY)


def _tell(session: Session, before: dict[str, Any], release: dict[str, Any]) -> None:
    """Print the entries that came since, those behind the last known one, and what it waits for if that is new."""
    if session.as_json:
        return
    known, log = objects(before.get("log")), objects(release.get("log"))
    at = len(log) - log[::-1].index(known[-1]) if known and known[-1] in log else 0
    for one in log[at:]:
        moment, actor, event, text = release_view.entry(one, float(release["now"]))
        click.echo(render.clean(f"  {moment}  {event}: {text} ({actor})"))
    again = session.again("")
    told = release_view.waits({**release, "waiting": before.get("waiting")}, again)
    for line in release_view.waits(release, again):
        if line not in told:
            click.echo(f"  {line}")
