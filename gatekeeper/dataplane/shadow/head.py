"""The head of a copy: the bytes that the user's own backend was sent, less what a copy must not carry."""

import re
from collections.abc import Collection
from functools import cache
from typing import Final

from gatekeeper.core.shadow.model import Keep

MARK: Final = b"X-Gatekeeper-Shadow: 1\r\n"

_SECRETS: Final = {Keep.COOKIE: (b"cookie",), Keep.AUTHORIZATION: (b"authorization", b"proxy-authorization")}
# A copy is sent whole and at once, over a connection of its own: it expects nothing, offers nothing, and its body is as
# long as it is, however the user's was framed.
_OF_THE_CONNECTION: Final = (b"connection", b"content-length", b"expect", b"te", b"trailer", b"transfer-encoding",
                             b"upgrade")  # fmt: skip


@cache
def _dropped(keep: frozenset[Keep]) -> re.Pattern[bytes]:
    secrets = [name for kind, names in _SECRETS.items() if kind not in keep for name in names]
    return re.compile(rb"\r\n(?i:%b):[^\r]*" % b"|".join((*_OF_THE_CONNECTION, *secrets)))


def copied(head: bytes, served: bytes, to: bytes, keep: Collection[Keep], body: bytes | None) -> bytes:
    """The request to send: head and body.

    ``head`` is what went to the user's backend, with the lines ``served`` of gatekeeper's own. They are there once,
    since a client's ``X-Gatekeeper-`` lines never pass; a copy has ``to`` in their place. ``body`` is None where the
    user sent none.
    """
    head = _dropped(frozenset(keep)).sub(b"", head)
    lines = MARK if body is None else MARK + b"Content-Length: %d\r\n" % len(body)
    head = head.replace(b"\r\n" + served, b"\r\n" + to + lines, 1)
    return head + body if body else head
