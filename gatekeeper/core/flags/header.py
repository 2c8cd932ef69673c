"""What a backend is told of its flags: one member of an RFC 9651 dictionary for each.

Boolean true is the bare key, false is left out. A string is a token where it can be one, else a quoted string, or a
display string if there is more than printable ASCII in it. A number is itself where RFC 9651 can hold it exactly. What
cannot be said in a field line (objects, other numbers) is told by the variant's name: the backend knows the values, or
asks by OFREP.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from gatekeeper.core.flags.model import Flag

LONGEST_LINE = 4096
"""Bytes of the whole line: half of what the strictest servers in use take for a whole head (8 KiB, e.g. nginx's and
Apache's default for a line), so that the request's own fields still fit."""
_NAME = b"X-Gatekeeper-Flags: "
_END = b"\r\n"
_BETWEEN = b", "

_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*", re.ASCII)
_PRINTABLE = re.compile(r"[ -~]*")
_MOST_INTEGER = 10**15
_MOST_DECIMAL = 10**12
"""RFC 9651 section 3.3: integers have at most 15 digits, decimals 12 before the point and 3 behind it."""


def member(flag: Flag, variant: str) -> bytes:
    """The member of one flag with this variant; empty for boolean false, which is left out."""
    value = flag.variants[variant]
    key = flag.name.encode()
    if isinstance(value, bool):
        return key if value else b""
    return key + b"=" + _item(value, variant)


def line(members: Iterable[bytes]) -> bytes:
    """The field line of these members; empty if there is none."""
    body = _BETWEEN.join(filter(None, members))
    return _NAME + body + _END if body else b""


def longest(flags: Iterable[Flag]) -> int:
    """Bytes of the longest line these flags can make."""
    parts = [max(len(member(flag, variant)) for variant in flag.variants) for flag in flags]
    parts = [length for length in parts if length]
    return len(_NAME) + sum(parts) + len(_BETWEEN) * (len(parts) - 1) + len(_END) if parts else 0


def _item(value: Any, variant: str) -> bytes:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int) and abs(value) < _MOST_INTEGER:
        return b"%d" % value
    if isinstance(value, float):
        exact = Decimal(repr(value))
        if abs(exact) < _MOST_DECIMAL and exact == round(exact, 3):
            digits = f"{exact:.3f}".rstrip("0")
            return (digits + "0" if digits.endswith(".") else digits).encode()
    return _text(variant)


def _text(text: str) -> bytes:
    if _TOKEN.fullmatch(text):
        return text.encode()
    if _PRINTABLE.fullmatch(text):
        return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'
    # Section 4.1.11: what is not printable ASCII, and the two characters that mean something, as %xx in lower case.
    plain = (
        b"%%%02x" % byte if byte in b'%"' or not 0x20 <= byte <= 0x7E else bytes((byte,)) for byte in text.encode()
    )
    return b'%"' + b"".join(plain) + b'"'
