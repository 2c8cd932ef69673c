"""Who is signed in to the dashboard: for each browser an opaque random id, in this process's memory alone.

A session is a token's: what the token may is looked up at every use, so a token that is revoked, expires or changes its
role takes its sessions with it at once. Only the SHA-256 of an id is kept, so that nothing that shows this memory (a
core dump, a debugger) lets anybody in. A restart ends all sessions, since they are written nowhere.
"""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

SESSIONS: Final = 1_000
"""At most; beyond it the one that was used longest ago ends. Some 500 bytes each."""
OF_A_TOKEN: Final = 64
"""Sessions of one token at most, so that one that leaked cannot sign everybody else out."""
SECONDS: Final = 12 * 3600.0
"""A working day; then the token is asked for again, however much the session is used."""
IDLE_SECONDS: Final = 3600.0
"""Without a request or an open stream: a browser that was left."""
_STRENGTH: Final = 32
"""Bytes of chance in an id and in a CSRF token: beyond guessing."""
_ID_LONGEST: Final = 64
"""Characters of an id as it may come back; ours have 43. Hashing more would be work for a stranger."""


@dataclass(slots=True)
class Session:
    """``token`` is the digest of the token it was opened with; ``began`` and ``used`` are monotonic seconds."""

    key: str
    token: str
    csrf: str
    began: float
    used: float

    def over(self, now: float) -> bool:
        return now >= self.began + SECONDS or now >= self.used + IDLE_SECONDS


class Sessions:
    """``begin`` gives an id, ``find`` its session while there is one. ``now`` is monotonic seconds throughout."""

    def __init__(self, most: int = SESSIONS, of_a_token: int = OF_A_TOKEN) -> None:
        self._most = most
        self._of_a_token = of_a_token
        self._sessions: dict[str, Session] = {}
        """By the digest of the id, the one that was used longest ago first."""

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, token: str, now: float) -> tuple[str, Session]:
        """A new session of the token with this digest, and the id by which the browser has it."""
        for key in [key for key, session in self._sessions.items() if session.over(now)]:
            self.end(key)
        mine = [key for key, session in self._sessions.items() if session.token == token]
        if len(mine) >= self._of_a_token:
            self.end(mine[0])
        if len(self._sessions) >= self._most:
            self.end(next(iter(self._sessions)))
        name = secrets.token_urlsafe(_STRENGTH)
        key = digest(name)
        session = Session(key, token, secrets.token_urlsafe(_STRENGTH), now, now)
        self._sessions[key] = session
        return name, session

    def find(self, name: str, now: float) -> Session | None:
        """The session with the id ``name``, which counts as a use of it; None if there is none, or none any more."""
        return self.use(digest(name), now) if len(name) <= _ID_LONGEST else None

    def use(self, key: str, now: float) -> Session | None:
        """The same by the digest of the id."""
        session = self._sessions.pop(key, None)
        if session is None or session.over(now):
            return None
        session.used = now
        self._sessions[key] = session
        return session

    def end(self, key: str) -> None:
        self._sessions.pop(key, None)

    def keep(self, tokens: Collection[str]) -> None:
        """End those of every token whose digest is not among ``tokens``: a token that comes back later is a new one."""
        self._sessions = {key: session for key, session in self._sessions.items() if session.token in tokens}


def digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
