"""Verbs that change something: split, rollback, reload, pass. Each is one request; gatekeeper decides."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import click

from gatekeeper.interface import render
from gatekeeper.interface.client import REFUSED, USAGE, Client, ClientError, RefusedError, service_path
from gatekeeper.interface.session import complete_service, current, shared

WEIGHT = re.compile(r"[0-9]{1,10}(\.[0-9]{1,6})?", re.ASCII)
"""Syntax only; whether versions exist and the total is positive is gatekeeper's to say."""
TTL = re.compile(r"([0-9]{1,9})(s|m|h|d)", re.ASCII)
TTL_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_FILE = 8 * 1024 * 1024
"""Bytes of a file sent as the new definition, the most that gatekeeper takes: some 50,000 lines."""


def _pairs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, int | float]:
    found: dict[str, int | float] = {}
    for value in values:
        name, equals, weight = value.rpartition("=")
        if not (name and equals and WEIGHT.fullmatch(weight)):
            raise click.BadParameter(
                f"{value!r} is not VERSION=WEIGHT; a weight is a plain decimal number such as 90 or 0.5, with at most "
                "6 decimals",
                context,
                parameter,
            )
        if name in found:
            raise click.BadParameter(f"{name!r} is named twice", context, parameter)
        # At most 16 digits and read back as a shortest decimal: the float on the wire is exact.
        found[name] = float(weight) if "." in weight else int(weight)
    return found


def _seconds(context: click.Context, parameter: click.Parameter, value: str) -> int:
    match = TTL.fullmatch(value)
    if not match or not int(match[1]):
        raise click.BadParameter(f"{value!r} is no duration; it looks like 30m, 8h or 2d", context, parameter)
    return int(match[1]) * TTL_SECONDS[match[2]]


def _show_change(reply: dict[str, Any], *, dry_run: bool, before: str = "") -> None:
    """One line of result, then what changed, one per line."""
    workers = reply.get("workers") or {}
    service = f"{render.clean(reply['service'])}: " if reply.get("service") else ""
    split = render.weights(reply["split"]) if isinstance(reply.get("split"), dict) else ""
    if reply.get("base") == reply.get("revision"):
        end = f"nothing to change at revision {reply.get('revision')}"
    elif dry_run:
        end = f"would become revision {reply.get('revision')}; nothing was changed"
    else:
        end = f"revision {reply.get('revision')}"
        if workers:
            end += f", taken up by {workers.get('acknowledged')} of {workers.get('total')} workers"
        if reply.get("ms") is not None:
            end += f" in {render.number(round(float(reply['ms']), 1))} ms"
    was = f" (was {before})" if before and before != split else ""
    click.echo(f"{service}{split}{was}{'; ' if split else ''}{end}")
    # The first line has said what became of the split.
    for line in change_lines(reply.get("changes"), but=f"services.{reply.get('service')}.split" if split else ""):
        click.echo(f"  {line}")
    if reply.get("note"):
        click.echo(f"  {render.clean(reply['note'])}")


def change_lines(changes: object, *, but: str = "") -> list[str]:
    """``PATH: BEFORE -> AFTER`` for each change, or added and removed; without the change of the path ``but``."""
    lines = []
    for change in changes if isinstance(changes, list) else []:
        path, before, after = str(change.get("path", "")), change.get("before"), change.get("after")
        if path == but:
            continue
        if before is None:
            what = f"added {_compact(after)}"
        elif after is None:
            what = f"removed (was {_compact(before)})"
        else:
            what = f"{_compact(before)} -> {_compact(after)}"
        lines.append(render.clean(f"{path}: {what}"))
    return lines


def _compact(value: object) -> str:
    if isinstance(value, dict) and value and all(isinstance(item, int | float) for item in value.values()):
        return render.weights(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@click.command()
@click.argument("service", shell_complete=complete_service)
@click.argument("weights", nargs=-1, required=True, callback=_pairs, metavar="VERSION=WEIGHT...")
@click.option("--expect", type=click.IntRange(min=0), metavar="REV", help="Refuse if the revision is another one.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--note", default="", metavar="TEXT", help="Why; kept in the history.")
@shared
def split(service: str, weights: dict[str, int | float], expect: int | None, dry_run: bool, note: str) -> int | None:
    """Change the weights of a service.

    Versions that are not named get 0.
    """
    session = current()
    client = session.client()
    path = service_path(service)
    seen = client.call("GET", path)
    held = {name: weight for name, weight in seen.data.get("split", {}).items() if float(weight) > 0}
    left_out = {name: weight for name, weight in held.items() if name not in weights}
    if left_out and not dry_run:
        question = f"{render.weights(left_out)} is not named and gets 0. Go on?"
        if not session.agree(question):
            return _not_agreed()
        # What was agreed to is what happens: anything newer makes the answer out of date.
        expect = seen.revision if expect is None and session.asks else expect
    query = {"dry_run": "1"} if dry_run else {}
    if note:
        query["note"] = note
    reply = client.call("PUT", f"{path}/split", body=weights, query=query, expect=expect).data
    before = render.weights(seen.data.get("split", {}))
    session.emit(reply, lambda: _show_change({"service": service, **reply}, dry_run=dry_run, before=before))
    return None


@click.command()
@click.argument("service", shell_complete=complete_service)
@click.option("--to", type=click.IntRange(min=0), metavar="REV", help="The weights of that revision; default: before.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--note", default="", metavar="TEXT", help="Why; kept in the history.")
@shared
def rollback(service: str, to: int | None, dry_run: bool, note: str) -> None:
    """Undo the last change, at once.

    Back to the split before it, or to that of --to REV. Never asks.
    """
    session = current()
    body: dict[str, Any] = {} if to is None else {"to": to}
    query = {"dry_run": "1"} if dry_run else {}
    if note:
        query["note"] = note
    reply = session.client().call("POST", service_path(service, "rollback"), body=body, query=query).data
    session.emit(reply, lambda: _show_change({"service": service, **reply}, dry_run=dry_run))


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show the difference.")
@click.option("--reset-split", is_flag=True, help="Take the file's splits instead of keeping the running ones.")
@click.option("--file", metavar="FILE", help="Send this file instead of having the server read its own; - is stdin.")
@click.option("--note", default="", metavar="TEXT", help="Why; kept in the history.")
@shared
def reload(dry_run: bool, reset_split: bool, file: str | None, note: str) -> int | None:
    """Take up the changed file.

    Shows the difference and applies all of it or nothing.
    """
    session = current()
    client = session.client()
    content = None if file is None else _read(file)
    name = "standard input" if file == "-" else file or ""
    expect = None
    if session.asks and not dry_run:
        proposed = _send(client, name, content, dry_run=True, reset_split=reset_split, note=note, expect=None)
        lines = change_lines(proposed.get("changes"))
        for line in lines:
            click.echo(f"  {line}", err=True)
        if lines and not session.agree("Apply this?"):
            return _not_agreed()
        expect = proposed.get("base")
    reply = _send(client, name, content, dry_run=dry_run, reset_split=reset_split, note=note, expect=expect)
    session.emit(reply, lambda: _show_change(reply, dry_run=dry_run))
    return None


def _send(
    client: Client, file: str, content: bytes | None, *, dry_run: bool, reset_split: bool, note: str, expect: int | None
) -> dict[str, Any]:
    query = {"dry_run": "1"} if dry_run else {}
    if note:
        query["note"] = note
    if content is None:
        reply = client.call("POST", "/v1/reload", body={"reset_split": reset_split}, query=query, expect=expect)
    else:
        if reset_split:
            query["reset_split"] = "1"
        try:
            reply = client.call("PUT", "/v1/config", raw=(content, "application/yaml"), query=query, expect=expect)
        except RefusedError as error:
            for problem in error.problems:
                if problem.get("file") == "body":  # gatekeeper's word for what had no name on its way
                    problem["file"] = file
            raise
    return dict(reply.data)


def _read(file: str) -> bytes:
    try:
        if file == "-":
            content = sys.stdin.buffer.read(MAX_FILE + 1)
        else:
            with Path(file).open("rb") as stream:
                content = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise ClientError(
            f"cannot read the file: {error.strerror}", file, "name a readable file, or - for standard input", USAGE
        ) from error
    if len(content) > MAX_FILE:
        raise ClientError(f"the file is larger than {MAX_FILE} bytes", file, "is that the right file?", USAGE)
    return content


def _not_agreed() -> int:
    click.echo("gatekeeper: not confirmed; nothing was changed", err=True)
    return REFUSED


@click.group(name="pass")
def passes() -> None:
    """Passes for testers."""


@passes.command()
@click.argument("service", shell_complete=complete_service)
@click.argument("versions", nargs=-1, required=True, metavar="VERSION...")
@click.option("--ttl", default="8h", show_default=True, callback=_seconds, help="How long it is valid: 30m, 8h, 2d.")
@shared
def issue(service: str, versions: tuple[str, ...], ttl: int) -> None:
    """Print a signed pass for the VERSIONs of SERVICE.

    It lets a tester force one of them from any address; it stands alone on standard output.
    """
    session = current()
    body = {"versions": list(versions), "ttl": ttl}
    reply = session.client().call("POST", service_path(service, "passes"), body=body).data

    def text() -> None:
        click.echo(reply.get("pass", ""))
        click.echo(
            f"valid until {render.moment(reply.get('expires'))} for {', '.join(versions)}; send it with", err=True
        )
        click.echo(f"  X-Gatekeeper-Version: {versions[0]}\n  X-Gatekeeper-Pass: the line above", err=True)

    session.emit(reply, text)


VERBS = (split, rollback, reload, passes)
