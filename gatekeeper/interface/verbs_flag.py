"""``flag``: look at feature flags, define them, turn them on and off."""

import json
import math
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click

from gatekeeper.interface import arguments, change, completion, flag_view, render, when
from gatekeeper.interface.change import Wish, wishes
from gatekeeper.interface.failures import objects
from gatekeeper.interface.session import Session, current, shared

NAME = click.argument("name", metavar="FLAG", shell_complete=completion.flag)


@click.group()
@shared
def flag() -> None:
    """Feature flags: on or off, or for a part of the users.

    What one is stands in the file or comes by `set`; whether it is on, and for how many, is decided here.
    """


def flag_path(name: str, *more: str) -> str:
    return "/".join(["/v1/flags", *(quote(part, safe="") for part in (name, *more))])


@flag.command(name="list")
@shared
def all_flags() -> None:
    """All flags, and how they stand."""
    session = current()
    data = session.client().get("/v1/flags")
    session.emit(data, lambda: render.show(flag_view.table(objects(data.get("flags")))))


@flag.command()
@NAME
@shared
def show(name: str) -> None:
    """One flag: what it is, for whom it is on, what a rollback brings back."""
    session = current()
    data = session.client().get(flag_path(name))
    session.emit(data, lambda: render.write(flag_view.parts(data)))


@flag.command()
@NAME
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, the newest.")
@shared
def history(name: str, limit: int) -> None:
    """The revisions that changed a flag, the newest first; also of one that is gone."""
    session = current()
    data = session.client().get(flag_path(name, "history"), limit=str(limit))
    session.emit(data, lambda: render.show(flag_view.history(objects(data.get("revisions")), name)))


def _moment(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if not value:
        return value
    try:
        at = when.read(value, time.time())
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error
    # Up to the next whole second: what is to come must not have passed by the time it arrives.
    return datetime.fromtimestamp(math.ceil(at), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _object(context: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, Any] | None:
    if value is None:
        return None
    try:
        found = json.loads(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not JSON: {error}", context, parameter) from error
    if not isinstance(found, dict):
        raise click.BadParameter(f"{value!r} is no JSON object", context, parameter)
    return found


def _analysis(context: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, Any] | str | None:
    """Empty: none, which is not ``{}``."""
    return "" if value == "" else _object(context, parameter, value)


def _percent(context: click.Context, parameter: click.Parameter, value: str | None) -> int | float | None:
    if value is None:
        return None
    text = value.removesuffix("%").strip()
    if not arguments.WEIGHT.fullmatch(text) or float(text) > 100:
        raise click.BadParameter(f"{value!r} is no percentage; it looks like 10 or 0.5", context, parameter)
    return float(text) if "." in text else int(text)


def _values(pairs: list[tuple[str, str]], kind: str | None) -> dict[str, Any]:
    """The values of variants as JSON; what is no JSON, and everything of a flag of texts, is a text."""
    found: dict[str, Any] = {}
    for name, text in pairs:
        if name in found:
            raise click.BadParameter(f"{name!r} is named twice", param_hint="'--variant'")
        try:
            found[name] = text if kind == "string" else json.loads(text)
        except ValueError:
            found[name] = text
    return found


@flag.command(name="set")
@NAME
@click.argument("weights", nargs=-1, callback=arguments.weight_pairs, metavar="[VARIANT=WEIGHT]...")
@click.option("--percent", callback=_percent, metavar="P", help="Of a boolean flag: for how many it is on.")
@click.option("--on/--no-on", "on", default=None, help="Turn it on, or off, as well.")
@click.option("--new", is_flag=True, help="Make a flag that is not there yet.")
@click.option("--type", "kind", type=click.Choice(["boolean", "string", "number", "object"]), help="Of its values.")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    callback=arguments.pairs("=", "dark='\"dark\"'"),
    metavar="NAME=JSON",
    help="A variant and its value; repeatable, and then all there are.",
)
@click.option("--off", metavar="VARIANT", help="The variant that is served while the flag is off.")
@click.option("--when", "condition", callback=_object, metavar="JSON", help="For whom: a rule's `when`; {}: everybody.")
@click.option(
    "--service", "services", multiple=True, metavar="SERVICE", shell_complete=completion.service,
    help="Only for its requests; repeatable; '': all services.",
)  # fmt: skip
@click.option("--follow", metavar="SERVICE", shell_complete=completion.service, help="Follow its releases; '': none.")
@click.option("--on-at", callback=_moment, metavar="TIME", help="Turn it on then: 2026-12-01T06:00, 18:30, 'in 10m'.")
@click.option("--off-at", callback=_moment, metavar="TIME", help="Turn it off then.")
@click.option("--analysis", callback=_analysis, metavar="JSON", help="What the judge is asked; {}: defaults; '': none.")
@click.option("--on-fail", type=click.Choice(["off", "keep"]), help="What becomes of it when it is proven worse.")
@click.option("--owner", metavar="TEXT", help="Whose it is.")
@click.option("--expires", metavar="DATE", help="The day it is to be gone by: 2027-01-31.")
@click.option("--description", metavar="TEXT", help="What it is for.")
@wishes(confirmable=True, also="--reason")
@shared
def set_(name: str, weights: dict[str, int | float], wish: Wish, **given: Any) -> int | None:
    """Change what is said of a flag; the rest stays.

    How many get it (--percent, or VARIANT=WEIGHT...), and what it is. With --new there is none of that name yet.
    """
    session = current()
    body = _body(weights, given)
    if not body and not given["new"]:
        raise click.UsageError("say what is to change, such as --percent 10; `gatekeeper flag set --help` lists it")
    query = {**wish.query(), **({"new": "1"} if given["new"] else {})}
    reply = session.client().call("PUT", flag_path(name), body=body, query=query, expect=wish.expect).data
    _show(session, reply, wish)
    return None


def _body(weights: dict[str, int | float], given: dict[str, Any]) -> dict[str, Any]:
    """The keys of the file that were given; null says that there is to be none."""
    body = {
        "type": given["kind"],
        "split": weights or None,
        "percent": given["percent"],
        "on": given["on"],
        "variants": _values(given["variants"], given["kind"]) or None,
        "off": given["off"],
        "analysis": given["analysis"],
        "on_fail": given["on_fail"],
    }
    body = {name: value for name, value in body.items() if value is not None}
    # What is empty is to go.
    moments = {word: given[f"{word}_at"] for word in ("on", "off") if given[f"{word}_at"] is not None}
    cleared = {
        "when": given["condition"],
        "services": [one for one in given["services"] if one] if given["services"] else None,
        "schedule": {word: at for word, at in moments.items() if at} if moments else None,
        **{name: given[name] for name in ("follow", "owner", "expires", "description")},
    }
    return body | {name: value or None for name, value in cleared.items() if value is not None}


@flag.command()
@NAME
@click.option("--revive", is_flag=True, help="Also one that was killed; needs --reason.")
@wishes(confirmable=True, also="--reason")
@shared
def on(name: str, revive: bool, wish: Wish) -> None:
    """Turn a flag on.

    For as many as its share says.
    """
    if revive and not wish.note:
        raise click.UsageError("--revive needs --reason: why it may be on again")
    _switched(name, "on", {"revive": True} if revive else {}, wish)


@flag.command()
@NAME
@click.option("--kill", is_flag=True, help="Until somebody revives it: no schedule, release or file turns it on.")
@wishes(confirmable=True, also="--reason")
@shared
def off(name: str, kill: bool, wish: Wish) -> None:
    """Turn a flag off, at once and for everybody.

    Never asks.
    """
    _switched(name, "off", {"kill": True} if kill else {}, wish)


@flag.command()
@NAME
@wishes(confirmable=True, also="--reason")
@shared
def rollback(name: str, wish: Wish) -> None:
    """Undo the last change of a flag.

    Never asks.
    """
    _switched(name, "rollback", {}, wish)


def _switched(name: str, verb: str, body: dict[str, Any], wish: Wish) -> None:
    session = current()
    path = flag_path(name, verb)
    reply = session.client().call("POST", path, body=body, query=wish.query(), expect=wish.expect).data
    _show(session, reply, wish)


@flag.command()
@NAME
@wishes(confirmable=True, also="--reason")
@shared
def remove(name: str, wish: Wish) -> int | None:
    """Remove a flag that `set` made, or what `set` made of one in the file.

    On a terminal it asks first.
    """
    session = current()
    client = session.client()
    expect = wish.expect
    if session.asks and not wish.dry_run:
        proposed = client.call("DELETE", flag_path(name), query=wish.query(dry_run=True), expect=expect).data
        if not change.agreed_to(session, proposed, "Apply this?"):
            return change.not_agreed()
        expect = proposed.get("base")
    reply = client.call("DELETE", flag_path(name), query=wish.query(), expect=expect).data
    _show(session, reply, wish)
    return None


def _show(session: Session, reply: dict[str, Any], wish: Wish) -> None:
    """What the flag is now, and what changed."""
    subject = f"flag {reply.get('flag')} is {flag_view.situation(reply.get('now'))}"
    change.show(session, reply, wish, subject=subject)


VERBS = (flag,)
