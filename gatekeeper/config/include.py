"""From one file and what it includes to one tree."""

import glob
import os
from pathlib import Path

from gatekeeper.config.reader import MAX_BYTES, Budget, read
from gatekeeper.config.substitute import substitute
from gatekeeper.config.tree import KeyPath, Mapping, Node, Place, Report, Scalar, Sequence, Source, shown

MAX_DEPTH = 4
"""Files that include files: a main file, a directory per team, a file per service, and one to spare."""
MAX_FILES = 256
"""Files in all; with ``MAX_TOTAL`` the bound on what one load can cost."""
MAX_TOTAL = 4 * MAX_BYTES
"""Bytes of all files together."""


_JOINED = {"services": "service", "plans": "plan", "releases": "name"}
"""Keys that hold things by name, and what these are."""


class Gatherer:
    """Reads a file and, depth first and sorted by name, what it includes, into one mapping."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._seen: set[str] = set()
        self._bytes = 0
        self._budget = Budget()

    def file(self, name: str) -> Node | None:
        """The tree of the file ``name`` and its includes."""
        source = Source(name, Path(name).absolute().parent)
        self._seen.add(os.path.realpath(name))
        return self._load(name, source, Place(source, 1, 1), (), 0)

    def text(self, data: bytes, source: Source) -> Node | None:
        """The tree of a text and its includes, relative to ``source.base``."""
        return self._with_includes(read(data, source, self._report, self._budget), 0)

    def _load(self, name: str, source: Source, asked: Place, path: KeyPath, depth: int) -> Node | None:
        try:
            with Path(name).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "not a path"
            self._report.add(asked, path, f"the file cannot be read: {why}", found=name)
            return None
        self._bytes += len(data)
        if self._bytes > MAX_TOTAL:
            self._report.add(asked, path, "all files together are too large", allowed=f"{MAX_TOTAL} bytes")
            return None
        return self._with_includes(read(data, source, self._report, self._budget), depth)

    def _with_includes(self, root: Node | None, depth: int) -> Node | None:
        if not isinstance(root, Mapping) or "include" not in root.entries:
            return root
        include = root.entries.pop("include").value
        substitute(include, self._report, ("include",))
        items = include.items if isinstance(include, Sequence) else [include]
        for index, item in enumerate(items):
            path: KeyPath = ("include", index) if isinstance(include, Sequence) else ("include",)
            if not isinstance(item, Scalar) or item.null or not item.text:
                allowed = "a file name or glob, or a list of them"
                self._report.add(item.place, path, "is not a file name", found=shown(item), allowed=allowed)
            elif not self._report.blamed(item):
                self._glob(root, item, path, depth)
        return root

    def _glob(self, root: Mapping, item: Scalar, path: KeyPath, depth: int) -> None:
        source = item.place.source
        if depth + 1 >= MAX_DEPTH:
            self._report.add(item.place, path, "includes nest too deeply", allowed=f"{MAX_DEPTH} files deep")
            return
        pattern = os.path.join(glob.escape(str(source.base)), item.text)  # noqa: PTH118 - Path would eat "./" and "//"
        names = sorted(glob.glob(pattern)) if "\0" not in item.text else []  # noqa: PTH207 - absolute patterns too
        if not names and not glob.has_magic(item.text):
            self._report.add(item.place, path, "there is no such file", found=shown(item))
        for name in names:
            if os.path.realpath(name) in self._seen:
                self._report.add(item.place, path, f"{Path(name).name} is included twice", found=shown(item))
                continue
            if len(self._seen) >= MAX_FILES:
                self._report.add(item.place, path, "too many files", allowed=f"{MAX_FILES} in all")
                return
            self._seen.add(os.path.realpath(name))
            parent = os.path.relpath(name, source.base)
            display = os.path.normpath(Path(source.name).parent / parent)
            found = self._load(name, Source(display, Path(name).parent), item.place, path, depth + 1)
            self._merge(root, found)

    def _merge(self, into: Mapping, found: Node | None) -> None:
        """What has names joins what is there; every other key may be set by one file only."""
        if found is None:
            return
        if not isinstance(found, Mapping):
            self._report.add(found.place, (), "a file is a mapping of keys", found=shown(found))
            return
        for name, entry in found.entries.items():
            first = into.entries.setdefault(name, entry)
            if first is entry:
                continue
            if name in _JOINED and isinstance(first.value, Mapping) and isinstance(entry.value, Mapping):
                for item, one in entry.value.entries.items():
                    there = first.value.entries.setdefault(item, one)
                    if there is not one:
                        self._twice(one.key, there.key, (name, item), f"this {_JOINED[name]} is defined twice")
            else:
                self._twice(entry.key, first.key, (name,), "this key is set by two files")

    def _twice(self, second: Scalar, first: Scalar, path: KeyPath, message: str) -> None:
        place = first.place
        allowed = f"once; first in {place.source.name}:{place.line}"
        self._report.add(second.place, path, message, found=shown(second), allowed=allowed)
