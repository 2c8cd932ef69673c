"""The command ``gatekeeper``: its verbs, and what the process returns.

Exit codes: 0 done, 1 failed, 2 wrong usage or invalid file, 3 cannot reach gatekeeper, 4 refused; 130 on Ctrl-C.
"""

import contextlib
import os
import sys
from typing import NoReturn

import click

from gatekeeper import __version__
from gatekeeper.interface import (
    verbs_access,
    verbs_change,
    verbs_history,
    verbs_live,
    verbs_plan,
    verbs_read,
    verbs_release,
    verbs_run,
    verbs_versions,
)
from gatekeeper.interface.failures import DONE, FAILED, USAGE, ClientError
from gatekeeper.interface.session import Session, shared, show_error, show_usage

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="gatekeeper %(version)s")
@shared
def gatekeeper() -> None:
    """A reverse proxy that makes release an act of its own.

    Exit codes: 0 done, 1 failed, 2 wrong usage or invalid file, 3 cannot reach gatekeeper, 4 refused.
    """


_ROOMS = (
    *(verbs_run, verbs_live, verbs_read, verbs_change, verbs_versions, verbs_release, verbs_plan),
    *(verbs_history, verbs_access),
)
for _room in _ROOMS:
    for _verb in _room.VERBS:
        gatekeeper.add_command(_verb)


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
