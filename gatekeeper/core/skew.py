"""Version skew: what a page loads follows the page's version, also for a while after that version was superseded.

A navigation (Fetch Metadata: ``Sec-Fetch-Mode: navigate`` or ``Sec-Fetch-Dest: document``) is decided like any
request, and its answer notes the version in a session cookie, signed and opaque. Other requests of that browser then
follow the note. Clients that send no Fetch Metadata never get one.
"""

import re
from collections.abc import Mapping

from gatekeeper.core.head import Head
from gatekeeper.core.model import Running
from gatekeeper.core.sticky import END, TAG, CookieLine, Signer, finder, page_cookie_name, seal

PAGE_SECONDS = 30 * 24 * 3600
"""Browsers may restore session cookies for ever; a page open longer than this is decided anew."""
FRESH_SECONDS = 3600
"""A navigation to the version already noted within the hour leaves the note: most answers then need no cookie."""
_VALUE = re.compile(rb"([0-9a-f]{1,16})\.(" + TAG + rb")" + END)


class Pages:
    """The open pages of one service."""

    __slots__ = ("_find", "_line", "_seals", "_signer", "_skew", "_superseded")

    def __init__(self, service: str, skew: float, versions: Mapping[str, object], running: Running) -> None:
        self._skew = skew
        self._superseded = running.superseded
        self._signer = Signer(bytes.fromhex(running.secret), b"page")
        self._seals = {name: seal(name, running.since.get(name, 0)) for name in versions}
        name = page_cookie_name(service)
        self._find = finder(name, _VALUE)
        self._line = CookieLine(name)

    @staticmethod
    def navigates(head: Head) -> bool:
        return b"navigate" in head.values(b"sec-fetch-mode") or b"document" in head.values(b"sec-fetch-dest")

    def open(self, cookie: bytes, now: float) -> tuple[str, int] | None:
        """The version of the page the browser has open and when it was noted (wall seconds); None if forged or old."""
        match = self._find(cookie) if cookie else None
        if match is None:
            return None
        text, tag = match.groups()
        noted = int(text, 16)
        if now - noted >= PAGE_SECONDS:
            return None
        for version, sealed in self._seals.items():
            if self._signer.verify(text, sealed, tag):
                return version, noted
        return None

    def kept(self, version: str, now: float) -> bool:
        """Whether the version, without weight now, was superseded less than ``skew`` ago (never by a rollback)."""
        since = self._superseded.get(version)
        return since is not None and now - since < self._skew

    def note(self, version: str, cookie: bytes, now: float, secure: bool) -> bytes:
        """The Set-Cookie line after a navigation to ``version``, or nothing if the browser has a fresh one."""
        noted = self.open(cookie, now)
        if noted is not None and noted[0] == version and 0 <= now - noted[1] < FRESH_SECONDS:
            return b""
        text = b"%x" % int(now)
        return self._line.line(text + b"." + self._signer.tag(text, self._seals[version]), secure)
