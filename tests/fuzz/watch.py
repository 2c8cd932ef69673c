"""What happened, in order: requests begun on each client's connection, how often and where each was sent, what came.

The bytes are noted where they enter gatekeeper, so that a peer's bytes that were never read count for nobody.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from gatekeeper.dataplane.downstream import Downstream
from gatekeeper.dataplane.ending import Ending
from gatekeeper.dataplane.exchange import Exchange
from gatekeeper.dataplane.sending import Sending
from gatekeeper.dataplane.upstream import Upstream
from gatekeeper.errors import Fault


@dataclass
class Try:
    """One sending of a request. ``came`` is what its backend said, ``end`` how it ended: "", "end" or "reset"."""

    item: "Item"
    upstream: Upstream
    came: bytes = b""
    end: str = ""


@dataclass
class Item:
    """What a client is owed an answer for: a request (``exchange``), or what was refused as one.

    ``fault`` is set where the answer is gatekeeper's own.
    """

    method: bytes
    minor: int = 1
    exchange: Exchange | None = None
    tries: list[Try] = field(default_factory=list)
    fault: Fault | None = None


@dataclass
class Talk:
    """A client's connection."""

    came: bytes = b""
    items: list[Item] = field(default_factory=list)


class Watch:
    """While entered, notes everything."""

    def __init__(self) -> None:
        self.talks: dict[Downstream, Talk] = {}
        self.tries: dict[Upstream, list[Try]] = {}
        self._items: dict[Any, Item] = {}
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> Self:
        for owner, name, spy in (
            (Downstream, "data_received", self._client_bytes),
            (Downstream, "_refuse", self._refused),
            (Sending, "start", self._begun),
            (Sending, "_send", self._sent),
            (Ending, "fail", self._failed),
            (Upstream, "data_received", self._backend_bytes),
            (Upstream, "eof_received", self._backend_eof),
            (Upstream, "connection_lost", self._backend_lost),
        ):
            self._wrap(owner, name, spy)
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()

    def _wrap(self, owner: type, name: str, spy: Callable[..., None]) -> None:
        original = getattr(owner, name)

        def wrapped(itself: Any, *args: Any, **options: Any) -> Any:
            spy(itself, *args, **options)
            return original(itself, *args, **options)

        self._patch.setattr(owner, name, wrapped)

    def talk(self, downstream: Downstream) -> Talk:
        return self.talks.setdefault(downstream, Talk())

    def _client_bytes(self, downstream: Downstream, data: bytes) -> None:
        self.talk(downstream).came += data

    def _refused(
        self, downstream: Downstream, fault: Fault, head: Any = None, *, head_only: bool = False, **_: Any
    ) -> None:
        method = head.method if head else b"HEAD" if head_only else b"GET"
        item = Item(method, head.minor if head else 1, fault=fault)
        self.talk(downstream).items.append(item)

    def _begun(self, exchange: Exchange) -> None:
        item = self._items[exchange] = Item(exchange.head.method, exchange.head.minor, exchange)
        self.talk(exchange.downstream).items.append(item)

    def _sent(self, exchange: Exchange, upstream: Upstream, now: float) -> None:
        del now
        sending = Try(self._items[exchange], upstream)
        sending.item.tries.append(sending)
        self.tries.setdefault(upstream, []).append(sending)

    def _failed(self, exchange: Exchange, fault: Fault) -> None:
        if not exchange.status:
            self._items[exchange].fault = fault

    def _now(self, upstream: Upstream) -> Try | None:
        return self.tries[upstream][-1] if upstream.exchange is not None else None

    def _backend_bytes(self, upstream: Upstream, data: bytes) -> None:
        if (sending := self._now(upstream)) is not None:
            sending.came += data

    def _backend_eof(self, upstream: Upstream) -> None:
        if (sending := self._now(upstream)) is not None:
            sending.end = sending.end or "end"

    def _backend_lost(self, upstream: Upstream, exc: Exception | None) -> None:
        if (sending := self._now(upstream)) is not None:
            sending.end = "reset" if exc is not None else "end"
