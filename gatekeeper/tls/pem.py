"""PEM texts: what OpenSSL makes of them, and what they say, found out by public means only.

Nothing of the standard library reads the names of a certificate out of its text. So a pair is rehearsed: one TLS
handshake in memory, the pair on one side, on the other a client that trusts exactly this certificate. That it
succeeds proves all a server needs of a pair; what the client then holds are its names and dates. It costs 3 ms.
"""

import contextlib
import os
import re
import ssl
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NoReturn

from gatekeeper.errors import GatekeeperError

# X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which ssl has no name for: dates are told, not judged, by a rehearsal.
_NO_CHECK_TIME: Final = 0x200000
# A handshake in memory takes two turns of each side; more would be a peer that never ends.
_TURNS: Final = 8

MAX_PEM: Final = 1024 * 1024
"""Bytes of a file: all authorities of a system are 220 KiB, a certificate with its chain is 8."""

_KEY: Final = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")
_MISMATCH: Final = {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}
_WEAK: Final = {"EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"}


class Part(Enum):
    """Which of the files is to blame."""

    CERT = "cert"
    KEY = "key"
    CA = "ca"


class PemError(GatekeeperError):
    """A text that TLS cannot use. ``part`` says which; the message fits behind a file's name and tells no secret."""

    def __init__(self, part: Part, message: str) -> None:
        super().__init__(message)
        self.part = part


@dataclass(frozen=True, slots=True)
class Pair:
    """The texts of a certificate with its intermediates and of its private key."""

    cert: str
    key: str

    def __repr__(self) -> str:
        return "Pair(...)"  # a key must not get into a log by way of a message


@dataclass(frozen=True, slots=True)
class Facts:
    """``names`` are its DNS names in lower case, in its order; the dates are wall seconds."""

    names: tuple[str, ...]
    not_before: float
    not_after: float

    def expired(self, now: float) -> str:
        """Why it is not valid at wall second ``now``, in words, or ""."""
        if now > self.not_after:
            return f"the certificate has expired, on {day(self.not_after)}"
        if now < self.not_before:
            return f"the certificate is not valid yet, but from {day(self.not_before)} on"
        return ""


def read_pem(path: str, part: Part) -> str:
    """The text of a file. Raises PemError."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path is a text here, from end to end
            data = file.read(MAX_PEM + 1)
    except (OSError, ValueError) as error:
        _refuse(part, f"cannot be read: {(getattr(error, 'strerror', None) or str(error)).lower()}")
    if len(data) > MAX_PEM:
        _refuse(part, f"is longer than {MAX_PEM // 1024} KiB")
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        # Comments between the blocks may be in any language; PEM itself is ASCII.
        return data.decode("ascii", "replace").replace("\ufffd", "?")


def examine(pair: Pair, *, client: bool = False) -> Facts:
    """What a pair says of itself. Raises PemError when a server (or, with ``client``, a client) could not use it."""
    if not _KEY.search(pair.key):
        _refuse(Part.KEY, "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)")
    asking, showing = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    asking.check_hostname = False
    if client:
        # A server has to have a certificate, too, but nobody looks at it here.
        asking.verify_mode = ssl.CERT_NONE
        asking, showing = showing, asking
        load_pair(asking, pair)
    asking.verify_mode = ssl.CERT_REQUIRED
    _trust(asking, pair.cert, Part.CERT)
    asking.verify_flags = ssl.VerifyFlags(asking.verify_flags | _NO_CHECK_TIME)
    load_pair(showing, pair)
    try:
        seen = _rehearse(asking, showing, client=client)
    except ssl.SSLError as error:
        _refuse(Part.CERT, f"is no certificate for a {'client' if client else 'server'}: {_words(error)}")
    names = [str(value).lower() for kind, value in seen.get("subjectAltName", ()) if kind == "DNS"]
    return Facts(
        tuple(dict.fromkeys(names)),
        ssl.cert_time_to_seconds(seen["notBefore"]),
        ssl.cert_time_to_seconds(seen["notAfter"]),
    )


def load_pair(context: ssl.SSLContext, pair: Pair) -> None:
    """Give a context its certificate and key. Raises PemError."""
    with _as_file(f"{pair.cert}\n{pair.key}") as path:
        try:
            context.load_cert_chain(path, password=_no_password)
        except ssl.SSLError as error:
            if error.reason in _MISMATCH:
                _refuse(Part.KEY, "is not the key of this certificate")
            if error.reason in _WEAK:
                _refuse(Part.CERT, f"is too weak for OpenSSL's security level: {_words(error)}")
            _refuse(Part.KEY, f"cannot be read: {_words(error)}")


def load_authorities(context: ssl.SSLContext, text: str) -> None:
    """Let a context trust these certificates, be they authorities or the peer's own. Raises PemError."""
    _trust(context, text, Part.CA)


def _trust(context: ssl.SSLContext, text: str, part: Part) -> None:
    if "-----BEGIN CERTIFICATE-----" not in text:
        _refuse(part, "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")
    try:
        context.load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        _refuse(part, f"is no readable certificate: {_words(error)}")
    # Whoever lists an intermediate, or a server's own certificate, means to trust it without the root above it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _rehearse(asking: ssl.SSLContext, showing: ssl.SSLContext, *, client: bool) -> dict[str, Any]:
    """One handshake in memory; what ``asking`` learnt of the other's certificate. Raises ssl.SSLError.

    ``client`` says that ``showing`` is the client's side.
    """
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asker = asking.wrap_bio(there, back, server_side=client)
    shower = showing.wrap_bio(back, there, server_side=not client)
    for _ in range(_TURNS):
        waiting = False
        for side in (asker, shower):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                waiting = True
        if not waiting:
            break
    return asker.getpeercert() or {}


@contextlib.contextmanager
def _as_file(text: str) -> Iterator[str]:
    """A path to read ``text`` from, since ssl takes keys from files only: memory where there is such a thing."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("pem", os.MFD_CLOEXEC)
        try:
            path = f"/proc/self/fd/{fd}"
            if os.access(path, os.R_OK):
                _write(fd, text)
                yield path
                return
        finally:
            os.close(fd)
    fd, path = tempfile.mkstemp()  # mode 0600
    try:
        _write(fd, text)
        yield path
    finally:
        os.close(fd)
        os.unlink(path)  # noqa: PTH108 - like the rest of this function, by descriptor and name


def _write(fd: int, text: str) -> None:
    data = text.encode()
    while data:
        data = data[os.write(fd, data) :]


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal, and wait.
    _refuse(Part.KEY, "is encrypted, and nobody is there to type the password; decrypt it (openssl pkey)")


def _words(error: Exception) -> str:
    """OpenSSL's reason in plain words, without its numbers and source lines."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else "not PEM as OpenSSL reads it"


def _refuse(part: Part, message: str) -> NoReturn:
    raise PemError(part, message) from None


def day(seconds: float) -> str:
    """The date of a wall second, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
