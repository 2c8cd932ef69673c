"""How long the fleet waits for what, and what it tells about its workers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Pace:
    """All waits of the fleet, in seconds, with the reasons for their lengths."""

    ping: float = 1.0
    pings_unanswered: int = 5
    """Five seconds: longer than a worker's worst pause (collecting garbage, a machine that swaps)."""
    acknowledge: float = 2.0
    """Compiling takes milliseconds; an operator waits for this."""
    start: float = 10.0
    """Python starts in a tenth of a second, on a starved machine in some seconds."""
    patience: int = 2
    """Deaths in a row after which an operator's change no longer waits for the next successor."""
    back_off: float = 0.1
    back_off_most: float = 5.0
    settled: float = 10.0
    """A worker that lived this long died of something new: its successor starts at once again."""
    grace: float = 2.0
    """What a draining worker may take beyond its time to say goodbye."""

    def delay(self, failures: int) -> float:
        """The first successor comes at once; 0.1, 0.2, ... 5 s once they keep dying."""
        if failures <= 1:
            return 0.0
        # The exponent is bounded so that a month of failures does not overflow a float.
        return float(min(self.back_off_most, self.back_off * 2 ** min(failures - 2, 16)))


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One slot as shown to people. ``load`` is the last pong: connections, in_flight, lag (seconds), rss (bytes)."""

    index: int
    pid: int | None
    state: str
    revision: int
    restarts: int
    last_end: str
    load: Mapping[str, Any]

    def document(self) -> dict[str, Any]:
        load = {key: self.load[key] for key in ("connections", "in_flight", "lag", "rss") if key in self.load}
        return {
            "index": self.index,
            "pid": self.pid,
            "state": self.state,
            "revision": self.revision,
            "restarts": self.restarts,
            "last_end": self.last_end,
            **load,
        }


@dataclass(frozen=True, slots=True)
class DrainReport:
    """Requests finished and cut while draining; ``killed`` are workers that had to be ended. ``counted`` are rows of
    flags that another program goes on from (``telemetry.flagged``).
    """

    finished: int
    cut: int
    killed: int
    counted: Sequence[Any] = ()
