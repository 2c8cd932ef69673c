"""What is mirrored, to whom, and how answers are compared; as values. All sizes are bytes, all durations seconds."""

from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from json import dumps
from typing import Final

from gatekeeper.core.codec import dump

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""What may be asked twice of the version that served the user: a second POST to it would be a second order."""


class BodyComparison(StrEnum):
    EXACT = "exact"
    JSON = "json"
    """Exact where it is no JSON."""
    LENGTH = "length"
    NONE = "none"


class Keep(StrEnum):
    """What of a user's secrets may go along with a copy."""

    COOKIE = "cookie"
    AUTHORIZATION = "authorization"


@dataclass(frozen=True, slots=True)
class Compare:
    """``headers`` are lower case. ``ignore`` are paths as ``compare.path_of`` takes them; each holds for all below."""

    body: BodyComparison = BodyComparison.JSON
    headers: tuple[str, ...] = ("content-type", "location")
    ignore: tuple[str, ...] = ()
    bytes: int = 65_536
    noise: bool = True
    """Whether the version that served the user gets a second copy of safe requests, to learn how it differs from
    itself."""

    @property
    def captured(self) -> frozenset[str]:
        """The header fields of an answer that the comparison looks at, lower case."""
        return frozenset({*self.headers, "content-type", "content-encoding"})


@dataclass(frozen=True, slots=True)
class Mirror:
    """``percent`` (0..100) of the requests that another version than ``to`` serves are copied to it."""

    to: str
    percent: float = 0.0
    methods: tuple[str, ...] = ("GET", "HEAD")
    body: int = 65_536
    """Requests with a longer body are not mirrored."""
    keep: tuple[Keep, ...] = ()
    compare: Compare = Compare()
    timeout: float = 5.0
    in_flight: int = 64
    """Copies at a time, in each worker."""

    def asks_again(self, method: str) -> bool:
        """Whether a request with this method is also sent once more to the version that served the user."""
        return self.compare.noise and method in SAFE_METHODS


@dataclass(frozen=True, slots=True)
class Run:
    """A mirror in force, and under which name its results are added up.

    ``id`` is the same in all workers and changes with whatever makes older results those of something else.
    """

    id: str
    mirror: Mirror


def run_id(mirrors: tuple[Mirror, ...], version: object) -> str:
    """The name of a run: of all mirrors of a service to one version, and of that version's definition.

    How many are mirrored does not count: more of the same belongs to the same results.
    """
    alike = tuple(dict.fromkeys(replace(mirror, percent=0.0, in_flight=0) for mirror in mirrors))
    text = dumps([dump(alike), dump(version)], sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=8).hexdigest()
