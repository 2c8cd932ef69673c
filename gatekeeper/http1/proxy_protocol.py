"""The PROXY protocol, versions 1 and 2: what a balancer in front says of a connection before its first byte.

Source: "The PROXY protocol, versions 1 & 2" by Willy Tarreau (HAProxy's doc/proxy-protocol.txt), sections 2.1 and 2.2.
Whether to believe it is not decided here.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from gatekeeper.errors import GatekeeperError

_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_V1: Final = b"PROXY "
# Section 2.1: the longest line, with its CRLF.
_MAX_LINE: Final = 107
# Section 2.2 allows 65,535; addresses take 216 at most, and extensions in use (names, ids, a checksum) some hundred.
_MAX_BLOCK: Final = 4096
_FIXED: Final = 16

_LINE: Final = re.compile(rb"PROXY TCP([46]) ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})\r\n")
_UNKNOWN: Final = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")

_LOCAL, _PROXY = 0, 1
# Address family and transport -> bytes of one address. Others tell nothing a proxy of TCP can use.
_TCP: Final = {0x11: 4, 0x21: 16}
_TYPE_SSL: Final = 0x20
_CLIENT_SSL: Final = 0x01


class ProxyHeaderError(GatekeeperError):
    """The connection does not begin with a PROXY header."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """``size`` bytes of the connection were the header; ``address`` is the client's, None if nothing is known of it.

    Then the peer speaks for itself (a health check of the balancer's own: LOCAL), or cannot say (UNKNOWN).
    ``secure`` says that the client came to the balancer by TLS.
    """

    size: int
    address: str | None = None
    secure: bool = False


def read_proxy_header(data: bytes) -> ProxyHeader | None:
    """The header that ``data``, all bytes of a connection so far, begins with; None while it is incomplete.

    What is incomplete is never longer than the longest header. Raises ProxyHeaderError as soon as it can be none.
    """
    if data[:12] == _SIGNATURE[: len(data)]:
        return _binary(data) if len(data) >= _FIXED else None
    if data[:6] == _V1[: len(data)]:
        return _text(data)
    raise ProxyHeaderError("neither a line of version 1 nor the signature of version 2")


def _text(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\n", 0, _MAX_LINE) + 1
    if not end:
        if len(data) >= _MAX_LINE:
            raise ProxyHeaderError(f"the line has no end within {_MAX_LINE} bytes")
        return None
    line = data[:end]
    if _UNKNOWN.fullmatch(line):
        return ProxyHeader(end)
    found = _LINE.fullmatch(line)
    if found is None or int(found[4]) > 65535 or int(found[5]) > 65535:
        raise ProxyHeaderError("malformed line")
    kind = ipaddress.IPv4Address if found[1] == b"4" else ipaddress.IPv6Address
    try:
        source, _ = kind(found[2].decode()), kind(found[3].decode())
    except ValueError:
        raise ProxyHeaderError("malformed address") from None
    return ProxyHeader(end, _shown(source))


def _binary(data: bytes) -> ProxyHeader | None:
    version, command = data[12] >> 4, data[12] & 15
    if version != 2 or command not in {_LOCAL, _PROXY}:
        raise ProxyHeaderError("unknown version or command")
    length = int.from_bytes(data[14:16], "big")
    if length > _MAX_BLOCK:
        raise ProxyHeaderError(f"longer than {_MAX_BLOCK} bytes")
    end = _FIXED + length
    if len(data) < end:
        return None
    size = _TCP.get(data[13])
    if command == _LOCAL or size is None:
        return ProxyHeader(end)
    addresses = 2 * size + 4
    if length < addresses:
        raise ProxyHeaderError("too short for its addresses")
    source = ipaddress.ip_address(data[_FIXED : _FIXED + size])
    return ProxyHeader(end, _shown(source), secure=_came_by_tls(data[_FIXED + addresses : end]))


def _shown(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """A balancer that listens on [::] writes IPv4 clients as ::ffff:1.2.3.4; networks and rules mean 1.2.3.4."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _came_by_tls(extensions: bytes) -> bool:
    """Whether the extensions (type, length in two bytes, value) say so. Raises ProxyHeaderError where they overrun."""
    secure = False
    at = 0
    while at < len(extensions):
        size = int.from_bytes(extensions[at + 1 : at + 3], "big")
        value = extensions[at + 3 : at + 3 + size]
        if at + 3 > len(extensions) or len(value) < size:
            raise ProxyHeaderError("an extension is longer than the header")
        if extensions[at] == _TYPE_SSL:
            secure = bool(value[:1] and value[0] & _CLIENT_SSL)
        at += 3 + size
    return secure
