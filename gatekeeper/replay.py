"""Recorded seconds, judged again: whether they give the very odds and verdicts that were recorded with them.

A record is lines of JSON. The first is what the judge knew at its beginning, each further one a second, with the odds
and the verdict after it. A judge that was taken up anew, as after a restart, wrote down again what it knew; where that
is not what the seconds before it come to, what lies between is in no line, and it is said.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from gatekeeper import __version__
from gatekeeper.core import codec
from gatekeeper.core.codec import CodecError
from gatekeeper.core.judge.judge import Judge
from gatekeeper.core.judge.second import Second
from gatekeeper.errors import GatekeeperError

SHOWN: Final = 20
"""Differences that are named; of more the first ones say it."""
STORY: Final = 1_000
"""Changes of the verdict that are told: a verdict that changes more often tells nothing by them."""


class ReplayError(GatekeeperError):
    """What is no record; ``line`` counts from 1, 0: all of it."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Difference:
    line: int
    at: int
    what: str
    recorded: object
    replayed: object


@dataclass(frozen=True, slots=True)
class Told:
    """From second ``at`` on the judge said so; ``log_odds`` is a natural logarithm."""

    at: int
    kind: str
    cause: str
    log_odds: float
    sentence: str


@dataclass(slots=True)
class _Replay:
    about: dict[str, Any] = field(default_factory=dict)
    judge: Judge | None = None
    seconds: int = 0
    different: int = 0
    differences: list[Difference] = field(default_factory=list)
    taken_up: list[dict[str, int]] = field(default_factory=list)
    story: list[Told] = field(default_factory=list)

    def read(self, line: int, document: Any) -> None:
        if not isinstance(document, dict):
            raise ReplayError(line, "it is no JSON object")
        if "judge" in document:
            self._begin(line, document)
        elif self.judge is None:
            raise ReplayError(line, "it is no record of a judge: it does not begin with what the judge knew")
        else:
            self._second(line, document, self.judge)

    def _begin(self, line: int, document: dict[str, Any]) -> None:
        if self.judge is None:
            self.about = {name: document.get(name) for name in ("release", "service", "gatekeeper", "began")}
        elif self.judge.dump() == document["judge"]:
            return
        try:
            self.judge = Judge.load(document["judge"])
        except CodecError as error:
            raise ReplayError(
                line, f"what the judge knew cannot be read by gatekeeper {__version__}: {error}"
            ) from error
        if line > 1:
            self.taken_up.append({"line": line, "at": self.judge.last})

    def _second(self, line: int, document: dict[str, Any], judge: Judge) -> None:
        asked = {name: True for name in ("overdue", "whole") if document.get(name) is True}
        try:
            judge.add(codec.load(Second, document.get("second")))
            verdict = judge.verdict(**asked)
        except CodecError as error:
            raise ReplayError(line, f"it is no second: {error}") from error
        except (ArithmeticError, LookupError, ValueError) as error:
            # Of the right types, and still nothing that was ever recorded: the record was changed.
            raise ReplayError(line, f"the judge cannot take it: {error!r}") from error
        self.seconds += 1
        odds, recorded = judge.log_odds, document.get("odds")
        if not isinstance(recorded, float) or recorded.hex() != odds.hex():
            self._differs(Difference(line, judge.last, "odds", recorded, odds))
        if document.get("kind") != verdict.kind.value:
            self._differs(Difference(line, judge.last, "verdict", document.get("kind"), verdict.kind.value))
        told = Told(judge.last, verdict.kind.value, verdict.cause.value, odds, verdict.sentence)
        before = self.story[-1] if self.story else None
        new = before is None or (before.kind, before.cause) != (told.kind, told.cause)
        if new and len(self.story) < STORY:
            self.story.append(told)

    def _differs(self, difference: Difference) -> None:
        self.different += 1
        if len(self.differences) < SHOWN:
            self.differences.append(difference)


def replay(lines: Iterable[bytes]) -> dict[str, Any]:
    """What the record comes to: whether all is ``identical``, and the judge's ``story``. Raises ReplayError.

    A last line that was not written to its end is left out.
    """
    found = _Replay()
    for number, line in enumerate(lines, start=1):
        try:
            document = json.loads(line, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            if found.judge is not None and not line.endswith(b"\n"):
                break
            raise ReplayError(number, f"it is not JSON: {error}") from error
        found.read(number, document)
    if found.judge is None:
        raise ReplayError(0, "it is empty")
    return {
        **found.about,
        "replayed_by": __version__,
        "seconds": found.seconds,
        "identical": not found.different,
        "different": found.different,
        "differences": [asdict(each) for each in found.differences],
        "taken_up": found.taken_up,
        "story": [asdict(each) for each in found.story],
    }


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")
