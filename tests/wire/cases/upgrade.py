"""Upgrades: nothing is tunnelled before the backend's 101, no byte is lost around it, a refusal stays HTTP."""

import re

from tests.wire.case import (
    BAD_GATEWAY,
    HOST,
    OK,
    REFUSALS,
    SMUGGLED,
    Act,
    Answer,
    Case,
    End,
    Got,
    Had,
    NotHad,
    Pieces,
    Reading,
    Reply,
    Seen,
    Sleep,
    Step,
    passed,
    request,
    response,
    under,
)

_KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
_ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
_WANTS = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", _KEY)
_HANDSHAKE = request(b"GET /p HTTP/1.1", *_WANTS)
_101 = response(b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade", _ACCEPT)
_ASKED = Seen(
    b"GET /p HTTP/1.1",
    (HOST, b"Sec-WebSocket-Version: 13", _KEY, b"Connection: upgrade", b"Upgrade: websocket"),
)
_SECOND = Seen(b"GET /second HTTP/1.1")
_GET_SECOND = request(b"GET /second HTTP/1.1")
_HI = b"\x81\x02hi"
_CLOSE = b"\x88\x02\x03\xe8"


def _offers(value: bytes, *, second: bool = True, body: bytes = b"", fields: tuple[bytes, ...] = ()) -> Reading:
    """The offer goes on to the backend, which ignores it."""
    first = Seen(b"GET /p HTTP/1.1", (HOST, *fields, b"Connection: upgrade", b"Upgrade: " + value), body)
    sees = (first, _SECOND) if second else (first,)
    return Reading(sees, tuple(Reply(200, b"ok") for _ in sees), End.OPEN)


def _ignored(
    name: str, cites: str, *fields: bytes, line: bytes = b"GET /p HTTP/1.1", body: bytes = b"", end: End = End.OPEN
) -> Case:
    """The request is served as if it had offered nothing."""
    rest = tuple(field for field in fields if field.startswith((b"Content-", b"Sec-")))
    sees = Seen(line.replace(b"HTTP/1.0", b"HTTP/1.1"), (HOST, *rest), body)
    return passed(name, cites, request(line, *fields, body=body), sees, end=end)


def _tunnel(
    name: str,
    cites: str,
    send: tuple[Step, ...],
    answer: tuple[Step, ...],
    up: bytes,
    down: bytes,
    *,
    end: End = End.ANY,
    whole: bool = True,
    host: bytes = HOST,
) -> Case:
    """What goes up behind the request's head, and down behind the 101."""
    sees = Seen(_ASKED.line, (host, *_ASKED.fields[1:]))
    reply = Reply(101, tunnel=down, has=(re.compile(rb"Upgrade: websocket"),), whole=whole)
    return Case(name, cites, send, Reading((sees,), (reply,), end, tunnelled=up), (Answer(answer, on="head"),))


CASES: list[Case] = [
    *under(
        "Upgrade without the connection option is ignored",
        _ignored("not-named", "RFC 9110 7.8, Http11Probe COMP-UPGRADE-MISSING-CONN", b"Upgrade: websocket"),
        _ignored("named-elsewhere", "RFC 9110 7.8", b"Upgrade: websocket", b"Connection: keep-alive"),
        hard=False,
    ),
    *under(
        "Upgrade in HTTP/1.0 is ignored",
        _ignored("in-http-1.0", "RFC 9110 7.8", *_WANTS, line=b"GET /p HTTP/1.0", end=End.CLOSED),
        _ignored(
            "in-http-1.0-kept-alive",
            "RFC 9110 7.8",
            b"Connection: keep-alive, Upgrade",
            b"Upgrade: foo",
            line=b"GET /p HTTP/1.0",
        ),
    ),
    *under(
        "an upgrade to HTTP/2 or TLS is plain HTTP",
        _ignored(
            "h2c",
            "RFC 9113 3.1: h2c is withdrawn",
            b"Connection: Upgrade, HTTP2-Settings",
            b"Upgrade: h2c",
            b"HTTP2-Settings: AAMAAABk",
        ),
        _ignored(
            "tls", "RFC 2817; docs/wire.md: an Upgrade we do not serve", b"Connection: Upgrade", b"Upgrade: TLS/1.0"
        ),
        _ignored("h2c-in-other-case", "RFC 9110 7.8", b"Connection: upgrade", b"Upgrade: H2C"),
        hard=False,
    ),
    passed(
        "h2c-beside-websocket",
        "docs/wire.md: what we do not serve is not offered on",
        request(b"GET /p HTTP/1.1", b"Connection: Upgrade", b"Upgrade: h2c, websocket"),
        Seen(b"GET /p HTTP/1.1", (HOST, b"Connection: upgrade", b"Upgrade: websocket")),
        hard=False,
    ),
    *under(
        "WebSocket is asked for by GET",
        _ignored(
            "websocket-by-post",
            "RFC 6455 4.1: by GET alone; docs/wire.md: plain HTTP with its body",
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Content-Length: 5",
            line=b"POST /p HTTP/1.1",
            body=b"hello",
        ),
        hard=False,
    ),
    *under(
        "an upgrade that the backend ignores is an ordinary request",
        Case(
            "pipelined-behind-an-offer",
            "docs/wire.md Upgrade; CVE-2026-2833 (Pingora) by idea: nothing is tunnelled before the 101",
            (request(b"GET /p HTTP/1.1", b"Connection: Upgrade", b"Upgrade: foo/1") + _GET_SECOND,),
            _offers(b"foo/1"),
            (Answer((Sleep(0.05), NotHad(b"/second"), *OK.steps)), OK),
            also=(Reading((Seen(b"GET /p HTTP/1.1"), _SECOND), (Reply(200, b"ok"), Reply(200, b"ok"))),),
        ),
        Case(
            "refused-by-426",
            "RFC 9110 15.5.22: a refusal stays HTTP, the connection usable",
            (_HANDSHAKE, Got(b"later"), _GET_SECOND),
            Reading((_ASKED, _SECOND), (Reply(426, b"later"), Reply(200, b"ok")), End.OPEN),
            (Answer((response(b"HTTP/1.1 426 Upgrade Required", b"Content-Length: 5", body=b"later"),)), OK),
        ),
        Case(
            "refused-with-frames-behind-it",
            "docs/wire.md Upgrade: early frames are a next request, and a bad one",
            (_HANDSHAKE + b"\x81\x82\x00\x00\x00\x00hi\r\n\r\n",),
            Reading((_ASKED,), (Reply(403, b""), Reply(400)), End.CLOSED),
            (Answer((response(b"HTTP/1.1 403 Forbidden", b"Content-Length: 0"),)), OK),
            also=(Reading((_ASKED,), (Reply(403, b""),), End.ENDED),),
        ),
        Case(
            "h2-preface-behind-an-offer",
            "RFC 9113 3.4 by idea: the preface of HTTP/2 is no HTTP/1 request",
            (
                request(
                    b"GET /p HTTP/1.1", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: x"
                ),
                Got(b"ok"),
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            ),
            Reading((Seen(b"GET /p HTTP/1.1"),), (Reply(200, b"ok"), Reply(505)), End.CLOSED),
            also=(
                Reading((Seen(b"GET /p HTTP/1.1"),), (Reply(200, b"ok"), Reply(REFUSALS))),
                Reading((Seen(b"GET /p HTTP/1.1", (HOST, b"Upgrade: h2c")),), (Reply(200, b"ok"), Reply(REFUSALS))),
                Reading(
                    (Seen(b"GET /p HTTP/1.1", (HOST, b"HTTP2-Settings: x", b"Upgrade: h2c")),),
                    (Reply(200, b"ok"), Reply(REFUSALS)),
                ),
            ),
        ),
    ),
    *under(
        "a 101 that does not fit what was asked is no tunnel",
        *(
            Case(
                f"switching-to-{name}",
                "RFC 9110 7.8: never to a protocol that was not offered",
                (_HANDSHAKE,),
                Reading((_ASKED,), (Reply(502),), End.OPEN),
                (Answer((response(b"HTTP/1.1 101 Switching Protocols", *fields),)), OK),
                also=(Reading((_ASKED,), (Reply(BAD_GATEWAY),)),),
            )
            for name, fields in {
                "another": (b"Upgrade: foo", b"Connection: Upgrade"),
                "nothing": (b"Connection: Upgrade",),
                "more": (b"Upgrade: websocket, foo", b"Connection: Upgrade"),
            }.items()
        ),
        hard=False,
    ),
    *under(
        "a tunnel carries every byte, both ways",
        _tunnel(
            "tunnel",
            "RFC 6455 4, 5",
            (
                _HANDSHAKE,
                Got(b"\r\n\r\n"),
                b"\x81\x82\x00\x00\x00\x00hi",
                Got(_HI),
                b"\x88\x82\x00\x00\x00\x00\x03\xe8",
                Got(_CLOSE),
            ),
            (_101, Had(b"hi"), _HI, Had(b"\x03\xe8"), _CLOSE, Act.CLOSE),
            b"\x81\x82\x00\x00\x00\x00hi\x88\x82\x00\x00\x00\x00\x03\xe8",
            _HI + _CLOSE,
        ),
        _tunnel(
            "bytes-in-one-write-with-the-101",
            "docs/wire.md Upgrade: no byte is lost around the 101",
            (_HANDSHAKE, Got(_CLOSE)),
            (_101 + _HI + _CLOSE, Act.CLOSE),
            b"",
            _HI + _CLOSE,
        ),
        _tunnel(
            "bytes-like-a-request",
            "docs/wire.md Upgrade: behind the 101 nothing is read as HTTP",
            (_HANDSHAKE, Got(b"\r\n\r\n"), SMUGGLED, Got(b"done")),
            (_101, Had(SMUGGLED), b"done", Act.CLOSE),
            SMUGGLED,
            b"done",
        ),
        _tunnel(
            "the-101-in-pieces",
            "RFC 9112 2.2",
            (_HANDSHAKE, Got(_CLOSE)),
            (_101[:13], Pieces(_101[13:] + _HI + _CLOSE), Act.CLOSE),
            b"",
            _HI + _CLOSE,
        ),
        _tunnel(
            "closed-by-the-backend",
            "docs/wire.md Upgrade: close travels both ways",
            (_HANDSHAKE,),
            (_101 + _HI, Act.CLOSE),
            b"",
            _HI,
            end=End.ENDED,
        ),
        _tunnel(
            "closed-by-the-client",
            "docs/wire.md Upgrade: close travels both ways",
            (_HANDSHAKE, Got(b"\r\n\r\n"), b"bye", Act.CLOSE),
            (_101, Had(b"bye"), Act.GONE),
            b"bye",
            b"",
            whole=False,
        ),
    ),
    *under(
        "what a client sends early is kept",
        _tunnel(
            "bytes-before-the-101",
            "docs/wire.md Upgrade: kept until the backend agrees",
            (_HANDSHAKE + b"early", Got(b"late")),
            (Sleep(0.05), NotHad(b"early"), _101, Had(b"early"), b"late", Act.CLOSE),
            b"early",
            b"late",
        ),
        hard=False,
    ),
    *under(
        "an idle tunnel outlives the response timeout",
        _tunnel(
            "idle-for-longer-than-an-answer-may-take",
            "docs/wire.md Upgrade: idle tunnels outlive the response timeout",
            (_HANDSHAKE.replace(b"a.test", b"quick.test"), Got(b"\r\n\r\n"), Sleep(1.6), b"still", Got(b"here")),
            (_101, Had(b"still"), b"here", Act.CLOSE),
            b"still",
            b"here",
            host=b"Host: quick.test",
        ),
        hard=False,
    ),
]
