"""Verbs about one version of a service: deploy, retire, drain, reset. None of them brings users to it."""

import time
from contextlib import suppress
from typing import Any

import click

from gatekeeper.interface import arguments, change, completion, overview, render
from gatekeeper.interface.change import Wish, wishes
from gatekeeper.interface.client import Client, service_path
from gatekeeper.interface.failures import FAILED, ClientError, UnreachableError, objects
from gatekeeper.interface.session import Session, current, shared

LOOK_EVERY = 0.25
"""Seconds between two looks while waiting; checks of health come every two seconds unless the file says otherwise."""
WAIT_LONGEST = 3600
DRAIN_LONGEST = 86400
DRAINED = "version_drained"
REPORT_WITHIN = 5.0
"""Seconds beyond the deadline: workers get two of them to say what they cut."""


@click.command()
@click.argument("service", shell_complete=completion.service)
@click.argument("version", shell_complete=completion.version)
@click.argument("urls", nargs=-1, required=True, metavar="URL...", shell_complete=completion.backend)
@click.option("--build", metavar="TEXT", help="What was built; shown everywhere, kept in the history.")
@click.option("--health", metavar="PATH", help="Where its health is checked, such as /healthz.")
@click.option(
    "--wait", "waits", is_flag=True, help="Wait until every backend is ready; exit 1 if they are not in time."
)
@click.option(
    "--timeout",
    default="60s",
    show_default=True,
    callback=arguments.duration(1, WAIT_LONGEST, "1s to 1h"),
    metavar="TIME",
    help="How long to wait at most.",
)
@wishes(confirmable=True)
@shared
def deploy(
    service: str,
    version: str,
    urls: tuple[str, ...],
    build: str | None,
    health: str | None,
    waits: bool,
    timeout: int,
    wish: Wish,
) -> None:
    """Register a version's backends.

    A new VERSION gets no weight: no user sees it. One that has users gets the new backends only once they are healthy.
    """
    session = current()
    client = session.client()
    body: dict[str, Any] = {"backends": list(urls)}
    if build is not None:
        body["build"] = build
    if health is not None:
        body["health"] = {"path": health}
    until = time.monotonic() + timeout
    path = service_path(service, "versions", version)
    query = wish.query() | ({"wait": f"{timeout}s"} if waits else {})
    reply = client.call("PUT", path, body=body, query=query, expect=wish.expect, wait=timeout).data
    subject = f"{service} {version}"
    if not session.as_json:
        change.describe(session, {**reply, "split": None}, wish, subject=subject)
    if not waits or wish.dry_run:
        session.emit(reply, lambda: None)
        return
    backends = _watched(session, client, path, until)
    late = [one for one in backends if one.get("state") != "ready"]
    ready = f"{len(backends) - len(late)} of {len(backends)} backends ready"
    session.emit({**reply, "ready": not late, "backends": backends}, lambda: click.echo(f"{subject}: {ready}"))
    if late:
        problems = [{"path": overview.name_of(one), "message": _state(one)} for one in late]
        way_out = f"see what its backends say; `{session.again(f'status {service}')}` goes on watching"
        raise ClientError(f"{subject} is not ready within {timeout} s: {ready}", path, way_out, FAILED, problems)


def _watched(session: Session, client: Client, path: str, until: float) -> list[dict[str, Any]]:
    """Look until every backend is ready or the time is over; each new reason why not goes to standard error."""
    told: dict[str, str] = {}
    while True:
        backends: list[dict[str, Any]] = []
        try:
            backends = objects(client.get(path).get("backends"))
        except UnreachableError as error:  # a restart; what was registered is still there after it
            backends = [{"url": path, "state": "unknown", "reason": error.what}]
        if all(one.get("state") == "ready" for one in backends) or time.monotonic() >= until:
            return backends
        for one in backends:
            name, state = overview.name_of(one), _state(one)
            if told.get(name) != state and not session.as_json:
                left = max(0, int(until - time.monotonic()))
                click.echo(f"  {render.clean(name)} {state} ({left} s left)", err=True)
            told[name] = state
        time.sleep(min(LOOK_EVERY, max(0.0, until - time.monotonic())))


def _state(backend: dict[str, Any]) -> str:
    """``pending: connection refused``."""
    why = f": {backend['reason']}" if backend.get("reason") else ""
    return render.clean(f"{backend.get('state')}{why}")


@click.command()
@click.argument("service", shell_complete=completion.service)
@click.argument("version", shell_complete=completion.version)
@wishes(confirmable=True)
@shared
def retire(service: str, version: str, wish: Wish) -> int | None:
    """Take a version away.

    Its share of the users, if it has one, goes to stable; the stable version itself cannot be retired.
    """
    session = current()
    client = session.client()
    seen = client.call("GET", service_path(service))
    expect = wish.expect
    if _weight(seen.data, version) > 0 and not wish.dry_run:
        if not session.agree(_takes_over(seen.data, version)):
            return change.not_agreed()
        expect = seen.revision if expect is None and session.asks else expect
    path = service_path(service, "versions", version)
    reply = client.call("DELETE", path, query=wish.query(), expect=expect).data
    change.show(session, reply, wish, subject=service, before=render.weights(seen.data.get("split", {})))
    return None


def _weight(service: dict[str, Any], version: str) -> float:
    return float((service.get("split") or {}).get(version) or 0)


def _takes_over(service: dict[str, Any], version: str) -> str:
    split = render.weights(service.get("split") or {})
    return f"{render.clean(version)} has users ({split}); they go to {render.clean(service.get('stable'))}. Go on?"


@click.command()
@click.argument("service", shell_complete=completion.service)
@click.argument("version", shell_complete=completion.version)
@click.option(
    "--deadline",
    default="30s",
    show_default=True,
    callback=arguments.duration(0, DRAIN_LONGEST, "0s to 1d"),
    metavar="TIME",
    help="What is under way may end in this time; the rest is cut.",
)
@click.option("--no-wait", is_flag=True, help="Return at once, without the report.")
@wishes(confirmable=False)
@shared
def drain(service: str, version: str, deadline: int, no_wait: bool, wish: Wish) -> None:
    """Give a version no new requests, and let those under way end.

    Waits and says how many requests and tunnels finished, and how many were cut at the deadline.
    """
    session = current()
    client = session.client()
    last = _last_event(client)
    path = service_path(service, "versions", version, "drain")
    begun = time.monotonic()
    reply = client.call("POST", path, body={"seconds": deadline}, query=wish.query(), expect=wish.expect).data
    subject = f"{service} {version}"
    waits = not (no_wait or wish.dry_run or reply.get("base") == reply.get("revision"))
    if not session.as_json:
        change.describe(session, reply, wish, subject=subject)
    if not waits:
        session.emit(reply, lambda: None)
        return
    report = _report(client, service, version, last, begun + deadline + REPORT_WITHIN)
    seconds = time.monotonic() - begun
    said = f"{subject}: {report.get('finished')} finished, {report.get('cut')} cut, in {seconds:.1f} s"
    session.emit({**reply, "report": report or None}, lambda: click.echo(said) if report else None)
    if not report:
        raise ClientError(
            f"nobody said what became of {subject}: gatekeeper was restarted, or its workers did not answer",
            path,
            f"it gets no new requests in any case; `{session.again('events')}` tells more",
            FAILED,
        )


def _last_event(client: Client) -> int:
    found = objects(client.get("/v1/events", follow="0", limit="1"))
    return max((int(one.get("id") or 0) for one in found), default=0)


def _report(client: Client, service: str, version: str, last: int, until: float) -> dict[str, Any]:
    """The event that tells what became of the drain; empty if none comes in time. ``until`` is monotonic."""
    while True:
        found: list[dict[str, Any]] = []
        with suppress(UnreachableError):  # a restart; the deadline bounds it
            found = objects(client.get("/v1/events", follow="0", after=str(last)))
        for event in found:
            last = max(last, int(event.get("id") or 0))
            if (event.get("kind"), event.get("service"), event.get("version")) == (DRAINED, service, version):
                return event
        if time.monotonic() >= until:
            return {}
        time.sleep(LOOK_EVERY)


@click.command()
@click.argument("service", shell_complete=completion.service)
@click.argument("versions", nargs=-1, metavar="[VERSION...]", shell_complete=completion.version)
@wishes(confirmable=False)
@shared
def reset(service: str, versions: tuple[str, ...], wish: Wish) -> None:
    """Let versions that the trip-wire stopped get weight again.

    All of the service's, unless some are named. Their weight stays 0 until somebody raises it.
    """
    session = current()
    body = {"versions": list(versions)} if versions else {}
    path = service_path(service, "trip", "reset")
    reply = session.client().call("POST", path, body=body, query=wish.query(), expect=wish.expect).data
    change.show(session, reply, wish, subject=service)


VERBS = (deploy, retire, drain, reset)
