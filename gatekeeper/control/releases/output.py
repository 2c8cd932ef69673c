"""What a program said, kept small and harmless: the beginning and the end of it, as text."""

import unicodedata
from typing import Final

from gatekeeper.core.release.model import OUTPUT_KEPT

_LINE: Final = 96
"""Characters for the line between beginning and end."""
_EDGE: Final = (OUTPUT_KEPT - _LINE) // 2
"""Bytes kept of the beginning and of the end each. The beginning says what was tried, the end what came of it. A
character has at least one byte, so the text is no longer than OUTPUT_KEPT."""
_FIRST: Final = 1024
"""Characters of the line that says how it ended: a path, and a reason of the system."""

_NO_TEXT: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
"""Unicode's categories of what is obeyed rather than shown: controls, what turns the direction of writing, what is
invisible, other ends of lines.
"""


class Output:
    """Bytes as they come; memory is bounded, however many do."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""
        self._left_out = 0

    def add(self, data: bytes) -> None:
        room = _EDGE - len(self._head)
        if room > 0:
            self._head, data = self._head + data[:room], data[room:]
        tail = self._tail + data
        self._left_out += max(0, len(tail) - _EDGE)
        self._tail = tail[-_EDGE:]

    def text(self) -> str:
        """At most OUTPUT_KEPT characters, which can be shown on a terminal and in a page."""
        if not self._left_out:
            return harmless((self._head + self._tail).decode(errors="replace"))
        line = f"\n[... {self._left_out} bytes left out ...]\n"
        head, tail = (part.decode(errors="replace") for part in (self._head, self._tail))
        return harmless(head) + line + harmless(tail)


def harmless(text: str) -> str:
    """The text with nothing in it that a terminal would obey, or that hides what is there."""
    text = text.replace("\r\n", "\n")
    if text.isprintable():
        return text
    return "".join(_shown(one) if unicodedata.category(one) in _NO_TEXT else one for one in text)


def reported(how: str, output: str = "") -> str:
    """How something ended, in a line, and what it said: at most OUTPUT_KEPT characters.

    Where that is too much the middle of what it said is left out.
    """
    first = harmless(how)[:_FIRST]
    if not output.strip():
        return first
    rest = output.strip("\n")
    room = OUTPUT_KEPT - len(first) - 1
    if len(rest) > room:
        half = (room - 5) // 2
        rest = f"{rest[:half]}\n...\n{rest[-half:]}"
    return f"{first}\n{rest}"


def _shown(control: str) -> str:
    code = ord(control)
    if control in "\n\t":
        return control
    # The pictures that Unicode has of C0 and DEL; of the others it has none.
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"
