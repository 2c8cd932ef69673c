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
NAME: Final = 256
"""Characters of a name at most; those of services and versions are shorter."""
NOTE: Final = 1_000
"""Characters of a note: a sentence and a link, not a document in every row of the history."""
DEPTH: Final = 16
"""Levels of lists and objects in a body; the deepest that means something has five."""
NUMBER: Final = 2**62
"""Beyond it no revision or event id can be; SQLite's integers end at 2**63."""
KEY: Final = 255
"""Characters of an ``Idempotency-Key``."""
_KEY: Final = re.compile(rf"[\x21-\x7e]{{1,{KEY}}}")
_TAG: Final = re.compile(r'\s*"(\d{1,18})"\s*')

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
    # What a client sent in a header need not be UTF-8, and a problem may repeat it.
    return json.dumps(codec.dump(document), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n"


def answer(document: object, *, revision: int | None = None, headers: Mapping[str, str] | None = None) -> web.Response:
    """``revision`` becomes the ETag. No cache on the way may keep an answer: it is the present or it is wrong."""
    fields = {"Cache-Control": "no-store", **(headers or {})}
    if revision is not None:
        fields["ETag"] = f'"{revision}"'
    return web.Response(body=encode(document), content_type="application/json", headers=fields)


def unknown(path: str, found: str, what: str, allowed: Iterable[str]) -> Document:
    """The problem of a name nobody knows, with what was probably meant."""
    names = list(allowed)
    problem = {"path": path, "message": f"unknown {what}", "allowed": ", ".join(names) or "none"}
    if near := nearest(found, names):
        problem["suggestion"] = near
    return problem


def nearest(found: str, names: Iterable[str]) -> str:
    """The name that was probably meant, "" if none is near."""
    # Longer words than any name of ours are not compared: the search is quadratic.
    near = get_close_matches(found, list(names), 1) if len(found) <= NAME else []
    return near[0] if near else ""


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
    if _deeper(value, DEPTH):
        raise ProblemError(422, "invalid_body", "the body nests too deeply", allowed=f"{DEPTH} levels")
    return value


def _deeper(value: object, levels: int) -> bool:
    """Whether lists and objects nest deeper than ``levels``; what reads them recurses."""
    here = [value]
    while here and levels >= 0:
        inner: list[object] = []
        for item in here:
            inner += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        here, levels = inner, levels - 1
    return bool(here)


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
    # A fraction is shown as it came, not as a text.
    text = str(value) if isinstance(value, Decimal) else json.dumps(value, default=str, ensure_ascii=False)
    # 80 characters tell what it is; the body may hold a megabyte.
    return text if len(text) <= 80 else text[:77] + "..."


def expected_revision(request: web.Request, current: int) -> int | None:
    """What ``If-Match`` demands: None for nothing or ``*``. Of several tags the current one counts if it is there.

    Raises ProblemError for a tag that is not one of ours.
    """
    text = ",".join(request.headers.getall("If-Match", ["*"])).strip()  # several lines are one list (RFC 9110 5.3)
    if text == "*":
        return None
    tags = [_TAG.fullmatch(tag) for tag in text.split(",")]
    revisions = [int(tag[1]) for tag in tags if tag is not None]
    if len(revisions) < len(tags) or not revisions:
        raise ProblemError(
            400, "bad_if_match", f"If-Match holds {text[:80]!r}", allowed='the ETag of an answer, such as "17", or *'
        )
    return current if current in revisions else revisions[0]


def idempotency_key(request: web.Request) -> str | None:
    """The ``Idempotency-Key`` of a request. Raises ProblemError for one that cannot be."""
    found = request.headers.getall("Idempotency-Key", [])
    if not found:
        return None
    if len(found) > 1 or not _KEY.fullmatch(found[0]):
        raise ProblemError(
            400,
            "bad_idempotency_key",
            "the Idempotency-Key cannot be used",
            allowed=f"one, of 1 to {KEY} visible ASCII characters without spaces",
        )
    return found[0]


def last_event_id(text: str) -> int:
    """What ``Last-Event-ID`` says. Raises ProblemError."""
    number = whole(text)
    if number is None:
        allowed = f"a whole number from 0 to {NUMBER}"
        raise ProblemError(400, "bad_query", f"Last-Event-ID: {shown(text)} is no event", allowed=allowed)
    return number


def revision_in_path(text: str) -> int:
    """Raises ProblemError: what is no number is no revision that could be there."""
    number = whole(text)
    if number is None:
        raise ProblemError(404, "unknown_revision", f"there is no revision {shown(text)}", allowed="a number")
    return number


def whole(text: str) -> int | None:
    """The whole number from 0 to NUMBER that a text is, None for any other text."""
    # isascii: isdecimal accepts the digits of every script.
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        return None
    return int(text) if int(text) <= NUMBER else None
