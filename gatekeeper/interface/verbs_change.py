"""Verbs that change how traffic goes: split, rollback, reload, confirm. Each is one request; gatekeeper decides."""

import sys
from pathlib import Path
from typing import Any

import click

from gatekeeper.interface import arguments, change, completion, render
from gatekeeper.interface.change import Wish, wishes
from gatekeeper.interface.client import Client, service_path
from gatekeeper.interface.failures import USAGE, ClientError, RefusedError
from gatekeeper.interface.session import current, shared

MAX_FILE = 8 * 1024 * 1024
"""Bytes of a file sent as the new definition, the most that gatekeeper takes: some 50,000 lines."""


@click.command()
@click.argument("service", shell_complete=completion.service)
@click.argument(
    "weights",
    nargs=-1,
    required=True,
    callback=arguments.weight_pairs,
    metavar="VERSION=WEIGHT...",
    shell_complete=completion.weight,
)
@wishes(confirmable=True)
@shared
def split(service: str, weights: dict[str, int | float], wish: Wish) -> int | None:
    """Change the weights of a service.

    Versions that are not named get 0.
    """
    session = current()
    client = session.client()
    path = service_path(service)
    seen = client.call("GET", path)
    expect = wish.expect
    held = {name: weight for name, weight in seen.data.get("split", {}).items() if float(weight) > 0}
    left_out = {name: weight for name, weight in held.items() if name not in weights}
    if left_out and not wish.dry_run:
        question = f"{render.weights(left_out)} is not named and gets 0. Go on?"
        if not session.agree(question):
            return change.not_agreed()
        # What was agreed to is what happens: anything newer makes the answer out of date.
        expect = seen.revision if expect is None and session.asks else expect
    reply = client.call("PUT", f"{path}/split", body=weights, query=wish.query(), expect=expect).data
    before = render.weights(seen.data.get("split", {}))
    change.show(session, reply, wish, subject=service, before=before)
    return None


@click.command()
@click.argument("service", shell_complete=completion.service)
@click.option("--to", type=click.IntRange(min=0), metavar="REV", help="The weights of that revision; default: before.")
@wishes(confirmable=True)
@shared
def rollback(service: str, to: int | None, wish: Wish) -> None:
    """Undo the last change, at once.

    Back to the split before it, or to that of --to REV. Never asks.
    """
    session = current()
    body: dict[str, Any] = {} if to is None else {"to": to}
    path = service_path(service, "rollback")
    reply = session.client().call("POST", path, body=body, query=wish.query(), expect=wish.expect).data
    change.show(session, reply, wish, subject=service)


@click.command()
@click.option("--reset-split", is_flag=True, help="Take the file's splits instead of keeping the running ones.")
@click.option("--file", metavar="FILE", help="Send this file instead of having the server read its own; - is stdin.")
@wishes(confirmable=True)
@shared
def reload(reset_split: bool, file: str | None, wish: Wish) -> int | None:
    """Take up the changed file.

    Shows the difference and applies all of it or nothing.
    """
    session = current()
    client = session.client()
    content = None if file is None else _read(file)
    name = "standard input" if file == "-" else file or ""
    expect = wish.expect
    if session.asks and not wish.dry_run:
        proposed = _send(client, name, content, wish.query(dry_run=True), reset_split=reset_split, expect=expect)
        if not change.agreed_to(session, proposed, "Apply this?"):
            return change.not_agreed()
        expect = proposed.get("base")
    reply = _send(client, name, content, wish.query(), reset_split=reset_split, expect=expect)
    change.show(session, reply, wish)
    return None


def _send(
    client: Client, file: str, content: bytes | None, query: dict[str, str], *, reset_split: bool, expect: int | None
) -> dict[str, Any]:
    if content is None:
        reply = client.call("POST", "/v1/reload", body={"reset_split": reset_split}, query=query, expect=expect)
        return dict(reply.data)
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


@click.command()
@click.argument(
    "revision", type=click.IntRange(min=0), required=False, metavar="[REV]", shell_complete=completion.pending
)
@wishes(confirmable=False)
@shared
def confirm(revision: int | None, wish: Wish) -> None:
    """Keep a change that would undo itself.

    One made with --confirm-within; REV may be left out if only one waits.
    """
    session = current()
    body = {} if revision is None else {"revision": revision}
    reply = session.client().call("POST", "/v1/confirm", body=body, query=wish.query(), expect=wish.expect).data
    change.show(session, reply, wish, subject="to be confirmed" if wish.dry_run else "confirmed")


VERBS = (split, rollback, reload, confirm)
