"""A picture that is looked at again and again: redrawn on a terminal until ``q`` or Ctrl-C, printed elsewhere.

On a terminal it is drawn anew at once when the window's size changes, and a gatekeeper that is away for a moment is
shown as such. The terminal is left as it was found, whatever happens in between.
"""

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from types import FrameType
from typing import Self

from gatekeeper.interface import render
from gatekeeper.interface.failures import UnreachableError
from gatekeeper.interface.render import Part

PATIENCE = 0.3
"""Seconds to try to reach gatekeeper before the picture says that it is away: keys wait meanwhile."""
TIMEOUT = 5.0
READ_BYTES = 64
"""Of what was typed since the last look; only a ``q`` in it matters."""


class Happened(Enum):
    QUIT = 1
    RESIZED = 2
    NOTHING = 3


def watched() -> bool:
    return sys.stdout.isatty()


def show(look: Callable[[], Sequence[Part]], every: float) -> None:
    """Show the pictures that ``look`` gives, one ``every`` so many seconds, until ``q``; Ctrl-C as everywhere.

    Raises what ``look`` raises, but on a terminal not UnreachableError.
    """
    if not watched():
        while True:
            render.write([*look(), ""])
            sys.stdout.flush()
            time.sleep(every)
    from rich.live import Live

    with _Keys() as keys, Live(auto_refresh=False, screen=True) as live:
        while True:
            until = time.monotonic() + every
            try:
                found = look()
            except UnreachableError as error:
                found = [render.clean(f"{error.what} ({error.where}); trying again")]
            happened = Happened.RESIZED
            while happened is Happened.RESIZED:
                live.update(render.rich_group(found, live.console.size.height), refresh=True)
                happened = keys.wait(until - time.monotonic())
            if happened is Happened.QUIT:
                return


class _Keys:
    """Keys as they are pressed, and changes of the window's size. Without a terminal to type at there are no keys."""

    def __enter__(self) -> Self:
        self._typed = sys.stdin.fileno() if sys.stdin.isatty() else None
        self._before = termios.tcgetattr(self._typed) if self._typed is not None else None
        self._resized, self._resize = os.pipe()
        os.set_blocking(self._resize, False)
        self._handler = signal.signal(signal.SIGWINCH, self._on_resize)
        if self._typed is not None:
            tty.setcbreak(self._typed)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGWINCH, self._handler)
        if self._typed is not None and self._before is not None:
            termios.tcsetattr(self._typed, termios.TCSADRAIN, self._before)
        os.close(self._resized)
        os.close(self._resize)

    def wait(self, seconds: float) -> Happened:
        """Wait for so many seconds, or until something happens."""
        sources = [self._resized, *([self._typed] if self._typed is not None else [])]
        ready, _, _ = select.select(sources, [], [], max(0.0, seconds))
        if self._typed in ready:
            typed = os.read(self._typed or 0, READ_BYTES)
            if b"q" in typed.lower() or not typed:
                return Happened.QUIT
            return Happened.RESIZED  # another key draws anew, and waits on
        if ready:
            os.read(self._resized, READ_BYTES)
            return Happened.RESIZED
        return Happened.NOTHING

    def _on_resize(self, _number: int, _frame: FrameType | None) -> None:
        with suppress(BlockingIOError):  # full of such news already
            os.write(self._resize, b".")
