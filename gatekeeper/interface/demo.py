"""``gatekeeper demo``: a release and two ways back on this machine, with real processes and real traffic.

``demo_story`` tells it. Each step says what an operator would type, does it, waits until it shows in the traffic, and
verifies it; the first promise that is not kept ends the demo with the reason and a code other than 0. What is verified
comes from four independent witnesses: the users' own answers, gatekeeper's replies, its metrics, and the backend
processes.
"""

import asyncio
import contextlib
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path

import click

from gatekeeper.interface.demo_stage import DemoError, Stage
from gatekeeper.interface.demo_story import Pace, Story
from gatekeeper.interface.demo_witness import BrokenPromiseError
from gatekeeper.interface.failures import DONE, FAILED, ClientError

LIMIT = 180.0
"""Seconds for the whole story, so that a script never hangs on it."""
LOOK_AROUND = 1800.0
"""Seconds that the stage is left standing for a person at the end."""
HEADLESS = Pace(hold=3.0, linger=False)
WATCHED = Pace(hold=6.0, linger=True)


def program() -> str:
    """What to type in another terminal to run this program: its name where the search path leads to it, else its place.

    ``make demo`` runs the one in .venv, which no search path leads to.
    """
    here = Path(sys.argv[0]).absolute()
    found = shutil.which("gatekeeper")
    known = found is not None and Path(found).absolute() == here
    return "gatekeeper" if known or here.name != "gatekeeper" else shlex.quote(str(here))


async def run_demo(*, headless: bool) -> int:
    """The whole story; 0 only if all of it happened. Ends its processes in every case."""
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    if task is not None:
        # Ctrl-C cancels by itself; these would end the process without cleaning up.
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
    pace = HEADLESS if headless or not sys.stdin.isatty() else WATCHED
    began = time.monotonic()
    try:
        async with Stage(hold=pace.hold) as stage:
            await _play(Story(stage, pace), stage, pace)
    except DemoError as error:
        click.echo(f"\nThe demo FAILED: {error}", err=True)
        return FAILED
    except asyncio.CancelledError:
        click.echo("\nInterrupted; everything was stopped and removed.", err=True)
        raise
    click.echo(f"\nAll of it happened, in {time.monotonic() - began:.0f} s. Everything was stopped and removed.")
    return DONE


async def _play(story: "Story", stage: Stage, pace: Pace) -> None:
    """Raises DemoError, with what gatekeeper's log has to say about it."""
    try:
        async with asyncio.timeout(LIMIT):
            await story.tell()
        if pace.linger:
            await look_around(stage)
    except ClientError as error:
        raise DemoError(f"{error} ({error.where}){stage.troubles()}") from error
    except TimeoutError as error:
        raise DemoError(f"it was not done within {LIMIT:g} s{stage.troubles()}") from error
    except BrokenPromiseError as error:
        raise DemoError(f"{error}{stage.troubles()}") from error
    finally:
        await story.end()


async def look_around(stage: Stage) -> None:
    """Leave everything running for a person, until Enter, Ctrl-C or half an hour."""
    click.echo(f"\nStill running at http://127.0.0.1:{stage.port}/ ; try in another terminal:")
    verbs = ("status --watch", "release list shop", "release start shop --to blue --plan quick", "rollback shop")
    for verb in verbs:
        click.echo(f"  {program()} --socket {stage.socket} {verb}")
    click.echo("Enter or Ctrl-C ends it.")
    entered = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), entered.set)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_AROUND):
                await entered.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
