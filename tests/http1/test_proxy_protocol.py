"""PROXY headers: one reading, whatever pieces they come in, and nothing longer than it may be.

Sections are those of HAProxy's doc/proxy-protocol.txt.
"""

import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.http1.proxy_protocol import ProxyHeader, ProxyHeaderError, read_proxy_header

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
BEHIND = b"GET / HTTP/1.1\r\n"


def v2(command=1, family=0x11, block=b"", version=2, length=None):
    size = len(block) if length is None else length
    return SIGNATURE + struct.pack(">BBH", version << 4 | command, family, size) + block


def addresses(source="192.0.2.7", target="198.51.100.1"):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    return socket.inet_pton(family, source) + socket.inet_pton(family, target) + struct.pack(">HH", 51000, 443)


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


V4, V6 = addresses(), addresses("2001:db8::7", "2001:db8::1")

GOOD = [
    # section 2.1
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\n", "192.0.2.7", False),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255", False),
    (b"PROXY TCP6 2001:DB8::7 2001:db8::1 0 443\r\n", "2001:db8::7", False),
    (b"PROXY TCP6 " + b" ".join([b":".join([b"ffff"] * 8)] * 2) + b" 65535 65535\r\n", ":".join(["ffff"] * 8), False),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 1 2\r\n", "192.0.2.7", False),
    (b"PROXY UNKNOWN\r\n", None, False),
    (b"PROXY UNKNOWN ffff::1 anything else 1 2\r\n", None, False),
    # section 2.2
    (v2(block=V4), "192.0.2.7", False),
    (v2(family=0x21, block=V6), "2001:db8::7", False),
    (v2(family=0x21, block=addresses("::ffff:192.0.2.7", "::1")), "192.0.2.7", False),
    (v2(command=0, family=0), None, False),
    (v2(command=0, block=V4), None, False),
    (v2(family=0, block=b"whatever"), None, False),
    (v2(family=0x31, block=bytes(216)), None, False),  # unix sockets
    (v2(family=0x12, block=V4), None, False),  # UDP
    (v2(block=V4 + tlv(0x04, b"padding")), "192.0.2.7", False),
    (v2(block=V4 + tlv(0x20, b"\x01\0\0\0\0" + tlv(0x21, b"TLSv1.3"))), "192.0.2.7", True),
    (v2(block=V4 + tlv(0x01, b"h2") + tlv(0x20, b"\x05\0\0\0\0")), "192.0.2.7", True),
    (v2(block=V4 + tlv(0x20, b"\0\0\0\0\0")), "192.0.2.7", False),
    (v2(block=V4 + tlv(0x20, b"")), "192.0.2.7", False),
    (v2(block=V4 + tlv(0x04, bytes(4096 - len(V4) - 3))), "192.0.2.7", False),
]

BAD = [
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01",
    b"proxy TCP4 192.0.2.7 198.51.100.1 51000 443\r\n",
    b"PROXY  TCP4 192.0.2.7 198.51.100.1 51000 443\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 51000 443 \r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 51000\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 51000 65536\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 1\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 051 443\r\n",
    b"PROXY TCP4 192.0.2.007 198.51.100.1 51000 443\r\n",
    b"PROXY TCP4 192.0.2 198.51.100.1 51000 443\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 51000 443\r\n",
    b"PROXY TCP6 192.0.2.7 198.51.100.1 51000 443\r\n",
    b"PROXY TCP5 192.0.2.7 198.51.100.1 51000 443\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY UNKNOWN\rx\r\n",
    b"PROXY \xff\r\n",
    b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n",
    b"PROXY " + b"x" * 101,
    v2(version=1, block=V4),
    v2(version=3, block=V4),
    v2(command=2, block=V4),
    v2(block=V4[:-1]),
    v2(family=0x21, block=V4),
    v2(block=b""),
    v2(length=4097),
    v2(length=65535),
    v2(block=V4 + b"\x20"),
    v2(block=V4 + b"\x20\0\x05\x01"),
]


@pytest.mark.parametrize(("header", "address", "secure"), GOOD)
def test_a_header_is_read_the_same_however_its_bytes_come(header, address, secure):
    """It is incomplete up to its last byte, and what comes behind changes nothing."""
    for end in range(len(header)):
        assert read_proxy_header(header[:end]) is None
    for behind in (b"", b"\r\n", BEHIND, header):
        assert read_proxy_header(header + behind) == ProxyHeader(len(header), address, secure)


@pytest.mark.parametrize("header", BAD)
def test_anything_else_is_refused(header):
    with pytest.raises(ProxyHeaderError):
        read_proxy_header(header)


@pytest.mark.parametrize("header", BAD)
def test_what_is_refused_in_a_part_is_refused_as_a_whole(header):
    """So it does not matter how the bytes were split."""
    refused = False
    for end in range(len(header) + 1):
        try:
            found = read_proxy_header(header[:end])
        except ProxyHeaderError:
            refused = True
        else:
            assert not refused
            assert found is None
    assert refused


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda rest: SIGNATURE + b"\x21" + rest)))
def test_no_bytes_make_it_stumble_or_wait_without_end(data):
    try:
        found = read_proxy_header(data)
    except ProxyHeaderError:
        return
    if found is None:
        assert len(data) < 16 + 4096
    else:
        assert found.size <= len(data)
