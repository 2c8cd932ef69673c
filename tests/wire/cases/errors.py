"""Backends that refuse, vanish or fall silent: the right status in time, well framed, without internals."""

import re

from tests.wire.case import (
    ANYTHING,
    BAD_GATEWAY,
    HOST,
    OK,
    Act,
    Answer,
    Case,
    End,
    Reading,
    Reply,
    Seen,
    Sleep,
    request,
    under,
)

_JSON = re.compile(
    rb'\{"title": "[A-Za-z -]+", "status": 50[234], "detail": "[^"0-9/:]+", "error": "[a-z_]+"'
    rb'(, "request_id": "[0-9a-f]{32}")?\}\n'
)
_HTML = re.compile(rb"<!doctype html>(?!.*127\.0\.0\.1)(?!.*Traceback).*</html>\n", re.DOTALL)
_DATE = re.compile(rb"Date: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")
_SEEN = (Seen(b"GET / HTTP/1.1"),)
_POST = request(b"POST / HTTP/1.1", b"Content-Length: 5", body=b"hello")
_POSTED = (Seen(b"POST / HTTP/1.1", (HOST, b"Content-Length: 5"), b"hello"),)
_GET = request(b"GET / HTTP/1.1")
_AGAIN = (Reading(_SEEN * 2, (Reply(BAD_GATEWAY),)), Reading(_SEEN * 2, (Reply(200, b"ok"),)))


def _error(status: int, error: bytes, **more: object) -> Reply:
    lines = (re.compile(rb"Proxy-Status: gatekeeper; error=" + error),)
    return Reply(status, **{"has": lines, "body": _JSON} | more)  # type: ignore[arg-type]


def _at(host: bytes, *fields: bytes, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    return request(method + b" / HTTP/" + version, *fields, host=b"Host: " + host)


def _fails(name: str, cites: str, send: bytes, reply: Reply, *, end: End = End.OPEN) -> Case:
    """No backend gets anything."""
    return Case(
        name, cites, (send,), Reading((), (reply,), end), also=(Reading((), (Reply(BAD_GATEWAY, head=reply.head),)),)
    )


def _leaves(
    name: str,
    cites: str,
    answer: Answer,
    reply: Reply,
    *,
    send: bytes = _GET,
    sees: tuple[Seen, ...] | str = _SEEN,
    again: bool = True,
) -> Case:
    """The backend gets the request once, and leaves."""
    return Case(
        name,
        cites,
        (send,),
        Reading(sees, (reply,), End.OPEN),
        (answer, OK),
        also=(Reading(sees, (Reply(BAD_GATEWAY),)), *(_AGAIN if again else ())),
    )


_REFUSED = _error(502, b"connection_refused")
_TERMINATED = _error(502, b"connection_terminated")
# If the connection is lost before a byte was sent on it, the request may go to another one; which it is, is a race.
_ON_ACCEPT = Reply((200, 502))
_INVALID = _error(502, b"http_protocol_error")
_SLOW = _error(504, b"http_response_timeout")

CASES: list[Case] = [
    *under(
        "nobody listens: 502",
        _fails("refused", "RFC 9110 15.6.3, RFC 9209 2.3", _at(b"dead.test"), _REFUSED),
        _fails("refused-post", "RFC 9110 15.6.3", _at(b"dead.test", b"Content-Length: 0", method=b"POST"), _REFUSED),
        _fails(
            "refused-for-a-browser",
            "docs/wire.md Errors: HTML by Accept",
            _at(b"dead.test", b"Accept: text/html,*/*;q=0.1"),
            _error(502, b"connection_refused", body=_HTML),
        ),
        _fails(
            "refused-head",
            "RFC 9110 9.3.2: no body",
            _at(b"dead.test", method=b"HEAD"),
            _error(502, b"connection_refused", body=b"", head=True),
        ),
        _fails("refused-http-1.0", "RFC 9112 9.3", _at(b"dead.test", version=b"1.0"), _REFUSED, end=End.CLOSED),
        _fails("refused-closing", "RFC 9112 9.6", _at(b"dead.test", b"Connection: close"), _REFUSED, end=End.CLOSED),
    ),
    _fails("never-accepted", "RFC 9110 15.6.5: 504 in time", _at(b"hole.test"), _error(504, b"connection_timeout")),
    _fails("nobody-ready", "RFC 9110 15.6.4: 503", _at(b"sick.test"), _error(503, b"destination_unavailable")),
    _fails(
        "nobody-ready-head",
        "RFC 9110 9.3.2",
        _at(b"sick.test", method=b"HEAD"),
        _error(503, b"destination_unavailable", body=b"", head=True),
    ),
    Case(
        "an-error-of-the-proxy-has-a-date",
        "RFC 9110 6.6.1: every 4xx of its own making",
        (b"GET /p HTTP/1.1\r\n\r\n",),
        Reading((), (Reply(400, has=(_DATE,)),), End.CLOSED),
        also=(Reading((), (Reply(400, has=(_DATE,)),)), Reading((), (), End.ENDED)),
    ),
    *under(
        "a backend that leaves without a word: 502",
        _leaves("closed-on-accept", "RFC 9110 15.6.3", Answer((Act.CLOSE,), on="accept"), _ON_ACCEPT, sees=ANYTHING),
        _leaves("reset-on-accept", "RFC 9110 15.6.3", Answer((Act.RESET,), on="accept"), _ON_ACCEPT, sees=ANYTHING),
        _leaves("closed-for-an-answer", "RFC 9110 15.6.3", Answer((Act.CLOSE,)), _TERMINATED),
        _leaves("reset-for-an-answer", "RFC 9110 15.6.3", Answer((Act.RESET,)), _TERMINATED),
        _leaves("closed-within-the-status-line", "RFC 9112 8", Answer((b"HTTP/1.1 2", Act.CLOSE)), _INVALID),
        _leaves(
            "closed-within-the-head", "RFC 9112 8", Answer((b"HTTP/1.1 200 OK\r\nContent-Le", Act.CLOSE)), _INVALID
        ),
        _leaves("reset-within-the-head", "RFC 9112 8", Answer((b"HTTP/1.1 200 OK\r\nX: y\r\n", Act.RESET)), _INVALID),
    ),
    *under(
        "a POST is never sent twice",
        _leaves(
            "closed-for-an-answer-to-post",
            "RFC 9110 9.2.2",
            Answer((Act.CLOSE,)),
            _TERMINATED,
            send=_POST,
            sees=_POSTED,
            again=False,
        ),
        _leaves(
            "reset-for-an-answer-to-post",
            "RFC 9110 9.2.2",
            Answer((Act.RESET,)),
            _TERMINATED,
            send=_POST,
            sees=_POSTED,
            again=False,
        ),
        _leaves(
            "closed-for-an-answer-to-patch",
            "RFC 9110 9.2.2",
            Answer((Act.CLOSE,)),
            _TERMINATED,
            send=request(b"PATCH / HTTP/1.1"),
            sees=(Seen(b"PATCH / HTTP/1.1"),),
            again=False,
        ),
        _leaves(
            "closed-within-a-head-for-post",
            "RFC 9110 9.2.2",
            Answer((b"HTTP/1.1", Act.CLOSE)),
            _INVALID,
            send=_POST,
            sees=_POSTED,
            again=False,
        ),
    ),
    *under(
        "a silent backend: 504 in time",
        *(
            Case(
                f"silent-{name}",
                "RFC 9110 15.6.5",
                (send,),
                Reading(sees, (reply,), End.OPEN),
                (Answer((*said, Sleep(1.0))),),
                also=(
                    Reading(sees, (Reply((502, 504), head=reply.head),)),
                    Reading(sees, (Reply((502, 504), interim=reply.interim),)),
                    Reading(None, None),
                ),
            )
            for name, send, sees, said, reply in (
                ("get", _at(b"quick.test"), (Seen(b"GET / HTTP/1.1", (b"Host: quick.test",)),), (), _SLOW),
                (
                    "head",
                    _at(b"quick.test", method=b"HEAD"),
                    (Seen(b"HEAD / HTTP/1.1", (b"Host: quick.test",)),),
                    (),
                    _error(504, b"http_response_timeout", body=b"", head=True),
                ),
                (
                    "post",
                    _at(b"quick.test", b"Content-Length: 5", method=b"POST") + b"hello",
                    (Seen(b"POST / HTTP/1.1", (b"Host: quick.test", b"Content-Length: 5"), b"hello"),),
                    (),
                    _SLOW,
                ),
                (
                    "within-the-head",
                    _at(b"quick.test"),
                    (Seen(b"GET / HTTP/1.1", (b"Host: quick.test",)),),
                    (b"HTTP/1.1 200 OK\r\n",),
                    _SLOW,
                ),
                (
                    "behind-an-interim-answer",
                    _at(b"quick.test"),
                    (Seen(b"GET / HTTP/1.1", (b"Host: quick.test",)),),
                    (b"HTTP/1.1 103 Early Hints\r\n\r\n",),
                    _error(504, b"http_response_timeout", interim=(103,)),
                ),
            )
        ),
    ),
    Case(
        "silent-within-a-body",
        "docs/wire.md Framing back: visible",
        (_at(b"quick.test"),),
        Reading((Seen(b"GET / HTTP/1.1", (b"Host: quick.test",)),), (Reply(200, whole=False),), End.ENDED),
        (Answer((b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", Sleep(1.5))),),
        also=(Reading((Seen(b"GET / HTTP/1.1", (b"Host: quick.test",)),), (Reply((502, 504)),)),),
    ),
]
