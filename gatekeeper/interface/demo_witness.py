"""What the demo looks at: the users' answers, the metrics, the backends; and what it makes of a promise not kept."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from math import sqrt

from gatekeeper.interface import demo_metrics, render
from gatekeeper.interface.demo_load import Answer, Load
from gatekeeper.interface.demo_stage import DemoError, Stage

USERS = 400
"""Enough that 5 % is somebody: that none of 400 falls into it happens once in a thousand million runs."""
PER_SECOND = 400.0
CONNECTIONS = 60
"""At 400 a second, room for every tenth answer to take a second."""
SPREAD = 5.0
"""Standard deviations within which the share of users must lie: beyond it once in a million runs."""
WITHIN = 20.0
"""Seconds for anything to show in the traffic; twice a second-long round of all users on a busy machine, and more."""


class BrokenPromiseError(Exception):
    """What was seen instead of what was promised."""


def verify(kept: bool, otherwise: str) -> None:
    if not kept:
        raise BrokenPromiseError(otherwise)


def expect_only(answers: list[Answer], versions: set[str]) -> None:
    wrong = [answer for answer in answers if answer.status != 200 or answer.version not in versions]
    verify(not wrong, f"expected 200 from {' or '.join(sorted(versions))} alone, but also: {counted(wrong)}")


def expect_share(users: int, of: int, share: float) -> None:
    """So many users of those who were answered have the version whose weight is ``share``."""
    expected = of * share
    allowed = SPREAD * sqrt(expected * (1 - share)) + 0.5
    verify(
        abs(users - expected) <= allowed and users > 0,
        f"{users} of {of} users have it at a share of {render.percent(share)}",
    )


def counted(answers: list[Answer]) -> str:
    counts = Counter(answer.lost or f"{answer.status} from {answer.version or 'gatekeeper'}" for answer in answers)
    return ", ".join(f"{count} x {what}" for what, count in counts.most_common(5))


class Witness:
    """Waits for what is to show, in the traffic and in gatekeeper's own words."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.load = Load(stage.port, users=USERS, per_second=PER_SECOND, connections=CONNECTIONS)

    async def round(self, mark: float) -> list[Answer]:
        """Answers to what was sent since ``mark`` (monotonic), once every user has been answered since then."""

        async def complete() -> bool:
            return len({answer.user for answer in self.load.since(mark)}) == USERS

        await self.until(complete, "not every user was answered")
        return self.load.since(mark)

    async def until(self, happened: Callable[[], Awaitable[bool]], otherwise: str) -> float:
        """When it had happened, in monotonic seconds: it holds for all that begins after that. Raises DemoError."""
        deadline = time.monotonic() + WITHIN
        while not await happened():
            self._stage.check_alive()
            if time.monotonic() > deadline:
                raise DemoError(f"{otherwise} within {WITHIN:g} s{self._stage.log_tail()}")
            await asyncio.sleep(0.05)
        return time.monotonic()

    async def metrics(self) -> dict[str, demo_metrics.Sample]:
        return demo_metrics.read(await self._stage.call("GET", "/metrics"), "shop")

    async def since(self, earlier: dict[str, demo_metrics.Sample], version: str) -> demo_metrics.Sample:
        nothing = demo_metrics.Sample()
        return (await self.metrics()).get(version, nothing).minus(earlier.get(version, nothing))

    def settle(self, faulty: str) -> str:
        """The whole account, in words: no request was lost, and nobody but the faulty version failed."""
        answers = list(self.load.answers)
        lost = [answer for answer in answers if answer.lost]
        failed = [answer for answer in answers if answer.status != 200 and not answer.lost]
        others = [answer for answer in failed if (answer.status, answer.version) != (500, faulty)]
        verify(not lost, f"{len(lost)} requests were lost, the first: {lost[0].lost if lost else ''}")
        verify(not others, f"{len(others)} requests failed that {faulty} did not fail: {counted(others)}")
        return f"{len(answers)} requests of {USERS} users: none lost, {len(failed)} failed, all of them by {faulty}"
