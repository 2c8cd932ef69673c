"""The file of bearer tokens, edited in place: an entry's own lines come and go, every other line stays as it is.

A new content is checked twice before it takes the old one's place: read again, its entries must be exactly the ones
meant, and gatekeeper's own reader must accept it. It then replaces the old file in one step, so a gatekeeper that reads
at any moment finds the one or the other. The token itself is nowhere in the file, only its SHA-256.
"""

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import yaml

from gatekeeper.interface.failures import FAILED, USAGE, ClientError, reason

Entry = dict[str, Any]
Check = Callable[[str], Sequence[dict[str, Any]]]
"""The mistakes in the token file of that path, as gatekeeper finds them."""

MAX_FILE = 1024 * 1024
"""Bytes; gatekeeper reads no larger token file."""
NEW_MODE = 0o600
LOCK_FOR = 5.0
"""Seconds to wait for somebody else who edits the file; an edit takes milliseconds."""
TRY_EVERY = 0.02
_BY_HAND = "write the file as a list with one `- {name: ..., role: ..., sha256: ...}` a line"


class TokenFile:
    """``path`` may not exist yet. Raises ClientError, and then the file is as it was."""

    def __init__(self, path: str, check: Check) -> None:
        # What a link leads to is replaced, not the link.
        self._path = Path(os.path.realpath(path))
        self._shown = path
        self._check = check

    def entries(self) -> list[Entry]:
        """The entries as they are. Raises ClientError with every mistake in them."""
        _text, found = self._read(must_exist=True)
        return found

    def add(self, entry: Entry) -> bool:
        """Append an entry; True if the file is new."""
        with self._locked():
            text, entries = self._read(must_exist=False)
            if any(str(one["name"]) == entry["name"] for one in entries):
                self._refuse(
                    f"there is a token named {entry['name']} already", "another name, or revoke that one first"
                )
            fresh = not self._path.exists()
            self._write(_with(text, entry), [*entries, entry])
            return fresh

    def remove(self, name: str) -> None:
        with self._locked():
            text, entries = self._read(must_exist=True)
            names = [str(one["name"]) for one in entries]
            if name not in names:
                near = get_close_matches(name, names, 1)
                allowed = f"did you mean {near[0]}?" if near else f"there are: {', '.join(names) or 'none'}"
                self._refuse(f"there is no token named {name}", allowed)
            at = names.index(name)
            self._write(_without(text, at), [*entries[:at], *entries[at + 1 :]])

    def _refuse(self, what: str, way_out: str, code: int = USAGE) -> NoReturn:
        raise ClientError(what, self._shown, way_out, code)

    def _read(self, *, must_exist: bool) -> tuple[str, list[Entry]]:
        """The text, and the entries that gatekeeper finds in it."""
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_FILE + 1)
        except FileNotFoundError as error:
            if must_exist:
                raise ClientError(
                    "there is no such file", self._shown, "name it with --file; `gatekeeper token add` makes it", USAGE
                ) from error
            return "", []
        except OSError as error:
            raise ClientError(
                f"cannot read the token file: {reason(error)}", self._shown, "run this as the file's owner"
            ) from error
        try:
            text = data.decode()
            found = yaml.safe_load(text)
        except (UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError):
            text, found = "", data  # what is wrong with it, the check says
        if found is None:
            return text, []  # nothing but comments: not valid yet, and one entry makes it so
        if problems := self._check(str(self._path)):
            raise self._wrong(problems, "the token file is not valid", f"mend it first; {_BY_HAND}")
        return text, list(found)

    def _wrong(self, problems: Sequence[dict[str, Any]], what: str, way_out: str) -> ClientError:
        named = [{**problem, "file": self._shown} for problem in problems]
        return ClientError(what, self._shown, way_out, USAGE, named)

    def _write(self, text: str, expected: list[Entry]) -> None:
        if _entries_of(text) != expected:
            self._refuse("the file is written in a way that cannot be edited here; nothing was changed", _BY_HAND)
        try:
            made, temporary = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        except OSError as error:
            raise ClientError(
                f"cannot write beside the token file: {reason(error)}",
                self._shown,
                "run this as a user who may write in its directory",
            ) from error
        try:
            with os.fdopen(made, "wb") as file:
                file.write(text.encode())
                file.flush()
                self._keep_owner(made)
                os.fsync(made)
            if problems := self._check(temporary):
                raise self._wrong(problems, "this would make the token file invalid; nothing was changed", "")
            Path(temporary).replace(self._path)
        except OSError as error:
            raise ClientError(
                f"cannot write the token file: {reason(error)}; nothing was changed", self._shown, "see the disk"
            ) from error
        finally:
            Path(temporary).unlink(missing_ok=True)
        self._make_durable()

    def _keep_owner(self, made: int) -> None:
        """A file that is replaced keeps its mode and owner: gatekeeper may be another user than who edits it."""
        try:
            before = self._path.stat()
        except FileNotFoundError:
            os.fchmod(made, NEW_MODE)
            return
        now = os.fstat(made)
        if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
            try:
                os.fchown(made, before.st_uid, before.st_gid)
            except PermissionError:
                self._refuse("the file belongs to another user or group", "run this as its owner or root", FAILED)
        os.fchmod(made, stat.S_IMODE(before.st_mode))

    def _make_durable(self) -> None:
        """A token that was shown must be in the file after a power cut, and a revoked one must not."""
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One editor at a time. The directory is locked: a lock on the file would stay with the one replaced."""
        until = time.monotonic() + LOCK_FOR
        try:
            directory = os.open(self._path.parent, os.O_RDONLY)
        except OSError as error:
            raise ClientError(
                f"cannot use its directory: {reason(error)}",
                self._shown,
                "make it, and let this user write there",
                USAGE,
            ) from error
        try:
            while True:
                try:
                    fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        self._refuse("somebody else edits it", "try again", FAILED)
                    time.sleep(TRY_EVERY)
            yield
        finally:
            os.close(directory)


def line_of(entry: Entry) -> str:
    """An entry as a flow mapping: one line whatever is in it."""
    text: str = yaml.safe_dump(
        entry, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf"), line_break="\n"
    )
    return text.strip()


def _entries_of(text: str) -> list[Entry] | None:
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _with(text: str, entry: Entry) -> str:
    """The text with one entry more, at the end of the list."""
    root = yaml.compose(text, yaml.SafeLoader)
    if not isinstance(root, yaml.SequenceNode):
        return f"{_ended(text)}- {line_of(entry)}\n"
    if root.flow_style:
        begin, end = text[: root.end_mark.index - 1].rstrip(), text[root.end_mark.index - 1 :]
        comma = ", " if root.value and not begin.endswith(",") else ""
        return f"{begin}{comma}{line_of(entry)}{end}"
    at = _end_of_line(text, _last(root.value[-1]))
    return f"{_ended(text[:at])}{' ' * root.start_mark.column}- {line_of(entry)}\n{text[at:]}"


def _without(text: str, at: int) -> str:
    """The text without the lines of the entry at that place; comments on lines of their own stay."""
    root = yaml.compose(text, yaml.SafeLoader)
    if not isinstance(root, yaml.SequenceNode):
        return text
    node = root.value[at]
    if root.flow_style:
        if at + 1 < len(root.value):
            return text[: node.start_mark.index] + text[root.value[at + 1].start_mark.index :]
        if not at:  # the only one; a comma may follow it
            return text[: root.start_mark.index + 1] + text[root.end_mark.index - 1 :]
        return text[: root.value[at - 1].end_mark.index] + text[node.end_mark.index :]
    if len(root.value) == 1:
        # A file without any entry is no list any more, and no list is a mistake.
        begin, end = _dash(text, node), _end_of_line(text, _last(node))
        return f"{text[:begin]}[]\n{text[end:]}"
    begin = text.rfind("\n", 0, _dash(text, node)) + 1
    return text[:begin] + text[_end_of_line(text, _last(node)) :]


def _dash(text: str, node: yaml.Node) -> int:
    return text.rfind("-", 0, node.start_mark.index)


def _last(node: yaml.Node) -> int:
    """Where the node's own text ends; a block's own mark would be where the next thing begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _end_of_line(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
