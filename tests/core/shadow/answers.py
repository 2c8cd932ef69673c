"""Answers for the tests of what compares them."""

import json
from typing import Any

from gatekeeper.core.shadow.compare import Answer


def answer(body: Any = b"", status: int = 200, *, cut: bool = False, seconds: float = 0.01, **headers: str) -> Answer:
    """``body`` is bytes, or a value that is written as JSON."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if not isinstance(body, bytes):
        body, fields = json.dumps(body).encode(), {"content-type": "application/json", **fields}
    return Answer(status, tuple(fields.items()), body, len(body), cut, seconds)
