"""One operation of the API, said once: the router, the OpenAPI document and the tests read the same value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web
from pydantic import BaseModel

from gatekeeper.control.api import codes, wire
from gatekeeper.control.api.auth import Actor
from gatekeeper.control.api.parameters import Parameter
from gatekeeper.control.store.rows import Answer
from gatekeeper.core.model import Role

Json = Mapping[str, Any]


@dataclass(slots=True)
class Call:
    """One request, its parts read. ``body`` is what its operation's ``Content`` makes of it, None without one.

    ``raw`` are the bytes of the body; ``expected`` the revision of ``If-Match``; ``key`` the ``Idempotency-Key``.
    """

    request: web.Request
    actor: Actor
    query: Mapping[str, Any]
    raw: bytes = b""
    body: Any = None
    expected: int | None = None
    key: str | None = None

    def path(self, name: str) -> str:
        return self.request.match_info[name]

    @property
    def dry_run(self) -> bool:
        return bool(self.query.get("dry_run"))


class Handler(Protocol):
    async def __call__(self, call: Call) -> web.StreamResponse: ...


@dataclass(frozen=True, slots=True)
class Content:
    """A body. ``model`` says what is in it; ``schema`` stands for it where there is a better description.

    ``context`` gives the validators of ``model`` what they compare with. Not ``read``: the handler does so itself, from
    the bytes. ``types`` are the media types that are described; no other is refused.
    """

    model: type[BaseModel] | None = None
    schema: Callable[[], dict[str, Any]] | None = None
    name: str = ""
    context: Callable[[web.Request], Mapping[str, Any]] | None = None
    read: bool = True
    needed: bool = False
    limit: int = wire.BODY_BYTES
    types: tuple[str, ...] = ("application/json",)
    example: Json | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """``role`` None: everybody. ``answer`` is the model of the 200, or its media type where that is not JSON; None:
    there is nothing to say, 204.

    ``again`` makes the answer of a repetition: what has it changes something, so that ``If-Match`` and
    ``Idempotency-Key`` hold. ``commands``: it does so by a command to the controller. ``codes`` are the problems it has
    beside those that follow from the rest; ``etag``: its answer names the revision, as that of a command does.
    """

    name: str
    method: str
    path: str
    role: Role | None
    summary: str
    handle: Handler
    answer: type[BaseModel] | str | None
    query: tuple[Parameter, ...] = ()
    content: Content | None = None
    again: Callable[[Call, Answer], web.Response] | None = None
    commands: bool = True
    etag: bool = False
    codes: tuple[str, ...] = ()
    streams: bool = False
    """It may also answer with server-sent events."""
    resumes: bool = False
    """And goes on behind the one in ``Last-Event-ID``."""
    also: tuple[str, ...] = ()
    """Media types of texts that it answers with where ``Accept`` prefers them."""
    refusal: type[BaseModel] | None = None
    """Its refusals are in the words of another protocol, which also lets clients put into the query what they like."""
    revalidates: bool = False
    """It answers 304 where ``If-None-Match`` has what it would answer; its tag is no revision."""

    @property
    def writes(self) -> bool:
        return self.again is not None

    @property
    def tags(self) -> bool:
        """Whether its answer has an ``ETag``."""
        return self.etag or (self.writes and self.commands)

    @property
    def problems(self) -> list[str]:
        """The codes of every problem it can answer with."""
        found = [code for code in codes.OF_ALL if self.refusal is None or code != "bad_query"]
        if self.role is not None:
            found += codes.OF_KNOWN
        if self.role not in (None, Role.VIEWER):
            found.append("forbidden")
        if "{service}" in self.path:
            found.append("unknown_service")
        if "{flag}" in self.path:
            found.append("unknown_flag")
        if self.content is not None:
            found += codes.OF_A_BODY
            found += codes.OF_JSON if self.content.model is not None else ()
        if self.writes:
            found += codes.OF_A_WRITE
            found += codes.OF_A_COMMAND if self.commands else ()
        return [*dict.fromkeys([*found, *self.codes])]
