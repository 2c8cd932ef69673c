"""How often a sign-in may fail: per address, and in all.

Tokens are random and beyond guessing; this bounds the noise and the work that guessing makes, and protects tokens that
somebody made up instead. Nobody who is signed in, brings a token with each request, or comes by the socket is slowed.
Each bound is one number per key, the moment at which all its failures are forgotten (a generic cell rate algorithm, as
in ITU-T I.371): a failure moves it on by ``every`` seconds, and where it is further off than ``burst`` failures would
bring it, one has to wait.
"""

import ipaddress
import math
from typing import Final

BURST: Final = 10
EVERY: Final = 6.0
"""Of one address: ten failures at once, then ten a minute."""
BURST_OF_ALL: Final = 300
EVERY_OF_ALL: Final = 0.2
"""Of all: five a second for ever, which thirty addresses can just use up."""
ADDRESSES: Final = 1_024
"""Remembered; beyond it the one whose last failure is oldest is forgotten. The bound of all holds nevertheless."""
_EVERYBODY: Final = ""


class Attempts:
    """``wait`` before an attempt, ``failed`` after one that did. ``now`` is monotonic seconds."""

    def __init__(self) -> None:
        self._forgotten: dict[str, float] = {}
        self._of_all = 0.0

    def __len__(self) -> int:
        return len(self._forgotten)

    def wait(self, address: str, now: float) -> int:
        """Whole seconds until the next attempt from ``address`` is heard; 0: it is."""
        mine = self._forgotten.get(network(address), 0.0) - now - (BURST - 1) * EVERY
        of_all = self._of_all - now - (BURST_OF_ALL - 1) * EVERY_OF_ALL
        # What a float loses on the way must not cost a second.
        return max(0, math.ceil(max(mine, of_all) - 1e-6))

    def failed(self, address: str, now: float) -> None:
        key = network(address)
        before = self._forgotten.pop(key, 0.0)
        if len(self._forgotten) >= ADDRESSES:
            del self._forgotten[next(iter(self._forgotten))]
        self._forgotten[key] = max(before, now) + EVERY
        self._of_all = max(self._of_all, now) + EVERY_OF_ALL


def network(address: str) -> str:
    """What one person has: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return _EVERYBODY
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.IPv6Network((found, 64), strict=False))
    return str(found)
