"""Who asks for a flag without a request of theirs: OFREP's evaluation context, as conditions see a request.

``method``, ``path``, ``query``, ``host`` and ``client_ip`` are texts, ``headers`` and ``cookies`` objects of texts. Any
other text beside them stands for the header of its name, so that ``when: {header: {X-Country: DE}}`` finds
``{"X-Country": "DE"}``. The rest of a context is for other providers and is passed over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatekeeper.core.head import Head
from gatekeeper.errors import GatekeeperError

_TEXTS = ("method", "path", "query", "host", "client_ip")
_OBJECTS = ("headers", "cookies")
TARGETING_KEY = "targetingKey"


class InvalidContext(GatekeeperError):  # noqa: N818 - OFREP's word
    """Something in a context that conditions would look at is of the wrong type. ``path`` names it."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"context.{path}: {message}")
        self.path = path


@dataclass(frozen=True, slots=True)
class Context:
    """``unit`` is whoever is asked for (None: not said)."""

    unit: bytes | None
    head: Head
    client_ip: str = ""


@dataclass(frozen=True, slots=True)
class ToldHead:
    """A head made of attributes."""

    method: bytes
    host: bytes
    path: bytes
    query: bytes
    cookie: bytes
    fields: Mapping[bytes, Sequence[bytes]]
    own: Head | None = None
    """The request by which it was told; its fields hold where none was told."""
    force: bytes = b""
    pass_token: bytes = b""

    def values(self, name_lower: bytes) -> Sequence[bytes]:
        told = self.fields.get(name_lower)
        if told is not None:
            return told
        return self.own.values(name_lower) if self.own is not None else ()


def context_of(attributes: Mapping[str, Any], own: Context | None = None) -> Context:
    """The context of these attributes (JSON values). Raises ``InvalidContext``, and UnicodeEncodeError for texts with
    lone surrogates.

    ``own`` is the request they came in, where that is a user's own: unit, headers and cookies are as there where
    nothing is told, and his address always is. Its method and path are of asking, and say nothing.
    """
    key = attributes.get(TARGETING_KEY)
    if key is not None and not isinstance(key, str):
        raise InvalidContext(TARGETING_KEY, "takes a text")
    text = {name: _text(attributes, name) for name in _TEXTS}
    fields: dict[bytes, list[bytes]] = {}
    for name, value in attributes.items():
        if isinstance(value, str) and name not in _TEXTS and name != TARGETING_KEY:
            fields[name.lower().encode()] = [value.encode()]
    told = {name.lower().encode(): [value.encode()] for name, value in _texts(attributes, "headers").items()}
    cookies = "; ".join(f"{name}={value}" for name, value in _texts(attributes, "cookies").items())
    head = ToldHead(
        (text["method"] or "GET").encode(),
        text["host"].lower().encode(),
        (text["path"] or "/").encode(),
        text["query"].encode(),
        cookies.encode() or (own.head.cookie if own is not None else b""),
        {**fields, **told},
        own.head if own is not None else None,
    )
    if own is not None:
        return Context(key.encode() if key else own.unit, head, own.client_ip)
    return Context(key.encode() if key else None, head, text["client_ip"])


def _text(attributes: Mapping[str, Any], name: str) -> str:
    value = attributes.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidContext(name, "takes a text")
    return value


def _texts(attributes: Mapping[str, Any], name: str) -> dict[str, str]:
    value = attributes.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidContext(name, "takes an object of names and texts")
    for one, text in value.items():
        if not isinstance(text, str):
            raise InvalidContext(f"{name}.{one}", "takes a text")
    return dict(value)
