"""When a failed request may be sent again, sure cases first (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1)."""

import errno
import ssl

from gatekeeper.errors import Fault

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})

# Faults after which another backend, or stable, may do better.
_ANOTHER_TRY = frozenset({
    Fault.CONNECT_REFUSED, Fault.CONNECT_TIMEOUT, Fault.BACKEND_TLS, Fault.BACKEND_CERTIFICATE, Fault.RESET,
})  # fmt: skip
_ON_STABLE = _ANOTHER_TRY | {Fault.RESPONSE_TIMEOUT, Fault.BAD_RESPONSE}


# What this machine lacks: descriptors, memory, local ports. No version is to blame.
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


def connect_fault(error: OSError) -> Fault:
    """What it means that no connection to a backend came about."""
    if error.errno in _OURS:
        return Fault.CONNECTION_LIMIT
    if isinstance(error, ssl.SSLCertVerificationError):
        return Fault.BACKEND_CERTIFICATE
    return Fault.BACKEND_TLS if isinstance(error, ssl.SSLError) else Fault.CONNECT_REFUSED


class Budget:
    """Retries as a share of requests, so that a broken version is not also flooded by second tries.

    A token bucket: every request adds ``share`` of a token, every retry takes one. ``RESERVE`` lets a service with
    little traffic retry at all. What ``SAVED`` requests added is the largest burst: a backend that goes down takes
    all that is under way with it at once, some hundred requests per worker. Requests are counted elsewhere anyway, so
    they cost nothing here: what they added is worked out when a token is wanted.
    """

    __slots__ = ("_seen", "_tokens", "share")

    RESERVE = 10.0
    SAVED = 1000

    def __init__(self, share: float, seen: int = 0) -> None:
        """``seen`` is the number of requests that add nothing any more."""
        self.share = share
        self._seen = seen
        self._tokens = self.RESERVE if share > 0 else 0.0

    def spend(self, seen: int) -> bool:
        """Take a token, if there is one; ``seen`` is the number of requests so far."""
        most = max(self.RESERVE, self.SAVED * self.share)
        # A reload may remove a version, and what it has seen with it.
        self._tokens = min(most, self._tokens + max(0, seen - self._seen) * self.share)
        self._seen = seen
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


def may_repeat_unseen(*, method: bytes, has_body: bool, reused: bool, answer_begun: bool) -> bool:
    """Whether to repeat, at no cost to the budget, a request whose pooled connection died under it.

    The backend closed an idle connection just as we wrote on it: nobody's failure. Repeated once, on a new connection.
    """
    if answer_begun:
        return False
    if not reused:
        return False
    if has_body:
        return False  # what went out is not kept, so it cannot go out again
    return method in IDEMPOTENT


def may_try_again(*, fault: Fault, sent: bool, tries: int, attempts: int) -> bool:
    """Whether another try within the version is allowed by rule; the budget is asked after this.

    ``tries`` counts the tries so far, ``attempts`` the further ones allowed.
    """
    if tries > attempts:
        return False
    if fault not in _ANOTHER_TRY:
        return False
    return not sent  # nothing reached a backend, so any method may go again


def may_answer_by_stable(*, fault: Fault | None, status: int, method: bytes, has_body: bool, sent: bool = True) -> bool:
    """Whether stable may answer a request that failed on the candidate: by ``fault``, or by a 5xx ``status``."""
    if not sent and fault in _ANOTHER_TRY:
        return True  # nothing reached the candidate, so any method may go
    if method not in SAFE or has_body:
        return False
    return fault in _ON_STABLE if fault is not None else status >= 500
