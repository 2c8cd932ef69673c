"""Every worker's log is opened anew when ``reopen`` returns, or it says whose is not, and why."""

import asyncio

from gatekeeper import channel
from gatekeeper.control.fleet import reopening
from gatekeeper.control.fleet.reopening import reopen


class Worker:
    """What ``reopen`` needs of one. ``answer``: what it says, None nothing at all."""

    def __init__(self, pid, answer):
        self.pid, self.answer, self.serials = pid, answer, []
        self.asked = []

    def renewal(self, serial):
        self.serials.append(serial)
        self.future = asyncio.get_running_loop().create_future()
        return self.future

    def send(self, frame):
        (message,) = channel.Decoder().feed(frame)
        self.asked.append(message)
        if self.answer is not None:
            self.future.set_result(self.answer)


async def test_all_are_asked_and_nothing_is_said_when_all_did():
    workers = [Worker(7, ""), Worker(8, "")]
    assert await reopen(workers) == []
    assert [each.asked for each in workers] == [[{"type": "reopen", "serial": worker.serials[0]}] for worker in workers]


async def test_two_rounds_are_told_apart():
    worker = Worker(7, "")
    await reopen([worker])
    await reopen([worker])
    assert len(set(worker.serials)) == 2


async def test_who_keeps_the_old_file_says_why_and_who_says_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(reopening, "SECONDS", 0.05)
    said = await reopen([Worker(7, ""), Worker(8, "/log: cannot be opened"), Worker(9, None)])
    assert said == ["worker 8: /log: cannot be opened", "worker 9: no answer within 0.05 s"]


async def test_without_workers_there_is_nothing_to_wait_for():
    assert await reopen([]) == []
