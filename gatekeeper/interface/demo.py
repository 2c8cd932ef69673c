"""``gatekeeper demo``: a release and a rollback on this machine, with real processes and real traffic.

Each step says what an operator would type, does it, waits until it shows in the traffic, and verifies it; the first
promise that is not kept ends the demo with the reason and a code other than 0. What is verified comes from four
independent witnesses: the users' own answers, gatekeeper's replies, its metrics, and the backend processes.
"""

import asyncio
import contextlib
import shlex
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import click

from gatekeeper.interface import demo_metrics, render
from gatekeeper.interface.client import DONE, FAILED, ClientError
from gatekeeper.interface.demo_load import Answer, Connection, Load, User
from gatekeeper.interface.demo_stage import DemoError, Stage

USERS = 800
"""Enough that 1 % is somebody: that none of 800 falls into it happens once in 3000 runs."""
PER_SECOND = 400.0
CONNECTIONS = 40
"""At 400 a second, room for every tenth answer to take a second."""
STEPS = (1, 10, 50, 100)
SPREAD = 5.0
"""Standard deviations within which the share of users must lie: beyond it once in a million runs."""
FAULTY_WEIGHT = 10
FAULTY_ERRORS = 0.3
FAULTY_SECONDS = 0.25
SEEN_ERRORS = 10
"""Server errors after which the demo's operator believes what the metrics say."""
WITHIN = 20.0
"""Seconds for anything to show in the traffic; twice a second-long round of all users on a busy machine, and more."""
LIMIT = 180.0
"""Seconds for the whole story, so that a script never hangs on it."""
LOOK_AROUND = 1800.0
"""Seconds that the stage is left standing for a person at the end."""


@dataclass(frozen=True, slots=True)
class Pace:
    """``hold`` seconds of traffic are watched after each change, at least one round of all users."""

    hold: float
    linger: bool


HEADLESS = Pace(hold=2.0, linger=False)
WATCHED = Pace(hold=4.0, linger=True)


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
        async with Stage() as stage:
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
            await story.look_around()
    except ClientError as error:
        raise DemoError(f"{error} ({error.where}){stage.troubles()}") from error
    except TimeoutError as error:
        raise DemoError(f"it was not done within {LIMIT:g} s{stage.troubles()}") from error
    except BrokenPromiseError as error:
        raise DemoError(f"{error}{stage.troubles()}") from error
    finally:
        await story.end()


class BrokenPromiseError(Exception):
    """What was seen instead of what was promised."""


class Story:
    def __init__(self, stage: Stage, pace: Pace) -> None:
        self._stage = stage
        self._pace = pace
        self._load = Load(stage.port, users=USERS, per_second=PER_SECOND, connections=CONNECTIONS)
        self._began = time.monotonic()

    async def tell(self) -> None:
        """Raises BrokenPromiseError at the first promise that is not kept, DemoError when the stage breaks."""
        steps: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
            ("Version blue serves the users", self._blue),
            ("Deploy: version green runs, and no user sees it", self._deploy),
            ("A tester looks at green before anybody else", self._tester),
            ("Release: more and more users reach green", self._release),
            ("A faulty version: green2 passes its health check, users get errors", self._faulty),
            ("Rollback: one command, no redeploy", self._rollback),
        )
        for number, (title, step) in enumerate(steps, 1):
            click.secho(f"\n{number}. {title}", bold=True)
            await step()
            self._stage.check_alive()
        self._settle()

    async def end(self) -> None:
        await self._load.stop()

    async def look_around(self) -> None:
        """Leave everything running for a person, until Enter, Ctrl-C or half an hour."""
        click.echo(f"\nStill running at http://127.0.0.1:{self._stage.port}/ ; try in another terminal:")
        for verb in ("status --watch", "split shop green=50 blue=50", "rollback shop", "events"):
            click.echo(f"  {program()} --socket {self._stage.socket} {verb}")
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

    async def _blue(self) -> None:
        port = await self._stage.start_backend("blue")
        self._say(f"blue runs on port {port}")
        self._stage.write_file()
        self._type(f"serve --config {self._stage.file}")
        await self._stage.start_gatekeeper()
        self._say(f"gatekeeper listens on port {self._stage.port}; {USERS} users, {PER_SECOND:g} requests a second")
        mark = time.monotonic()
        self._load.start()
        answers = await self._round(mark)
        self._expect_only(answers, {"blue"})
        self._say(f"{len(answers)} answers, all of them 200 from blue")

    async def _deploy(self) -> None:
        await self._deploy_version("green")
        mark = time.monotonic()
        answers = await self._round(mark)
        self._expect_only(answers, {"blue"})
        served = (await self._stage.seen("green"))["served"]
        self._verify(served == 0, f"green's own process has served {served} requests of users before any weight")
        self._say(f"{len(answers)} answers since, all from blue; green's process itself has seen 0 requests of users")

    async def _deploy_version(self, name: str, **faults: float) -> None:
        port = await self._stage.start_backend(name, **faults)
        self._say(f"{name} runs on port {port}; it is added to the file")
        self._stage.write_file()
        self._type("reload")
        reply = await self._stage.call("POST", "/v1/reload", {"reset_split": False})
        self._say(f"revision {reply['revision']}")
        await self._until(lambda: self._ready(name), f"{name}'s backend did not become ready")
        split = (await self._stage.call("GET", "/v1/services/shop"))["split"]
        self._verify(float(split.get(name, 0)) == 0, f"{name} holds weight right after its deploy: {split}")
        self._say(f"its health check is good; split: {render.weights(split)}")

    async def _ready(self, name: str) -> bool:
        service = await self._stage.call("GET", "/v1/services/shop")
        backends = service["versions"].get(name, {}).get("backends", [])
        return bool(backends) and all(backend["state"] == "ready" for backend in backends)

    async def _tester(self) -> None:
        connection = Connection(self._stage.port)
        try:
            forced = await connection.ask(0, User(), "X-Gatekeeper-Version: green")
            other = await connection.ask(0, User())
        finally:
            connection.close()
        self._say(f"with the header 'X-Gatekeeper-Version: green': {forced.status} from {forced.version}")
        self._say(f"the same request without it: {other.status} from {other.version}")
        self._verify(
            (forced.status, forced.version, forced.forced) == (200, "green", "green"), f"the force failed: {forced}"
        )
        self._verify((other.status, other.version) == (200, "blue"), f"without the header: {other}")

    async def _release(self) -> None:
        reached: set[int] = set()
        for weight in STEPS:
            mark = await self._split({"blue": 100 - weight, "green": weight})
            before = await self._metrics()
            answers = await self._round(mark)
            flowing = demo_metrics.shares(await self._metrics(), before).get("green", 0.0)
            self._expect_only(answers, {"green"} if weight == 100 else {"blue", "green"})
            users = {answer.user for answer in answers if answer.version == "green"}
            self._expect_share(len(users), weight / 100)
            self._verify(reached <= users, f"{len(reached - users)} users who had green did not get it again")
            back = [move for move in self._load.moves if move.before == "green"]
            self._verify(not back, f"{len(back)} users who had seen green were sent back to blue")
            reached = users
            self._say(
                f"green has {weight} %: it gets {render.percent(flowing)} of the requests and "
                f"{len(users)} of {USERS} users{_by_chance(weight / 100)}; nobody went back to blue"
            )

    async def _faulty(self) -> None:
        await self._deploy_version("green2", errors=FAULTY_ERRORS, seconds=FAULTY_SECONDS)
        before = await self._metrics()
        mark = await self._split({"blue": 0, "green": 100 - FAULTY_WEIGHT, "green2": FAULTY_WEIGHT})
        await self._round(mark)

        async def believed() -> bool:
            return (await self._since(before, "green2")).errors >= SEEN_ERRORS

        await self._until(believed, f"the metrics do not show {SEEN_ERRORS} errors of green2")
        for version in ("green", "green2"):
            sample = await self._since(before, version)
            errors = sample.errors / sample.requests if sample.requests else 0.0
            self._say(
                f"/metrics, {version:<6}: {sample.requests:5.0f} requests, {render.percent(errors):>5} errors, "
                f"{render.milliseconds(sample.mean):>5} ms each"
            )
            bad = errors > FAULTY_ERRORS / 3
            self._verify(bad is (version == "green2"), f"the metrics show {render.percent(errors)} errors of {version}")
        good, faulty = [await self._since(before, version) for version in ("green", "green2")]
        self._verify(faulty.mean > 2 * good.mean, "the metrics do not show that green2 is slower than green")

    async def _rollback(self) -> None:
        self._type("rollback shop")
        asked = time.monotonic()
        reply = await self._stage.call("POST", "/v1/services/shop/rollback", {})
        replied = time.monotonic()
        weights = {name: float(weight) for name, weight in reply["split"].items()}
        self._verify(
            weights.get("green2", 0) == 0 and weights.get("green", 0) > 0, f"the rollback left the split at {weights}"
        )
        answers = await self._round(replied)
        self._expect_only(answers, {"green"})
        last = (await self._stage.seen("green2"))["last"]
        self._say(f"revision {reply['revision']}, {render.weights(reply['split'])}, {_took(reply, replied - asked)}")
        when = f"{abs(last - asked) * 1000:.1f} ms {'after' if last > asked else 'before'} the command was given"
        self._say(f"the last request that green2's process saw came {when}")
        self._say(f"{len(answers)} answers since the reply, all of them 200 from green")

    def _settle(self) -> None:
        """The whole account: no request was lost, and nobody but the faulty version failed."""
        answers = list(self._load.answers)
        lost = [answer for answer in answers if answer.lost]
        failed = [answer for answer in answers if answer.status != 200 and not answer.lost]
        others = [answer for answer in failed if (answer.status, answer.version) != (500, "green2")]
        self._verify(not lost, f"{len(lost)} requests were lost, the first: {lost[0].lost if lost else ''}")
        self._verify(not others, f"{len(others)} requests failed that green2 did not fail: {_counted(others)}")
        click.secho("\nThe account", bold=True)
        self._say(f"{len(answers)} requests of {USERS} users: none lost, {len(failed)} failed, all of them by green2")

    async def _split(self, weights: dict[str, int]) -> float:
        """Set the weights and return the moment of the reply: from then on they hold for every new request."""
        self._type(f"split shop {render.weights(weights)}")
        before = time.monotonic()
        reply = await self._stage.call("PUT", "/v1/services/shop/split", weights)
        replied = time.monotonic()
        now = {name: float(weight) for name, weight in reply["split"].items()}
        wanted = {name: float(weight) for name, weight in weights.items()}
        self._verify({name: now.get(name, 0.0) for name in wanted} == wanted, f"the reply says {now}")
        self._say(f"revision {reply['revision']}, {_took(reply, replied - before)}")
        return replied

    async def _round(self, mark: float) -> list[Answer]:
        """Answers to what was sent since ``mark``, once the hold is over and every user has been answered again."""

        async def complete() -> bool:
            return len({answer.user for answer in self._load.since(mark)}) == USERS

        await asyncio.sleep(max(0.0, mark + self._pace.hold - time.monotonic()))
        await self._until(complete, "not every user was answered")
        return self._load.since(mark)

    async def _until(self, happened: Callable[[], Awaitable[bool]], otherwise: str) -> None:
        deadline = time.monotonic() + WITHIN
        while not await happened():
            self._stage.check_alive()
            if time.monotonic() > deadline:
                raise DemoError(f"{otherwise} within {WITHIN:g} s{self._stage.log_tail()}")
            await asyncio.sleep(0.1)

    async def _metrics(self) -> dict[str, demo_metrics.Sample]:
        return demo_metrics.read(await self._stage.call("GET", "/metrics"), "shop")

    async def _since(self, earlier: dict[str, demo_metrics.Sample], version: str) -> demo_metrics.Sample:
        nothing = demo_metrics.Sample()
        return (await self._metrics()).get(version, nothing).minus(earlier.get(version, nothing))

    def _expect_only(self, answers: list[Answer], versions: set[str]) -> None:
        wrong = [answer for answer in answers if answer.status != 200 or answer.version not in versions]
        self._verify(not wrong, f"expected 200 from {' or '.join(sorted(versions))} alone, but also: {_counted(wrong)}")

    def _expect_share(self, users: int, share: float) -> None:
        expected = USERS * share
        allowed = SPREAD * sqrt(expected * (1 - share)) + 0.5
        self._verify(
            abs(users - expected) <= allowed and users > 0,
            f"{users} of {USERS} users have green at a share of {render.percent(share)}",
        )

    def _verify(self, kept: bool, otherwise: str) -> None:
        if not kept:
            raise BrokenPromiseError(otherwise)

    def _type(self, command: str) -> None:
        click.secho(f"   $ gatekeeper {command}", fg="cyan")

    def _say(self, text: str) -> None:
        click.echo(f"   {time.monotonic() - self._began:5.1f} s  {text}")


def _took(reply: dict[str, Any], seconds: float) -> str:
    workers = reply.get("workers") or {}
    return (
        f"taken up by {workers.get('acknowledged')} of {workers.get('total')} workers, {seconds * 1000:.1f} ms in all"
    )


def _by_chance(share: float) -> str:
    """Each user falls to one side or the other by its own id, so their number spreads as coin tosses do."""
    deviation = sqrt(USERS * share * (1 - share))
    return f" ({USERS * share:.0f} give or take {deviation:.0f} by chance)" if deviation else ""


def _counted(answers: list[Answer]) -> str:
    counts = Counter(answer.lost or f"{answer.status} from {answer.version or 'gatekeeper'}" for answer in answers)
    return ", ".join(f"{count} x {what}" for what, count in counts.most_common(5))
