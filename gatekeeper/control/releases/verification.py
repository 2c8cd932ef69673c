"""One verification: all checks of a gate, for every service of the release, at once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gatekeeper.control.releases.candidate import Candidate
from gatekeeper.control.releases.finding import Finding
from gatekeeper.core.release.model import CheckResult
from gatekeeper.core.release.plan import Check, names

log = logging.getLogger("gatekeeper.release")

AT_ONCE: Final = 8
"""Checks of one verification under way: enough that a slow one does not hold up the rest, few enough for the machine
that serves users."""
PATIENCE_SECONDS: Final = 5.0
"""After the first failure the others have so long to say what they found. All must pass: waiting for one that takes an
hour would only keep the candidate where it is."""

Look = Callable[[Check, Candidate], Awaitable[Finding]]


@dataclass(slots=True)
class Item:
    """One check of one candidate, as it stands. ``began`` is by the loop's clock; None: it waits its turn."""

    candidate: Candidate
    name: str
    check: Check
    began: float | None = None
    result: CheckResult | None = None

    def document(self, now: float) -> dict[str, Any]:
        """As people are shown it; ``now`` is by the loop's clock."""
        state, seconds = "waiting", 0.0
        if self.result is not None:
            state, seconds = "passed" if self.result.passed else "failed", self.result.seconds
        elif self.began is not None:
            state, seconds = "running", round(now - self.began, 3)
        return {"service": self.candidate.service.name, "name": self.name, "state": state, "seconds": seconds}


class Verification:
    """``run`` once; ``items`` show how far it is."""

    def __init__(self, gate: str, checks: Sequence[Check], candidates: Sequence[Candidate]) -> None:
        self.gate = gate
        named = list(zip(names(checks), checks, strict=True))
        self.items = [Item(candidate, name, check) for candidate in candidates for name, check in named]

    async def run(
        self, look: Look, time: Callable[[], float], *, seconds: float | None = None
    ) -> tuple[CheckResult, ...]:
        """The results in the order of the plan, service by service. ``time`` stamps them.

        What is not done within ``seconds`` is ended, and has failed. Never raises but for cancellation, which ends
        every check.
        """
        places = asyncio.Semaphore(AT_ONCE)
        tasks = [asyncio.create_task(self._make(item, look, time, places)) for item in self.items]
        try:
            await self._until_decided(tasks, seconds)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        failed = self._failed or seconds is None
        late = Finding(
            passed=False,
            text="not finished: another check had failed" if failed else f"not finished within {seconds:g} s",
        )
        return tuple(item.result or self._result(item, late, time()) for item in self.items)

    @property
    def _failed(self) -> bool:
        return any(item.result is not None and not item.result.passed for item in self.items)

    async def _until_decided(self, tasks: Sequence["asyncio.Task[None]"], seconds: float | None) -> None:
        """Until all have ended, the time is over, or PATIENCE_SECONDS after one failed."""
        now = asyncio.get_running_loop().time
        waiting, end = set(tasks), float("inf") if seconds is None else now() + seconds
        while waiting and now() < end:
            left = None if end == float("inf") else end - now()
            _, waiting = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if self._failed:
                end = min(end, now() + PATIENCE_SECONDS)

    async def _make(self, item: Item, look: Look, time: Callable[[], float], places: asyncio.Semaphore) -> None:
        async with places:
            item.began = asyncio.get_running_loop().time()
            try:
                finding = await look(item.check, item.candidate)
            except Exception as error:
                # A defect must show as a check that failed, not as one that nobody hears of again.
                log.exception("a check failed by itself", extra={"check": item.name})
                finding = Finding(passed=False, text=f"the check itself failed: {error!r}; see the log of gatekeeper")
            item.result = self._result(item, finding, time())

    def _result(self, item: Item, finding: Finding, at: float) -> CheckResult:
        now = asyncio.get_running_loop().time()
        return CheckResult(
            gate=self.gate,
            service=item.candidate.service.name,
            name=item.name,
            passed=finding.passed,
            seconds=round(now - item.began, 3) if item.began is not None else 0.0,
            output=finding.text,
            at=at,
            version=item.candidate.digest,
        )
