"""Clients in threads beside the load, for what wrk cannot tell: when a request began and ended, and what went wrong."""

import contextlib
import http.client
import threading
import time
from typing import NamedTuple


class Visit(NamedTuple):
    came: float
    left: float
    problem: Exception | None


class Visitor(threading.Thread):
    """Comes again and again on a fresh connection; notes when it came, when it left, and what went wrong."""

    def __init__(self, gatekeeper, fields=None):
        super().__init__()
        self._gatekeeper, self._fields = gatekeeper, fields
        self._stopped = threading.Event()
        self.visits = []

    def run(self):
        while not self._stopped.is_set():
            came, problem = time.monotonic(), None
            try:
                assert self._gatekeeper.get("/visit", self._fields).status == 200
            except (OSError, http.client.HTTPException) as error:
                problem = error
            self.visits.append(Visit(came, time.monotonic(), problem))
            self._stopped.wait(0.005)

    def stop(self):
        self._stopped.set()
        self.join()


@contextlib.contextmanager
def running(*threads):
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.stop()
