"""When a backend, or a whole version, is taken for well: what the file says of that, as values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """``body_contains`` is looked for in the first 64 KiB of the answer; empty = the status alone decides.

    ``jitter`` is the part of ``interval`` by which a check may come earlier or later, 0..0.5.
    """

    path: str = "/"
    status: tuple[int, ...] = (200,)
    body_contains: str = ""
    interval: float = 2.0
    timeout: float = 1.0
    rise: int = 2
    fall: int = 3
    jitter: float = 0.1


@dataclass(frozen=True, slots=True)
class Ejection:
    """When a backend that fails users' requests gets none for a while.

    At least ``failures`` of its requests failed ``within`` that many seconds, and since the first of these at least the
    part ``errors`` (0..1). It is out for ``out`` seconds, twice as long each time in a row, at most ``most``. At least
    the part ``keep`` (0..1) of a version's backends, and always one, stays in.
    """

    failures: int = 5
    errors: float = 0.5
    within: float = 10.0
    out: float = 10.0
    most: float = 300.0
    keep: float = 0.5


@dataclass(frozen=True, slots=True)
class Trip:
    """The trip-wire: the part ``errors`` (0..1) of at least ``least`` requests failed ``within`` that many seconds."""

    errors: float = 0.5
    within: float = 1.0
    least: int = 20
