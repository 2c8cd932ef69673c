"""Testers: who may force a version, and how they ask (SPEC words "force", "pass").

A tester asks by header for one request, by query parameter for a browser session, which a cookie then carries. Header
beats query beats cookie. Whoever is not allowed is treated as if nothing had been asked, to the last byte.

Allowed is a request from one of the tester networks, unless its address is hearsay (forwarding fields from a peer
that is not trusted: then the address belongs to some proxy, not to the person), or one with a pass that names the
version. A session granted to an address works from tester networks only; one granted by a pass ends with the pass, or
when the key that signed it is removed.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from gatekeeper.core import passes
from gatekeeper.core.head import Head
from gatekeeper.core.match import parse_query
from gatekeeper.core.model import Testers
from gatekeeper.core.networks import Networks
from gatekeeper.core.sticky import END, TAG, CookieLine, Signer, finder, tester_cookie_name

QUERY = b"gatekeeper-version"
DEFAULT_HEADER = "x-gatekeeper-version"
SESSION_SECONDS = 12 * 3600
"""A working day. The browser forgets the cookie when it closes, but some never close."""
BY_ADDRESS = b"a"
BY_PASS = b"p"
_VALUE = re.compile(rb"(([0-9a-f]{1,16})\.(a|p[0-9a-f]{8}))\.(" + TAG + rb")" + END)


@dataclass(frozen=True, slots=True)
class Answer:
    """A tester was heard. ``version`` None: the session ends, and the request is decided as everybody's."""

    version: str | None
    set_cookie: bytes = b""


class Gate:
    """The testers of one service."""

    __slots__ = (
        "_clear",
        "_find",
        "_header",
        "_kinds",
        "_line",
        "_names",
        "_networks",
        "_passes",
        "_query",
        "_signer",
    )

    def __init__(self, testers: Testers, service: str, versions: Iterable[str], secret: bytes) -> None:
        """Raises ValueError for a text that is no network."""
        header = testers.header.lower()
        self._header = None if header == DEFAULT_HEADER else header.encode()
        self._query = testers.query
        self._names = {name.encode(): name for name in versions}
        self._networks = Networks(testers.networks)
        self._passes = passes.Verifier(testers.keys, service)
        self._kinds = frozenset(map(_kind, testers.keys))
        self._signer = Signer(secret, b"tester")
        name = tester_cookie_name(service)
        self._find = finder(name, _VALUE)
        self._line = CookieLine(name)
        self._clear = CookieLine(name, max_age=0)

    @property
    def always_asks(self) -> bool:
        """Whether a request can ask by other means than the default header (``Head.force``)."""
        return self._query or self._header is not None

    def ask(self, head: Head, client_ip: str, proxied: bool, secure: bool, now: float) -> Answer | None:
        """The version this request may force, or None when nothing was asked or nobody allowed. ``now``: wall seconds.

        ``proxied``: the client's address is hearsay. ``secure``: the client came by TLS.
        """
        near = not proxied
        version = self._by_header(head)
        if version is not None and (
            (near and client_ip in self._networks) or self._by_pass(head, version, now) is not None
        ):
            return Answer(version)
        if not self._query:
            return None
        # The cheap look first: hardly any request asks.
        if QUERY in head.query:
            wish = parse_query(head.query).get(QUERY)
            if wish is not None:
                answer = self._by_query(wish[0], head, client_ip, near, secure, now)
                if answer is not None:
                    return answer
        version = self._by_session(head.cookie, client_ip, near, now)
        return None if version is None else Answer(version)

    def _by_header(self, head: Head) -> str | None:
        if self._header is None:
            return self._names.get(head.force.strip(b" \t")) if head.force else None
        values = head.values(self._header)
        return self._names.get(values[0].strip(b" \t")) if values else None

    def _by_pass(self, head: Head, version: str, now: float) -> passes.Pass | None:
        found = self._passes.open(head.pass_token, now) if head.pass_token else None
        return found if found is not None and version in found.versions else None

    def _by_query(self, wish: bytes, head: Head, client_ip: str, near: bool, secure: bool, now: float) -> Answer | None:
        if wish in {b"", b"none"}:
            known = (
                (near and client_ip in self._networks)
                or self._passes.open(head.pass_token, now) is not None
                or self._by_session(head.cookie, client_ip, near, now) is not None
            )
            return Answer(None, self._clear.line(b"", secure)) if known else None
        version = self._names.get(wish)
        if version is None:
            return None
        expires, kind = now + SESSION_SECONDS, BY_ADDRESS
        found = self._by_pass(head, version, now)
        if found is not None:
            # Preferred to the address: it goes where the tester goes.
            expires, kind = min(expires, found.expires), _kind(found.key)
        elif not (near and client_ip in self._networks):
            return None
        text = b"%x.%b" % (int(expires), kind)
        value = text + b"." + self._signer.tag(text, wish)
        return Answer(version, self._line.line(value, secure))

    def _by_session(self, cookie: bytes, client_ip: str, near: bool, now: float) -> str | None:
        match = self._find(cookie) if cookie else None
        if match is None:
            return None
        text, expires, kind, tag = match.groups()
        if now >= int(expires, 16):
            return None
        if not (near and client_ip in self._networks) if kind == BY_ADDRESS else kind not in self._kinds:
            return None
        for name, version in self._names.items():
            if self._signer.verify(text, name, tag):
                return version
        return None


def _kind(key: str) -> bytes:
    """Names a pass key in a session cookie without giving it away."""
    return BY_PASS + blake2b(key.encode(), digest_size=4, person=b"pass key").hexdigest().encode()
