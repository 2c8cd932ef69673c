"""What every verb shares: which gatekeeper to talk to, how to print, whether to ask.

The four options are accepted before the verb and after it, the later one wins: people add ``--json`` at the end of the
line they have just typed.
"""

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from gatekeeper import places
from gatekeeper.interface import reach, render
from gatekeeper.interface.client import TIMEOUT, Client, read_token
from gatekeeper.interface.failures import USAGE, ClientError


@dataclass(slots=True)
class Session:
    socket: str | None = None
    url: str | None = None
    token_file: str | None = None
    as_json: bool = False
    yes: bool = False

    def client(self, *, timeout: float = TIMEOUT, patience: float = reach.PATIENCE) -> Client:
        """The client of the gatekeeper named by options, else by the environment, else at the default places."""
        if self.socket and self.url:
            raise click.UsageError("--socket and --url name two different places; give one")
        url = self.url or (None if self.socket else os.environ.get("GATEKEEPER_URL"))
        if url and not url.startswith(("http://", "https://")):
            raise click.UsageError(f"{url!r} is no admin address; it looks like http://127.0.0.1:9900")
        path = self.socket or os.environ.get("GATEKEEPER_SOCKET")
        token_file = self.token_file or os.environ.get("GATEKEEPER_TOKEN_FILE")
        token = read_token(token_file) if token_file else None
        sockets = [path] if path else places.default_socket_candidates()
        return Client(sockets=() if url else sockets, url=url, token=token, timeout=timeout, patience=patience)

    def emit(self, data: Any, text: Callable[[], None]) -> None:
        """Print ``data`` as JSON if asked for, else let ``text`` print for people."""
        if self.as_json:
            click.echo(render.as_json(data, indent=2))
        else:
            text()

    def agree(self, question: str) -> bool:
        """Ask if there is somebody to ask; True without asking otherwise."""
        return click.confirm(question, default=False, err=True) if self.asks else True

    @property
    def asks(self) -> bool:
        """On a terminal, and neither --yes nor --json given: scripts have said what they want."""
        return not (self.yes or self.as_json) and sys.stdin.isatty() and sys.stderr.isatty()

    def again(self, verb: str) -> str:
        """The command line of another verb to the same gatekeeper, for people to copy."""
        options = {"--socket": self.socket, "--url": self.url, "--token-file": self.token_file}
        words = [word for name, value in options.items() if value for word in (name, value)]
        return shlex.join(["gatekeeper", *words, *verb.split()])

    def local(self, *, as_json: bool = True) -> None:
        """Refuse the options that a verb without a gatekeeper to talk to could only ignore."""
        given = {"--socket": self.socket, "--url": self.url, "--token-file": self.token_file, "--yes": self.yes}
        if not as_json:
            given["--json"] = self.as_json
        if names := [name for name, value in given.items() if value]:
            raise click.UsageError(f"this verb talks to no running gatekeeper; {', '.join(names)} has no meaning here")


def current() -> Session:
    return click.get_current_context().ensure_object(Session)


def _store(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value and parameter.name:
        setattr(context.ensure_object(Session), parameter.name, value)


def shared(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every verb takes; their values go to the Session, not to the verb."""
    for option in (
        _option("--yes", is_flag=True, help="Never ask."),
        _option("--json", "as_json", is_flag=True, help="Print JSON."),
        _option("--token-file", metavar="FILE", help="Bearer token for --url; or GATEKEEPER_TOKEN_FILE."),
        _option("--url", metavar="URL", help="Admin address over TCP; or GATEKEEPER_URL."),
        _option("--socket", metavar="PATH", help="Admin socket; or GATEKEEPER_SOCKET."),
    ):
        function = option(function)
    return function


def _option(*names: str, **attributes: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(*names, expose_value=False, callback=_store, **attributes)


def show_error(error: ClientError, *, as_json: bool) -> None:
    """What happened, where, and the way out, on standard error; problems one per line."""
    if as_json:
        click.echo(render.as_json(error.document(), indent=2), err=True)
        return
    what, lines = render.clean(error.what), [render.problem_line(problem) for problem in error.problems]
    if len(lines) == 1 and lines[0].startswith(what):
        what = lines.pop()  # it says the same, and what was found
    click.echo(f"gatekeeper: {what}", err=True)
    for line in lines:
        click.echo(f"  {line}", err=True)
    for row in error.since:
        click.echo(f"  since then: {render.revision_line(row)}", err=True)
    click.echo(f"  where:   {render.clean(error.where)}", err=True)
    if error.way_out:
        click.echo(f"  {error.hint}: {render.clean(error.way_out)}", err=True)


def show_usage(error: click.ClickException, *, as_json: bool) -> None:
    """Wrong usage in the same way: click's text with the usage line for people, one object for programs."""
    if not as_json:
        error.show()
        return
    context = error.ctx if isinstance(error, click.UsageError) else None
    verb = context.command_path if context is not None else "gatekeeper"
    show_error(ClientError(error.format_message(), verb, f"{verb} --help", USAGE), as_json=True)
