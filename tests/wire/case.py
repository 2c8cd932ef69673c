"""A case: bytes from a client, bytes from a backend, and the readings of them that are allowed.

What is sent is a script: bytes, and the few things that are no bytes (waiting for the other side, hanging up). A wait
is for something to be seen, not for time to pass; ``Sleep`` is there for the cases about timeouts alone.
"""

import re
from dataclasses import dataclass, replace
from enum import Enum

HOST = b"Host: a.test"


class Act(Enum):
    """Steps without data."""

    CLOSE = "close in an orderly way"
    RESET = "close with a reset"
    FIN = "say that nothing more will be sent, and read on"
    WHOLE = "wait until the last request is here to its end"
    GONE = "wait until the proxy has ended this connection"


@dataclass(frozen=True, slots=True)
class Pieces:
    """Bytes sent ``size`` at a time, so that the proxy reads them apart."""

    data: bytes
    size: int = 1


@dataclass(frozen=True, slots=True)
class Got:
    """Wait until the client has received these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Had:
    """Wait until a backend connection has received these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class NotHad:
    """No backend connection may have received these bytes by now."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Sleep:
    seconds: float


@dataclass(frozen=True, slots=True)
class Flood:
    """Send until the other side has taken ``size`` bytes or no more for a moment; at most ``most`` may be taken."""

    size: int
    most: int


@dataclass(frozen=True, slots=True)
class Deaf:
    """Read nothing until this step is over: when the other end's flood has come to a stand."""


Step = bytes | Act | Pieces | Got | Had | NotHad | Sleep | Flood | Deaf


@dataclass(frozen=True, slots=True)
class Answer:
    """What a backend does about one request: when the connection is made, when it has the head, or all of it."""

    steps: tuple[Step, ...]
    on: str = "all"


OK = Answer((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",))

Line = bytes | re.Pattern[bytes]


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as the backend must have read it; ``fields`` in order, without what proxies add unasked.

    ``whole`` is False where the request must have stayed incomplete and the connection been ended by the proxy.
    """

    line: bytes
    fields: tuple[Line, ...] = (HOST,)
    body: bytes = b""
    trailers: tuple[bytes, ...] | None = ()
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """One response as the client must have read it. ``None`` and empty mean: any.

    ``has`` are field lines, ``lacks`` names in lower case; ``framing`` is none, length, chunked or close; ``whole`` is
    False where the client must see that something is missing.
    """

    status: int | tuple[int, ...]
    body: bytes | re.Pattern[bytes] | None = None
    has: tuple[Line, ...] = ()
    lacks: tuple[bytes, ...] = ()
    framing: str | None = None
    interim: tuple[int, ...] = ()
    head: bool = False
    whole: bool = True
    line: bytes | None = None
    trailers: tuple[bytes, ...] | None = None
    tunnel: bytes | None = None


class End(Enum):
    OPEN = "open"
    """A further request on the same connection is answered."""
    CLOSED = "closed"
    """In an orderly way: the client can read everything first."""
    RESET = "reset"
    ENDED = "closed or reset"
    ANY = "any"


ANYTHING = "anything well-formed"


@dataclass(frozen=True, slots=True)
class Reading:
    """What both ends saw.

    ``sees`` None: the backend saw no complete request, and what it saw was cut off. ANYTHING: whatever it saw was
    well-formed. ``connections`` is how many backend connections carried the requests, ``tunnelled``
    what followed the last request without being one.
    """

    sees: tuple[Seen, ...] | str | None
    gets: tuple[Reply, ...] | None
    end: End = End.ANY
    connections: int | None = None
    tunnelled: bytes | None = None


REFUSALS = tuple(range(400, 600))
# What anybody may do with a request that has no safe reading: refuse it, or hang up.
REFUSED = Reading(None, (Reply(REFUSALS),), End.ANY)
HUNG_UP = Reading(None, (), End.ENDED)
# Where no more than a SHOULD stands against repairing a request: what leaves must be well-formed all the same.
REPAIRED = Reading(ANYTHING, None)
# What anybody may do with an answer that has none.
BAD_GATEWAY = (500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Case:
    """``wants`` is what gatekeeper must do; ``also`` what else the specifications allow, for other proxies.

    ``rule`` is what the case is one example of; without one it stands for itself. ``hard`` says that everything else
    breaks a rule of a specification; otherwise it is another choice.
    """

    name: str
    cites: str
    send: tuple[Step, ...]
    wants: Reading
    answers: tuple[Answer, ...] = ()
    also: tuple[Reading, ...] = ()
    hard: bool = True
    source: str = "127.0.0.1"
    rule: str = ""


def under(rule: str, *cases: Case, hard: bool | None = None) -> list[Case]:
    """Examples of one rule."""
    return [replace(case, rule=rule, hard=case.hard if hard is None else hard) for case in cases]


def request(line: bytes, *fields: bytes, body: bytes = b"", host: bytes | None = HOST) -> bytes:
    """A request with a Host field before the others."""
    lines = (line, *((host,) if host is not None else ()), *fields)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def response(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join((line, *fields)) + b"\r\n\r\n" + body


# A request that must never be served: it stands behind what must be refused, or within a body.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"


def refused(
    name: str,
    cites: str,
    data: bytes,
    status: int = 400,
    *,
    also: tuple[Reading, ...] = (),
    hard: bool = True,
    behind: bytes = SMUGGLED,
) -> Case:
    """No safe reading: an error, the connection closed, nothing behind it served, nothing whole at the backend."""
    wants = Reading((), (Reply(status),), End.CLOSED)
    return Case(name, cites, (data + behind,), wants, also=(REFUSED, HUNG_UP, *also), hard=hard)


def passed(
    name: str,
    cites: str,
    data: bytes | tuple[Step, ...],
    *sees: Seen,
    hard: bool = True,
    also: tuple[Reading, ...] = (),
    end: End = End.OPEN,
    source: str = "127.0.0.1",
) -> Case:
    """One reading: the backend sees these requests, the client one answer to each."""
    steps = (data,) if isinstance(data, bytes) else data
    replies = tuple(Reply(200, b"ok" if not seen.line.startswith(b"HEAD ") else b"") for seen in sees)
    replies = tuple(
        Reply(200, b"", head=True) if seen.line.startswith(b"HEAD ") else reply
        for seen, reply in zip(sees, replies, strict=True)
    )
    return Case(name, cites, steps, Reading(sees, replies, end), also=also, hard=hard, source=source)


def answered(
    name: str,
    cites: str,
    answer: bytes | tuple[Step, ...] | Answer,
    reply: Reply | None,
    *,
    send: bytes | tuple[Step, ...] = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    sees: tuple[Seen, ...] = (Seen(b"GET / HTTP/1.1"),),
    end: End = End.ANY,
    also: tuple[Reading, ...] = (),
    hard: bool = True,
) -> Case:
    """A plain request whose answer is what matters."""
    steps = (send,) if isinstance(send, bytes) else send
    if isinstance(answer, bytes):
        answer = (answer,)
    if not isinstance(answer, Answer):
        answer = Answer(answer)
    replies = (reply,) if reply is not None else ()
    return Case(name, cites, steps, Reading(sees, replies, end), (answer,), also, hard)
