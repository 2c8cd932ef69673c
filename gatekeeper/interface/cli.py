"""The command ``gatekeeper``: its verbs, and what the process returns.

Exit codes: 0 done, 1 failed, 2 wrong usage or invalid file, 3 cannot reach gatekeeper, 4 refused; 130 on Ctrl-C.
"""

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import ClassVar, Final, NoReturn

import click

from gatekeeper import COMPILED, __version__
from gatekeeper.interface.failures import DONE, FAILED, USAGE, ClientError
from gatekeeper.interface.session import Session, shared, show_error, show_usage

INTERRUPTED = 130


ROOMS: Final[Mapping[str, tuple[str, ...]]] = {
    "verbs_run": ("serve", "check", "schema", "demo", "completion"),
    "verbs_live": ("status", "top"),
    "verbs_read": ("explain", "events"),
    "verbs_change": ("split", "rollback", "reload", "confirm"),
    "verbs_versions": ("deploy", "retire", "drain", "reset"),
    "verbs_flag": ("flag",),
    "verbs_release": ("release",),
    "verbs_plan": ("plans", "verify", "simulate"),
    "verbs_verdict": ("replay",),
    "verbs_shadow": ("shadow",),
    "verbs_history": ("history", "diff", "restore", "audit"),
    "verbs_access": ("token", "pass"),
}
"""Module -> its verbs, as its VERBS has them."""


class Verbs(click.Group):
    """Loads a verb's module when the verb is used: a rollback waits for no other one's imports (all of them: 40 ms)."""

    _room_of: ClassVar[Mapping[str, str]] = {verb: room for room, verbs in ROOMS.items() for verb in verbs}

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(self._room_of)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        room = self._room_of.get(cmd_name)
        if room is None:
            return None
        found: Sequence[click.Command] = import_module(f"gatekeeper.interface.{room}").VERBS
        return next(verb for verb in found if verb.name == cmd_name)

    def all(self) -> dict[str, click.Command]:
        """Every verb, loaded."""
        context = click.Context(self)
        found = {name: self.get_command(context, name) for name in self.list_commands(context)}
        return {name: verb for name, verb in found.items() if verb is not None}


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="gatekeeper %(version)s" + (" (compiled)" if COMPILED else ""))
@shared
def gatekeeper() -> None:
    """A reverse proxy that makes release an act of its own.

    Exit codes: 0 done, 1 failed, 2 wrong usage or invalid file, 3 cannot reach gatekeeper, 4 refused.
    """


def run(arguments: list[str]) -> int:
    """Do what the arguments say and return the exit code; errors are printed on standard error."""
    session = Session()
    try:
        result = gatekeeper.main(arguments, prog_name="gatekeeper", standalone_mode=False, obj=session)
        # What is still buffered may meet a closed pipe; better here than in the interpreter's last breath.
        sys.stdout.flush()
    except click.Abort:
        return INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED
    except click.ClickException as error:
        # Wrong usage may be found before --json was read.
        show_usage(error, as_json=session.as_json or _says_json(arguments))
        return USAGE
    except ClientError as error:
        show_error(error, as_json=session.as_json)
        return error.exit_code
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Nothing more can be written, so nothing more is said.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return result if isinstance(result, int) else DONE


def _says_json(arguments: list[str]) -> bool:
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def main() -> NoReturn:
    sys.exit(run(sys.argv[1:]))
