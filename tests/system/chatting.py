"""People in a chat: WebSockets that stay open, talk now and then, and come back when they are asked to go (1001)."""

import asyncio
import contextlib
import random

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.system.programs import until

GOING_AWAY = 1001
TALK_SECONDS = (0.3, 0.7)


async def echo(socket):
    with contextlib.suppress(ConnectionClosed):
        async for message in socket:
            await socket.send(message)


def backend():
    """A server for ``async with``; sends every message back."""
    return serve(echo, "127.0.0.1", 0, ping_interval=None, close_timeout=1)


class Chat:
    """``people`` connections to ``uri`` at all times, inside ``async with``.

    ``came`` counts the connections there were, ``asked`` how often one was asked to go; ``wrong`` names everything
    else that ended one, and every message that came back as another.
    """

    def __init__(self, uri, people):
        self._uri, self._people = uri, people
        self.here, self.came, self.asked, self.said = 0, 0, 0, 0
        self.wrong = []

    async def __aenter__(self):
        self._going = True
        self._tasks = [asyncio.create_task(self._stay(number)) for number in range(self._people)]
        return self

    async def __aexit__(self, *_):
        self._going = False
        await asyncio.gather(*self._tasks)

    def all_back(self, times):
        """Wait until everybody was asked to go that many times and is back. For another thread."""
        until(lambda: self.asked >= times * self._people and self.here == self._people, 20, "everybody in the chat")

    async def _stay(self, number):
        while self._going:
            try:
                async with connect(self._uri, ping_interval=None, proxy=None, close_timeout=5) as socket:
                    self.came += 1
                    self.here += 1
                    try:
                        await self._talk(socket, number)
                    finally:
                        self.here -= 1
            except ConnectionClosed as end:
                if end.rcvd is None or end.rcvd.code != GOING_AWAY:
                    self.wrong.append(f"{number}: {end!r}")
                self.asked += 1
            except (OSError, WebSocketException, TimeoutError) as error:
                self.wrong.append(f"{number} was not let in: {error!r}")
                await asyncio.sleep(0.1)

    async def _talk(self, socket, number):
        while self._going:
            self.said += 1
            message = f"{number} says {self.said}"
            await socket.send(message)
            if (back := await socket.recv()) != message:
                self.wrong.append(f"{message!r} came back as {back!r}")
            await asyncio.sleep(random.uniform(*TALK_SECONDS))
