"""Verbs that only look: status, explain, events, history."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from gatekeeper.interface import overview, render
from gatekeeper.interface.client import Client, ClientError, Event, UnreachableError, service_path
from gatekeeper.interface.session import complete_service, current, shared

RECONNECT_FOR = 60.0
"""Seconds of trying to resume a broken event stream: long enough for a restart, short enough to be noticed."""
RECONNECT_EVERY = 1.0


@click.command()
@click.argument("service", required=False, shell_complete=complete_service)
@click.option("--watch", is_flag=True, help="Go on showing it until Ctrl-C.")
@click.option("--interval", type=click.FloatRange(0.2, 3600), default=1.0, show_default=True, help="Seconds between.")
@shared
def status(service: str | None, watch: bool, interval: float) -> None:
    """How it is now.

    Versions, weights, the share that really flows, errors, latency, backends.
    """
    session = current()
    client = session.client()

    def look() -> Any:
        return client.get(service_path(service)) if service else client.get("/v1/status")

    if not watch:
        data = look()
        session.emit(data, lambda: _show(data))
    elif session.as_json:
        while True:
            click.echo(json.dumps(look(), ensure_ascii=False))
            time.sleep(interval)
    else:
        _watch(look, interval)


def _show(data: dict[str, Any]) -> None:
    if head := overview.headline(data):
        click.echo(head)
    render.show(overview.table(data))
    for line in overview.remarks(data):
        click.echo(line)


def _watch(look: Any, interval: float) -> None:
    """Redraw in place on a terminal, print one picture after the other elsewhere; a pause of the server is shown."""
    if not sys.stdout.isatty():
        while True:
            _show(look())
            click.echo()
            time.sleep(interval)
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False, screen=True) as live:
        while True:
            try:
                data = look()
            except UnreachableError as error:
                live.update(Text(f"{error.what} ({error.where}); trying again"), refresh=True)
            else:
                texts = [Text(line) for line in (overview.headline(data), *overview.remarks(data)) if line]
                live.update(Group(texts[0], render.rich_table(overview.table(data)), *texts[1:]), refresh=True)
            time.sleep(interval)


def _pair(separator: str, example: str) -> Any:
    def parse(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, str]]:
        found = []
        for value in values:
            name, mark, rest = value.partition(separator)
            if not (mark and name.strip()):
                raise click.BadParameter(f"{value!r} does not look like {example}", context, parameter)
            found.append((name.strip(), rest.strip()))
        return found

    return parse


@click.command()
@click.argument("service", shell_complete=complete_service)
@click.argument("target", default="/", metavar="[PATH]")
@click.option("--header", "headers", multiple=True, callback=_pair(":", "'NAME: VALUE'"), metavar="'NAME: VALUE'")
@click.option("--cookie", "cookies", multiple=True, callback=_pair("=", "NAME=VALUE"), metavar="NAME=VALUE")
@click.option("--method", default="GET", show_default=True)
@click.option("--host", metavar="NAME", help="Default: a host of the service.")
@click.option("--client-ip", metavar="ADDRESS", help="Where the request comes from; default: 127.0.0.1.")
@shared
def explain(
    service: str,
    target: str,
    headers: list[tuple[str, str]],
    cookies: list[tuple[str, str]],
    method: str,
    host: str | None,
    client_ip: str | None,
) -> None:
    """Which version a request would get, and why.

    Nothing is sent anywhere. PATH may have a query.
    """
    session = current()
    if cookies:
        headers = [*headers, ("Cookie", "; ".join(f"{name}={value}" for name, value in cookies))]
    body: dict[str, Any] = {"service": service, "method": method, "path": target, "headers": headers}
    if host is not None:
        body["host"] = host
    if client_ip is not None:
        body["client_ip"] = client_ip
    reply = session.client().call("POST", "/v1/explain", body=body).data
    session.emit(reply, lambda: _explained(reply))


def _explained(reply: dict[str, Any]) -> None:
    """First the answer, then each reason on a line of its own."""
    click.echo(f"{render.clean(reply.get('service'))}: {render.clean(reply.get('version'))}")
    for key, value in reply.items():
        if key in {"service", "version"} or value in (None, "", [], {}, False):
            continue
        lines = value if isinstance(value, list) else [value]
        for line in lines:
            text = render.weights(line) if isinstance(line, dict) else render.listing(line)
            click.echo(f"  {key.replace('_', ' ')}: {render.clean(text)}")


@click.command()
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C; resumes after a restart of gatekeeper.")
@click.option("--after", default="", metavar="ID", help="Only what came after this event.")
@shared
def events(follow: bool, after: str) -> None:
    """What happened, the newest last.

    Changes, reloads, workers, backends. With --follow from now on, or from after --after.
    """
    session = current()
    client = session.client()
    if not follow:
        query = {"follow": "0", **({"after": after} if after else {})}
        data = client.get("/v1/events", **query)
        found = data if isinstance(data, list) else data.get("events", [])
        session.emit(found, lambda: click.echo("\n".join(map(event_line, found))) if found else None)
        return
    for event in _follow(client, after):
        click.echo(json.dumps(event.data, ensure_ascii=False) if session.as_json else event_line(event.data))


def _follow(client: Client, last_id: str) -> Iterator[Event]:
    """Events without end, across broken connections; raises UnreachableError when it stays away."""
    lost_at: float | None = None
    while True:
        try:
            for event in client.events(last_id=last_id):
                lost_at = None
                last_id = event.id or last_id
                yield event
            why: ClientError = UnreachableError("the stream ended", client.where)
        except UnreachableError as error:
            why = error
        now = time.monotonic()
        if lost_at is None:
            lost_at = now
        elif now - lost_at > RECONNECT_FOR:
            raise why
        time.sleep(RECONNECT_EVERY)


def event_line(event: dict[str, Any]) -> str:
    """``TIME  KIND  key=value ...`` with the fields in the order they came."""
    rest = {key: value for key, value in event.items() if key not in {"id", "at", "kind"} and value not in (None, "")}
    words = [f"{key}={_compact(value)}" for key, value in rest.items()]
    return "  ".join([render.moment(event.get("at")), render.clean(event.get("kind", "event")), *words])


def _compact(value: object) -> str:
    if isinstance(value, dict | list):
        return render.clean(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    return render.clean(value)


@click.command()
@click.argument("service", shell_complete=complete_service)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, the newest.")
@shared
def history(service: str, limit: int) -> None:
    """The revisions of a service.

    The newest first: when, who, what, why.
    """
    session = current()
    data = session.client().get("/v1/revisions", service=service, limit=str(limit))
    found = data if isinstance(data, list) else data.get("revisions", [])
    session.emit(found, lambda: render.show(_history(found)))


def _history(revisions: list[dict[str, Any]]) -> render.Table:
    rows = [
        (
            str(one.get("revision", "")),
            render.moment(one.get("at")),
            str(one.get("actor", "")),
            str(one.get("action", "")),
            render.weights(one.get("weights") or {}),
            str(one.get("note") or ""),
        )
        for one in revisions
    ]
    return render.Table(("revision", "at", "actor", "action", "weights", "note"), rows, frozenset({"revision"}))


VERBS = (status, explain, events, history)
