"""The first rule in order that matches, without asking every rule.

Most rules demand some equality: a header, cookie or query value, a path or a path prefix. A rule can match only
where its equality holds, so it is filed under one (its anchor), and a request picks up the rules of its own values
with dict lookups. Those, together with the rules that have no anchor, are then tested in order and in full: the
index leaves out what cannot match and decides nothing.

Each rule is looked for on one side only: by the fields of a request, which often come again with another request, or by
the rest of it (method, path, query, the client's address). So who remembers what was decided for some fields need ask
for the other side only: 0.5 us where the whole takes 3.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic, TypeVar

from gatekeeper.core.head import Head
from gatekeeper.core.match import Matcher, View, compile_when, parse_cookies, parse_query
from gatekeeper.core.model import Pattern, PatternKind, When
from gatekeeper.core.prefixes import PrefixMap, encoded, normal

T = TypeVar("T")
Positions = dict[bytes, list[int]]

FEW_NAMES = 8
"""As many names are looked for in a text before it is parsed: 0.1 us each, against 1.5 for taking it apart."""


class Part(Enum):
    """Where an anchor looks."""

    HEADER = "header"
    COOKIE = "cookie"
    QUERY = "query"
    PATH = "path"
    PREFIX = "prefix"


Key = tuple[Part, bytes, bytes]
"""Part, name (empty for paths), value."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A condition that holds only if one of these keys does."""

    keys: tuple[Key, ...]


def anchors(when: When) -> Iterator[Anchor]:
    """Every condition of ``when`` that could serve as its anchor."""
    for part, pairs in ((Part.HEADER, when.headers), (Part.COOKIE, when.cookies), (Part.QUERY, when.query)):
        for name, pattern in pairs:
            if _is_equality(pattern):
                name_bytes = (name.lower() if part is Part.HEADER else name).encode()
                yield Anchor(tuple((part, name_bytes, text.encode()) for text in pattern.values))
    if when.path is not None:
        if _is_equality(when.path):
            yield Anchor(tuple((Part.PATH, b"", encoded(text)) for text in when.path.values))
        elif when.path.kind is PatternKind.PREFIX:
            yield Anchor(((Part.PREFIX, b"", normal(when.path.values[0])),))


def _is_equality(pattern: Pattern) -> bool:
    return pattern.kind in {PatternKind.EXACT, PatternKind.ONE_OF}


class RuleIndex(Generic[T]):
    """Ordered (When, value) pairs; immutable."""

    __slots__ = (
        "_by_prefix", "_cookies", "_fields_unfiled", "_headers", "_mixed", "_paths", "_prefixes", "_query",
        "_rest_unfiled", "_rules",
    )  # fmt: skip

    def __init__(self, pairs: Iterable[tuple[When, T]]) -> None:
        """Raises what ``compile_when`` raises."""
        whole = list(pairs)
        self._rules: tuple[tuple[Matcher, Matcher, T], ...] = tuple(
            (compile_when(_rest_of(when)), compile_when(_fields_of(when)), value) for when, value in whole
        )
        """What a rule asks of the rest of a request, what of its fields, and its value."""
        self._headers: dict[bytes, Positions] = {}
        self._cookies: dict[bytes, Positions] = {}
        self._query: dict[bytes, Positions] = {}
        self._paths: Positions = {}
        prefixes: Positions = {}
        self._fields_unfiled: list[int] = []
        self._rest_unfiled: list[int] = []
        self._mixed = frozenset(
            place for place, (when, _) in enumerate(whole) if _rest_of(when) != When() != _fields_of(when)
        )
        """Those that ask something of both sides."""
        named = {Part.HEADER: self._headers, Part.COOKIE: self._cookies, Part.QUERY: self._query}
        plain = {Part.PATH: self._paths, Part.PREFIX: prefixes}
        possible = [list(anchors(when)) for when, _ in whole]
        common = Counter(key for found in possible for anchor in found for key in anchor.keys)
        for position, found in enumerate(possible):
            if not found:
                by_rest = _rest_of(whole[position][0]) != When()
                (self._rest_unfiled if by_rest else self._fields_unfiled).append(position)
                continue
            # The rarest: a condition that all rules share would file them all in one place.
            best = min(found, key=lambda anchor: max((common[key] for key in anchor.keys), default=0))
            for part, name, text in dict.fromkeys(best.keys):
                table = plain[part] if part in plain else named[part].setdefault(name, {})
                table.setdefault(text, []).append(position)
        self._prefixes = PrefixMap(prefixes.items())
        self._by_prefix = bool(prefixes)

    def first(self, head: Head, client_ip: str) -> T | None:
        """The value of the first rule that matches."""
        order = self.by_rest(head, client_ip)
        found = self._by_fields(head)
        if found:
            order = tuple(sorted({*order, *found}))
        if order:
            view = View(head, client_ip)
            for position in order:
                rest, fields, value = self._rules[position]
                if rest.test(view) and fields.test(view):
                    return value
        return None

    def by_rest(self, head: Head, client_ip: str) -> tuple[int, ...]:
        """The positions of those that are looked for by the rest of a request, and get what they ask of it."""
        found = self._rest_unfiled
        query = head.query
        if query and self._query and (b"%" in query or b"+" in query or _mentions(query, self._query)):
            found = found.copy()
            _collect(found, self._query, parse_query(query))
        if self._paths:
            here = self._paths.get(head.path)
            if here:
                found = found + here
        if self._by_prefix:
            for positions in self._prefixes.every(head.path):
                found = found + positions
        if not found:
            return ()
        view = View(head, client_ip)
        return tuple(position for position in sorted({*found}) if self._rules[position][0].test(view))

    def follows(self, head: Head) -> bool:
        """Whether the first rule for these fields follows from them and ``by_rest``."""
        return self._mixed.isdisjoint(self._by_fields(head))

    def _by_fields(self, head: Head) -> list[int]:
        """The positions of those that are looked for by the fields of a request, and may match."""
        found = self._fields_unfiled
        cookie = head.cookie
        if cookie and self._cookies and _mentions(cookie, self._cookies):
            found = found.copy()
            _collect(found, self._cookies, parse_cookies(cookie))
        for name, table in self._headers.items():
            for text in head.values(name):
                found = found + table.get(text.strip(b" \t"), [])
        return found


def _rest_of(when: When) -> When:
    return replace(when, headers=(), cookies=())


def _fields_of(when: When) -> When:
    return When(headers=when.headers, cookies=when.cookies)


def _mentions(text: bytes, names: Collection[bytes]) -> bool:
    """Whether one of the names may be in it."""
    if len(names) > FEW_NAMES:
        return True
    for name in names:  # noqa: SIM110 - a generator would double the cost
        if name in text:
            return True
    return False


def _collect(found: list[int], tables: dict[bytes, Positions], present: dict[bytes, list[bytes]]) -> None:
    for name, values in present.items():
        table = tables.get(name)
        if table is not None:
            for value in values:
                found += table.get(value, ())
