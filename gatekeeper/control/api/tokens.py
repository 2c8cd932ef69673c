"""The token file: who may come over TCP.

    - {name: anna, role: operator, groups: [engineering], sha256: 9f86d0..., expires: 2027-01-31}

Tokens are stored as SHA-256 of the token: they are random texts of full strength (``openssl rand -hex 32``), for which
a slow password hash would add nothing but load. ``expires`` is a moment (RFC 3339) or a date, which is its first moment
in UTC. The file is read again when it changes, so that a token that was taken out opens nothing any more.
"""

import asyncio
import errno
import hashlib
import hmac
import logging
import os
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import yaml

from gatekeeper.control.api.auth import Actor
from gatekeeper.core.model import Role
from gatekeeper.errors import GatekeeperError

log = logging.getLogger("gatekeeper.control")

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_KEYS: Final = ("name", "role", "groups", "sha256", "expires")
_FILE_BYTES: Final = 1024 * 1024
"""Some 10,000 tokens; a larger file is not a token file."""
TOKEN_BYTES: Final = 512
"""Of one bearer token; hashing more would be work for a stranger."""
WATCH_SECONDS: Final = 1.0
"""Between two looks at the file: a token that was taken out is out two seconds later."""


class TokensError(GatekeeperError):
    """The token file cannot be used; ``problems`` holds every mistake, each with the file and the place."""

    def __init__(self, problems: Sequence[dict[str, str]]) -> None:
        super().__init__(
            "\n".join(": ".join(filter(None, (each["file"], each["path"], each["message"]))) for each in problems)
        )
        self.problems = list(problems)


class Tokens:
    """Who may come over TCP. ``Tokens()`` lets nobody in."""

    def __init__(self, actors: Mapping[str, Actor] | None = None) -> None:
        """``actors`` by the SHA-256 of their tokens."""
        self._actors = {digest: replace(actor, token=digest) for digest, actor in (actors or {}).items()}

    def __len__(self) -> int:
        return len(self._actors)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokens) and self._actors == other._actors

    __hash__ = None  # type: ignore[assignment]  # replaced as a whole, never a key

    @classmethod
    def load(cls, path: str) -> "Tokens":
        """Raises TokensError with everything that is wrong in the file."""
        return cls(_Reading(path).actors())

    def find(self, token: str) -> Actor | None:
        """The actor of a token as the client sent it, expired or not. Takes as long for a wrong token as for a right
        one.
        """
        if len(token) > TOKEN_BYTES:
            return None
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        for known, actor in self._actors.items():
            if hmac.compare_digest(known, digest):
                found = actor
        return found

    def of(self, digest: str) -> Actor | None:
        """The actor whose token has this digest, expired or not."""
        return self._actors.get(digest)

    @property
    def digests(self) -> Collection[str]:
        return self._actors.keys()

    def fallen(self, actor: Actor, now: float) -> str:
        """Why ``actor``, who came by a token, may no longer go on at ``now`` (wall seconds); "" while he may."""
        if not actor.token:
            return ""
        known = self._actors.get(actor.token)
        if known is None:
            return f"the token of {actor.name} was revoked"
        return f"the token of {actor.name} expired" if expired(known, now) else ""

    def difference(self, other: "Tokens") -> dict[str, list[str]]:
        """The names that ``other`` has more, less, and with another token, role, group or end."""
        mine = {actor.name: actor for actor in self._actors.values()}
        theirs = {actor.name: actor for actor in other._actors.values()}
        return {
            "added": sorted(theirs.keys() - mine.keys()),
            "removed": sorted(mine.keys() - theirs.keys()),
            "changed": sorted(name for name in mine.keys() & theirs.keys() if mine[name] != theirs[name]),
        }


def expired(actor: Actor, now: float) -> bool:
    return actor.expires is not None and actor.expires <= now


class _Reading:
    def __init__(self, path: str) -> None:
        self._path = path
        self._problems: list[dict[str, str]] = []

    def actors(self) -> dict[str, Actor]:
        actors: dict[str, Actor] = {}
        names: set[str] = set()
        for at, entry in enumerate(self._entries()):
            digest, actor = self._entry(f"[{at}]", entry)
            if digest in actors:
                self._wrong(f"[{at}].sha256", "the same as another's; every token needs one owner")
            if actor.name in names:
                self._wrong(f"[{at}].name", f"{actor.name!r} is there already; the history tells people apart by it")
            names.add(actor.name)
            actors[digest] = actor
        if self._problems:
            raise TokensError(self._problems)
        return actors

    def _wrong(self, path: str, message: str) -> None:
        self._problems.append({"file": self._path, "path": path, "message": message})

    def _entries(self) -> list[Any]:
        try:
            with Path(self._path).open("rb") as file:
                text = file.read(_FILE_BYTES + 1)
        except OSError as error:
            new = f" (`gatekeeper token add NAME --file {self._path}` makes one)" if error.errno == errno.ENOENT else ""
            self._wrong("", f"cannot be read ({error.strerror}); allowed: a file this user can read{new}")
            return []
        if len(text) > _FILE_BYTES:
            self._wrong("", f"is larger than {_FILE_BYTES} bytes; allowed: a list of tokens")
            return []
        try:
            entries = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            self._wrong("", f"is not YAML ({' '.join(str(error).split())})")
            return []
        if not isinstance(entries, list):
            self._wrong("", "found no list; allowed: a list of {name, role, groups, sha256, expires}")
            return []
        return entries

    def _entry(self, path: str, entry: Any) -> tuple[str, Actor]:
        if not isinstance(entry, dict):
            self._wrong(path, "found no mapping; allowed: {name, role, groups, sha256, expires}")
            return path, Actor(path, Role.VIEWER)
        for key in entry:
            if key not in _KEYS:
                near = get_close_matches(str(key), _KEYS, 1)
                hint = f"; did you mean {near[0]}?" if near else f"; allowed: {', '.join(_KEYS)}"
                self._wrong(f"{path}.{key}", f"unknown key{hint}")
        name, role, groups, digest, expires = (entry.get(key) for key in _KEYS)
        if not isinstance(name, str) or not 0 < len(name) <= 64 or not name.isprintable():
            self._wrong(f"{path}.name", f"found {name!r}; allowed: a text of 1 to 64 printable characters")
            name = path
        if not isinstance(role, str) or role not in list(Role):
            self._wrong(f"{path}.role", f"found {role!r}; allowed: {', '.join(Role)}")
            role = Role.VIEWER
        if not isinstance(groups, list | None) or not all(isinstance(group, str) for group in groups or ()):
            self._wrong(f"{path}.groups", f"found {groups!r}; allowed: a list of texts")
            groups = None
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            # What was found is not repeated: it may be the token itself.
            self._wrong(f"{path}.sha256", "allowed: 64 lower-case hexadecimal digits (printf %s TOKEN | sha256sum)")
            digest = path
        moment = _moment(expires) if expires is not None else None
        if expires is not None and moment is None:
            self._wrong(f"{path}.expires", f"found {expires!r}; allowed: 2027-01-31 or 2027-01-31T18:00:00Z")
        return digest, Actor(name, Role(role), tuple(groups or ()), expires=moment)


def _moment(value: object) -> float | None:
    """Wall seconds of what YAML made of a date or moment, or of its text; None if it is neither, or has no zone."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value) if len(value) > len("2027-01-31") else date.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value.timestamp() if value.tzinfo is not None else None
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    return None


class TokenFile:
    """Keeps what is in force equal to what is in the file. A file that is wrong leaves the tokens of before."""

    def __init__(self, path: str, take: Callable[[Tokens], None], refused: Callable[[TokensError], None]) -> None:
        self._path = path
        self._take = take
        self._refused = refused
        self._seen: tuple[int, int, int] | None = None
        self._wrong = ""
        """What was refused last, and is in the file still."""

    async def watch(self) -> None:
        """For ever, every WATCH_SECONDS."""
        while True:
            try:
                await self.look()
            except Exception:
                # Whoever is revoked later must be out then: a defect ends one look, not all.
                log.exception("the token file could not be looked at")
            await asyncio.sleep(WATCH_SECONDS)

    async def look(self) -> None:
        """Read the file if it is another than at the last look."""
        mark = await asyncio.to_thread(_mark, self._path)
        if mark == self._seen:
            return
        self._seen = mark
        try:
            tokens = await asyncio.to_thread(Tokens.load, self._path)
        except TokensError as error:
            told, self._wrong = self._wrong, str(error)
            if told != self._wrong:
                self._refused(error)
        else:
            self._wrong = ""
            self._take(tokens)


def _mark(path: str) -> tuple[int, int, int]:
    """What changes with the file; zeros when it is not there."""
    with suppress(OSError):
        found = os.stat(path)  # noqa: PTH116
        # What was written just now may be written again within the same tick of the clock: it is read once more.
        fresh = time.time() - found.st_mtime < WATCH_SECONDS
        return found.st_mtime_ns, found.st_size, -found.st_ino if fresh else found.st_ino
    return 0, 0, 0
