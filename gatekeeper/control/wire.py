"""Requests in, answers out: bodies read within bounds and checked whole, every failure as one problem document.

A problem (RFC 9457) is ``{"type", "title", "status", "detail", "code", "allowed", "problems": [{"path", "message",
...}]}``. ``code`` is the stable word for programs, ``detail`` says what and where, ``allowed`` the way out, and
``problems`` lists every mistake found, not the first.
"""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from gatekeeper.core import codec
from gatekeeper.errors import GatekeeperError

Document = dict[str, Any]

BODY_BYTES: Final = 1024 * 1024
"""Of a command: the longest sensible one, a split of thousands of versions, is a tenth of it."""
CONFIG_BYTES: Final = 8 * 1024 * 1024
"""Of a whole configuration: some 50,000 lines."""
BODY_SECONDS: Final = 30.0
"""For a body to arrive; a client that stalls must not hold its buffer for ever."""
NOTE: Final = 1_000
"""Characters of a note: a sentence and a link, not a document in every row of the history."""
_NUMBER: Final = 2**62
"""Beyond it no revision or event id can be; SQLite's integers end at 2**63."""

PROBLEM_TYPE: Final = "application/problem+json"


class ProblemError(GatekeeperError):
    """An answer that is a refusal. ``extra`` members go into the document beside the standard ones."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        allowed: str = "",
        problems: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})
        self.document: Document = {
            "type": f"urn:gatekeeper:problem:{code}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "code": code,
            "allowed": allowed,
            "problems": [dict(problem) for problem in problems],
            **(extra or {}),
        }

    def response(self) -> web.Response:
        return web.Response(
            status=self.status, body=encode(self.document), content_type=PROBLEM_TYPE, headers=self.headers
        )


def encode(document: object) -> bytes:
    return json.dumps(codec.dump(document), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def answer(document: object, *, revision: int | None = None, status: int = 200) -> web.Response:
    """``revision`` becomes the ETag. No cache on the way may keep an answer: it is the present or it is wrong."""
    headers = {"Cache-Control": "no-store"}
    if revision is not None:
        headers["ETag"] = f'"{revision}"'
    return web.Response(status=status, body=encode(document), content_type="application/json", headers=headers)


def unknown(path: str, found: str, what: str, allowed: Iterable[str]) -> Document:
    """The problem of a name nobody knows, with what was probably meant."""
    names = list(allowed)
    problem = {"path": path, "message": f"unknown {what}", "allowed": ", ".join(names) or "none"}
    if near := get_close_matches(found, names, 1):
        problem["suggestion"] = near[0]
    return problem


async def read_body(request: web.Request, limit: int) -> bytes:
    """Raises ProblemError: 413 beyond ``limit`` bytes, 408 when it does not arrive, 415 when it is compressed."""
    too_large = ProblemError(
        413, "body_too_large", f"the body is larger than {limit} bytes", allowed=f"at most {limit} bytes"
    )
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ProblemError(415, "compressed_body", "the body is compressed", allowed="send it as it is")
    if (request.content_length or 0) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise too_large
    except TimeoutError:
        raise ProblemError(408, "body_timeout", f"the body did not arrive within {BODY_SECONDS:g} s") from None
    return bytes(body)


def parse_object(body: bytes) -> Document:
    """A JSON object; an empty body is an empty object. Numbers with a fraction become Decimal.

    Raises ProblemError for what is not JSON, holds a key twice, or text that is not Unicode.
    """
    if not body.strip():
        return {}
    try:
        value = json.loads(body.decode(), object_pairs_hook=_unique, parse_float=_decimal, parse_constant=_refuse)
        json.dumps(value, default=str, ensure_ascii=False).encode()  # lone surrogates could not be stored or sent on
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, "not_json", f"the body is not valid JSON: {error}", allowed="a JSON object") from None
    if not isinstance(value, dict):
        raise ProblemError(422, "invalid_body", "the body is not a JSON object", allowed="a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> Document:
    value: Document = {}
    for key, item in pairs:
        if key in value:
            raise ValueError(f"the key {key!r} is there twice")
        value[key] = item
    return value


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        raise ValueError(f"{text[:40]} is out of every range") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")


def note(text: str) -> str:
    """A note of the history. Raises ProblemError (422) if it is too long or not one line of text."""
    if len(text) > NOTE or not all(character.isprintable() for character in text):
        raise ProblemError(
            422, "invalid_note", "the note cannot be kept", allowed=f"one line of at most {NOTE} characters"
        )
    return text


def shown(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    # 80 characters tell what it is; the body may hold a megabyte.
    return text if len(text) <= 80 else text[:77] + "..."


class Fields:
    """Takes known fields out of a body and remembers every mistake; ``done`` raises them all at once."""

    def __init__(self, body: Document, allowed: Sequence[str]) -> None:
        self._body = body
        self.problems: list[Document] = []
        for key in body:
            if key not in allowed:
                self.problems.append(unknown(key, key, "key", allowed))

    def wrong(self, path: str, message: str, found: object = None, allowed: str = "") -> None:
        problem = {"path": path, "message": message, "allowed": allowed}
        if found is not None:
            problem["found"] = shown(found)
        self.problems.append(problem)

    def text(self, key: str, default: str = "", *, limit: int = 256) -> str:
        value = self._body.get(key, default)
        if not isinstance(value, str) or len(value) > limit:
            self.wrong(key, f"must be a text of at most {limit} characters", value)
            return default
        return value

    def texts(self, key: str, *, limit: int = 256) -> list[str]:
        value = self._body.get(key, [])
        if not isinstance(value, list) or len(value) > limit or not all(isinstance(item, str) for item in value):
            self.wrong(key, f"must be a list of at most {limit} texts", value)
            return []
        return value

    def pairs(self, key: str, *, limit: int = 100) -> list[tuple[str, str]]:
        value = self._body.get(key, [])
        if not isinstance(value, list) or len(value) > limit:
            self.wrong(key, f"must be a list of at most {limit} [name, value] pairs", value)
            return []
        found = []
        for at, item in enumerate(value):
            if isinstance(item, list) and len(item) == 2 and all(isinstance(part, str) for part in item):
                found.append((item[0], item[1]))
            else:
                self.wrong(f"{key}[{at}]", "must be a [name, value] pair of texts", item)
        return found

    def flag(self, key: str) -> bool:
        value = self._body.get(key, False)
        if not isinstance(value, bool):
            self.wrong(key, "must be true or false", value)
            return False
        return value

    def integer(self, key: str, low: int, high: int) -> int | None:
        value = self._body.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.wrong(key, f"must be a whole number from {low} to {high}", value)
            return None
        return value

    def done(self) -> None:
        if self.problems:
            first = self.problems[0]
            more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
            raise ProblemError(
                422, "invalid_body", f"{first['path']}: {first['message']}{more}", problems=self.problems
            )


def weights(body: Document) -> tuple[dict[str, Decimal], list[Document]]:
    """The weights of a split's body that are numbers, and what is wrong with the others.

    Which versions exist and what weights may be is the command's to say.
    """
    found, problems = {}, []
    for name, value in body.items():
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            problems.append({"path": name, "message": "must be a number", "found": shown(value)})
        else:
            found[name] = Decimal(value)
    return found, problems


def expected_revision(request: web.Request, current: int) -> int | None:
    """What ``If-Match`` demands: None for nothing or ``*``. Of several tags the current one counts if it is there.

    Raises ProblemError for a tag that is not one of ours.
    """
    text = request.headers.get("If-Match", "*").strip()
    if text == "*":
        return None
    tags = [re.fullmatch(r'\s*"(\d{1,18})"\s*', tag) for tag in text.split(",")]
    revisions = [int(tag[1]) for tag in tags if tag is not None]
    if len(revisions) < len(tags) or not revisions:
        raise ProblemError(
            400, "bad_if_match", f"If-Match holds {text[:80]!r}", allowed='the ETag of an answer, such as "17", or *'
        )
    return current if current in revisions else revisions[0]


def query(request: web.Request, *allowed: str) -> Mapping[str, str]:
    """The query, each name once. Raises ProblemError for a name that is not ``allowed``, with a did-you-mean."""
    problems = []
    for name in request.query:
        if name not in allowed:
            problems.append(unknown(f"?{name}", name, "parameter", allowed))
        elif len(request.query.getall(name)) > 1:
            problems.append({"path": f"?{name}", "message": "given more than once", "allowed": "once"})
    if problems:
        raise ProblemError(400, "bad_query", f"{problems[0]['path']}: {problems[0]['message']}", problems=problems)
    return request.query


def query_flag(found: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    text = found.get(name)
    if text is None:
        return default
    if text not in ("1", "0", "true", "false"):
        raise ProblemError(400, "bad_query", f"?{name}={text[:40]}", allowed="1 or 0")
    return text in ("1", "true")


def query_number(found: Mapping[str, str], name: str, default: int, high: int = _NUMBER) -> int:
    text = found.get(name)
    if text is None:
        return default
    # isascii: isdecimal accepts the digits of every script.
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= high):
        raise ProblemError(400, "bad_query", f"?{name}={text[:40]}", allowed=f"a whole number from 0 to {high}")
    return int(text)
