"""One release that is judged: its cases, its custom metrics, and the one verdict that the release is told.

The release knows what it was told last (``Release.verdict``), so nothing has to be remembered here: what is news is
told, and what was refused is news still at the next look.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gatekeeper.control.judging.case import Case
from gatekeeper.control.judging.queries import Queries
from gatekeeper.core.command import Refused
from gatekeeper.core.judge.standing import Standing, odds
from gatekeeper.core.judge.verdict import Kind
from gatekeeper.core.model import Release
from gatekeeper.core.release import demand
from gatekeeper.core.release.commands import Judged
from gatekeeper.core.release.model import VerdictView

log = logging.getLogger("gatekeeper.judge")

ACTOR: Final = "judge"
AGAIN_SECONDS: Final = 1.0
AGAIN_MOST: Final = 15.0
"""After a refusal (the disk is full, the queue is) it is tried again, first soon, then four times a minute, without
end: what is proven worse must go as soon as it can."""
CALM_SECONDS: Final = 5.0
"""Between two words that stop nothing: a verdict on the edge must not make a revision every second."""
DEAF_SECONDS: Final = 30.0
"""Without a second to judge, after which what the judge said lets nothing pass: twice as long as a worker that hangs
holds up the others. Without traffic there are seconds, too."""

Submit = Callable[[Judged], Coroutine[Any, Any, object]]


@dataclass(slots=True)
class Course:
    """``cases`` by service, in the order of the release's moves."""

    release: int
    cases: Mapping[str, Case]
    queries: Queries
    _told: float = float("-inf")
    """When it was told of last, by the steady clock, and at which step."""
    _step: int = -1
    _asking: "asyncio.Task[None] | None" = None
    _again: float = float("-inf")
    _tries: int = field(default=0)

    def standings(self) -> tuple[Standing, ...]:
        return tuple(
            Standing(
                release=self.release,
                service=service,
                stable=case.task.stable,
                candidate=case.task.candidate,
                analysis=case.task.analysis,
                verdict=case.verdict,
                at=case.looked,
                guards=case.judge.guards(),
                queries=self.queries.readings,
            )
            for service, case in self.cases.items()
        )

    def view(self, now: float) -> VerdictView:
        """The one that counts of all services and metrics. ``now`` is monotonic seconds."""
        metrics = (metric.view() for metric in self.queries.metrics)
        several = len(self.cases) > 1
        return demand.worst(
            [
                *(_view(case, service if several else "", now) for service, case in self.cases.items()),
                *(view for view in metrics if view is not None),
            ]
        )

    def tell(self, release: Release, now: float, world: Callable[[Release], Mapping[str, Any]], submit: Submit) -> bool:
        """Begin to tell the release, if there is news. ``now`` is monotonic seconds. Returns whether it was begun."""
        if self._asking is not None or now < self._again or not self.cases:
            return False
        said = self.view(now)
        if not demand.is_news(release, said) or (release.verdict is None and not self._begun()):
            return False
        stops = not demand.heard(release, said)[2]
        if not stops and release.step == self._step and now - self._told < CALM_SECONDS:
            return False
        self._told, self._step = now, release.step
        command = Judged(actor=ACTOR, release=self.release, verdict=said, **world(release))
        self._asking = asyncio.create_task(self._ask(command, now, submit), name="judged")
        return True

    def _begun(self) -> bool:
        """Whether there was anything to judge yet, or it is known that there never will be."""
        return all(case.judge.last >= 0 or case.verdict.kind is Kind.INVALID for case in self.cases.values())

    async def stop(self) -> None:
        await self.queries.stop()
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self, command: Judged, now: float, submit: Submit) -> None:
        try:
            await submit(command)
            self._tries = 0
        except Refused as refusal:
            wait = min(AGAIN_SECONDS * 2 ** min(self._tries, 10), AGAIN_MOST)
            self._tries += 1
            self._again = now + wait
            told = {"release": self.release, "verdict": command.verdict.kind, "reason": str(refusal), "again": wait}
            log.error("a verdict was not taken", extra=told)  # noqa: TRY400 - the reason says it all
        finally:
            self._asking = None


def _view(case: Case, service: str, now: float) -> VerdictView:
    verdict, silence = case.verdict, case.silence(now)
    deaf = silence > DEAF_SECONDS
    sentence = f"{verdict.sentence}; but nothing was recorded for {silence:.0f} s" if deaf else verdict.sentence
    return VerdictView(
        kind=verdict.kind.value,
        sentence=f"{service}: {sentence}" if service else sentence,
        odds=odds(verdict.numbers.log_odds),
        bar=verdict.bar,
        passes=not deaf,
        cause=verdict.cause.value,
    )
