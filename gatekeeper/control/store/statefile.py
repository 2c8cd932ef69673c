"""The state file before it is trusted: who holds it, whether it is ours, whether it is whole; or a new one.

A file that is not plainly a healthy state file of this program or an older one is refused and left as it is, byte for
byte: what looks like damage may be the only copy of something. The checks go from cheap to thorough and none of them
opens the file for writing:

1. the lock beside it (``FILE.lock``; ``flock``, so it ends with its process, however that ends),
2. the first 100 bytes: SQLite's magic, our application id, a schema we know (https://sqlite.org/fileformat2.html 1.3),
3. ``PRAGMA quick_check`` through a read-only connection, which also replays the write-ahead log in memory.

A new file is made under another name and renamed when it is complete and on disk, so a crash leaves no empty file
that a later start would have to explain.
"""

import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from gatekeeper.control.store.migrate import SCHEMA, SCHEMA_VERSION, TABLES
from gatekeeper.errors import GatekeeperError

APPLICATION_ID: Final = 0x474B5354
"""``GKST`` in the header of the file tells ours from every other SQLite file."""

_HEADER: Final = 100
_MAGIC: Final = b"SQLite format 3\0"
BUSY_SECONDS: Final = 2.0
"""How long a statement waits for somebody else's lock (a backup, a curious shell) before it fails."""


class StoreError(GatekeeperError):
    """The state file cannot be used or written. Says the file, what is wrong, and the way out."""

    def __init__(self, path: str, what: str, way_out: str) -> None:
        super().__init__(f"{path}: {what}; {way_out}")
        self.path = path
        self.what = what
        self.way_out = way_out


class Lock:
    """One supervisor per state file, for as long as the process lives or until ``close``."""

    def __init__(self, path: str) -> None:
        """Raises StoreError when another process (or another store of this one) holds the file."""
        self._path = f"{path}.lock"
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(path, f"cannot make its lock {self._path} ({error.strerror})", _DIRECTORY) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise StoreError(
                path,
                f"another supervisor holds it (pid {holder})",
                "stop that one first, or give this one another `state:` file",
            ) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let go. The file stays: removing it would let two processes lock two different files of the same name."""
        os.close(self._fd)


_DIRECTORY = "make its directory and let this user write there, or name another `state:` file"


def prepare(path: str) -> None:
    """Make a new state file, or satisfy ourselves that the one there is ours and whole. The lock must be held.

    Raises StoreError; nothing that existed has then been changed.
    """
    try:
        found = Path(path).lstat()
    except FileNotFoundError:
        _create(path)
        return
    except OSError as error:
        raise StoreError(path, f"cannot be looked at ({error.strerror})", _DIRECTORY) from error
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(path, "is not a regular file", "name another `state:` file")
    _check_header(path)
    _check_content(path)


@contextmanager
def reading_errors(path: str) -> Iterator[None]:
    """Turn what sqlite3 and the system say into a StoreError with a way out."""
    try:
        yield
    except sqlite3.Error as error:
        if _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise _damaged(path, str(error)) from error
        raise StoreError(path, f"cannot be used ({error})", _advice(_code(error))) from error
    except OSError as error:
        raise StoreError(path, f"cannot be used ({error.strerror or error})", _DIRECTORY) from error


def _code(error: sqlite3.Error) -> int:
    """The primary result code, without what SQLite adds above the low byte; 0 if it came from the module itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _advice(code: int) -> str:
    if code == sqlite3.SQLITE_FULL:
        return "free space on that disk"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another program has it locked: end its backup or shell"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return "let this user write the file and its directory"
    return "look at that disk (space, quota, errors in the kernel's log)"


def _check_header(path: str) -> None:
    try:
        # Safe although SQLite's locks die with any descriptor of the file: under our lock nobody here has it open.
        with Path(path).open("rb") as file:
            header = file.read(_HEADER)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise StoreError(path, f"cannot be read ({error.strerror})", "let this user read and write it") from error
    if not header.startswith(_MAGIC):
        what = "is empty" if not header else "is not a state file"
        raise StoreError(path, what, "move it away or name another `state:` file")
    if len(header) < _HEADER:
        raise _damaged(path, "cut short inside its header")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise StoreError(path, "is a database of another program", "name another `state:` file")
    _check_schema(path, int.from_bytes(header[60:64], "big"))
    # SQLite reads a page that ends early as if zeros followed, and its check may find nothing wrong with them. Only
    # with an empty log does the size have to be right: a checkpoint that was cut short is completed from the log.
    page_size = int.from_bytes(header[16:18], "big")
    whole = (65536 if page_size == 1 else page_size) * int.from_bytes(header[28:32], "big")
    log = Path(f"{path}-wal")
    if size < whole and not (log.exists() and log.stat().st_size):
        raise _damaged(path, f"cut short: {size} bytes of {whole}")


def _check_schema(path: str, version: int) -> None:
    if version > SCHEMA_VERSION:
        raise StoreError(
            path,
            f"was written by a newer gatekeeper (schema {version}; this one knows {SCHEMA_VERSION})",
            "start that version of gatekeeper, or name another `state:` file",
        )
    if version < 1:
        raise _damaged(path, f"schema {version}")


def _check_content(path: str) -> None:
    with reading_errors(path), closing(connect(path, mode="ro")) as connection:
        problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
        if problems != ["ok"]:
            raise _damaged(path, " ".join("; ".join(problems).split()))  # it breaks lines, a reason is one
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        _check_schema(path, version)
        there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if missing := [name for name in TABLES[version] if name not in there]:
            raise _damaged(path, f"no table {', '.join(missing)}")


def _damaged(path: str, what: str) -> StoreError:
    return StoreError(
        path,
        f"is damaged ({what})",
        "put back a copy of it (with its -wal file, if the copy has one), or move it away to start from the "
        "configuration file's splits",
    )


def _create(path: str) -> None:
    log = Path(f"{path}-wal")
    with reading_errors(path):
        if log.exists() and log.stat().st_size:
            raise StoreError(
                path,
                f"is missing, but {log} with changes that belong to it is there",
                "put the file back, or move both away to start from the configuration file's splits",
            )
        new = f"{path}.new"
        Path(new).unlink(missing_ok=True)  # our own half-made file of a start that was killed
        # 0600: the file holds the keys of pinned cookies. SQLite gives its -wal and -shm the same mode.
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(connect(new, mode="rw")) as connection:
            connection.executescript(
                f"PRAGMA synchronous=FULL; PRAGMA application_id={APPLICATION_ID};"
                f"BEGIN; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            )
        Path(new).rename(path)
        directory = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def connect(path: str, *, mode: str) -> sqlite3.Connection:
    """A connection of our own transactions (``BEGIN`` said by us); used by one thread at a time."""
    return sqlite3.connect(
        f"file:{quote(path)}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
