"""``gatekeeper serve`` with a watch on its writer: ``python -m benchmarks.timed_serve MARKS SLOW FILE``.

Writes one line of JSON to MARKS for each command: monotonic seconds at which it came to the controller (``came``), went
to the store (``decided``), was durable (``stored``), was taken up by every worker (``taken``) and was done (``done``).
SLOW names a file: while it holds a number, every write to the store takes that many seconds longer.
"""

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from gatekeeper import app
from gatekeeper.control.controller import Controller, Result
from gatekeeper.core.command import Command
from gatekeeper.core.model import State

now = time.monotonic


class Watched:
    """The journal of a controller, with a note of when it was asked and when it answered."""

    def __init__(self, journal: Any, marks: dict[str, float], slow: Path) -> None:
        self._journal = journal
        self._marks = marks
        self._slow = slow

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    async def append(self, record: Any) -> Any:
        self._marks["decided"] = now()
        with contextlib.suppress(OSError, ValueError):
            await asyncio.sleep(float(self._slow.read_text()))
        events = await self._journal.append(record)
        self._marks["stored"] = now()
        return events


def watch(marks_path: str, slow: str) -> None:
    """Let ``gatekeeper.app`` make controllers that write down what takes how long."""
    marks: dict[str, float] = {}
    file = Path(marks_path).open("a", buffering=1)  # noqa: SIM115 - for as long as the process lives

    class Timed(Controller):
        def __init__(self, **parts: Any) -> None:
            publish = parts["publish"]

            async def taken(old: State, new: State) -> Any:
                acks = await publish(old, new)
                marks["taken"] = now()
                return acks

            journal = Watched(parts["journal"], marks, Path(slow))
            super().__init__(**{**parts, "journal": journal, "publish": taken})

        async def submit(self, command: Command, **more: Any) -> Result:
            came = now()
            result = await super().submit(command, **more)
            file.write(json.dumps({"revision": result.state.revision, "came": came, **marks, "done": now()}) + "\n")
            return result

    setattr(app, "Controller", Timed)  # noqa: B010 - to mypy it is not the module's to give


if __name__ == "__main__":
    watch(sys.argv[1], sys.argv[2])
    sys.exit(app.serve(sys.argv[3]))
