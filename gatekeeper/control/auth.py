"""Who asks: the peer's user on the unix socket, a bearer token over TCP; and what each may do.

On the socket the file's mode decides who gets in, and whoever gets in may do everything: its owner could edit the
configuration anyway. Over TCP a token's role decides. Tokens are stored as SHA-256 of the token: they are random texts
of full strength (``openssl rand -hex 32``), for which a slow password hash would add nothing but load.

    - {name: anna, role: operator, groups: [engineering], sha256: 9f86d0...}
"""

import asyncio
import hashlib
import hmac
import os
import pwd
import re
import socket
import struct
from asyncio import BaseTransport
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

from gatekeeper.errors import GatekeeperError

_PEERCRED: Final = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_KEYS: Final = ("name", "role", "groups", "sha256")
_FILE_BYTES: Final = 1024 * 1024
"""Some 10,000 tokens; a larger file is not a token file."""
TOKEN_BYTES: Final = 512
"""Of one bearer token; hashing more would be work for a stranger."""


class Role(IntEnum):
    """Each may what those below it may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Actor:
    """``name`` goes into the history: a token's name, or the user's name or ``uid:NUMBER`` on the socket."""

    name: str
    role: Role
    groups: tuple[str, ...] = ()


class TokensError(GatekeeperError):
    """The token file cannot be used; ``problems`` holds every mistake, each with the file and the place."""

    def __init__(self, problems: Sequence[dict[str, str]]) -> None:
        super().__init__(
            "\n".join(": ".join(filter(None, (each["file"], each["path"], each["message"]))) for each in problems)
        )
        self.problems = list(problems)


class Tokens:
    """Who may come over TCP. ``Tokens()`` lets nobody in."""

    def __init__(self, actors: dict[str, Actor] | None = None) -> None:
        self._actors = actors or {}

    def __len__(self) -> int:
        return len(self._actors)

    @classmethod
    def load(cls, path: str) -> "Tokens":
        """Raises TokensError with everything that is wrong in the file."""
        return cls(_Reading(path).actors())

    def find(self, token: str) -> Actor | None:
        """The actor of a token as the client sent it. Takes as long for a wrong token as for a right one."""
        if len(token) > TOKEN_BYTES:
            return None
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        for known, actor in self._actors.items():
            if hmac.compare_digest(known, digest):
                found = actor
        return found


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
            self._wrong("", f"cannot be read ({error.strerror}); allowed: a file this user can read")
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
            self._wrong("", "found no list; allowed: a list of {name, role, groups, sha256}")
            return []
        return entries

    def _entry(self, path: str, entry: Any) -> tuple[str, Actor]:
        if not isinstance(entry, dict):
            self._wrong(path, "found no mapping; allowed: {name, role, groups, sha256}")
            return path, Actor(path, Role.VIEWER)
        for key in entry:
            if key not in _KEYS:
                near = get_close_matches(str(key), _KEYS, 1)
                hint = f"; did you mean {near[0]}?" if near else f"; allowed: {', '.join(_KEYS)}"
                self._wrong(f"{path}.{key}", f"unknown key{hint}")
        name, role, groups, digest = (entry.get(key) for key in _KEYS)
        if not isinstance(name, str) or not 0 < len(name) <= 64 or not name.isprintable():
            self._wrong(f"{path}.name", f"found {name!r}; allowed: a text of 1 to 64 printable characters")
            name = path
        roles = {item.label: item for item in Role}
        if not isinstance(role, str) or role not in roles:
            self._wrong(f"{path}.role", f"found {role!r}; allowed: {', '.join(roles)}")
            role = Role.VIEWER.label
        if not isinstance(groups, list | None) or not all(isinstance(group, str) for group in groups or ()):
            self._wrong(f"{path}.groups", f"found {groups!r}; allowed: a list of texts")
            groups = None
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            # What was found is not repeated: it may be the token itself.
            self._wrong(f"{path}.sha256", "allowed: 64 lower-case hexadecimal digits (printf %s TOKEN | sha256sum)")
            digest = path
        return digest, Actor(name, roles[role], tuple(groups or ()))


async def peer(transport: BaseTransport | None) -> Actor | None:
    """The user at the other end of a unix socket; None for TCP or a connection that is gone."""
    held = transport.get_extra_info("socket") if transport is not None else None
    if held is None or held.family != socket.AF_UNIX:
        return None
    try:
        # uvloop's stand-in for the socket has a descriptor and nothing else; a copy has everything.
        with socket.socket(fileno=os.dup(held.fileno())) as copy:
            uid = _PEERCRED.unpack(copy.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))[1]
    except OSError:
        return None
    # A directory service may take its time over a name; the loop must not wait for it.
    return Actor(await asyncio.to_thread(_user_name, uid), Role.ADMIN)


@lru_cache(maxsize=256)
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"
