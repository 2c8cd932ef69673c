"""The first rule in order that matches, without asking every rule.

Most rules demand some equality: a header, cookie or query value, a path or a path prefix. A rule can match only
where its equality holds, so it is filed under one (its anchor), and a request picks up the rules of its own values
with dict lookups. Those, together with the rules that have no anchor, are then tested in order and in full: the
index leaves out what cannot match and decides nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from gatekeeper.core.head import Head
from gatekeeper.core.match import View, compile_when
from gatekeeper.core.model import Pattern, PatternKind, When
from gatekeeper.core.prefixes import PrefixMap, encoded, normal

T = TypeVar("T")
Positions = dict[bytes, list[int]]


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

    __slots__ = ("_by_prefix", "_cookies", "_headers", "_paths", "_prefixes", "_query", "_rules", "_unfiled")

    def __init__(self, pairs: Iterable[tuple[When, T]]) -> None:
        """Raises what ``compile_when`` raises."""
        whole = list(pairs)
        self._rules = tuple((compile_when(when), value) for when, value in whole)
        self._headers: dict[bytes, Positions] = {}
        self._cookies: dict[bytes, Positions] = {}
        self._query: dict[bytes, Positions] = {}
        self._paths: Positions = {}
        prefixes: Positions = {}
        self._unfiled: list[int] = []
        named = {Part.HEADER: self._headers, Part.COOKIE: self._cookies, Part.QUERY: self._query}
        plain = {Part.PATH: self._paths, Part.PREFIX: prefixes}
        possible = [list(anchors(when)) for when, _ in whole]
        common = Counter(key for found in possible for anchor in found for key in anchor.keys)
        for position, found in enumerate(possible):
            if not found:
                self._unfiled.append(position)
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
        view = View(head, client_ip)
        found: list[int] = []
        if self._cookies and head.cookie:
            _collect(found, self._cookies, view.cookies)
        if self._query and head.query:
            _collect(found, self._query, view.query)
        for name, table in self._headers.items():
            for text in view.header(name):
                found += table.get(text, ())
        if self._paths:
            found += self._paths.get(head.path, ())
        if self._by_prefix:
            for positions in self._prefixes.every(head.path):
                found += positions
        order = sorted({*found, *self._unfiled}) if found else self._unfiled
        for position in order:
            matcher, value = self._rules[position]
            if matcher.test(view):
                return value
        return None


def _collect(found: list[int], tables: dict[bytes, Positions], present: dict[bytes, list[bytes]]) -> None:
    for name, values in present.items():
        table = tables.get(name)
        if table is not None:
            for value in values:
                found += table.get(value, ())
