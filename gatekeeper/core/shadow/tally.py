"""What came of a run's copies: added up by a worker for a second, by the supervisor for as long as the run lasts.

Which differences are noise is not known when they are counted: a time in whole seconds differs from itself once in a
hundred requests, and perhaps the candidate met it first. So compared requests are counted by the *set* of places in
which they differed, and whether a set speaks against the candidate is asked when somebody looks (``different``).

A place is noise when the version that served the users differed there from itself, unless the candidate did so much
more often than it (``ODDS``). All numbers are bounded, whatever the answers hold.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil, log
from typing import Any, Final, NamedTuple

from gatekeeper.core.shadow.compare import Comparison, Kind, Place, source

PLACES_MOST: Final = 100
"""Places of a run that are told apart; what differs elsewhere is counted as ``other`` of its kind."""
SETS_MOST: Final = 200
"""Sets of places of more than one: with twenty fields that vary there would be a million."""
SAMPLES_MOST: Final = 3
"""Of each place. The first ones: each costs up to 400 bytes, and what shows once shows in three."""
REQUEST_MOST: Final = 120
"""Characters of a method and a path in a sample."""
OTHER: Final = "other"

ODDS: Final[Mapping[Kind, int]] = {Kind.STATUS: 3}
USUAL_ODDS: Final = 10
"""How many times as often as stable does the candidate have to differ where stable differs, too. Were both alike,
either would be the odd one out as often as the other; a slower candidate meets the next second of a clock more often,
up to about as many times as it is slower. No status is a clock, so there less is enough."""

TIMES: Final = 42
"""Buckets of times: up to 1 ms, 40 of ratio 1.25 up to 7.5 s, and what is longer."""
LEAST: Final = 0.001
RATIO: Final = 1.25

_COUNT_MOST: Final = 2**53
_TEXT_MOST: Final = 512
"""Characters that a message may hold in one text; ``compare`` makes none of more than 250."""


class Outcome(StrEnum):
    """What became of a request that should be mirrored, and of its copies."""

    SENT = "sent"
    """A copy was begun; one of the next five or COMPARED or NOT_COMPARED follows."""
    ANSWERED = "answered"
    REFUSED = "refused"
    """No connection, or no ready backend."""
    BROKEN = "broken"
    """Something that is no HTTP, or an end in the middle."""
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    """Answered with more than is read; compared by what was."""
    AGAIN = "again"
    """A second copy was sent to the version that had served the user."""
    COMPARED = "compared"
    NOT_COMPARED = "not_compared"
    """Both answers were there, and no time to compare them; or the second copy or the user's answer was lost."""
    SHED = "shed"
    """Not mirrored: too many copies under way, or the worker was busy."""
    BODY_TOO_LARGE = "body_too_large"
    """Not mirrored: the request's body is longer than is copied."""


FAILED: Final = (Outcome.REFUSED, Outcome.BROKEN, Outcome.TIMEOUT)
"""What a user would have seen as an error of the candidate. Counted as different."""


class Sample(NamedTuple):
    """``request`` is a method and a path without its query."""

    left: str
    right: str
    request: str


@dataclass(slots=True)
class Seen:
    """How often a place differed, in a way that was not noise within the request."""

    count: int = 0
    samples: list[Sample] = field(default_factory=list)


def bucket(seconds: float) -> int:
    if seconds <= LEAST:
        return 0
    return min(ceil(log(seconds / LEAST) / log(RATIO) - 1e-9), TIMES - 1)


def bound(place: int) -> float:
    """The longest time of a bucket, in seconds; infinite for the last."""
    return float("inf") if place >= TIMES - 1 else LEAST * RATIO**place


@dataclass(slots=True)
class Times:
    """Times to the head of an answer. ``total`` is their sum in seconds."""

    counts: dict[int, int] = field(default_factory=dict)
    total: float = 0.0

    def add(self, seconds: float) -> None:
        place = bucket(seconds)
        self.counts[place] = self.counts.get(place, 0) + 1
        self.total += seconds

    def plus(self, other: "Times") -> None:
        for place, many in other.counts.items():
            self.counts[place] = self.counts.get(place, 0) + many
        self.total += other.total


@dataclass(slots=True)
class Tally:
    """Of one run. ``twice`` are the comparisons with a second copy; ``noise`` counts where it differed."""

    outcomes: dict[Outcome, int] = field(default_factory=dict)
    twice: int = 0
    places: dict[Place, Seen] = field(default_factory=dict)
    sets: dict[tuple[Place, ...], int] = field(default_factory=dict)
    noise: dict[Place, int] = field(default_factory=dict)
    user: Times = field(default_factory=Times)
    candidate: Times = field(default_factory=Times)

    def count(self, outcome: Outcome, many: int = 1) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + many

    def compared(self, found: Comparison, request: str) -> None:
        """``request``: a method and a path, without the query, for the samples."""
        self.count(Outcome.COMPARED)
        self.user.add(found.user_seconds)
        self.candidate.add(found.candidate_seconds)
        if found.twice:
            self.twice += 1
            for place in found.noise:
                self._note(place, 1)
        places = [
            self._see(each.place, 1, [Sample(each.left, each.right, request[:REQUEST_MOST])])
            for each in found.differences
        ]
        self._gather(places, 1)

    def failed(self, outcome: Outcome, request: str) -> None:
        """A copy that got no answer (one of ``FAILED``) to a request that the user's version answered."""
        self.count(outcome)
        place = self._see(
            Place(Kind.ANSWER, outcome.value), 1, [Sample("an answer", outcome.value, request[:REQUEST_MOST])]
        )
        self._gather([place], 1)

    def plus(self, other: "Tally") -> None:
        """What somebody else counted, in addition."""
        for outcome, many in other.outcomes.items():
            self.count(outcome, many)
        self.twice += other.twice
        for place, many in other.noise.items():
            self._note(place, many)
        places = {place: self._see(place, seen.count, seen.samples) for place, seen in other.places.items()}
        for found, many in other.sets.items():
            self._gather([places.get(place, place) for place in found], many)
        self.user.plus(other.user)
        self.candidate.plus(other.candidate)

    def is_noise(self, place: Place) -> bool:
        """Whether what differs there is no fault of the candidate, as far as is known now."""
        many = self.noise.get(source(place), 0)
        seen = self.places.get(place)
        return many > 0 and (seen is None or seen.count < ODDS.get(place.kind, USUAL_ODDS) * (many + 1))

    @property
    def different(self) -> int:
        """Requests that the candidate answered otherwise than stable would have, or not at all."""
        known = {place: not self.is_noise(place) for place in self.places}
        return sum([many for found, many in self.sets.items() if any(map(known.__getitem__, found))])

    @property
    def asked(self) -> int:
        """Requests of which is known what the candidate would have made of them: ``different`` are a part of these."""
        return self.outcomes.get(Outcome.COMPARED, 0) + sum([self.outcomes.get(each, 0) for each in FAILED])

    def _see(self, place: Place, many: int, samples: Iterable[Sample]) -> Place:
        """Counts a place; the answer is the place it was counted for."""
        if place not in self.places and len(self.places) >= PLACES_MOST:
            place = Place(place.kind, OTHER)
        seen = self.places.setdefault(place, Seen())
        seen.count += many
        if len(seen.samples) < SAMPLES_MOST:
            seen.samples.extend([*samples][: SAMPLES_MOST - len(seen.samples)])
        return place

    def _note(self, place: Place, many: int) -> None:
        # What is not noted is still no fault of the candidate within the request in which it showed.
        if place in self.noise or len(self.noise) < 2 * PLACES_MOST:
            self.noise[place] = self.noise.get(place, 0) + many

    def _gather(self, places: Iterable[Place], many: int) -> None:
        found = tuple(sorted(set(places)))
        if not found:
            return
        if len(found) > 1 and found not in self.sets and len(self.sets) >= SETS_MOST:
            # One place is enough to speak against the candidate, and of sets of one there are few.
            found = (max(found, key=lambda place: (not self.is_noise(place), self.places[place].count)),)
        self.sets[found] = self.sets.get(found, 0) + many

    def to_message(self) -> dict[str, Any]:
        """As it goes up a channel and into a file; ``of_message`` is the inverse."""
        order = {place: at for at, place in enumerate(self.places)}
        return {
            "outcomes": {outcome.value: many for outcome, many in self.outcomes.items()},
            "twice": self.twice,
            "places": [
                [place.kind.value, place.path, seen.count, [[*sample] for sample in seen.samples]]
                for place, seen in self.places.items()
            ],
            "sets": [[[order[place] for place in found], many] for found, many in self.sets.items()],
            "noise": [[place.kind.value, place.path, many] for place, many in self.noise.items()],
            "user": [[*self.user.counts.items()], self.user.total],
            "candidate": [[*self.candidate.counts.items()], self.candidate.total],
        }

    @classmethod
    def of_message(cls, data: object) -> "Tally":
        """Raises ValueError for anything that ``to_message`` does not give, or that is too big."""
        try:
            return _tally(data)
        except (TypeError, KeyError, IndexError, AttributeError) as wrong:
            raise ValueError(f"no tally: {type(wrong).__name__}: {wrong}") from None


def _tally(data: Any) -> Tally:
    places = [(Place(Kind(kind), _text(path)), _seen(many, samples)) for kind, path, many, samples in data["places"]]
    # ``other`` of each kind comes on top; a set of one place is always taken.
    if len(places) > PLACES_MOST + len(Kind) or len(data["noise"]) > 2 * PLACES_MOST:
        raise ValueError(f"no tally: {len(places)} places")
    if len(data["sets"]) > SETS_MOST + PLACES_MOST + len(Kind):
        raise ValueError(f"no tally: {len(data['sets'])} sets of places")
    if any(type(at) is not int or at < 0 for found, _ in data["sets"] for at in found):
        raise ValueError("no tally: a set of something else than places")
    return Tally(
        {Outcome(outcome): _count(many) for outcome, many in data["outcomes"].items()},
        _count(data["twice"]),
        dict(places),
        {tuple([places[at][0] for at in found]): _count(many) for found, many in data["sets"]},
        {Place(Kind(kind), _text(path)): _count(many) for kind, path, many in data["noise"]},
        _times(data["user"]),
        _times(data["candidate"]),
    )


def _seen(many: object, samples: Any) -> Seen:
    if len(samples) > SAMPLES_MOST:
        raise ValueError(f"no tally: {len(samples)} samples of one place")
    return Seen(_count(many), [Sample(_text(left), _text(right), _text(request)) for left, right, request in samples])


def _times(data: Any) -> Times:
    counts, total = data
    if type(total) not in (int, float) or not 0 <= total < _COUNT_MOST:
        raise ValueError(f"no tally: {str(total)[:60]} is no sum of seconds")
    found = {_count(place): _count(many) for place, many in counts}
    if any(place >= TIMES for place in found):
        raise ValueError("no tally: a time in no bucket")
    return Times(found, float(total))


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < _COUNT_MOST:
        raise ValueError(f"no tally: {str(value)[:60]!r} is no count")
    return value


def _text(value: object) -> str:
    if type(value) is not str or len(value) > _TEXT_MOST:
        raise ValueError(f"no tally: {str(value)[:60]!r} is no text of up to {_TEXT_MOST} characters")
    return value
