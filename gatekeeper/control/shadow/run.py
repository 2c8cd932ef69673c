"""One run of copies: of which mirror, to which version, since when, and what came of it."""

from dataclasses import dataclass, field
from typing import Any

from gatekeeper.core.shadow.tally import Tally

FORMAT = 1


@dataclass(slots=True)
class Run:
    """``since`` and ``at`` (of the last news; 0: none) are wall seconds; ``check``: a plan asked for it, no mirror.

    ``active``: copies are made; one that is over is shown until another begins.
    """

    service: str
    version: str
    id: str
    since: float
    check: bool = False
    active: bool = True
    at: float = 0.0
    tally: Tally = field(default_factory=Tally)
    unwritten: bool = True

    def hear(self, tally: Tally, at: float) -> None:
        self.tally.plus(tally)
        self.at, self.unwritten = at, True

    def document(self) -> dict[str, Any]:
        """As it is kept; ``read`` is the inverse."""
        return {
            "format": FORMAT,
            "service": self.service,
            "version": self.version,
            "id": self.id,
            "since": self.since,
            "at": self.at,
            "tally": self.tally.to_message(),
        }

    @classmethod
    def read(cls, document: Any) -> "Run":
        """Raises ValueError for what is none."""
        try:
            if document["format"] != FORMAT:
                raise ValueError(f"it has the format {str(document['format'])[:20]}, this program knows {FORMAT}")
            service, version, number = [str(document[name]) for name in ("service", "version", "id")]
            since, at = float(document["since"]), float(document["at"])
            tally = Tally.of_message(document["tally"])
            return cls(service, version, number, since, at=at, tally=tally, unwritten=False)
        except (TypeError, KeyError) as error:
            raise ValueError(f"it is no run: {type(error).__name__}: {error}") from None
