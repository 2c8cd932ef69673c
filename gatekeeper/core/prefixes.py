"""The longest path prefix by segment, at a cost that grows with distinct prefix lengths, not with prefixes."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar
from urllib.parse import quote

T = TypeVar("T")

_SAFE = "".join(map(chr, range(0x21, 0x7F)))


def normal(prefix: str) -> bytes:
    """``/v2/`` and ``/v2`` are the same prefix, the prefix of every path is empty.

    What is not ASCII, and blanks, become percent-encoded: the way a browser sends the path.
    """
    return encoded(prefix.rstrip("/"))


def encoded(path: str) -> bytes:
    """A path of the file the way a browser sends it."""
    return quote(path, safe=_SAFE).encode()


def under(path: bytes, prefix: bytes) -> bool:
    """Whether ``path`` is ``prefix`` (normal) or lies below it: /v2 holds /v2 and /v2/x, not /v2x."""
    return path.startswith(prefix) and (not prefix or path[len(prefix) : len(prefix) + 1] in {b"", b"/"})


class PrefixMap(Generic[T]):
    """Prefix -> value; the first of equal prefixes stays."""

    __slots__ = ("_levels", "flat", "root")

    def __init__(self, pairs: Iterable[tuple[bytes, T]]) -> None:
        """``pairs`` hold normal prefixes."""
        levels: dict[int, dict[bytes, T]] = {}
        for prefix, value in pairs:
            levels.setdefault(len(prefix), {}).setdefault(prefix, value)
        self.root: T | None = levels.pop(0, {}).get(b"")
        """The value of the empty prefix."""
        self.flat = not levels
        """Whether no other prefix is known: then ``root`` answers for every path."""
        self._levels = tuple(sorted(levels.items(), key=lambda level: -level[0]))

    def items(self) -> Iterator[tuple[bytes, T]]:
        """Prefix and value, the longest prefix first."""
        for _, values in self._levels:
            yield from values.items()
        if self.root is not None:
            yield b"", self.root

    def longest(self, path: bytes) -> T | None:
        for length, values in self._levels:
            value = values.get(path[:length])
            if value is not None and path[length : length + 1] in {b"", b"/"}:
                return value
        return self.root

    def every(self, path: bytes) -> Iterator[T]:
        """The values of all prefixes that hold ``path``, the longest first."""
        for length, values in self._levels:
            value = values.get(path[:length])
            if value is not None and path[length : length + 1] in {b"", b"/"}:
                yield value
        if self.root is not None:
            yield self.root
