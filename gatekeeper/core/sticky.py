"""What keeps a unit where it is: the hash of its id, gatekeeper's own cookies, and the signatures on them.

A unit's place is ``point(salt, id)``, a keyed BLAKE2b (RFC 7693) of four bytes, so that every worker, instance and
restart agrees without talking, and nobody without the salt can compute an id that lands on a chosen version.

Cookies of a service S, each with ``Path=/``, ``HttpOnly`` and ``SameSite=Lax``:

* ``gatekeeper-S``: ``ID`` or, in mode pin, ``ID.TAG``. The id is random, so it tells nobody the version.
* ``gatekeeper-S-page``: ``TIME.TAG``, the page that is open (``core.skew``).
* ``gatekeeper-S-version``: ``EXPIRES.KIND.TAG``, a tester's browser session (``core.tester``).

A TAG signs the text before it together with a version's name, which itself is not in the cookie: the reader tries
the versions it knows. Services have two to a handful, and one try costs a microsecond.
"""

import re
from collections.abc import Callable, Iterable
from hashlib import blake2b
from hmac import compare_digest

OWN_COOKIE_SECONDS = 2_592_000
"""Thirty days: longer than any release lasts, shorter than what browsers cut back (400 days, RFC 6265bis)."""
TAG_BYTES = 16
"""128 bits: forging one takes more requests than a release will ever see."""
TAG = rb"[0-9a-f]{32}"
END = rb"(?![ \t]*[^; \t])"
"""The end of a cookie value in a Cookie field."""
_OWN_VALUE = re.compile(rb"([A-Za-z0-9_-]{1,64})(?:\.(" + TAG + rb"))?" + END)

DASHBOARD_COOKIES = (b"gatekeeper-_session", b"__Host-gatekeeper-_session")
"""The dashboard's session, without TLS and with it: no service can be named so that one is its own. Browsers send a
cookie to every port of a host, so users' requests may bring an operator's; no backend is to see it."""

_OURS = b"gatekeeper-"
"""In the name of each of gatekeeper's cookies."""

Search = Callable[[bytes], re.Match[bytes] | None]
Strip = Callable[[bytes], bytes]


def point(salt_key: bytes, unit: bytes) -> int:
    """The place of a unit in [0, 2**32). ``salt_key`` has at most 64 bytes."""
    return int.from_bytes(blake2b(unit, digest_size=4, key=salt_key).digest(), "big")


def hasher(salt_key: bytes) -> blake2b:
    """A hash object already fed with the key: copy, update with the unit, and read the digest as ``point`` does."""
    return blake2b(digest_size=4, key=salt_key)


class Signer:
    """Tags of one purpose with one service's secret. Purposes do not accept each other's tags."""

    __slots__ = ("_keyed",)

    def __init__(self, secret: bytes, purpose: bytes) -> None:
        """``secret`` has at most 64 bytes, ``purpose`` at most 16 (BLAKE2b's personalisation)."""
        self._keyed = blake2b(digest_size=TAG_BYTES, key=secret, person=purpose)

    def tag(self, text: bytes, seal: bytes) -> bytes:
        """Lower-case hexadecimal. ``text`` is what the cookie shows, ``seal`` what it does not (a version)."""
        keyed = self._keyed.copy()
        # The length keeps (text, seal) pairs apart that would run together to the same bytes.
        keyed.update(b"%d:%b%b" % (len(text), text, seal))
        return keyed.hexdigest().encode()

    def verify(self, text: bytes, seal: bytes, tag: bytes) -> bool:
        return compare_digest(self.tag(text, seal), tag)


def seal(version: str, since: int) -> bytes:
    """What a pinned or page cookie is bound to: the version, and the revision since which it holds weight."""
    return b"%d:%b" % (since, version.encode())


def own_cookie_name(service: str) -> bytes:
    return b"gatekeeper-" + service.encode()


def page_cookie_name(service: str) -> bytes:
    return b"gatekeeper-" + service.encode() + b"-page"


def tester_cookie_name(service: str) -> bytes:
    return b"gatekeeper-" + service.encode() + b"-version"


def finder(name: bytes, value: re.Pattern[bytes]) -> Search:
    """Finds the first cookie ``name`` whose whole value matches ``value`` in a Cookie field value.

    ``value`` ends in ``END``. A malformed value is passed over as if it were absent. One pattern per service would
    find as fast, but compiling it takes half a millisecond, and there may be ten thousand services.
    """
    literal = name + b"="
    length = len(literal)
    match = value.match

    def search(cookie: bytes) -> re.Match[bytes] | None:
        at = cookie.find(literal)
        while at >= 0:
            if at == 0 or cookie[max(at - 2, 0) : at] == b"; " or cookie[:at].rstrip(b" \t")[-1:] in {b"", b";"}:
                found = match(cookie, at + length)
                if found is not None:
                    return found
            at = cookie.find(literal, at + length)
        return None

    return search


def own_finder(service: str) -> Search:
    """Groups: the id, and the tag or None. Both forms are read in every mode, so that changing it moves nobody."""
    return finder(own_cookie_name(service), _OWN_VALUE)


def stripper(names: Iterable[bytes]) -> Strip:
    """Removes cookies, all of gatekeeper's own; what is left is a well-formed Cookie value, or empty."""
    any_name = b"(?:" + b"|".join(re.escape(name) for name in names) + b")"
    first = rb"\A[ \t]*(?:" + any_name + rb"[ \t]*=[^;]*(?:;[ \t]*|\Z))+"
    later = rb";[ \t]*" + any_name + rb"[ \t]*=[^;]*"
    sub = re.compile(first + rb"|" + later).sub

    def strip(value: bytes) -> bytes:
        at = value.find(_OURS)
        if at > 1 and value[at - 2 : at] == b"; " and value.find(_OURS, at + 1) < 0:
            # One, as browsers send it: without looking at every character of all the others, 2.1 us became 0.8.
            return value[: at - 2] + sub(b"", value[at - 2 :], 1)
        return sub(b"", value)

    return strip


class CookieLine:
    """A Set-Cookie field line for one cookie name, everything but the value made ready."""

    __slots__ = ("_head", "_tail", "_tail_secure")

    def __init__(self, name: bytes, max_age: int | None = None) -> None:
        """``max_age`` in seconds; None lives as long as the browser session."""
        self._head = b"Set-Cookie: " + name + b"="
        tail = b"; Path=/" + (b"" if max_age is None else b"; Max-Age=%d" % max_age) + b"; HttpOnly; SameSite=Lax"
        self._tail = tail + b"\r\n"
        self._tail_secure = tail + b"; Secure\r\n"

    def line(self, value: bytes, secure: bool) -> bytes:
        return self._head + value + (self._tail_secure if secure else self._tail)


def new_id(high: int, low: int) -> bytes:
    """An opaque id of 32 hexadecimal digits from two random numbers of 64 bits."""
    return b"%032x" % (high << 64 | low)
