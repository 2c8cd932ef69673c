"""OFREP, the OpenFeature Remote Evaluation Protocol: bodies to answers, for the admin API and for the traffic port.

One flag (``single``) is what server SDKs ask for, at each evaluation; all of them (``bulk``) what browsers ask for, and
ask for again and again. So that this costs them little, the tag of a bulk answer is of what somebody was given alone:
a step of a ramp that leaves him where he is answers 304, and so does a flag that is turned off for who had it off.
The protocol: https://github.com/open-feature/protocol
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import blake2b
from typing import Any, Final

from gatekeeper.core.flags.context import Context, InvalidContext, context_of
from gatekeeper.core.flags.evaluate import TargetingKeyMissing
from gatekeeper.core.flags.resolver import Resolver

Document = dict[str, Any]

BODY_BYTES: Final = 16 * 1024
"""Of a request: a context is a few dozen attributes, and may carry a browser's headers and cookies at most."""
KEY: Final = 128
"""Characters of a key that an error repeats. Names of flags have 64, those of services' versions eight more."""

FLAG_NOT_FOUND: Final = "FLAG_NOT_FOUND"
PARSE_ERROR: Final = "PARSE_ERROR"
TARGETING_KEY_MISSING: Final = "TARGETING_KEY_MISSING"
INVALID_CONTEXT: Final = "INVALID_CONTEXT"
GENERAL: Final = "GENERAL"

_ALLOWED: Final = 'allowed: {"context": {"targetingKey": "...", ...}}'
_TAGS: Final = re.compile(r'(?:W/)?"([^"]*)"')
"""A star is no tag: it is for those who write what must not be there yet (RFC 9110 section 13.1.2)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """``document`` is None where there is nothing to say (304). ``evaluated`` is what counts: (flag, variant)."""

    status: int
    document: Document | None
    etag: str = ""
    evaluated: tuple[tuple[str, str], ...] = ()

    @property
    def body(self) -> bytes:
        # A key in an error is the client's, and need not be Unicode.
        return b"" if self.document is None else _json(self.document).encode("utf-8", "replace") + b"\n"


class _Refused(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


def single(resolver: Resolver, key: str, body: bytes, own: Context | None = None) -> Reply:
    """One flag. ``own`` is the request itself where users ask: what ``body`` leaves unsaid is as there."""
    try:
        context = _context(body, own)
    except _Refused as refused:
        return Reply(400, failure(refused.code, refused.details, key))
    found = _evaluate(resolver, key, context)
    if "errorCode" in found:
        return Reply(404 if found["errorCode"] == FLAG_NOT_FOUND else 400, found)
    return Reply(200, found, evaluated=((key, found["variant"]),))


def bulk(resolver: Resolver, body: bytes, if_none_match: str = "", own: Context | None = None) -> Reply:
    """All flags; ``if_none_match`` is that field of the request. 304 where nothing changed for who is asked for."""
    try:
        context = _context(body, own)
    except _Refused as refused:
        return Reply(400, failure(refused.code, refused.details))
    flags = [_evaluate(resolver, key, context) for key in resolver.names]
    evaluated = tuple((found["key"], found["variant"]) for found in flags if "variant" in found)
    tag = _tag(flags)
    if tag in _TAGS.findall(if_none_match):
        return Reply(304, None, _weak(tag), evaluated)
    return Reply(200, {"flags": flags}, _weak(tag), evaluated)


def failure(code: str, details: str, key: str | None = None) -> Document:
    """An error as the protocol has it. ``key`` is that of the flag, None where all were asked for."""
    named = {} if key is None else {"key": key[:KEY]}
    return {**named, "errorCode": code, "errorDetails": details}


def _evaluate(resolver: Resolver, key: str, context: Context) -> Document:
    try:
        found = resolver.resolve(key, context)
    except TargetingKeyMissing as missing:
        return failure(TARGETING_KEY_MISSING, str(missing), key)
    if found is None:
        return failure(FLAG_NOT_FOUND, _unknown(key, resolver.names), key)
    return {
        "key": key,
        "value": found.value,
        "reason": found.reason,
        "variant": found.variant,
        "metadata": dict(found.metadata),
    }


def _unknown(key: str, names: Sequence[str]) -> str:
    near = get_close_matches(key, names, 1) if len(key) <= KEY else []
    return f"there is no flag {key[:KEY]}; " + (f"did you mean {near[0]}?" if near else "see `gatekeeper flag list`")


def _context(body: bytes, own: Context | None) -> Context:
    """Who is asked for. Raises _Refused."""
    try:
        value = json.loads(body.decode(), parse_constant=_no_number) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise _Refused(PARSE_ERROR, f"the body is not valid JSON ({error}); {_ALLOWED}") from None
    attributes = value.get("context") if isinstance(value, dict) else value
    if attributes is None:
        attributes = {}
    if not isinstance(value, dict) or not isinstance(attributes, dict):
        what = "context" if isinstance(value, dict) else "the body"
        raise _Refused(INVALID_CONTEXT, f"{what} is not an object; {_ALLOWED}")
    try:
        return context_of(attributes, own)
    except InvalidContext as error:
        raise _Refused(INVALID_CONTEXT, str(error)) from None
    except UnicodeEncodeError:
        raise _Refused(INVALID_CONTEXT, f"a text of the context is not Unicode (lone surrogates); {_ALLOWED}") from None


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")


def _tag(flags: Sequence[Mapping[str, Any]]) -> str:
    """Of what was given, and not of why: reasons and owners may change and nothing with them.

    128 bits of a hash that cannot be found backwards: nobody makes two answers look alike.
    """
    given = [[found.get(part) for part in ("key", "variant", "value", "errorCode")] for found in flags]
    return blake2b(_json(given).encode(), digest_size=16).hexdigest()


def _weak(tag: str) -> str:
    # Weak (RFC 9110, 8.8.1): answers that share it mean the same and need not be the same bytes.
    return f'W/"{tag}"'


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
