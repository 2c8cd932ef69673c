"""A YAML file as a tree that remembers where everything stands.

Scalars stay texts: what a text means (a number, a duration, a name) is decided by the key it belongs to. So ``1.10``
is a good version name, and a weight is read as a decimal from its own digits, never through a binary float.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from gatekeeper.config.problems import Problem, WrongValueError, quoted

T = TypeVar("T")

NULLS = frozenset({"", "~", "null", "Null", "NULL"})

Step = str | int
"""One step of a key path: a key of a mapping or the position in a list."""
KeyPath = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A file (or a body): ``name`` as it is shown, ``base`` the directory its relative paths start from."""

    name: str
    base: Path


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column count from 1."""

    source: Source
    line: int
    column: int


@dataclass(slots=True, eq=False)
class Scalar:
    """``text`` is the value; ``written`` what the file says, before ``${...}``; ``plain`` if it has no quotes."""

    place: Place
    text: str
    written: str
    plain: bool

    @property
    def null(self) -> bool:
        return self.plain and self.written in NULLS


@dataclass(slots=True, eq=False)
class Sequence:
    place: Place
    items: list["Node"] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Entry:
    key: Scalar
    value: "Node"


@dataclass(slots=True, eq=False)
class Mapping:
    place: Place
    entries: dict[str, Entry] = field(default_factory=dict)

    def get(self, key: str) -> "Node | None":
        entry = self.entries.get(key)
        return entry.value if entry else None


Node = Scalar | Sequence | Mapping


def plain(node: Node) -> Any:
    """The tree as dicts, lists and texts; None where nothing stands."""
    if isinstance(node, Scalar):
        return None if node.null else node.text
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(entry.value) for key, entry in node.entries.items()}


def walk(node: Node, path: KeyPath = (), key: Scalar | None = None) -> Iterator[tuple[KeyPath, Scalar | None, Node]]:
    """``node`` and every node below, with its path and, in a mapping, its key. The reader bounds the depth."""
    yield path, key, node
    if isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield from walk(item, (*path, index))
    elif isinstance(node, Mapping):
        for name, entry in list(node.entries.items()):
            yield from walk(entry.value, (*path, name), entry.key)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a path led: ``node`` is the last one that exists, ``key`` its key, ``path`` the part that was walked."""

    node: Node
    key: Scalar | None
    path: KeyPath


def locate(root: Node, path: KeyPath) -> Spot:
    """Follow ``path`` as far as the file goes: a key that is missing leads to the mapping that lacks it."""
    node: Node = root
    key: Scalar | None = None
    walked: list[Step] = []
    for step in path:
        if isinstance(node, Mapping) and isinstance(step, str) and step in node.entries:
            entry = node.entries[step]
            node, key = entry.value, entry.key
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node, key = node.items[step], None
        elif isinstance(node, Mapping) and isinstance(step, int):
            continue  # a list of one mapping, written as the mapping
        else:
            break
        walked.append(step)
    return Spot(node, key, tuple(walked))


def render(path: KeyPath) -> str:
    """A path as people write it: ``services.shop.rules[0].when``; keys with dots in them are quoted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if re.fullmatch(r"[A-Za-z0-9_-]+", step) else quoted(step)
            text += f".{name}" if text else name
    return text


def shown(node: Node) -> str:
    """A value as it is written in the file, for people; what ``${...}`` stands for is never shown."""
    if isinstance(node, Scalar):
        return "nothing" if node.null else quoted(node.written)
    if isinstance(node, Sequence):
        return f"a list of {len(node.items)}" if node.items else "an empty list"
    return "a mapping" if node.entries else "an empty mapping"


MAX_PROBLEMS = 1000
"""Problems that are listed; nobody reads more, and a hostile file could hold as many as values."""


class Report:
    """Collects problems. A node that one pass has blamed is not blamed again for what follows from it."""

    def __init__(self) -> None:
        # By place, message and value: an alias shows one mistake at several paths; it is one mistake.
        self._problems: dict[tuple[str, int, int, str, str], Problem] = {}
        self._left_out = 0
        self._blamed: dict[int, Node] = {}  # by id; the nodes are kept so that no id is used twice

    def __bool__(self) -> bool:
        return bool(self._problems)

    def add(
        self,
        place: Place,
        path: KeyPath,
        message: str,
        *,
        found: str = "",
        allowed: str = "",
        suggestion: str = "",
    ) -> None:
        where = (place.source.name, place.line, place.column)
        if len(self._problems) < MAX_PROBLEMS:
            problem = Problem(*where, render(path), message, found, allowed, suggestion)
            self._problems.setdefault((*where, message, found), problem)
        else:
            self._left_out += 1

    def blame(self, node: Node) -> None:
        self._blamed[id(node)] = node

    def blamed(self, node: Node) -> bool:
        return id(node) in self._blamed

    def problems(self, first: str) -> list[Problem]:
        """All of them in the order of the files, ``first`` the main one."""
        every = sorted(self._problems.values(), key=lambda p: (p.file != first, p.file, p.line, p.column))
        if self._left_out:
            last = every[-1]
            every.append(
                Problem(last.file, last.line, last.column, "", f"{self._left_out} more problems are not listed")
            )
        return every


def entries(node: Node | None, path: KeyPath) -> Iterator[tuple[KeyPath, Entry]]:
    """What stands in a mapping, each with its path; nothing if ``node`` is none."""
    if isinstance(node, Mapping):
        for name, entry in node.entries.items():
            yield (*path, name), entry


def items(node: Node | None, path: KeyPath) -> Iterator[tuple[KeyPath, Node]]:
    """What stands in a list, each with its path; a text is a list of itself."""
    if isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield (*path, index), item
    elif isinstance(node, Scalar):
        yield path, node


def value_of(read: Callable[[str], T], node: Node | None, report: Report) -> T | None:
    """The value, or None where there is none or a wrong one (which is reported where single values are read)."""
    if not isinstance(node, Scalar) or node.null or report.blamed(node):
        return None
    try:
        return read(node.text)
    except WrongValueError:
        return None
