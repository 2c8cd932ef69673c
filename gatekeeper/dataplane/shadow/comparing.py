"""Comparisons, one in a turn of the loop, and no more of them than leave users' requests the worker's time."""

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gatekeeper.dataplane.shadow.shadow import Shadow

SHARE: Final = 0.02
"""Part of the worker's time that comparing may take: 20 ms of a second. Answers of 2 KB of JSON take 0.1 ms, so that is
170 requests a second; what differs shows in far fewer."""
SAVED: Final = 0.02
"""Seconds that may be saved up for a burst."""
LONG: Final = 0.0005
"""Seconds of a comparison that count twice. While it lasts users' requests come and wait, more of them and each for
longer: what they wait in all grows with the square of its time, and so does what it is charged beyond its time. 5 ms
(answers of 64 KiB, three of them) count as 55: such come every three seconds, and less than 1 % of users meets one."""

monotonic = time.monotonic
thread_time = time.thread_time


class Comparing:
    __slots__ = ("_call_soon", "_looked_at", "_saved", "_waiting")

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._waiting: deque[Shadow] = deque()
        self._saved = SAVED
        self._looked_at = 0.0

    def add(self, shadow: "Shadow") -> None:
        """Compare it in one of the next turns, or say that there is no time to."""
        self._waiting.append(shadow)
        if len(self._waiting) == 1:
            self._call_soon(self._next)

    def _next(self) -> None:
        if not self._waiting:
            return
        now = monotonic()
        self._saved = min(SAVED, self._saved + SHARE * (now - self._looked_at))
        self._looked_at = now
        if self._saved <= 0.0:
            self.clear()
            return
        shadow = self._waiting.popleft()
        if self._waiting:
            self._call_soon(self._next)
        began = thread_time()  # what others take of the core meanwhile is not its fault
        try:
            shadow.compare()
        finally:
            took = thread_time() - began
            self._saved -= took + took * took / LONG

    def clear(self) -> None:
        """Give up those that wait."""
        while self._waiting:
            self._waiting.popleft().pass_over()
