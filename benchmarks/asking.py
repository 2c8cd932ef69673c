"""An operator who changes the split again and again, and the time each change takes him."""

import json
import random
import socket
import time
import uuid
from pathlib import Path
from typing import Any

from benchmarks.processes import BenchmarkError

PAUSE = (0.0, 0.02)
"""Seconds between two changes, drawn evenly, so that they meet the load in every phase of its own rhythm."""


class Operator:
    """One connection to the admin socket that changes the split again and again."""

    def __init__(self, path: Path, workers: int = 2, service: str = "shop") -> None:
        """``workers`` is how many have to acknowledge each."""
        self._service = service
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(str(path))
        self._turn = 0
        self._expected = {"acknowledged": workers, "total": workers}

    def change(self) -> tuple[float, float, int]:
        """Ask for another split: when it was asked, when it was answered, the revision. Raises BenchmarkError."""
        self._turn ^= 1
        body = json.dumps({"blue": 50 + self._turn, "green": 50 - self._turn})
        # A key of its own, as the command line sends one with every change.
        key = f"Idempotency-Key: {uuid.uuid4()}"
        lines = [f"PUT /v1/services/{self._service}/split HTTP/1.1", "Host: localhost", key]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
        asked = time.monotonic()
        self._socket.sendall((head + body).encode())
        answer = self._read()
        answered = time.monotonic()
        if answer.get("workers") != self._expected:
            raise BenchmarkError(f"a change was answered {answer}")
        return asked, answered, answer["revision"]

    def _read(self) -> dict[str, Any]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        while len(body) < length:
            body += self._more()
        found: dict[str, Any] = json.loads(body)
        return found

    def _more(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise BenchmarkError("gatekeeper closed the admin connection")
        return data

    def close(self) -> None:
        self._socket.close()


def changing(operator: Operator, seconds: float) -> list[tuple[float, float, int]]:
    """Changes one after the other for this long."""
    end, done = time.monotonic() + seconds, []
    while time.monotonic() < end:
        done.append(operator.change())
        time.sleep(random.uniform(*PAUSE))
    return done
