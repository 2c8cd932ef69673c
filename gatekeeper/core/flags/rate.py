"""How often somebody may ask: a token bucket. Time is whatever clock the caller keeps to, in seconds."""

import math


class Bucket:
    """``burst`` at once, ``rate`` a second in the long run. Full at the start."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        """``rate`` is above 0, ``burst`` at least 1."""
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._at = -math.inf

    def take(self, now: float) -> int:
        """0 if this one may; else the whole seconds, at least 1, after which the next one may: a ``Retry-After``."""
        # A clock that was set back gives nothing and takes nothing.
        passed = max(0.0, now - self._at)
        self._at = max(self._at, now)
        self._level = min(self._burst, self._level + passed * self._rate)
        if self._level >= 1.0:
            self._level -= 1.0
            return 0
        return max(1, math.ceil((1.0 - self._level) / self._rate))
