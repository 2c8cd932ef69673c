"""Targets ``request`` and ``response``: a head is refused, or means to others what it means here, also as it leaves."""

from types import SimpleNamespace
from typing import Any

import pytest

from gatekeeper.core import routing
from gatekeeper.core.model import Backend as BackendEntry
from gatekeeper.core.model import Definition, Service, Settings, State, Version
from gatekeeper.core.reload import initial_state
from gatekeeper.dataplane.answering import Answering
from gatekeeper.dataplane.backends import Backend
from gatekeeper.dataplane.forward import Client, outgoing_head
from gatekeeper.errors import Fault
from gatekeeper.http1 import request as requests
from gatekeeper.http1 import response as responses
from gatekeeper.http1.errors import BadMessageError
from gatekeeper.http1.memory import Memory
from gatekeeper.http1.request import RequestHead, parse_request, read_fields, split_head
from gatekeeper.http1.response import ResponseHead, read_response
from tests.fuzz.meaning import CHUNKED, CLOSE, NONE, declared, members, sent_requests, take_request, take_response

HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
}  # fmt: skip
# What gatekeeper understands and may replace or leave out on its way to a backend.
OURS = {
    b"host", b"content-length", b"cookie", b"expect", b"forwarded", b"max-forwards", b"traceparent", b"tracestate",
    b"x-request-id",
}  # fmt: skip
OUR_PREFIXES = (b"x-forwarded-", b"x-gatekeeper-")
TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
IDS = (b"X-Request-Id: 0\r\n", b"traceparent: 1\r\n")


def _table() -> routing.RoutingTable:
    versions = {"blue": Version("blue", (BackendEntry("http://blue-1:80"),))}
    service = Service("shop", versions, "blue", {"blue": 1}, path_prefix="/", strip_prefix=True)  # type: ignore[dict-item]
    state: State = initial_state(Definition(Settings(), {"shop": service}), {}, 1, "ab" * 32, 0.0)[0]
    return routing.compile(state, {"shop": {"blue": 2}}, None)


TABLE = _table()
BACKEND = Backend(("shop", "blue", "http://blue-1:80"))
CLIENTS = (
    Client("203.0.113.9", trusted=False),
    Client("10.0.0.1", trusted=True, secure=True),
    Client("", trusted=True),
)


def forget() -> None:
    """What earlier inputs taught must not decide how this one is read, or findings could not be repeated."""
    for lines in (requests._LINES, responses._LINES):
        lines._known, lines._older = {}, {}
    responses._STATUS_LINES.clear()


def complete(data: bytes) -> bytes:
    """Inputs become whole heads: the others are the connection's matter, not the grammar's."""
    end = data.find(b"\r\n\r\n")
    return data[: end + 4] if end >= 0 else data + b"\r\n\r\n"


def end_to_end(fields: list[tuple[bytes, bytes]], without: set[bytes]) -> list[tuple[bytes, bytes]]:
    """Fields that concern the ends only, in order."""
    apart = HOP_BY_HOP | without | set(members([value for name, value in fields if name == b"connection"]))
    return [pair for pair in fields if pair[0] not in apart and not pair[0].startswith(OUR_PREFIXES)]


def check_request(data: bytes) -> None:
    forget()
    head = complete(data)
    if head.startswith(b"\r\n"):
        return  # the connection skips empty lines before it asks
    memory: Memory[Any] = Memory()
    seen: list[RequestHead | Fault] = []
    for _ in range(2):  # the second time from memory
        try:
            line, section = split_head(head)
            seen.append(RequestHead(line, read_fields(memory, section, 100)))
        except BadMessageError as error:
            seen.append(error.fault)
    first, again = seen
    if not isinstance(first, RequestHead) or not isinstance(again, RequestHead):
        assert first == again, seen
        return
    for client in CLIENTS:
        out = _out(first, client)
        assert out == _out(again, client)
        judge_request(head, first, out, client)


def _out(head: RequestHead, client: Client) -> bytes:
    found = TABLE.decide(head, client.address, False, client.secure, [1] * 4, lambda: 0, 0.0)
    assert found is not None
    return outgoing_head(head, client, found, IDS, BACKEND)


def judge_request(raw: bytes, head: RequestHead, out: bytes, client: Client) -> None:
    taken = take_request(raw)
    assert taken is not None, "h11 waits for more"
    came, behind = taken
    assert behind == b""
    assert came.method == head.method
    assert came.framing == head.length
    assert came.line[2] == b"1.%d" % head.minor
    read = sent_requests(out)
    assert not read.fault, (read.fault, out)
    assert not read.rest, read.rest
    (left,) = read.messages
    strict(out)
    assert left.line[2] == b"1.1"
    assert left.method == came.method
    assert left.framing == came.framing == (declared(left.fields) or NONE)
    assert len(left.values(b"host")) == 1
    assert len(left.values(b"content-length") + left.values(b"transfer-encoding")) <= 1
    target, authority = expected(came.line[1], came.method, came.values(b"host"))
    assert left.line[1] == target, (left.line[1], target)
    assert left.values(b"host") == [authority or b"blue-1:80"]
    assert b"#" not in left.line[1]
    assert end_to_end(left.fields, OURS) == end_to_end(came.fields, OURS)
    named = set(members(left.values(b"connection")))
    assert named <= {b"te", b"upgrade"}, named
    assert (b"te" in named) == bool(left.values(b"te"))
    assert (b"upgrade" in named) == bool(left.values(b"upgrade"))
    if left.values(b"upgrade"):
        assert head.minor
        assert not left.framing
        assert set(members(left.values(b"upgrade"))) <= set(members(came.values(b"upgrade"))) - {b"h2c"}
    peer = client.address.encode() or b"unknown"
    (chain,) = left.values(b"x-forwarded-for")
    assert chain.endswith(peer)
    assert client.trusted or chain == peer
    assert len(left.values(b"x-request-id")) <= 2
    if left.values(b"max-forwards") == [b"0"] and left.method in {b"TRACE", b"OPTIONS"}:
        return  # whoever is next must answer by itself: RFC 9110 section 7.6.2
    # What left once means the same when it comes again: another gatekeeper may stand behind this one.
    again = parse_request(out, 1000)
    assert (again.method, again.target, again.length) == (head.method, target, head.length)


def expected(target: bytes, method: bytes, hosts: list[bytes]) -> tuple[bytes, bytes]:
    """(target in origin-form, authority) of a request, RFC 9112 sections 3.2 and 3.3."""
    host = hosts[0] if hosts else b""
    if target.startswith(b"/") or target == b"*":
        return target, host
    authority, slash, path = target.partition(b"://")[2].partition(b"/")
    authority, mark, query = authority.partition(b"?")
    if mark:
        return b"/?" + query + slash + path, authority
    if method == b"OPTIONS" and not slash:
        return b"*", authority
    return b"/" + path, authority


def strict(out: bytes) -> None:
    """No byte that anybody reads in a second way."""
    head, end, rest = out.partition(b"\r\n\r\n")
    assert end
    assert not rest
    for number, line in enumerate(head.split(b"\r\n")):
        assert not any((byte < 32 and byte != 9) or byte == 127 for byte in line), line
        if not number:
            assert line.count(b" ") == 2 or line.startswith(b"HTTP/"), line
            assert max(line) < 127, line
        else:
            name = line.partition(b":")[0]
            assert name
            assert not name.strip(TOKEN), line


def check_response(data: bytes) -> None:
    forget()
    method, minor, keep = (b"HEAD", b"GET")[data[0] & 1 if data else 0], 1, bool(data and data[0] & 2)
    head = complete(data[1:])
    for minor in (0, 1):
        _response(head, method, minor, keep=keep)


def _response(raw: bytes, method: bytes, minor: int, *, keep: bool) -> None:
    memory: Memory[ResponseHead] = Memory()
    try:
        head = read_response(memory, raw, body_allowed=method != b"HEAD")
    except BadMessageError:
        with pytest.raises(BadMessageError):  # not from memory either
            read_response(memory, raw, body_allowed=method != b"HEAD")
        return
    taken = take_response(raw, method, ended=False)
    if head.status < 200 and head.status != 101:
        assert taken is None
        return
    assert taken is not None
    came = taken[0]
    assert came.status == head.status
    if came.status == 101:
        return
    assert came.framing == head.length
    # As ``answering`` writes it.
    rechunk = head.length < 0 and bool(minor)
    shape: Any = SimpleNamespace(
        rechunk=rechunk, keep=keep, head=SimpleNamespace(minor=minor),
        decision=SimpleNamespace(set_cookie=b"Set-Cookie: a=b\r\n", forced=True, version=SimpleNamespace(name="blue")),
    )  # fmt: skip
    shape.keep = keep and (rechunk or head.length >= 0)
    out = head.line + head.forward + Answering._added_lines(shape, head) + b"\r\n\r\n"
    strict_response(out)
    again = take_response(out, method, ended=False)
    assert again is not None
    left = again[0]
    assert left.status == came.status
    if rechunk:
        assert left.framing == CHUNKED
    elif not minor and head.length < 0:
        assert left.framing == CLOSE
        assert not left.values(b"transfer-encoding")
        assert left.closes
    else:
        assert left.framing == came.framing
    without = {b"set-cookie"}
    if came.status == 204:
        without.add(b"content-length")
        assert not left.values(b"content-length")
    assert end_to_end(left.fields, without) == end_to_end(came.fields, without)


def strict_response(out: bytes) -> None:
    head = out.partition(b"\r\n\r\n")[0]
    line, _, fields = head.partition(b"\r\n")
    strict(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n" if fields else b"HTTP/1.1 200 OK\r\n\r\n")
    assert line.startswith(b"HTTP/1.1 ")
    assert not any((byte < 32 and byte != 9) or byte == 127 for byte in line), line
