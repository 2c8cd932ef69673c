"""wrk as a load that runs beside a test, and what it counted."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from tests.system.programs import PATIENCE, answers, end, until

SCRIPT = Path(__file__).with_name("load.lua")
LONGEST_SECONDS = 600


class Report(NamedTuple):
    """What wrk counted. Times in microseconds; ``status`` are answers that are not 2xx or 3xx, the others errors of
    sockets."""

    requests: int
    microseconds: int
    p50: int
    p99: int
    most: int
    status: int
    connect: int
    read: int
    write: int
    timeout: int

    @property
    def errors(self):
        """The errors there were, by name; empty for a load that was answered throughout."""
        names = ("status", "connect", "read", "write", "timeout")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    @property
    def rate(self):
        return self.requests / (self.microseconds / 1e6)


class Wrk:
    """``start`` it, do something under load, ``stop`` it for the report."""

    def __init__(self, port, *options, connections=64):
        """``options`` are those of load.lua, as ``name=value``."""
        self._command = [
            *("wrk", "-t1", f"-c{connections}", f"-d{LONGEST_SECONDS}s", "--timeout", "10s"),
            *("-s", str(SCRIPT), f"http://127.0.0.1:{port}", "--", *options),
        ]
        self._port = port
        self._process = None

    @property
    def pid(self):
        return self._process.pid

    def start(self, warm=0.5):
        """Start it and let it run for ``warm`` seconds."""
        until(lambda: answers(self._port))
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        time.sleep(warm)
        assert self._process.poll() is None, self._process.communicate()[0]
        return self

    def stop(self):
        """End the load and return what it counted."""
        self._process.send_signal(signal.SIGINT)
        text, _ = self._process.communicate(timeout=PATIENCE)
        found = [line.removeprefix("RESULT ") for line in text.splitlines() if line.startswith("RESULT ")]
        assert found, f"wrk said:\n{text}"
        return Report(**json.loads(found[0]))

    def end(self):
        if self._process is not None:
            end(self._process)
            self._process.stdout.close()
