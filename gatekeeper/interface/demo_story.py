"""The demo's story: what an operator does, a second person, and two new versions, of which one is faulty."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import click

from gatekeeper.interface import demo_metrics, render
from gatekeeper.interface.client import service_path
from gatekeeper.interface.demo_load import Connection, User
from gatekeeper.interface.demo_stage import FAULTY, FIRST_WEIGHT, SECOND, STEPS, Stage
from gatekeeper.interface.demo_witness import PER_SECOND, USERS, Witness, expect_only, expect_share, verify
from gatekeeper.interface.failures import RefusedError

FAULTY_ERRORS = 0.8
FAULTY_SECONDS = 0.1
AHEAD = 3.0
"""Seconds from the start of the release to its time."""
CAUGHT_WITHIN = 2.0
"""Seconds from the first error a user got to the faulty version's last request; one on a machine with nothing else to
do."""
REPORT_LINES = 27
"""Lines of the report that are shown: its beginning, with the answers."""
RELEASES = service_path("shop", "releases")


@dataclass(frozen=True, slots=True)
class Pace:
    """``hold`` seconds are what the plan holds each step for."""

    hold: float
    linger: bool


class Story:
    def __init__(self, stage: Stage, pace: Pace) -> None:
        self._stage = stage
        self._pace = pace
        self._witness = Witness(stage)
        self._began = time.monotonic()
        self._promoted = 0
        """The release that was."""

    async def tell(self) -> None:
        """Raises BrokenPromiseError at the first promise that is not kept, DemoError when the stage breaks."""
        steps: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
            ("Version blue serves the users", self._blue),
            ("Deploy: version green runs, and no user sees it", self._deploy),
            ("A tester looks at green before anybody else, then the checks of the plan do", self._verify),
            ("A first try, and back: one command, no redeploy", self._rollback),
            ("Release: started for a time to come, and somebody else must approve", self._start),
            ("More and more users reach green, step by step", self._ramp),
            ("A faulty version: it passes its checks, users get errors, the trip-wire takes it back", self._faulty),
            ("The report, for whoever asks later", self._report),
        )
        for number, (title, step) in enumerate(steps, 1):
            click.secho(f"\n{number}. {title}", bold=True)
            await step()
            self._stage.check_alive()
        click.secho("\nThe account", bold=True)
        self._say(self._witness.settle("green2"))

    async def end(self) -> None:
        await self._witness.load.stop()

    # Deploy and verify

    async def _blue(self) -> None:
        port = await self._stage.start_backend("blue")
        self._say(f"blue runs on port {port}")
        self._stage.write_file()
        self._type(f"serve --config {self._stage.file}")
        await self._stage.start_gatekeeper()
        self._say(f"gatekeeper listens on port {self._stage.port}; {USERS} users, {PER_SECOND:g} requests a second")
        mark = time.monotonic()
        self._witness.load.start()
        answers = await self._witness.round(mark)
        expect_only(answers, {"blue"})
        self._say(f"{len(answers)} answers, all of them 200 from blue")

    async def _deploy(self) -> None:
        await self._deploy_version("green")
        answers = await self._witness.round(time.monotonic())
        expect_only(answers, {"blue"})
        served = (await self._stage.seen("green"))["served"]
        verify(served == 0, f"green's own process has served {served} requests of users before any release")
        self._say(f"{len(answers)} answers since, all from blue; green's process itself has seen 0 requests of users")

    async def _deploy_version(self, name: str, **faults: float) -> None:
        port = await self._stage.start_backend(name, **faults)
        url = f"http://127.0.0.1:{port}"
        self._say(f"{name} runs on port {port}")
        self._type(f"deploy shop {name} {url} --build {name}-1.0 --wait")
        body = {"backends": [url], "build": f"{name}-1.0"}
        reply = await self._stage.call("PUT", f"{service_path('shop', 'versions', name)}?wait=20s", body)
        self._say(f"revision {reply['revision']}")
        await self._witness.until(lambda: self._ready(name), f"{name}'s backend did not become ready")
        split = (await self._stage.call("GET", service_path("shop")))["split"]
        verify(float(split.get(name, 0)) == 0, f"{name} holds weight right after its deploy: {split}")
        self._say(f"its health check is good; split: {render.weights(split)}")

    async def _ready(self, name: str) -> bool:
        service = await self._stage.call("GET", service_path("shop"))
        backends = service["versions"].get(name, {}).get("backends", [])
        return bool(backends) and all(backend["state"] == "ready" for backend in backends)

    async def _verify(self) -> None:
        connection = Connection(self._stage.port)
        try:
            forced = await connection.ask(0, User(), "X-Gatekeeper-Version: green")
            other = await connection.ask(0, User())
        finally:
            connection.close()
        self._say(f"with the header 'X-Gatekeeper-Version: green': {forced.status} from {forced.version}")
        self._say(f"the same request without it: {other.status} from {other.version}")
        verify((forced.status, forced.version, forced.forced) == (200, "green", "green"), f"the force failed: {forced}")
        verify((other.status, other.version) == (200, "blue"), f"without the header: {other}")
        self._type("verify shop green --plan careful")
        found = await self._stage.call("POST", service_path("shop", "verify"), {"version": "green", "plan": "careful"})
        verify(found["passed"] and found["results"], f"the checks of green failed: {found['results']}")
        for check in found["results"]:
            self._say(f"{_short(check['name'])}: passed in {check['seconds']:.2f} s")

    # Release

    async def _rollback(self) -> None:
        self._type("release start shop --to green --plan quick")
        await self._stage.call("POST", RELEASES, {"to": "green", "plan": "quick"})
        answers = await self._witness.round(await self._at_step(0))
        expect_only(answers, {"blue", "green"})
        users = {answer.user for answer in answers if answer.version == "green"}
        expect_share(len(users), USERS, FIRST_WEIGHT / 100)
        self._say(f"{len(users)} of {USERS} users have green; somebody has a doubt")
        self._type("rollback shop")
        asked = time.monotonic()
        reply = await self._stage.call("POST", service_path("shop", "rollback"), {})
        replied = time.monotonic()
        verify(float(reply["split"].get("green", 0)) == 0, f"the rollback left the split at {reply['split']}")
        expect_only(await self._witness.round(replied), {"blue"})
        last = (await self._stage.seen("green"))["last"]
        when = f"{abs(last - asked) * 1000:.1f} ms {'after' if last > asked else 'before'} the command was given"
        self._say(f"revision {reply['revision']}, {render.weights(reply['split'])}, {_took(reply, replied - asked)}")
        self._say(f"the last request that green's process saw came {when}")

    async def _start(self) -> None:
        self._type(f"release start shop --to green --at 'in {AHEAD:g}s' --note 'the new basket'")
        at = time.time() + AHEAD
        reply = await self._stage.call("POST", f"{RELEASES}?note=the+new+basket", {"to": "green", "at": at})
        release = reply["release"]
        await self._state("waiting")
        self._say(f"release {release['id']}, plan careful: the checks run again, then it waits")
        self._type("release approve shop")
        try:
            await self._stage.call("POST", f"{RELEASES}/last/approve", {})
        except RefusedError as refusal:
            self._say(f"refused: {refusal.what}")
        else:
            verify(False, "whoever started the release approved it")
        self._type(f"release approve shop --url {self._stage.url} --token-file {SECOND}.token", who=SECOND)
        reply = await self._stage.call_second("POST", f"{RELEASES}/last/approve", {"reason": "seen it in staging"})
        release = reply["release"]
        given = [approval["actor"] for approval in release["approvals"]]
        verify(given == [SECOND], f"{given} approved")
        self._say(f"{SECOND}, of the group product, approves over TCP with a token")
        if release["state"] == "waiting":
            self._say(f"now it waits for {' and '.join(item['detail'] for item in release['waiting'])}")
        await self._at_step(0)
        begun = next(entry["at"] for entry in (await self._release())["log"] if entry["event"] == "step")
        verify(begun >= at, f"the first step was taken {at - begun:.2f} s before its time")
        self._say(f"its time has come: the first step, {(begun - at) * 1000:.0f} ms after it")

    async def _ramp(self) -> None:
        load, reached, began = self._witness.load, set[int](), time.monotonic()
        for step, weight in enumerate(STEPS):
            mark = await self._at_step(step)
            before = await self._witness.metrics()
            # What is asked within the hold belongs to the step; a look at it takes a moment, at either end.
            await asyncio.sleep(self._pace.hold * 0.8)
            answers = load.since(mark)
            flowing = demo_metrics.shares(await self._witness.metrics(), before).get("green", 0.0)
            expect_only(answers, {"green"} if weight == 100 else {"blue", "green"})
            asked = {answer.user for answer in answers}
            users = {answer.user for answer in answers if answer.version == "green"}
            expect_share(len(users), len(asked), weight / 100)
            verify(reached & asked <= users, f"{len(reached & asked - users)} users who had green did not get it again")
            back = [move for move in load.moves if move.before == "green" and move.sent > began]
            verify(not back, f"{len(back)} users who had seen green were sent back to blue")
            reached |= users
            who = f"{len(users)} of {len(asked)} users{_by_chance(len(asked), weight / 100)}"
            self._say(
                f"step {step + 1} of {len(STEPS)}, {weight} %: green gets {render.percent(flowing)} of the requests "
                f"and {who}; nobody went back to blue"
            )
        release = await self._state("promoted")
        self._promoted = release["id"]
        service = await self._stage.call("GET", service_path("shop"))
        verify(service["stable"] == "green", f"stable is {service['stable']} after the promotion")
        verify(release["retained"], "blue is not kept after the promotion")
        self._say("promoted: green is stable now, and blue is kept warm for an hour")

    async def _faulty(self) -> None:
        await self._deploy_version(FAULTY, errors=FAULTY_ERRORS, seconds=FAULTY_SECONDS)
        before, load = await self._witness.metrics(), self._witness.load
        known = len(load.answers)
        self._type(f"release start shop --to {FAULTY} --plan quick")
        await self._stage.call("POST", RELEASES, {"to": FAULTY, "plan": "quick"})
        self._say(f"its check passes; {FIRST_WEIGHT} % of the users get it, and {FAULTY_ERRORS:.0%} of them an error")
        done = await self._state("rolled_back")
        mark = time.monotonic()
        verify(done["step"] == 0, f"{FAULTY} was taken back before any user saw it: {done['reason']}")
        self._say(f"release {done['id']} is {done['headline']}")
        answers = await self._witness.round(mark)
        expect_only(answers, {"green"})
        first = min((each.received for each in list(load.answers)[known:] if each.status == 500), default=mark)
        last = (await self._stage.seen(FAULTY))["last"]
        verify(last - first < CAUGHT_WITHIN, f"{FAULTY} got requests for {last - first:.1f} s after the first error")
        self._say(f"its process saw its last request {last - first:.2f} s after the first user got an error")
        for version in ("green", FAULTY):
            sample = await self._witness.since(before, version)
            errors = sample.errors / sample.requests if sample.requests else 0.0
            verify((errors > FAULTY_ERRORS / 2) is (version == FAULTY), f"{errors:.0%} errors of {version} in /metrics")
            self._say(f"/metrics, {version:<6}: {sample.requests:5.0f} requests, {render.percent(errors):>5} errors")
        self._say(f"{len(answers)} answers since, all of them 200 from green")

    async def _report(self) -> None:
        number = self._promoted
        self._type(f"release report shop {number}")
        text = str(await self._stage.call("GET", f"{RELEASES}/{number}/report", accept="text/markdown"))
        wanted = (SECOND, "seen it in staging", "the new basket", "How was it verified?", "What triggers it?")
        missing = [word for word in wanted if word not in text]
        verify(not missing, f"the report says nothing of {missing}")
        lines = text.splitlines()
        for line in lines[:REPORT_LINES]:
            click.echo(f"     | {render.clean(line)}".rstrip())
        if len(lines) > REPORT_LINES:
            self._say(f"and {len(lines) - REPORT_LINES} lines more, with the evidence")

    # What is asked again and again

    async def _release(self) -> dict[str, Any]:
        return dict(await self._stage.call("GET", f"{RELEASES}/last"))

    async def _state(self, wanted: str) -> dict[str, Any]:
        """The release once it is in that state. Raises BrokenPromiseError if it ends in another."""
        found: dict[str, Any] = {}

        async def there() -> bool:
            found.update(await self._release())
            ended = not found["active"] and found["state"] != wanted
            verify(not ended, f"the release is {found['headline']}, and was to be {wanted}")
            return bool(found["state"] == wanted)

        await self._witness.until(there, f"the release did not come to be {wanted}")
        return found

    async def _at_step(self, step: int) -> float:
        """When the release was seen at that step: the weight holds for every request from then on."""

        async def there() -> bool:
            found = await self._release()
            fine = found["active"] or found["state"] == "promoted"
            verify(fine, f"the release is {found['headline']} before its step {step + 1}")
            return bool(found["step"] >= step)

        return await self._witness.until(there, f"step {step + 1} was not taken")

    def _type(self, command: str, who: str = "") -> None:
        click.secho(f"   {who}$ gatekeeper {command}", fg="cyan")

    def _say(self, text: str) -> None:
        click.echo(f"   {time.monotonic() - self._began:5.1f} s  {text}")


def _took(reply: dict[str, Any], seconds: float) -> str:
    workers = reply.get("workers") or {}
    return (
        f"taken up by {workers.get('acknowledged')} of {workers.get('total')} workers, {seconds * 1000:.1f} ms in all"
    )


def _by_chance(users: int, share: float) -> str:
    """Each user falls to one side or the other by its own id, so their number spreads as coin tosses do."""
    deviation = sqrt(users * share * (1 - share))
    return f" ({users * share:.0f} give or take {deviation:.0f} by chance)" if deviation else ""


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:57]}..."
