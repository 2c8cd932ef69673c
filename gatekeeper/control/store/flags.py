"""Flags in the state file: what each is at every revision that changed it, and what was decided about it since.

A row of ``flags`` holds until the next one of that flag. The definition, and what commands made of it, are texts that
are kept once; what held beside (weights, on, killed) stands in the row. Who owns which part of the hash range, and what
can be undone, is kept of the present alone.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gatekeeper.control.store import definitions
from gatekeeper.control.store.rows import FlagHeld
from gatekeeper.core import codec
from gatekeeper.core.flags.model import Flag, FlagRunning, FlagState, Made, PastFlag

Keep = Callable[[str], str]
"""Keeps a text and gives its digest."""
Text = Callable[[Any, str], Any]
"""Type and digest -> what is kept under it. Raises StoreError."""
Read = Callable[[Any, str, str], Any]
"""Type, JSON and what that is, in words -> its value. Raises StoreError."""

_PAST = (
    "SELECT flag, definition, made, held FROM flags f WHERE definition IS NOT NULL AND revision ="
    " (SELECT max(revision) FROM flags l WHERE l.flag = f.flag AND l.revision <= ?) ORDER BY flag"
)


def append(connection: sqlite3.Connection, revision: int, changed: Mapping[str, FlagState | None], keep: Keep) -> None:
    """The rows of a revision that changed these flags; None: gone."""
    for name, flag in changed.items():
        if flag is None:
            connection.execute("INSERT INTO flags VALUES (?, ?, NULL, NULL, '{}')", (name, revision))
            connection.execute("DELETE FROM flag_running WHERE flag = ?", (name,))
            continue
        running = flag.running
        definition = keep(definitions.text(flag.definition))
        made = None if running.made is None else keep(definitions.text(running.made))
        held = {"weights": running.split.weights, "on": running.on, "killed": running.killed}
        connection.execute("INSERT INTO flags VALUES (?, ?, ?, ?, ?)", (name, revision, definition, made, _text(held)))
        connection.execute("INSERT OR REPLACE INTO flag_running VALUES (?, ?)", (name, _text(running)))


def present(connection: sqlite3.Connection, revision: int, text: Text, read: Read) -> dict[str, FlagState]:
    """The flags of the newest revision, in the order of their names."""
    running = dict(connection.execute("SELECT flag, running FROM flag_running").fetchall())
    return {
        name: FlagState(text(Flag, digest), read(FlagRunning, running.get(name, "null"), f"what runs of flag {name!r}"))
        for name, digest, _, _ in connection.execute(_PAST, (revision,)).fetchall()
    }


def at(connection: sqlite3.Connection, revision: int, text: Text, read: Read) -> dict[str, PastFlag]:
    """The flags of any revision, in the order of their names."""
    found = {}
    for name, digest, made, held in connection.execute(_PAST, (revision,)).fetchall():
        known = read(FlagHeld, held, f"what held of flag {name!r} at revision {revision}")
        said = None if made is None else text(Made, made)
        found[name] = PastFlag(text(Flag, digest), known.weights, known.on, known.killed, said)
    return found


def changed(
    connection: sqlite3.Connection, revisions: Sequence[int], read: Read
) -> dict[int, dict[str, FlagHeld | None]]:
    """What these revisions made of flags; None: gone."""
    found: dict[int, dict[str, FlagHeld | None]] = {number: {} for number in revisions}
    rows = connection.execute(
        "SELECT flag, revision, definition, held FROM flags WHERE revision IN (SELECT value FROM json_each(?))"
        " ORDER BY flag",
        (json.dumps(list(revisions)),),
    )
    for name, revision, definition, held in rows:
        what = f"what held of flag {name!r} at revision {revision}"
        found[revision][name] = None if definition is None else read(FlagHeld, held, what)
    return found


def _text(value: object) -> str:
    return json.dumps(codec.dump(value), allow_nan=False, separators=(",", ":"))
