"""What a worker asks of its system as a process, and what it says on stderr."""

import asyncio
import os
import resource
import sys
import time
import traceback
from typing import Any


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - four times faster than Path, once a second
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def occupied_seconds() -> float:
    """Seconds that the main thread has run or waited for a core to run on (proc(5), schedstat), 12 us.

    Where the system does not tell, those that the process has run: then a core that others use counts as a free one.
    """
    try:
        with open("/proc/self/schedstat", "rb") as file:  # noqa: PTH123 - as above
            ran, waited, _ = file.read().split()
            return (int(ran) + int(waited)) / 1e9
    except (OSError, ValueError):
        return time.process_time()


def complain(text: str) -> None:
    sys.stderr.write(f"gatekeeper worker {os.getpid()}: {text}\n")


def report_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An error nobody expected: told with its place. The connection it happened on is closed by the transport."""
    del loop
    error = context.get("exception")
    where = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
    complain(f"{context.get('message')}\n{where}")


def raise_descriptor_limit() -> None:
    """Two descriptors a request; the usual soft limit of 1,024 is for programs that select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
