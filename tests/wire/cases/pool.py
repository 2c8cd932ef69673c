"""Connections to backends: used again only when clean, and nobody pays for one that died while idle."""

from tests.wire.case import (
    BAD_GATEWAY,
    HOST,
    OK,
    REFUSALS,
    Act,
    Answer,
    Case,
    End,
    Got,
    Reading,
    Reply,
    Seen,
    Sleep,
    request,
    response,
    under,
)

_LINE = b"HTTP/1.1 200 OK"
_OK = Reply(200, b"ok")
_ONE = Seen(b"GET /one HTTP/1.1")
_TWO = Seen(b"GET /two HTTP/1.1")
_GET_ONE = request(b"GET /one HTTP/1.1")
_GET_TWO = request(b"GET /two HTTP/1.1")
# How a pooled connection dies just as a request arrives on it: the backend takes the request, and leaves.
_DIES = Answer((Act.CLOSE,))
_DIES_BY_RESET = Answer((Act.RESET,))


def _two(name: str, cites: str, answer: Answer, connections: int, *, hard: bool = True, pause: bool = False) -> Case:
    """Two requests in turn; over how many backend connections."""
    steps = (_GET_ONE, Got(b"ok"), *((Sleep(0.2),) if pause else ()), _GET_TWO)
    return Case(
        name,
        cites,
        steps,
        Reading((_ONE, _TWO), (_OK, _OK), End.OPEN, connections),
        (answer, OK),
        also=(Reading((_ONE, _TWO), (_OK, _OK)),)
        if connections == 1
        else (Reading((_ONE, _TWO), (_OK, _OK), End.ANY, 2),),
        hard=hard,
    )


def _dies(
    name: str, second: bytes, seen: Seen, *, again: bool, dies: Answer = _DIES, cites: str = "RFC 9110 9.2.2"
) -> Case:
    """A second request meets a connection that dies under it."""
    sees = (_ONE, seen, *((seen,) if again else ()))
    reply = _OK if again else Reply(502)
    once = Reading((_ONE, seen), (_OK, Reply(BAD_GATEWAY)))
    fresh = Reading((_ONE, seen), (_OK, _OK))
    hung_up = Reading((_ONE, seen), (_OK,), End.ENDED)
    return Case(
        name,
        cites,
        (_GET_ONE, Got(b"ok"), second),
        Reading(sees, (_OK, reply), End.OPEN),
        (OK, dies, OK),
        also=(
            once,
            fresh,
            hung_up,
            Reading((_ONE,), (_OK, Reply(REFUSALS))),
            *((Reading((_ONE, seen, seen), (_OK, _OK)),) if again else ()),
        ),
    )


CASES: list[Case] = [
    *under(
        "a clean connection is used again",
        _two("reused", "RFC 9112 9.3", OK, 1, hard=False),
        _two(
            "reused-behind-chunks",
            "RFC 9112 9.3",
            Answer((response(_LINE, b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"),)),
            1,
            hard=False,
        ),
        _two(
            "reused-by-http-1.0-keep-alive",
            "RFC 9112 C.2.2",
            Answer((response(b"HTTP/1.0 200 OK", b"Connection: keep-alive", b"Content-Length: 2", body=b"ok"),)),
            1,
            hard=False,
        ),
    ),
    *under(
        "a connection that will close is not used again",
        _two(
            "closed-by-the-backend",
            "RFC 9112 9.6",
            Answer((response(_LINE, b"Connection: close", b"Content-Length: 2", body=b"ok"),)),
            2,
        ),
        _two(
            "closed-in-a-list",
            "RFC 9110 7.6.1",
            Answer((response(_LINE, b"Connection: x, Close", b"Content-Length: 2", body=b"ok"),)),
            2,
        ),
        _two(
            "http-1.0-closes",
            "RFC 9112 9.3",
            Answer((response(b"HTTP/1.0 200 OK", b"Content-Length: 2", body=b"ok"),)),
            2,
        ),
        _two(
            "closed-while-idle",
            "RFC 9112 9.5: at any time",
            Answer((response(_LINE, b"Content-Length: 2", body=b"ok"), Act.CLOSE)),
            2,
            pause=True,
        ),
        _two(
            "reset-while-idle",
            "RFC 9112 9.5",
            Answer((response(_LINE, b"Content-Length: 2", body=b"ok"), Got(b"ok"), Sleep(0.05), Act.RESET)),
            2,
            pause=True,
        ),
        _two(
            "spoken-to-while-idle",
            "docs/wire.md Pool: response queue poisoning",
            Answer(
                (
                    response(_LINE, b"Content-Length: 2", body=b"ok"),
                    Got(b"ok"),
                    response(_LINE, b"Content-Length: 6", body=b"poison"),
                )
            ),
            2,
            pause=True,
        ),
    ),
    Case(
        "closed-with-the-answer",
        "RFC 9112 9.5: an orderly close behind a whole answer costs nobody an error",
        (_GET_ONE, Got(b"ok"), _GET_TWO),
        Reading((_ONE, _TWO), (_OK, _OK), End.OPEN, 2),
        (Answer((response(_LINE, b"Content-Length: 2", body=b"ok"), Act.CLOSE)), OK),
    ),
    Case(
        "not-used-again-with-a-body-unread",
        "RFC 9112 9.3: the request has not ended on that connection",
        (request(b"POST /one HTTP/1.1", b"Content-Length: 9000", body=b"x"), Got(b"no!")),
        Reading(
            (Seen(b"POST /one HTTP/1.1", (HOST, b"Content-Length: 9000"), b"x", whole=False),),
            (Reply(413, b"no!"),),
            End.CLOSED,
        ),
        (Answer((response(b"HTTP/1.1 413 No", b"Content-Length: 3", body=b"no!"),), on="head"),),
        also=(Reading(None, (Reply(413, b"no!"),)),),
    ),
    *under(
        "an idempotent request on a dying connection is repeated once, unseen",
        _dies("dies-under-get", _GET_TWO, _TWO, again=True),
        _dies("reset-under-get", _GET_TWO, _TWO, again=True, dies=_DIES_BY_RESET),
        _dies("dies-under-delete", request(b"DELETE /two HTTP/1.1"), Seen(b"DELETE /two HTTP/1.1"), again=True),
        _dies("dies-under-options", request(b"OPTIONS /two HTTP/1.1"), Seen(b"OPTIONS /two HTTP/1.1"), again=True),
    ),
    *under(
        "anything else is never sent twice",
        _dies(
            "dies-under-post",
            request(b"POST /two HTTP/1.1", b"Content-Length: 5", body=b"hello"),
            Seen(b"POST /two HTTP/1.1", (HOST, b"Content-Length: 5"), b"hello"),
            again=False,
        ),
        _dies(
            "dies-under-post-without-body",
            request(b"POST /two HTTP/1.1", b"Content-Length: 0"),
            Seen(b"POST /two HTTP/1.1", (HOST, b"Content-Length: 0")),
            again=False,
        ),
        _dies(
            "reset-under-post",
            request(b"POST /two HTTP/1.1", b"Content-Length: 5", body=b"hello"),
            Seen(b"POST /two HTTP/1.1", (HOST, b"Content-Length: 5"), b"hello"),
            again=False,
            dies=_DIES_BY_RESET,
        ),
        _dies("dies-under-patch", request(b"PATCH /two HTTP/1.1"), Seen(b"PATCH /two HTTP/1.1"), again=False),
        _dies("dies-under-an-unknown-method", request(b"BREW /two HTTP/1.1"), Seen(b"BREW /two HTTP/1.1"), again=False),
        _dies(
            "dies-under-lower-case-get",
            request(b"get /two HTTP/1.1"),
            Seen(b"get /two HTTP/1.1"),
            again=False,
            cites="RFC 9110 9.1: get is not GET",
        ),
    ),
    Case(
        "dies-twice",
        "RFC 9112 9.3.1: no more than one automatic retry",
        (_GET_ONE, Got(b"ok"), _GET_TWO),
        Reading((_ONE, _TWO, _TWO), (_OK, Reply(502)), End.OPEN),
        (OK, _DIES, _DIES, _DIES),
        also=(Reading((_ONE, _TWO), (_OK, Reply(BAD_GATEWAY))),),
        hard=False,
    ),
    Case(
        "dies-with-half-an-answer",
        "RFC 9110 9.2.2: the answer had begun",
        (_GET_ONE, Got(b"ok"), _GET_TWO),
        Reading((_ONE, _TWO), (_OK, Reply(502)), End.OPEN),
        (OK, Answer((b"HTTP/1.1 200", Act.CLOSE)), OK),
        also=(Reading((_ONE, _TWO), (_OK, Reply(BAD_GATEWAY))), Reading((_ONE, _TWO, _TWO), (_OK, _OK))),
        hard=False,
    ),
    Case(
        "dies-behind-an-interim-answer",
        "RFC 9110 15.2: the client has heard of this try",
        (_GET_ONE, Got(b"ok"), _GET_TWO),
        Reading((_ONE, _TWO), (_OK, Reply(502, interim=(103,))), End.OPEN),
        (OK, Answer((b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", Got(b"103"), Act.CLOSE)), OK),
        also=(Reading((_ONE, _TWO), (_OK, Reply(BAD_GATEWAY))), Reading((_ONE, _TWO, _TWO), None)),
        hard=False,
    ),
]
