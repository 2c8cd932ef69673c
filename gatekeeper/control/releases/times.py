"""The time of each release: the wall clock of when it was met first, counted on by the steady one, never backwards.

So a wall clock that is set while this runs neither shortens nor lengthens a hold. After a restart the wall clock
counts, unless the release has seen a later moment: then it goes on from there.
"""

from collections.abc import Container

from gatekeeper.clock import Clock
from gatekeeper.core.model import Release


class Times:
    """``of`` gives what ``ReleaseCommand.steady`` takes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead: dict[int, float] = {}
        """Release -> seconds that its time is ahead of the steady clock."""

    def of(self, release: Release) -> float:
        """The release's time now, in seconds as those of the wall clock."""
        now = self._clock.monotonic()
        ahead = self._ahead.get(release.id)
        if ahead is None:
            ahead = self._clock.wall() - now
        # Others (a rollback, the trip-wire) go by the wall clock, which may have run ahead of ours.
        ahead = self._ahead[release.id] = max(ahead, release.seen - now)
        return now + ahead

    def keep(self, releases: Container[int]) -> None:
        """Forget all but these."""
        self._ahead = {number: ahead for number, ahead in self._ahead.items() if number in releases}
