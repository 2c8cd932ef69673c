"""Releases that a judge watches: versions whose trouble a test decides, the users in front of them, and what is said.

Nothing here is left to chance but who is sent where: of a version that fails every 20th request, every 20th fails.
"""

import asyncio
import contextlib
import time
from collections import Counter
from contextlib import AsyncExitStack
from itertools import count

from tests.conftest import _take
from tests.system.parts import running
from tests.system.scripted import Backend, reply
from tests.system.wire import Connection, CutShortError

LATE = 40.0
"""Seconds for what takes a few on an idle machine."""
LOOK = 0.1
SERVICE = {"sticky": {"mode": "none"}, "retries": {"attempts": 0}, "ejection": "off", "trip": "off"}
"""Nothing else decides; each request is drawn by itself."""
ERRORS = {"latency": False, "min_bake": "0s"}
"""An analysis of errors alone."""


def plan(*steps, **analysis):
    """A plan with these (weight, hold), then everything."""
    return {"steps": [*({"weight": weight, "hold": hold} for weight, hold in steps), {"weight": 100}],
            "analysis": analysis}  # fmt: skip


class Version(Backend):
    """Of users' requests every ``fails``th is answered 500, every ``slow``th after ``seconds``; 0: none. The next
    ``owes`` of users who come for the first time fail in any case, and so do those for which ``fails_for`` is true.
    """

    def __init__(self, name, *, fails=0, slow=0, seconds=0.3, fails_for=lambda _: False):
        super().__init__(self._answer)
        self.name, self.fails, self.slow, self.seconds, self.fails_for = name, fails, slow, seconds, fails_for
        self.owes = 0
        self.failed = []
        """The ids of requests that did."""

    def _answer(self, wire, request):
        number = len(self.asked)
        owed = self.owes > 0 and not request.all("x-again")
        if owed or (self.fails and number % self.fails == 0) or self.fails_for(request):
            self.owes -= owed
            self.failed += request.all("x-request-id")
            wire.send(reply(self.name, 500))
        elif self.slow and number % self.slow == 0:
            wire.later(self.seconds, reply(self.name))
        else:
            wire.send(reply(self.name))


class Users:
    """``rate`` requests a second to the service of that name, on ``connections``; fewer where the machine is slow.

    ``fields(number)`` are those of a request. ``statuses`` and ``cut`` count what became of them.
    """

    def __init__(self, port, service, rate, *, connections=12, fields=lambda _: {}):
        self._port, self._host, self._pause = port, f"{service}.test", connections / rate
        self._count, self._fields, self._numbers = connections, fields, count()
        self.statuses, self.cut = Counter(), 0
        self._tasks = []

    @property
    def failed(self):
        return sum(many for status, many in self.statuses.items() if status != 200)

    def come(self):
        self._gone = asyncio.Event()
        self._tasks = [asyncio.create_task(self._one()) for _ in range(self._count)]

    async def leave(self):
        """Each once it has its answer, so that all that was sent is counted."""
        tasks, self._tasks = self._tasks, []
        if tasks:
            self._gone.set()
            await asyncio.gather(*tasks)

    async def _one(self):
        connection, due = None, time.monotonic()
        while not self._gone.is_set():
            try:
                if connection is None:
                    connection = await Connection.open(self._port)
                answer = await connection.ask(host=self._host, **self._fields(next(self._numbers)))
                self.statuses[answer.status] += 1
            except (CutShortError, OSError, TimeoutError):
                self.cut += 1
                await close(connection)
                connection = None
            due = max(due + self._pause, time.monotonic())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(due - time.monotonic()):
                    await self._gone.wait()
        await close(connection)


async def close(connection):
    if connection is not None:
        await connection.close()


class Trial:
    """One service and its release from ``blue`` to ``green``."""

    def __init__(self, court, name, blue, green, users):
        self.court, self.name, self.blue, self.green, self.users = court, name, blue, green, users
        self.path = f"/v1/services/{name}"

    async def begin(self, *, users=True, name=""):
        """Begin it, with its users; ``name`` is that of a group it begins with."""
        path = f"/v1/services/{name or self.name}/releases"
        status, told = await self.court.gatekeeper.admin("POST", path, {"to": "green"})
        assert status == 200, told
        if users:
            self.users.come()

    async def release(self):
        status, document = await self.court.gatekeeper.admin("GET", f"{self.path}/releases/last")
        assert status == 200, document
        return document

    async def comes_to(self, fits, seconds=LATE):
        """The release once it ``fits``."""
        end = time.monotonic() + seconds
        while not fits(found := await self.release()):
            assert time.monotonic() < end, (found["state"], found["verdict"], found["verdicts"])
            await asyncio.sleep(LOOK)
        return found

    async def ends(self, state):
        """The release once it is in that state, which must be how it ends; its users go home."""
        found = await self.comes_to(lambda release: not release["active"] or release["state"] == state)
        assert found["state"] == state, (found["reason"], found["verdict"])
        await self.users.leave()
        return found

    async def says(self, kind):
        """The release once that is the verdict."""
        return await self.comes_to(lambda release: release["verdict"] and release["verdict"]["kind"] == kind)

    async def evidence(self, fits=lambda _: True):
        """What the judge knows of the service, once it ``fits``."""

        def mine(release):
            return next((each for each in release["verdicts"] if each["service"] == self.name), None)

        return mine(await self.comes_to(lambda release: (found := mine(release)) is not None and fits(found)))

    async def settled(self):
        """The same once all is in it that was answered until now."""
        now = (await self.evidence())["seconds"]
        return await self.evidence(lambda found: found["seconds"] >= now + 2)

    async def split(self):
        return (await self.court.gatekeeper.admin("GET", self.path))[1]["split"]

    async def record(self):
        """The seconds that were judged, as ``gatekeeper release seconds`` gives them."""
        done = await asyncio.to_thread(self.court.gatekeeper.cli, "release", "seconds", self.name)
        assert done.returncode == 0, done.stderr
        return done.stdout


class Court:
    """A gatekeeper of two workers and its trials: ``court["outage"]``."""

    def __init__(self, gatekeeper):
        self.gatekeeper, self.trials = gatekeeper, {}

    def __getitem__(self, name):
        return self.trials[name]

    async def replay(self, record):
        """What ``gatekeeper replay`` makes of a record: exit code and text."""
        file = self.gatekeeper.folder / "record.jsonl"
        file.write_text(record)
        done = await asyncio.to_thread(self.gatekeeper.cli, "replay", str(file))
        return done.returncode, done.stdout + done.stderr


def free_port():
    held = []
    port = _take(held)
    for each in held:
        each.close()
    return port


class Case:
    """What is to be tried: a plan, two versions, requests a second; ``service`` are further keys of the service."""

    def __init__(self, plan, blue=None, green=None, rate=60, *, fields=lambda _: {}, **service):
        self.plan, self.rate, self.fields, self.service = plan, rate, fields, service
        self.blue, self.green = blue or Version("blue"), green or Version("green")


async def open_court(stack: AsyncExitStack, folder, cases, **top):
    """A court for these cases by name, each with a plan of its name; no release has begun."""
    services = {}
    for name, case in cases.items():
        for version in (case.blue, case.green):
            await stack.enter_async_context(version)
        backends = {"blue": {"backends": [case.blue.url]}, "green": {"backends": [case.green.url]}}
        services[name] = {**SERVICE, "hosts": [f"{name}.test"], "plan": name, "versions": backends, **case.service}
    top["plans"] = {**top.get("plans", {}), **{name: case.plan for name, case in cases.items()}}
    port = free_port()
    court = Court(await stack.enter_async_context(running(folder, port, services, **top)))
    for name, case in cases.items():
        users = Users(port, name, case.rate, fields=case.fields)
        stack.push_async_callback(users.leave)
        court.trials[name] = Trial(court, name, case.blue, case.green, users)
    return court
