"""What deciding needs to know of a request: the head as the protocol layer hands it over, fields as raw bytes."""

from collections.abc import Sequence
from typing import Protocol


class Head(Protocol):
    """A validated request head. Absent parts are empty, never None."""

    @property
    def method(self) -> bytes: ...

    @property
    def host(self) -> bytes:
        """Lower case, without port."""
        ...

    @property
    def path(self) -> bytes:
        """The target before ``?``, as sent: neither decoded nor normalised."""
        ...

    @property
    def query(self) -> bytes:
        """The target after ``?``."""
        ...

    @property
    def cookie(self) -> bytes:
        """The values of all Cookie fields, joined by ``; ``."""
        ...

    @property
    def force(self) -> bytes:
        """The value of X-Gatekeeper-Version."""
        ...

    @property
    def pass_token(self) -> bytes:
        """The value of X-Gatekeeper-Pass."""
        ...

    def values(self, name_lower: bytes) -> Sequence[bytes]:
        """The values of all fields of that name, in order. Scans the head."""
        ...
