"""Targets ``frames`` and ``proxy``: where WebSocket frames end, and what a PROXY header says, however they arrive."""

import ipaddress

from gatekeeper.http1.proxy_protocol import ProxyHeader, ProxyHeaderError, read_proxy_header
from gatekeeper.http1.upgrade import CLOSE, Frames

# The longest header with everything it may hold, and one byte more than any that is still incomplete.
MOST = 16 + 4096


def ends_of_frames(data: bytes) -> tuple[list[int], list[int]]:
    """(where frames end, where their headers are complete if they are close frames), RFC 6455 section 5.2."""
    ends, closes, at = [], [], 0
    while at + 2 <= len(data):
        length, header = data[at + 1] & 127, 2
        if length > 125:
            header = 4 if length == 126 else 10
            if at + header > len(data):
                break
            length = int.from_bytes(data[at + 2 : at + header], "big")
        if data[at] & 15 == CLOSE:
            closes.append(at + header)
        at += header + length + (4 if data[at + 1] & 128 else 0)
        ends.append(at)
    return ends, closes


def check_frames(data: bytes) -> None:
    """The first byte says how the rest is cut."""
    if not data:
        return
    step, data = data[0] % 32 + 1, data[1:]
    frames = Frames()
    for at in range(0, len(data), step):
        piece = data[at : at + step]
        here = at + len(piece)
        ends, closes = ends_of_frames(data[:here])
        inside = [end - at for end in ends if at < end <= here]
        assert frames.feed(piece) == (inside[-1] if inside else -1)
        assert frames.between == (here in {0, *ends})
        assert frames.closing == bool(closes)
        assert frames.closed == (frames.closing and frames.between)


def check_proxy(data: bytes) -> None:
    """Byte by byte, the answer is: not yet, then one and the same for good."""
    found: ProxyHeader | None = None
    refused = False
    for size in range(len(data) + 1):
        try:
            header = read_proxy_header(data[:size])
        except ProxyHeaderError:
            assert found is None, "a header that became none"
            refused = True
            continue
        assert not refused, "none that became a header"
        assert header is not None or found is None
        assert found is None or header == found, (found, header)
        found = header
        if header is None:
            assert size < MOST
    if found is not None:
        assert 0 < found.size <= len(data)
        if found.address is not None:
            assert str(ipaddress.ip_address(found.address)) == found.address
            assert data.startswith(b"PROXY TCP") or data[13] in {0x11, 0x21}
