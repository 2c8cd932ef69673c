"""A small synchronous client of the admin API, over the unix socket or TCP.

One connection per call: the calls are few and each must see the present. Every write carries an ``Idempotency-Key``
of its own. A call whose connection broke before the answer is repeated once, a write with the same key: gatekeeper
acts on it once, whichever of the two arrived. What was not answered in time is never repeated.
"""

import http.client
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from gatekeeper.interface import reach
from gatekeeper.interface.failures import (
    USAGE,
    BrokenError,
    ClientError,
    RefusedError,
    SilentError,
    UnreachableError,
    reason,
)

T = TypeVar("T")

TIMEOUT = 30.0
"""Seconds for one answer. A change waits for every worker (2 s, then the worker is replaced) and for the disk."""
MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer; the same bound as a frame between supervisor and worker."""
PIECE = 64 * 1024
"""Bytes of an answer that are taken at a time."""
MAX_LINE = 1024 * 1024
"""Bytes of one line of an event stream."""

_MARKS = frozenset({"revision", "revisions", "pass", "audit"})


@dataclass(frozen=True, slots=True)
class Reply:
    """``data`` is the decoded JSON, or text for other types; ``revision`` comes from the ETag, None without one."""

    status: int
    data: Any
    revision: int | None


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the stream; ``id`` resumes after it."""

    id: str
    data: dict[str, Any]


class Client:
    """Talks to one gatekeeper. ``url`` wins over ``sockets``; of several sockets the first where somebody listens.

    ``patience`` is for how long connecting to a socket is tried, see ``reach``.
    """

    def __init__(
        self,
        *,
        sockets: Sequence[str] = (),
        url: str | None = None,
        token: str | None = None,
        timeout: float = TIMEOUT,
        patience: float = reach.PATIENCE,
    ) -> None:
        self._place = reach.Tcp(url) if url else reach.Unix(sockets, patience)
        self._token = token
        self._timeout = timeout

    @property
    def where(self) -> str:
        return self._place.where

    def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        raw: tuple[bytes, str] | None = None,
        query: Mapping[str, str] | None = None,
        expect: int | None = None,
        wait: float = 0.0,
        accept: str = "application/json",
    ) -> Reply:
        """One request. ``body`` goes as JSON, ``raw`` as (bytes, media type); ``expect`` is the revision for If-Match.

        ``wait`` are the seconds that the answer may take beyond the usual; ``accept`` is the media type that is wanted.
        Raises UnreachableError or RefusedError.
        """
        headers = {"Accept": f"{accept}, */*;q=0.5"}
        content: bytes | None = None
        if raw is not None:
            content, headers["Content-Type"] = raw
        elif body is not None:
            content, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        if expect is not None:
            headers["If-Match"] = f'"{expect}"'
        if method != "GET":
            headers["Idempotency-Key"] = secrets.token_hex(16)
        target = path + ("?" + urlencode(query) if query else "")
        ours = accept if path.startswith("/v1/") else ""

        def ask() -> Reply:
            with self._exchange(method, target, content, headers, self._timeout + wait) as response:
                return self._reply(response, f"{method} {path} on {self.where}", ours)

        return _asked(ask, changes=method != "GET")

    def get(self, path: str, **query: str) -> Any:
        return self.call("GET", path, query=query).data

    def pieces(self, path: str, kind: str, **query: str) -> Iterator[bytes]:
        """An answer of any length and of that media type, as it comes. Raises UnreachableError where it breaks off, or
        is not gatekeeper's, and RefusedError.
        """
        target = path + ("?" + urlencode(query) if query else "")
        with self._exchange("GET", target, None, {"Accept": kind}, self._timeout) as response:
            if not _has_type(response, kind):
                raise _foreign(response.status, f"GET {path} on {self.where}")
            while piece := response.read1(PIECE):
                yield piece

    def events(self, *, last_id: str = "", silence: float = 60.0) -> Iterator[Event]:
        """Server-sent events from after ``last_id`` until the server ends the stream.

        Raises UnreachableError when the connection breaks or nothing comes for ``silence`` seconds.
        """
        headers = {"Accept": "text/event-stream"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        with self._exchange("GET", "/v1/events", None, headers, silence) as response:
            yield from _parse_stream(response)

    @contextmanager
    def _exchange(
        self, method: str, target: str, content: bytes | None, headers: dict[str, str], timeout: float
    ) -> Iterator[http.client.HTTPResponse]:
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            with closing(self._place.connect(timeout)) as connection:
                # Who refuses a body may answer and close before all of it was sent; the answer is worth more.
                with suppress(BrokenPipeError):
                    connection.request(method, target, content, headers)
                # Closing matters beyond the connection: an event stream never ends by itself.
                with closing(connection.getresponse()) as response:
                    if response.status >= 300:
                        path = target.partition("?")[0]
                        raise self._refusal(response, f"{method} {path} on {self.where}")
                    yield response
        except TimeoutError as error:
            raise SilentError(
                f"no answer within {timeout:g} s", self.where, "see its log: it may be overloaded or stopped"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise BrokenError(
                f"the connection broke: {reason(error)}", self.where, "ask again with `gatekeeper status`"
            ) from error

    def _reply(self, response: http.client.HTTPResponse, where: str, ours: str) -> Reply:
        """``ours`` is the media type that every answer of the API has there; empty: any."""
        data = response.read(MAX_ANSWER + 1)
        if len(data) > MAX_ANSWER:
            raise ClientError(f"the answer is larger than {MAX_ANSWER} bytes", where)
        if response.length:  # a bounded read takes the end of the connection for the end of the answer
            raise http.client.IncompleteRead(data, response.length)
        found = self._decode(response, data)
        if ours and not (_is_ours(found) or (isinstance(found, str) and _has_type(response, ours))):
            raise _foreign(response.status, where)
        return Reply(response.status, found, _revision(response.getheader("ETag")))

    def _decode(self, response: http.client.HTTPResponse, data: bytes) -> Any:
        if "json" not in response.getheader("Content-Type", ""):
            return data.decode(errors="replace")
        try:
            return json.loads(data)
        except ValueError as error:
            raise UnreachableError(
                "the answer is not valid JSON", self.where, "is that gatekeeper's admin address?"
            ) from error

    def _refusal(self, response: http.client.HTTPResponse, where: str) -> ClientError:
        data = response.read(MAX_ANSWER)
        if "json" not in response.getheader("Content-Type", ""):
            return _foreign(response.status, where)
        problem = self._decode(response, data)
        return RefusedError(response.status, problem if isinstance(problem, dict) else {"detail": str(problem)}, where)


def _asked(ask: Callable[[], T], *, changes: bool) -> T:
    """What ``ask`` gives, asked once more if the connection broke before the answer was there."""
    sent = False
    for last in (False, True):
        try:
            return ask()
        except UnreachableError as error:
            sent = sent or error.sent
            if last or not isinstance(error, BrokenError):
                if changes and sent:
                    _doubt(error)
                raise
    raise AssertionError("unreachable: the second time returns or raises")


def _doubt(error: UnreachableError) -> None:
    error.what = f"it is not known whether the change was made: {error.what}"
    error.way_out = "look at `gatekeeper history` once it answers, and repeat the change if it is not there"


def _foreign(status: int, where: str) -> UnreachableError:
    return UnreachableError(
        f"something that is not gatekeeper's admin API answered {status}",
        where,
        "give its admin address, not the address users go to",
    )


def service_path(service: str, *more: str) -> str:
    """The path of a service's resource; names are percent-encoded whatever they hold."""
    return "/".join(["/v1/services", *(quote(part, safe="") for part in (service, *more))])


def read_token(path: str) -> str:
    """The token in a file, without surrounding white space. Raises ClientError."""
    hint = "name a file that holds the token alone, with --token-file (GATEKEEPER_TOKEN_FILE)"
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ClientError(f"cannot read the token: {reason(error)}", path, hint, USAGE) from error
    if not token or any(not character.isprintable() or character == " " for character in token):
        raise ClientError("the file does not hold one token", path, hint, USAGE)
    return token


def _parse_stream(response: http.client.HTTPResponse) -> Iterator[Event]:
    """The fields of server-sent events (WHATWG HTML, 9.2.6) that gatekeeper uses: id and data."""
    last_id = ""
    lines: list[str] = []
    while raw := response.readline(MAX_LINE + 1):
        if len(raw) > MAX_LINE:
            raise ClientError(f"an event is longer than {MAX_LINE} bytes", "/v1/events", "is that gatekeeper?")
        line = raw.decode(errors="replace").rstrip("\r\n")
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            last_id = value
        elif name == "data":
            lines.append(value)
        elif not line and lines:
            data = json.loads("\n".join(lines))
            lines = []
            yield Event(last_id, data if isinstance(data, dict) else {"data": data})


def _revision(etag: str | None) -> int | None:
    text = (etag or "").removeprefix("W/").strip('"')
    return int(text) if text.isdecimal() else None


def _has_type(response: http.client.HTTPResponse, media_type: str) -> bool:
    return response.getheader("Content-Type", "").partition(";")[0].strip().lower() == media_type


def _is_ours(data: object) -> bool:
    """Whether it can be an answer of the API: a list of events, or a document with one of the keys each of them has.

    Names of servers prove nothing: something that speaks TLS may stand between.
    """
    return isinstance(data, list) or (isinstance(data, dict) and not _MARKS.isdisjoint(data))
