"""The checks of a plan, made: each looks at a candidate and comes to a finding."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from gatekeeper.clock import Clock
from gatekeeper.control.health.watched import Probe
from gatekeeper.control.releases.candidate import Candidate, arguments, environment
from gatekeeper.control.releases.finding import Finding
from gatekeeper.control.releases.leftovers import Leftovers
from gatekeeper.control.releases.output import reported
from gatekeeper.control.releases.process import Programs
from gatekeeper.control.releases.released_in import released_in
from gatekeeper.core.model import HealthCheck
from gatekeeper.core.release.plan import Check, CommandCheck, HttpCheck, MirrorCheck

ASKED: Final = 16
"""Backends of one version asked at once."""
_THREADS: Final = 4
"""Programs being loaded and tokens being read at once. A disk that hangs stops these threads, and nobody else needs
them.
"""

DISK_SECONDS: Final = 2.0
"""A start waits no longer for the notes of what ran: a disk that hangs is not its to mend."""

Mirrored = Callable[[MirrorCheck, Candidate], Awaitable[Finding]]

Ids = Callable[[str, str, str], Sequence[str]]
"""Service, version and url -> the backends that the url stands for, see ``Monitor.ids``."""


class Examiner:
    """Makes checks. ``close`` ends the programs that still run, once nobody waits for them."""

    def __init__(
        self,
        *,
        probe: Probe,
        ids: Ids,
        directory: str,
        state_path: str,
        clock: Clock,
        ours: Mapping[str, str] = os.environ,
    ) -> None:
        """``directory`` is that of the configuration file, in which programs run; ``ours`` our environment.

        Beside the state file it is noted what runs.
        """
        self._probe = probe
        self._ids = ids
        self._directory = directory
        self._clock = clock
        self._ours = ours
        self._threads = ThreadPoolExecutor(_THREADS, "checks")
        self._leftovers = Leftovers(state_path)
        self.programs = Programs(self._threads, self._leftovers)
        self.mirrored: Mirrored | None = None
        """Makes a check of shadow traffic, see ``control.shadow``."""

    async def look(self, check: Check, candidate: Candidate) -> Finding:
        """Bounded by the check's own time. Never raises but for cancellation, which ends what it began."""
        if check.http is not None:
            return await self._http(check.http, candidate)
        if check.command is not None:
            return await self._command(check.command, candidate)
        if check.mirror is not None and self.mirrored is not None:
            return await self.mirrored(check.mirror, candidate)
        if check.released_in is not None:
            return await released_in(check.released_in, candidate.version.build, self._threads)
        return Finding(passed=False, text="nothing is to be checked; a check is http, command, released_in or mirror")

    async def end_earlier(self) -> int:
        """End the programs that a killed supervisor left behind. Returns how many there were, as far as known."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DISK_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, self._leftovers.end_earlier)
        return 0

    async def close(self) -> None:
        await self.programs.close()
        self._threads.shutdown(wait=False)

    async def _http(self, check: HttpCheck, candidate: Candidate) -> Finding:
        """Ask every backend itself, as health checks do: also one that is not ready."""
        service, version = candidate.service.name, candidate.version
        wanted = HealthCheck(
            path=check.path, status=check.status, body_contains=check.body_contains, timeout=check.within
        )
        places = asyncio.Semaphore(ASKED)

        async def ask(backend: str) -> str:
            async with places:
                return await self._probe(backend, wanted, version.tls)

        backends = [one for each in version.backends for one in self._ids(service, version.name, each.url)]
        async with asyncio.TaskGroup() as tasks:
            asked = {backend: tasks.create_task(ask(backend)) for backend in backends}
        wrong = {backend: task.result() for backend, task in asked.items() if task.result()}
        first = f"{len(backends) - len(wrong)} of {len(backends)} backends passed"
        return Finding(
            passed=not wrong, text=reported(first, "\n".join(f"{backend}: {why}" for backend, why in wrong.items()))
        )

    async def _command(self, check: CommandCheck, candidate: Candidate) -> Finding:
        ended = await self.programs.run(
            arguments(check.run, candidate),
            environment=environment(candidate, self._clock.wall(), check.timeout, self._ours),
            directory=self._directory,
            seconds=check.timeout,
        )
        return Finding(ended.passed, reported(ended.how, ended.output))
