"""The bench: a scripted client, the proxy, a scripted backend; one case at a time.

After each case a plain request goes through on a connection of its own. If something of the case was left over at the
backend, it is there before that request's answer, or spoils it; then the backend hangs up everything.
"""

import asyncio
import contextlib
import socket

from tests.wire.case import OK, Act, Answer, Case, End
from tests.wire.oracle import Requests, Responses
from tests.wire.scene import PATIENCE, Scene, Side, backend_reader

BARRIER = b"GET /barrier HTTP/1.1\r\nHost: a.test\r\n\r\n"
STILL_OPEN = b"GET /still-open HTTP/1.1\r\nHost: a.test\r\n\r\n"
OURS = (b"GET /barrier HTTP/1.", b"GET /still-open HTTP/1.")
# Seconds that a proxy gets to notice that the backend has hung up.
HUSH_SECONDS = 2.0
# Small, so that a slow reader is soon noticed.
RECEIVE_BUFFER = 128 * 1024


class Bench:
    """``port`` is where the backend listens; ``proxy`` where the proxy does, to be set when it is known."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)  # inherited by what it accepts
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(128)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self.proxy = 0
        self._scene: Scene | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    async def stop(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._accepting
        self._listener.close()

    async def run(self, case: Case) -> Scene:
        """Play a case to its end."""
        scene = self._scene = Scene(case, self.patience)
        gets = case.wants.gets or ()
        client = scene.client = await self._connect(scene, tuple(reply.head for reply in gets), case.source)
        await client.play(case.send)
        await self._finish(scene, client, len(gets))
        if not client.ended.startswith("closed"):
            await client.close()
        await self._barrier(scene)
        await self._hush(scene)
        return scene

    async def _connect(self, scene: Scene, heads: tuple[bool, ...], source: str) -> Side:
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.proxy))
        return Side(scene, sock, Responses(heads), "client")

    async def _finish(self, scene: Scene, client: Side, count: int) -> None:
        """Read until all that is expected is here, and not longer."""
        reader = client.reader
        end = scene.case.wants.end
        if end in {End.CLOSED, End.RESET, End.ENDED}:
            await scene.until(lambda: bool(client.ended), "the end of the client's connection")
            return

        def here() -> bool:
            whole = sum(message.whole for message in reader.messages)
            return whole >= count or bool(client.ended) or bool(reader.fault)

        await scene.until(here, f"{count} answers at the client")
        if end is End.OPEN and not client.ended:
            await client.play((STILL_OPEN,))
            before = len(reader.messages)
            await scene.until(
                lambda: bool(client.ended) or sum(message.whole for message in reader.messages) > before,
                "",  # the answer is missed by who judges
            )

    async def _barrier(self, scene: Scene) -> None:
        last = await self._connect(scene, (), "127.0.0.1")
        await last.play((BARRIER,))
        await scene.until(lambda: bool(last.ended) or any(each.whole for each in last.reader.messages), "")
        answers = [message.status for message in last.reader.messages]
        if answers != [200] or bytes(last.reader.messages[0].body) != b"ok":
            scene.harm.append(f"the next client's plain request was answered with {answers}")
        await last.close()

    async def _hush(self, scene: Scene) -> None:
        """Hang up every backend connection, and wait until the proxy has noticed."""
        for side in scene.backends:
            with contextlib.suppress(OSError):
                side.sock.shutdown(socket.SHUT_WR)
        for side in scene.backends:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HUSH_SECONDS):
                    await scene.reached(lambda: bool(side.ended))  # noqa: B023 - awaited before the next one
            await side.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # The backend

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self._listener)
            scene = self._scene
            if scene is None:
                sock.close()
                continue
            side = Side(scene, sock, Requests(), "backend")
            scene.backends.append(side)
            task = loop.create_task(self._answer(scene, side))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, scene: Scene, side: Side) -> None:
        """Answer the requests of one connection, one after the other, by the case's answers over all connections."""
        reader = backend_reader(side)
        number = 0
        while True:
            answer = self._next(scene)
            if answer.on == "accept":
                scene.answered += 1
            else:
                await self._wait(scene, side, number, answer.on)
                if side.ended or len(reader.messages) <= number:
                    return
                answer = OK
                if not reader.messages[number].line.startswith(OURS):
                    answer = self._next(scene)
                    scene.answered += 1
                number += 1
            await side.play(answer.steps)
            if Act.CLOSE in answer.steps or Act.RESET in answer.steps:
                return

    async def _wait(self, scene: Scene, side: Side, number: int, on: str) -> None:
        reader = backend_reader(side)

        def due() -> bool:
            if side.ended or reader.fault:
                return True
            if len(reader.messages) <= number:
                return False
            message = reader.messages[number]
            return message.whole or (on == "head" and not message.line.startswith(OURS))

        await scene.reached(due)

    def _next(self, scene: Scene) -> Answer:
        answers = scene.case.answers
        return answers[scene.answered] if scene.answered < len(answers) else OK
