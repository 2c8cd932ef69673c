"""A small synchronous client of the admin API, over the unix socket or TCP.

What can go wrong is one of two errors: ``UnreachableError`` (nothing of ours answers; exit 3) and ``RefusedError``
(gatekeeper answered no; it carries the problem document of RFC 9457 and the exit code that fits).
"""

import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from gatekeeper import places

TIMEOUT = 30.0
"""Seconds for one answer. A change waits for every worker (2 s, then the worker is replaced) and for the disk."""
MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer; the same bound as a frame between supervisor and worker."""
MAX_LINE = 1024 * 1024
"""Bytes of one line of an event stream."""
UNIX_PATH_MAX = 107
"""Bytes of a socket's path, see unix(7): sun_path less the final zero."""

_MARKS = frozenset({"revision", "revisions", "pass"})

DONE, FAILED, USAGE, UNREACHABLE, REFUSED = range(5)


class ClientError(Exception):
    """What happened, where, and the way out; ``exit_code`` as in the table of docs/cli.md."""

    exit_code = FAILED
    hint = "way out"
    """What ``way_out`` is called when it is printed."""
    problems: Sequence[dict[str, Any]] = ()
    since: Sequence[Mapping[str, Any]] = ()
    """Revisions made since the one that was expected, the newest first."""

    def __init__(self, what: str, where: str, way_out: str = "", exit_code: int | None = None) -> None:
        super().__init__(what)
        self.exit_code = self.exit_code if exit_code is None else exit_code
        self.what = what
        self.where = where
        self.way_out = way_out

    def document(self) -> dict[str, Any]:
        return {"title": self.what, "where": self.where, "way_out": self.way_out}


class UnreachableError(ClientError):
    exit_code = UNREACHABLE


class RefusedError(ClientError):
    """``status`` is the HTTP status, ``problem`` the whole problem document."""

    hint = "allowed"

    def __init__(self, status: int, problem: dict[str, Any], where: str) -> None:
        title = str(problem.get("title") or http.client.responses.get(status, "refused"))
        detail = str(problem.get("detail") or "")
        super().__init__(detail or title, where, str(problem.get("allowed") or ""))
        self.status = status
        self.problem = problem
        self.problems = _objects(problem.get("problems"))
        self.since = _objects(problem.get("changed"))
        self.exit_code = exit_code_of(status)

    def document(self) -> dict[str, Any]:
        return {"status": self.status, **self.problem, "where": self.where}


def exit_code_of(status: int) -> int:
    """400, 404, 405, 413, 415 and 422: the request itself is wrong (2). 401, 403, 409, 412, 423, 428: refused (4)."""
    if status in {400, 404, 405, 413, 415, 422}:
        return USAGE
    if status in {401, 403, 409, 412, 423, 428}:
        return REFUSED
    return FAILED


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
    """Talks to one gatekeeper. One connection per call: the calls are few and each must see the present.

    ``url`` wins over ``sockets``; of several socket paths the first one where somebody listens is used.
    """

    def __init__(
        self, *, sockets: Sequence[str] = (), url: str | None = None, token: str | None = None, timeout: float = TIMEOUT
    ) -> None:
        self._url = url
        self._sockets = sockets
        self._token = token
        self._timeout = timeout
        self.where = url or (f"unix:{sockets[0]}" if sockets else "nowhere")

    def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        raw: tuple[bytes, str] | None = None,
        query: Mapping[str, str] | None = None,
        expect: int | None = None,
    ) -> Reply:
        """One request. ``body`` goes as JSON, ``raw`` as (bytes, media type); ``expect`` is the revision for If-Match.

        Raises UnreachableError or RefusedError.
        """
        headers = {"Accept": "application/json, */*;q=0.5"}
        content: bytes | None = None
        if raw is not None:
            content, headers["Content-Type"] = raw
        elif body is not None:
            content, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        if expect is not None:
            headers["If-Match"] = f'"{expect}"'
        target = path + ("?" + urlencode(query) if query else "")
        with self._exchange(method, target, content, headers, self._timeout) as response:
            data = response.read(MAX_ANSWER + 1)
            if len(data) > MAX_ANSWER:
                raise ClientError(f"the answer is larger than {MAX_ANSWER} bytes", f"{method} {path} on {self.where}")
            found = self._decode(response, data)
            if path.startswith("/v1/") and not _is_ours(found):
                raise UnreachableError(
                    f"something that is not gatekeeper's admin API answered {response.status}",
                    f"{method} {path} on {self.where}",
                    "give its admin address, not the address users go to",
                )
            return Reply(response.status, found, _revision(response.getheader("ETag")))

    def get(self, path: str, **query: str) -> Any:
        return self.call("GET", path, query=query).data

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
            with closing(self._connect(timeout)) as connection:
                connection.request(method, target, content, headers)
                # Closing matters beyond the connection: an event stream never ends by itself.
                with closing(connection.getresponse()) as response:
                    if response.status >= 300:
                        path = target.partition("?")[0]
                        raise self._refusal(response, f"{method} {path} on {self.where}")
                    yield response
        except TimeoutError as error:
            raise UnreachableError(
                f"no answer within {timeout:g} s", self.where, "see its log: it may be overloaded or stopped"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(
                f"the connection broke: {_reason(error)}", self.where, "ask again with `gatekeeper status`"
            ) from error

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        return self._connect_tcp(self._url, timeout) if self._url else self._connect_unix(timeout)

    def _connect_tcp(self, url: str, timeout: float) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(parts.netloc, timeout=timeout, context=context)
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
        try:
            connection.connect()
        except OSError as error:
            raise UnreachableError(
                f"cannot reach gatekeeper: {_reason(error)}",
                url,
                "check --url (GATEKEEPER_URL) and `admin.http` of the file",
            ) from error
        return connection

    def _connect_unix(self, timeout: float) -> http.client.HTTPConnection:
        tried, denied = [], False
        for path in self._sockets:
            if not places.trusted(path):
                tried.append(f"{path}: its directory belongs to another user")
                continue
            if len(path.encode()) > UNIX_PATH_MAX:
                tried.append(f"{path}: longer than {UNIX_PATH_MAX} bytes, which the system does not allow")
                continue
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(timeout)
            try:
                sock.connect(path)
            except OSError as error:
                sock.close()
                denied = denied or isinstance(error, PermissionError)
                tried.append(f"{path}: {_reason(error)}")
                continue
            self.where = f"unix:{path}"
            connection = http.client.HTTPConnection("localhost", timeout=timeout)
            connection.sock = sock
            return connection
        way_out = "start it with `gatekeeper serve --config FILE`, or name its socket with --socket (GATEKEEPER_SOCKET)"
        if denied:
            way_out = "run this as the user or in the group that owns the socket, or name another with --socket"
        raise UnreachableError("cannot reach gatekeeper", "; ".join(tried) or "no socket named", way_out)

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
            return UnreachableError(
                f"something that is not gatekeeper's admin API answered {response.status}",
                where,
                "give its admin address, not the address users go to",
            )
        problem = self._decode(response, data)
        return RefusedError(response.status, problem if isinstance(problem, dict) else {"detail": str(problem)}, where)


def service_path(service: str, *more: str) -> str:
    """The path of a service's resource; names are percent-encoded whatever they hold."""
    return "/".join(["/v1/services", *(quote(part, safe="") for part in (service, *more))])


def read_token(path: str) -> str:
    """The token in a file, without surrounding white space. Raises ClientError."""
    hint = "name a file that holds the token alone, with --token-file (GATEKEEPER_TOKEN_FILE)"
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ClientError(f"cannot read the token: {_reason(error)}", path, hint, USAGE) from error
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


def _is_ours(data: object) -> bool:
    """Whether it can be an answer of the API: a list of events, or a document with one of the keys each of them has.

    Names of servers prove nothing: something that speaks TLS may stand between.
    """
    return isinstance(data, list) or (isinstance(data, dict) and not _MARKS.isdisjoint(data))


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
