"""Verbs about who may: tokens for the admin API over TCP, passes for testers.

``token`` edits a file and needs no running gatekeeper; one that runs reads the file again when it changes.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from gatekeeper.interface import arguments, completion, render
from gatekeeper.interface.client import service_path
from gatekeeper.interface.failures import USAGE, ClientError
from gatekeeper.interface.session import current, shared

if TYPE_CHECKING:
    from gatekeeper.interface.tokenfile import TokenFile

ROLES = ("viewer", "operator", "admin")
PREFIX = "gk_"
"""So that scanners for secrets, and people, know a token when they see one."""
RANDOM_BYTES = 32
"""256 bits: a plain hash of it is as good as a slow one."""
TAKEN_UP = "within 2 s"
DATE = len("2026-12-31")
PASS_LONGEST = 30 * 86400


@click.group()
@shared
def token() -> None:
    """Tokens for the admin API over TCP.

    They stand in the file that `admin.tokens` of the configuration names.
    """


def _place(function: Any) -> Any:
    for option in (
        click.option("--config", metavar="FILE", help="The configuration; its admin.tokens names the token file."),
        click.option("--file", metavar="FILE", help="The token file itself."),
    ):
        function = option(function)
    return function


def _file(file: str | None, config: str | None) -> "tuple[TokenFile, str]":
    """The token file and its name, by the options that say where it is."""
    if (file is None) == (config is None):
        raise click.UsageError("say which token file: --file FILE, or --config FILE of the configuration that names it")
    from gatekeeper.app import token_file_problems
    from gatekeeper.interface.tokenfile import TokenFile

    path = file if file is not None else _named_by(config or "")
    return TokenFile(path, token_file_problems), path


def _named_by(config: str) -> str:
    from dataclasses import asdict

    from gatekeeper.config import ConfigError, load_file

    try:
        path = load_file(config).settings.admin_tokens
    except ConfigError as error:
        problems = [asdict(problem) for problem in error.problems]
        way_out = "mend it, see `gatekeeper check`, or name the token file with --file"
        raise ClientError("the configuration is not valid", config, way_out, USAGE, problems) from error
    if path is None:
        raise ClientError("the configuration names no token file", config, "set `admin.tokens`", USAGE)
    return path


def _expiry(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """When a token ends, as the file says it: a moment in UTC, or the date as it was given."""
    if value is None:
        return None
    now = datetime.now(UTC)
    try:
        if (seconds := arguments.seconds_of(value)) is not None:
            moment, found = now + timedelta(seconds=seconds), ""
        else:
            moment = _read(value)
            found = value if len(value) == DATE else ""
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is neither a duration such as 90d, nor a date such as 2026-12-31, nor a moment with its zone "
            "such as 2026-12-31T18:00:00Z",
            context,
            parameter,
        ) from None
    if moment <= now:
        raise click.BadParameter(f"{value!r} is over already", context, parameter)
    return found or moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read(text: str) -> datetime:
    """A moment, or a date, which is its first moment in UTC. Raises ValueError for anything else."""
    if len(text) == DATE:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("without a zone it is no moment")
    return moment


@token.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True)
@click.option("--group", "groups", multiple=True, metavar="GROUP", help="For approvals; may be given several times.")
@click.option("--expires", callback=_expiry, metavar="WHEN", help="90d, 2026-12-31 or 2026-12-31T18:00:00Z.")
@_place
@shared
def add(
    name: str, role: str, groups: tuple[str, ...], expires: str | None, file: str | None, config: str | None
) -> None:
    """Make a token for NAME and print it, once.

    It stands alone on standard output; the file keeps only its SHA-256.
    """
    session = current()
    session.local()
    tokens, path = _file(file, config)
    made = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    entry: dict[str, Any] = {"name": name, "role": role}
    if groups:
        entry["groups"] = list(groups)
    entry["sha256"] = hashlib.sha256(made.encode()).hexdigest()
    if expires is not None:
        entry["expires"] = expires
    fresh = tokens.add(entry)
    shown = {"token": made, "name": name, "role": role, "groups": list(groups), "expires": expires, "file": path}

    def text() -> None:
        click.echo(made)
        until = f", until {expires}" if expires is not None else ""
        click.echo(f"token of {name} ({role}{until}); it is not shown again", err=True)
        if fresh:
            click.echo(
                f"{path} is new and readable by its owner alone, who must be the user that gatekeeper runs as; the "
                "configuration names it as `admin.tokens`",
                err=True,
            )
        click.echo(f"a running gatekeeper that uses {path} knows it {TAKEN_UP}", err=True)

    session.emit(shown, text)


@token.command(name="list")
@_place
@shared
def listed(file: str | None, config: str | None) -> None:
    """Who has a token, and what each may do."""
    session = current()
    session.local()
    tokens, _path = _file(file, config)
    found = [_shown(entry) for entry in tokens.entries()]
    session.emit(found, lambda: render.show(_table(found)))


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    expires = entry.get("expires")  # YAML reads a date as one, unless it stands in quotes
    return {
        "name": entry["name"],
        "role": entry["role"],
        "groups": entry.get("groups") or [],
        "expires": expires.isoformat() if isinstance(expires, date) else expires,
        "expired": expires is not None and _read(str(expires)) <= datetime.now(UTC),
    }


def _table(entries: Sequence[dict[str, Any]]) -> render.Table:
    rows = [
        (
            one["name"],
            one["role"],
            render.listing(one["groups"]),
            f"{one['expires'] or render.NOTHING}{' (over)' if one['expired'] else ''}",
        )
        for one in entries
    ]
    return render.Table(("name", "role", "groups", "expires"), rows)


def _names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    del parameter
    try:
        tokens, _path = _file(context.params.get("file"), context.params.get("config"))
        names = [str(entry["name"]) for entry in tokens.entries()]
    except (ClientError, click.ClickException):
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@token.command()
@click.argument("name", shell_complete=_names)
@_place
@shared
def revoke(name: str, file: str | None, config: str | None) -> None:
    """Take NAME's token out of the file."""
    session = current()
    session.local()
    tokens, path = _file(file, config)
    tokens.remove(name)
    shown = {"revoked": name, "file": path}
    text = f"the token of {render.clean(name)} is revoked; a running gatekeeper refuses it {TAKEN_UP}"
    session.emit(shown, lambda: click.echo(text))


@click.group(name="pass")
@shared
def passes() -> None:
    """Passes for testers."""


@passes.command()
@click.argument("service", shell_complete=completion.service)
@click.argument("versions", nargs=-1, required=True, metavar="VERSION...", shell_complete=completion.version)
@click.option(
    "--ttl",
    default="8h",
    show_default=True,
    callback=arguments.duration(1, PASS_LONGEST, "1s to 30d"),
    help="How long it is valid: 30m, 8h, 2d.",
)
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


VERBS = (token, passes)
