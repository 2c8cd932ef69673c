"""Verbs that look at what gatekeeper would decide and at what happened: explain, events."""

import json
import time
from collections.abc import Iterator
from typing import Any

import click

from gatekeeper.interface import arguments, completion, render
from gatekeeper.interface.client import Client, Event
from gatekeeper.interface.failures import ClientError, UnreachableError
from gatekeeper.interface.session import current, shared

RECONNECT_FOR = 60.0
"""Seconds of trying to resume a broken event stream: long enough for a restart, short enough to be noticed."""
RECONNECT_EVERY = 1.0


@click.command()
@click.argument("service", shell_complete=completion.service)
@click.argument("target", default="/", metavar="[PATH]")
@click.option(
    "--header", "headers", multiple=True, callback=arguments.pairs(":", "'NAME: VALUE'"), metavar="'NAME: VALUE'"
)
@click.option("--cookie", "cookies", multiple=True, callback=arguments.pairs("=", "NAME=VALUE"), metavar="NAME=VALUE")
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
        click.echo(render.as_json(event.data) if session.as_json else event_line(event.data))


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


VERBS = (explain, events)
