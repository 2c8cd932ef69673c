"""The line before the one writer: bounded, one order at a time, can be held up, ends with a reason for all who wait."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Generic, Protocol, TypeVar

from gatekeeper.core.outcome import Refused


class Ordered(Protocol):
    @property
    def actor(self) -> str: ...


Order = TypeVar("Order", bound=Ordered)
Result = TypeVar("Result")

log = logging.getLogger("gatekeeper.control")

QUEUE: Final = 256
"""Orders waiting. At a few milliseconds each the last waits a second; more is a program gone wild, not operators."""
REPLY_SECONDS: Final = 25.0
"""How long a caller waits for its reply: shorter than a client's patience (30 s)."""


class Line(Generic[Order, Result]):
    """``start`` before ``submit``; ``stop`` finishes the order under way and refuses the rest."""

    def __init__(self, carry_out: Callable[[Order], Awaitable[Result]]) -> None:
        self._carry_out = carry_out
        self._queue: asyncio.Queue[tuple[Order, asyncio.Future[Result]] | None] = asyncio.Queue(QUEUE)
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._open = asyncio.Event()
        self._open.set()
        self._busy = asyncio.Lock()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="controller")

    async def stop(self) -> None:
        self._stopping = True
        self._open.set()
        if self._task is not None:
            if self._queue.empty():
                self._queue.put_nowait(None)  # wakes the task, which then sees that it is to end
            await self._task
            self._task = None

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    async def pause(self) -> None:
        """Finish the order under way; those that come wait, each as long as its caller does, until ``resume``."""
        self._open.clear()
        async with self._busy:
            pass

    def resume(self) -> None:
        self._open.set()

    async def submit(self, order: Order) -> Result:
        """Queue an order and wait for its result.

        Raises what carrying it out raises as Refused; 503 ``busy`` or ``stopping``; 500 ``internal``. 504
        ``outcome_unknown`` alone means that it may still take effect.
        """
        if self._stopping or self._task is None:
            raise Refused(503, "stopping", "gatekeeper is stopping", "ask again when it runs")
        reply: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((order, reply))
        except asyncio.QueueFull:
            raise Refused(503, "busy", f"{QUEUE} commands are waiting already", "ask again in a second") from None
        try:
            # A caller that goes away cancels the reply: an order not begun is then not carried out.
            async with asyncio.timeout(REPLY_SECONDS):
                return await reply
        except TimeoutError:
            raise Refused(
                504,
                "outcome_unknown",
                f"no outcome after {REPLY_SECONDS:g} s: the disk or the workers are slow",
                "see `gatekeeper status`; the command is dropped if it has not begun, else it may still take effect",
            ) from None

    async def _run(self) -> None:
        while True:
            item = await self._queue.get()
            while not self._open.is_set():  # again and again: a pause may come between a resume and this task's turn
                await self._open.wait()
            if item is None or self._stopping:
                self._refuse_rest(item)
                return
            order, reply = item
            if reply.done():  # the caller went away before anything began
                continue
            async with self._busy:
                await self._answer(order, reply)

    async def _answer(self, order: Order, reply: asyncio.Future[Result]) -> None:
        try:
            result = await self._carry_out(order)
        except Refused as refusal:
            _refuse(reply, refusal)
        except Exception as error:
            log.exception("command failed", extra={"actor": order.actor})
            _refuse(
                reply,
                Refused(500, "internal", f"gatekeeper failed ({type(error).__name__})", "see its log; report it"),
            )
        else:
            if not reply.done():
                reply.set_result(result)

    def _refuse_rest(self, item: tuple[Order, asyncio.Future[Result]] | None) -> None:
        while True:
            if item is not None:
                _refuse(item[1], Refused(503, "stopping", "gatekeeper is stopping", "ask again when it runs"))
            if self._queue.empty():
                return
            item = self._queue.get_nowait()


def _refuse(reply: "asyncio.Future[Result]", refusal: Refused) -> None:
    if not reply.done():
        reply.set_exception(refusal)
