"""What the dashboard needs and nobody else has: who is signed in, its files, ten minutes of the past, who watches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gatekeeper.control.dashboard import live
from gatekeeper.control.dashboard.assets import Assets
from gatekeeper.control.dashboard.attempts import Attempts
from gatekeeper.control.dashboard.live import Live
from gatekeeper.control.dashboard.marks import Marks
from gatekeeper.control.dashboard.past import Document, Opinion, Past
from gatekeeper.control.dashboard.seconds import Row
from gatekeeper.control.dashboard.sessions import Sessions
from gatekeeper.control.store.rows import Event
from gatekeeper.telemetry.slots import Name

Odds = Callable[[str], tuple[float, float] | None]
"""A service -> the odds against luck of the judge that watches it, and those that mean rollback; None: none does."""


def _not_judged(_service: str) -> None:
    return None


@dataclass(slots=True)
class Dashboard:
    sessions: Sessions = field(default_factory=Sessions)
    attempts: Attempts = field(default_factory=Attempts)
    assets: Assets = field(default_factory=Assets)
    past: Past = field(default_factory=Past)
    marks: Marks = field(default_factory=Marks)
    live: Live = field(default_factory=Live)
    odds: Odds = _not_judged
    rows: Mapping[Name, Row] = field(default_factory=dict)
    """The last second's."""
    opinions: Mapping[str, Opinion] = field(default_factory=dict)
    """By service, the same."""
    _openings: dict[str | None, bytes] = field(default_factory=dict)
    """First events of streams, as they were written in this second."""

    def hear(self, event: Event) -> None:
        """Every event of the feed. Never waits or fails."""
        self.marks.hear(event)
        self.live.hear(event)

    def second(self, rows: Mapping[Name, Row], opinions: Mapping[str, Opinion], at: float) -> None:
        """A second is over, at wall second ``at``."""
        self.rows, self.opinions = rows, opinions
        self.past.take(at, rows, opinions)
        self._openings.clear()

    def opening(self, service: str | None, made: Callable[[], Document]) -> bytes:
        """The first event of a stream. After a restart all pages come back at once: it is written once a second."""
        if service not in self._openings:
            self._openings[service] = live.event("past", made())
        return self._openings[service]
