"""Verbs that need no running gatekeeper: serve, check, schema, demo, completion.

The engine is imported inside the verbs that need it, so that the client verbs start without it.
"""

import asyncio
import json
import time
from dataclasses import asdict
from typing import Any

import click
from click.shell_completion import get_completion_class

from gatekeeper.interface import render
from gatekeeper.interface.failures import DONE, USAGE
from gatekeeper.interface.session import current, shared

FILE = click.Path(dir_okay=False)
TERMINATED = 143
"""What a shell reports for a process ended by SIGTERM."""


@click.command()
@click.option("--config", "file", type=FILE, required=True, metavar="FILE", help="What exists: services, versions, …")
@shared
def serve(file: str) -> int:
    """Run the proxy in the foreground until SIGTERM or Ctrl-C."""
    current().local(as_json=False)
    from gatekeeper import app

    return app.serve(file)


@click.command()
@click.argument("file", type=FILE)
@shared
def check(file: str) -> int:
    """Validate a file.

    Names every mistake, one per line; exit 2 if there is one.
    """
    session = current()
    session.local()
    from gatekeeper.config import ConfigError, load_file

    problems: list[dict[str, Any]] = []
    try:
        definition = load_file(file, now=time.time())
        if definition.settings.admin_tokens is not None:
            from gatekeeper.app import token_problems

            problems = token_problems(definition)
    except ConfigError as error:
        problems = [asdict(problem) for problem in error.problems]
    if problems:
        if session.as_json:
            click.echo(render.as_json({"valid": False, "file": file, "problems": problems}, indent=2))
        else:
            for problem in problems:
                click.echo(render.problem_line(problem), err=True)
        return USAGE
    services = {name: list(service.versions) for name, service in definition.services.items()}
    session.emit(
        {"valid": True, "file": file, "services": services},
        lambda: click.echo(
            f"{file}: valid; " + "; ".join(f"{name}: {', '.join(versions)}" for name, versions in services.items())
        ),
    )
    return DONE


@click.command()
@shared
def schema() -> None:
    """Print the JSON Schema of the file."""
    current().local()
    from gatekeeper.config import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@click.command()
@click.option("--headless", is_flag=True, help="At full pace, without waiting at the end; exit 0 only if all happened.")
@shared
def demo(headless: bool) -> int:
    """See it work in a minute.

    Two versions, real traffic, a release by hand, a faulty version, a rollback; needs nothing else installed.
    """
    current().local(as_json=False)
    from gatekeeper.interface.demo import run_demo

    try:
        return asyncio.run(run_demo(headless=headless))
    except asyncio.CancelledError:  # by SIGTERM or SIGHUP; Ctrl-C arrives as KeyboardInterrupt
        return TERMINATED


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@shared
def completion(shell: str) -> None:
    """Print a completion script.

    For bash: eval "$(gatekeeper completion bash)"
    """
    current().local(as_json=False)
    found: Any = get_completion_class(shell)
    root = click.get_current_context().find_root().command
    click.echo(found(root, {}, "gatekeeper", "_GATEKEEPER_COMPLETE").source())


VERBS = (serve, check, schema, demo, completion)
