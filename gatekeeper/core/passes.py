"""Passes: what a tester carries who has no trusted address. Signed, expiring, naming a service and versions.

A pass is an itsdangerous token: URL-safe JSON and an HMAC-SHA-256. Of the keys the first signs and all verify, so a
key is replaced by putting the new one first, and revoked, with every pass it made, by removing it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from gatekeeper.errors import GatekeeperError

MAX_LENGTH = 1024
"""Bytes of a token: at least 10 version names, far more of ordinary length. Longer ones are refused unread, before any
signature is computed."""
SALT = b"gatekeeper.pass.1"


class PassError(GatekeeperError):
    """A pass that cannot be issued; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Pass:
    versions: frozenset[str]
    expires: float
    """Wall seconds."""
    key: str
    """The key that signed it: what rests on the pass ends with the key."""


def _serializer(key: str) -> URLSafeSerializer:
    return URLSafeSerializer(key, salt=SALT, signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256})


def issue(key: str, service: str, versions: Iterable[str], expires_wall: float) -> str:
    """A pass for ``versions`` of ``service`` that holds until ``expires_wall`` (wall seconds, whole seconds kept).

    Raises PassError when it names no version or would be longer than MAX_LENGTH.
    """
    names = sorted(set(versions))
    if not names:
        raise PassError("a pass must name at least one version")
    token = _serializer(key).dumps({"s": service, "v": names, "e": int(expires_wall)})
    if len(token) > MAX_LENGTH:
        raise PassError(
            f"the pass would have {len(token)} characters, {MAX_LENGTH} are allowed: name fewer versions, "
            "or issue several passes"
        )
    return token


class Verifier:
    """Opens passes of one service, everything that depends on the keys made ready."""

    __slots__ = ("_readers", "_service")

    def __init__(self, keys: Sequence[str], service: str) -> None:
        self._service = service
        self._readers = tuple((key, _serializer(key)) for key in keys)

    def open(self, token: str | bytes, now_wall: float) -> Pass | None:
        """The pass, or None when it is forged, for another service, or expired at ``now_wall``."""
        if not token or len(token) > MAX_LENGTH:
            return None
        for key, reader in self._readers:
            try:
                body = reader.loads(token)
            except (BadData, ValueError):
                # ValueError: bytes that are no text; the library decodes before it checks.
                continue
            return _read(body, key, self._service, now_wall)
        return None


def _read(body: Any, key: str, service: str, now_wall: float) -> Pass | None:
    """Signed, so well-meant; still of another release perhaps, so read with care."""
    if not isinstance(body, dict) or body.get("s") != service:
        return None
    expires, names = body.get("e"), body.get("v")
    if not isinstance(expires, int) or not isinstance(names, list) or now_wall >= expires:
        return None
    return Pass(frozenset(name for name in names if isinstance(name, str)), float(expires), key)


def verify(token: str | bytes, keys: Sequence[str], service: str, now_wall: float) -> frozenset[str] | None:
    """The versions that a pass opens, or None when it is forged, for another service, or expired."""
    found = Verifier(keys, service).open(token, now_wall)
    return None if found is None else found.versions
