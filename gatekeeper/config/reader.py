"""YAML text to tree, within bounds.

The reader takes the events of the YAML parser rather than its objects: it sees duplicate keys, places and quotes, and
counts nodes as it goes, so that neither deep nesting nor aliases of aliases ("billion laughs") cost more than a file
of the greatest allowed size. Where libyaml is there its parser is used, ten times faster with the same events.
"""

import json
import re
from dataclasses import dataclass, field
from typing import NoReturn

import yaml

from gatekeeper.config.tree import Entry, KeyPath, Mapping, Node, Place, Report, Scalar, Sequence, Source, shown

MAX_BYTES = 4 * 1024 * 1024
"""A thousand services with health checks and rules take about 1 MiB."""
MAX_NODES = 200_000
"""Values and keys of all files, aliases expanded; what 4 MiB of an ordinary file hold."""
MAX_DEPTH = 32
"""The deepest key of the file has 9 levels; recursion over a tree stays far from Python's limit."""

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})")


class _StopReading(Exception):  # noqa: N818 - ends the loop, is not an error of its own
    """The rest of the text cannot be understood."""


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is still open."""

    node: Sequence | Mapping
    anchor: str | None
    opened_at: int
    height: int = 1
    key: Scalar | None = None
    expects_value: bool = False
    merges: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Anchored:
    node: Node
    nodes: int
    height: int


@dataclass(slots=True)
class Budget:
    """What is left of ``MAX_NODES``, shared by the files of one load."""

    nodes: int = MAX_NODES


def read(data: bytes, source: Source, report: Report, budget: Budget) -> Node | None:
    """The tree of ``data``, or None when it is empty or cannot be read at all; every mistake goes to ``report``."""
    start = Place(source, 1, 1)
    if len(data) > MAX_BYTES:
        report.add(start, (), "the file is too large", found=f"more than {MAX_BYTES} bytes", allowed="at most 4 MiB")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        report.add(Place(source, line, 1), (), "the file is not UTF-8", found=f"byte 0x{data[error.start]:02x}")
        return None
    bad = _UNPRINTABLE.search(text)
    if bad:
        line, column = text.count("\n", 0, bad.start()) + 1, bad.start() - text.rfind("\n", 0, bad.start())
        found = f"U+{ord(bad[0]):04X}"
        report.add(Place(source, line, column), (), "a control character stands in the file", found=found)
        return None
    return _Builder(source, report, budget).build(_json_as_yaml(text))


def _json_as_yaml(text: str) -> str:
    """Two things JSON may do and YAML may not: indent by tabs, and write a character in two escapes.

    Inside JSON's strings no tab can stand as itself, so every tab is white space between values.
    """
    if text.lstrip()[:1] != "{" or not ("\t" in text or _PAIR.search(text)):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return _PAIR.sub(lambda found: found[1] + json.loads(f'"{found[2]}"'), text.replace("\t", " "))


class _Builder:
    def __init__(self, source: Source, report: Report, budget: Budget) -> None:
        self._source = source
        self._report = report
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Anchored] = {}
        self._budget = budget
        self._nodes = 0
        self._root: Node | None = None

    def build(self, text: str) -> Node | None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            for event in yaml.parse(text, Loader=loader):
                self._take(event)
        except _StopReading:
            return None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = Place(self._source, mark.line + 1, mark.column + 1) if mark else Place(self._source, 1, 1)
            said = [getattr(error, part, None) for part in ("context", "problem")]
            message = ", ".join(part for part in said if part) or "it cannot be read"
            self._report.add(place, self._path(), f"this is not YAML: {message}")
            return None
        return self._root

    def _take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        place = Place(self._source, mark.line + 1, mark.column + 1) if mark else Place(self._source, 1, 1)
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_tag(event, place)
            text = event.value
            if _SURROGATE.search(text):
                self._stop(place, "half a surrogate pair stands in a text")
            self._put(Scalar(place, text, text, event.implicit[0]), event.anchor, place)
        elif isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            self._refuse_tag(event, place)
            node = Sequence(place) if isinstance(event, yaml.SequenceStartEvent) else Mapping(place)
            if len(self._frames) >= MAX_DEPTH:
                self._stop(place, "lists and mappings are nested too deeply", allowed=f"at most {MAX_DEPTH} levels")
            self._frames.append(_Frame(node, event.anchor, self._nodes))
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            self._close(place)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event.anchor or "", place)
        elif isinstance(event, yaml.DocumentStartEvent) and self._root is not None:
            self._stop(place, "a second document begins here", allowed="one document in a file")

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, place: Place) -> None:
        if event.tag is not None:
            self._report.add(place, self._path(), "YAML tags mean nothing here", found=str(event.tag), allowed="no tag")

    def _alias(self, name: str, place: Place) -> None:
        known = self._anchors.get(name)
        if known is None:
            self._stop(place, "the alias names no anchor that is complete above it", found=f"*{name}")
        elif len(self._frames) + known.height > MAX_DEPTH:
            self._stop(place, "aliases nest too deeply", found=f"*{name}", allowed=f"at most {MAX_DEPTH} levels")
        else:
            self._count(known.nodes, place)
            self._place(known.node, known.height, place)

    def _put(self, node: Scalar, anchor: str | None, place: Place) -> None:
        self._count(1, place)
        if anchor:
            self._anchors[anchor] = _Anchored(node, 1, 0)
        self._place(node, 0, place)

    def _close(self, place: Place) -> None:
        frame = self._frames.pop()
        self._count(1, place)
        if isinstance(frame.node, Mapping):
            for merged in frame.merges:
                for name, entry in merged.entries.items() if isinstance(merged, Mapping) else ():
                    frame.node.entries.setdefault(name, entry)
        if frame.anchor:
            self._anchors[frame.anchor] = _Anchored(frame.node, self._nodes - frame.opened_at, frame.height)
        self._place(frame.node, frame.height, place)

    def _place(self, node: Node, height: int, place: Place) -> None:
        """Put a complete node where it belongs: into the open list or mapping, or at the top."""
        if not self._frames:
            self._root = node
            return
        frame = self._frames[-1]
        frame.height = max(frame.height, height + 1)
        if isinstance(frame.node, Sequence):
            frame.node.items.append(node)
        elif not frame.expects_value:
            frame.expects_value = True
            frame.key = node if isinstance(node, Scalar) else None
            if frame.key is None:
                self._report.add(place, self._path(), "a key must be a text", found=shown(node))
        else:
            self._entry(frame, frame.node, node)
            frame.key, frame.expects_value = None, False

    def _entry(self, frame: _Frame, mapping: Mapping, value: Node) -> None:
        key = frame.key
        if key is None:
            return
        if key.plain and key.text == "<<":
            self._merge(frame, value)
        elif key.text in mapping.entries:
            first = mapping.entries[key.text].key.place
            self._report.add(
                key.place,
                self._path(),
                "this key is here twice",
                found=shown(key),
                allowed=f"once; first in line {first.line}",
            )
        else:
            mapping.entries[key.text] = Entry(key, value)

    def _merge(self, frame: _Frame, value: Node) -> None:
        merged = value.items if isinstance(value, Sequence) else [value]
        if all(isinstance(one, Mapping) for one in merged):
            frame.merges.extend(merged)
        else:
            self._report.add(value.place, self._path(), "<< takes a mapping or a list of mappings", found=shown(value))

    def _count(self, nodes: int, place: Place) -> None:
        self._nodes += nodes
        self._budget.nodes -= nodes
        if self._budget.nodes < 0:
            self._stop(place, "too many values", allowed=f"at most {MAX_NODES}, aliases expanded")

    def _path(self) -> KeyPath:
        path: list[str | int] = []
        for frame in self._frames:
            if isinstance(frame.node, Sequence):
                path.append(len(frame.node.items))
            elif frame.key is not None:
                path.append(frame.key.text)
        return tuple(path)

    def _stop(self, place: Place, message: str, *, found: str = "", allowed: str = "") -> NoReturn:
        self._report.add(place, self._path(), message, found=found, allowed=allowed)
        raise _StopReading
