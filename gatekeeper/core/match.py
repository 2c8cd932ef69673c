"""Compiled conditions of rules.

Texts of the file are compared with the bytes of the request, as UTF-8. What may occur several times (fields of one
name, cookies, query parameters) matches when any occurrence does; ``present: false`` when there is none.

* Header names do not depend on case; cookie names, query names, methods and all values do.
* Query names and values are percent-decoded first, ``+`` being a space. The path is compared as sent; a pattern is
  written the way a browser sends it, so ``/café`` in the file finds ``/caf%C3%A9``.
* A path prefix is by segment: ``/v2`` holds ``/v2`` and ``/v2/x``, not ``/v2x``. Other prefixes are plain text.
* Regular expressions are RE2's, found anywhere unless anchored. RE2 runs in linear time whatever a client sends.
"""

from collections.abc import Callable, Iterable, Sequence
from urllib.parse import unquote_to_bytes

import re2

from gatekeeper.core.head import Head
from gatekeeper.core.model import Pattern, PatternKind, When
from gatekeeper.core.networks import Networks
from gatekeeper.core.prefixes import encoded, normal, under
from gatekeeper.errors import GatekeeperError

MAX_PAIRS = 1000
"""Cookies, and query parameters, looked at per request; later ones do not exist for rules. A page of 32 KiB of ``&``
would else cost milliseconds. The number is PHP's (max_input_vars), which real forms stay below."""

Values = Sequence[bytes]
Test = Callable[[Values], bool]
Check = Callable[["View"], bool]


class MatchError(GatekeeperError):
    """A condition that cannot be compiled; the message quotes it."""


class View:
    """A request as rules see it. Each part is parsed when the first rule asks, and once."""

    __slots__ = ("_cookies", "_headers", "_query", "client_ip", "head")

    def __init__(self, head: Head, client_ip: str) -> None:
        self.head = head
        self.client_ip = client_ip
        self._cookies: dict[bytes, list[bytes]] | None = None
        self._query: dict[bytes, list[bytes]] | None = None
        self._headers: dict[bytes, list[bytes]] = {}

    def header(self, name_lower: bytes) -> Values:
        values = self._headers.get(name_lower)
        if values is None:
            values = self._headers[name_lower] = [value.strip(b" \t") for value in self.head.values(name_lower)]
        return values

    @property
    def cookies(self) -> dict[bytes, list[bytes]]:
        if self._cookies is None:
            self._cookies = parse_cookies(self.head.cookie)
        return self._cookies

    @property
    def query(self) -> dict[bytes, list[bytes]]:
        if self._query is None:
            self._query = parse_query(self.head.query)
        return self._query


def parse_cookies(value: bytes) -> dict[bytes, list[bytes]]:
    """Cookie name -> its values in order (RFC 6265 section 4.2.1, read leniently). Parts without ``=`` are skipped."""
    cookies: dict[bytes, list[bytes]] = {}
    if value:
        for part in value.split(b";", MAX_PAIRS)[:MAX_PAIRS]:
            name, equals, text = part.partition(b"=")
            if equals:
                cookies.setdefault(name.strip(b" \t"), []).append(text.strip(b" \t"))
    return cookies


def parse_query(query: bytes) -> dict[bytes, list[bytes]]:
    """Parameter name -> its values in order, decoded (WHATWG URL, application/x-www-form-urlencoded parsing)."""
    pairs: dict[bytes, list[bytes]] = {}
    if query:
        for part in query.split(b"&", MAX_PAIRS)[:MAX_PAIRS]:
            if part:
                name, _, text = part.partition(b"=")
                pairs.setdefault(_decode(name), []).append(_decode(text))
    return pairs


def _decode(text: bytes) -> bytes:
    if b"+" in text:
        text = text.replace(b"+", b" ")
    return unquote_to_bytes(text) if b"%" in text else text


class Matcher:
    """All conditions of one ``When``; immutable."""

    __slots__ = ("_checks",)

    def __init__(self, checks: Iterable[Check]) -> None:
        self._checks = tuple(checks)

    def test(self, view: View) -> bool:
        for check in self._checks:  # noqa: SIM110 - a generator per rule and request would double the cost
            if not check(view):
                return False
        return True

    def matches(self, request: Head, client_ip: str) -> bool:
        """``client_ip`` may be empty or no address (unix sockets); then no network holds it."""
        return self.test(View(request, client_ip))


def compile_when(when: When) -> Matcher:
    """Raises MatchError for a regular expression that RE2 does not take, ValueError for a text that is no network."""
    # Cheap conditions first: the first one that fails ends the test.
    checks: list[Check] = []
    if when.methods:
        checks.append(_method_check(when.methods))
    if when.path is not None:
        checks.append(_path_check(when.path))
    if when.networks:
        checks.append(_network_check(when.networks))
    checks += [_cookie_check(name.encode(), compile_pattern(pattern)) for name, pattern in when.cookies]
    checks += [_header_check(name.lower().encode(), compile_pattern(pattern)) for name, pattern in when.headers]
    checks += [_query_check(name.encode(), compile_pattern(pattern)) for name, pattern in when.query]
    return Matcher(checks)


def compile_pattern(pattern: Pattern, encode: Callable[[str], bytes] = str.encode) -> Test:
    """The test of a pattern on all values of a name. Raises MatchError."""
    values = tuple(encode(text) for text in pattern.values)
    first = values[0] if values else b""
    match pattern.kind:
        case PatternKind.EXACT:
            return lambda found: first in found
        case PatternKind.ONE_OF:
            allowed = frozenset(values)
            return lambda found: not allowed.isdisjoint(found)
        case PatternKind.PREFIX:
            return lambda found: any(value.startswith(first) for value in found)
        case PatternKind.SUFFIX:
            return lambda found: any(value.endswith(first) for value in found)
        case PatternKind.CONTAINS:
            return lambda found: any(first in value for value in found)
        case PatternKind.PRESENT:
            wanted = pattern.values == ("true",)
            return lambda found: bool(found) is wanted
        case PatternKind.REGEX:
            search = _regex(pattern.values[0] if pattern.values else "")
            return lambda found: any(search(value) is not None for value in found)


def _regex(text: str) -> Callable[[bytes], object]:
    options = re2.Options()
    options.log_errors = False  # the error is raised; the library would also write it to stderr
    try:
        search: Callable[[bytes], object] = re2.compile(text.encode(), options).search
    except re2.error as error:
        why = error.args[0] if error.args else "unknown reason"
        why = why.decode(errors="replace") if isinstance(why, bytes) else str(why)
        raise MatchError(
            f"regular expression {text!r}: {why} (syntax: RE2, without look-around and back references)"
        ) from error
    return search


def _method_check(methods: Iterable[str]) -> Check:
    allowed = frozenset(method.encode() for method in methods)
    return lambda view: view.head.method in allowed


def _path_check(pattern: Pattern) -> Check:
    if pattern.kind is PatternKind.PREFIX:
        prefix = normal(pattern.values[0])
        return lambda view: under(view.head.path, prefix)
    test = compile_pattern(pattern) if pattern.kind is PatternKind.REGEX else compile_pattern(pattern, encoded)
    return lambda view: test((view.head.path,))


def _network_check(texts: Iterable[str]) -> Check:
    networks = Networks(texts)
    return lambda view: view.client_ip in networks


def _cookie_check(name: bytes, test: Test) -> Check:
    return lambda view: test(view.cookies.get(name, ()))


def _header_check(name: bytes, test: Test) -> Check:
    return lambda view: test(view.header(name))


def _query_check(name: bytes, test: Test) -> Check:
    return lambda view: test(view.query.get(name, ()))
