"""Two answers to one request: where they differ, and which of it is the candidate's doing.

``user`` is what the user got, ``candidate`` what the copy was answered, ``again`` what the version that served the user
said when it was asked once more. What differs between ``user`` and ``again`` differs without a candidate: it is
*noise* (a time, a random id), and at such a place the candidate is not blamed for this request. Noise that shows only
now and then (a time in whole seconds) is learned over many requests; that is ``tally``.
"""

import json
import zlib
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple

from gatekeeper.core.shadow import redact
from gatekeeper.core.shadow.model import BodyComparison, Compare
from gatekeeper.core.shadow.paths import ELEMENT, Pattern, above, covers, pattern, text

MOST_PLACES: Final = 100
"""Places that one comparison names. What differs in more is another answer, and a report is read by people."""
DEEPEST: Final = 64
"""Levels that are told apart; what is below is compared whole. Python's own bound for nesting is a thousand."""
UNPACKED_MOST: Final = 262_144
"""Bytes that a compressed body may become: it is text of whoever answers, and a bomb is small. As much as
``compare.bytes`` can be: 64 KiB of nothing but numbers take up to 10 ms, and a worker does nothing else then."""
ABSENT: Final = "(absent)"

_UNREAD: Final = object()
_NO_JSON: Final = object()
_ABSENT: Final = object()
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


class Kind(StrEnum):
    STATUS = "status"
    HEADER = "header"
    JSON = "json"
    MEMBER = "member"
    """Of a JSON object: one side has it and the other does not."""
    BODY = "body"
    LENGTH = "length"
    ANSWER = "answer"
    """There was none: the path says what came instead (``refused``, ``broken``, ``timeout``)."""


class Place(NamedTuple):
    """Where answers differ: the name of a header field, a JSON path, or empty."""

    kind: Kind
    path: str


_IN_JSON: Final = frozenset({Kind.JSON, Kind.MEMBER})


@dataclass(frozen=True, slots=True)
class Answer:
    """``headers`` have lower-case names, and need no other than ``Compare.captured``.

    ``body`` is what was kept of it. ``cut``: there was more. ``length`` is of the whole, -1 if nobody knows.
    ``seconds`` from the request's last byte to the head of the answer.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    length: int = 0
    cut: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Difference:
    """``left`` is what the user got, ``right`` what the candidate said; short, and without secrets."""

    kind: Kind
    path: str
    left: str
    right: str

    @property
    def place(self) -> Place:
        return Place(self.kind, self.path)


@dataclass(frozen=True, slots=True)
class Comparison:
    """``differences`` are those that stable does not show against itself. ``noise`` are the places where it does.

    ``twice``: stable was asked again, so that no noise means something. ``seconds`` are both times to the head.
    """

    differences: tuple[Difference, ...]
    noise: tuple[Place, ...]
    twice: bool
    user_seconds: float
    candidate_seconds: float


def compare(how: Compare, user: Answer, candidate: Answer, again: Answer | None) -> Comparison:
    """See the module. ``again`` is None where stable was not asked again; a lost second copy is no None: not compared.

    Takes about as long as parsing the bodies; raises nothing, whatever the answers hold.
    """
    read = _Read(user, how)
    differing = _differ(how, read, _Read(candidate, how))
    noise: dict[Place, Difference] = {} if again is None else _differ(how, read, _Read(again, how))
    if noise:
        unsteady = frozenset(place.path for place in noise if place.kind in _IN_JSON)
        sources = frozenset(source(place) for place in noise)
        differing = {
            place: each
            for place, each in differing.items()
            if source(place) not in sources and not (place.kind in _IN_JSON and _within(place.path, unsteady))
        }
    return Comparison(
        tuple(differing.values()),
        tuple(dict.fromkeys(source(place) for place in noise)),
        again is not None,
        user.seconds,
        candidate.seconds,
    )


def source(place: Place) -> Place:
    """Whose noise a difference may be: a member that is missing is one of an object whose members vary."""
    return Place(place.kind, f"{above(place.path)}.*") if place.kind is Kind.MEMBER else place


def _within(path: str, unsteady: frozenset[str]) -> bool:
    while path:
        if path in unsteady:
            return True
        path = above(path)
    return False


class _Read:
    """An answer with its body as JSON, read once and only if it is wanted."""

    __slots__ = ("_how", "_value", "answer", "unpacked")

    def __init__(self, answer: Answer, how: Compare) -> None:
        self.answer = answer
        self.unpacked = answer.body
        self._how = how
        self._value: Any = _UNREAD

    def value(self) -> Any:
        """What the body holds, or ``_NO_JSON``."""
        if self._value is _UNREAD:
            self._value = self._parse()
        return self._value

    def _parse(self) -> Any:
        if self.answer.cut:
            return _NO_JSON
        fields = dict(self.answer.headers)
        if fields.get("content-encoding", "").strip().lower() == "gzip":
            self.unpacked = _unpacked(self.answer.body)
        if "json" not in fields.get("content-type", "json").lower():
            return _NO_JSON
        try:
            # NaN is no JSON and differs from itself; as a text it does not.
            return json.loads(self.unpacked, parse_constant=str)
        except (ValueError, RecursionError):
            return _NO_JSON


def _unpacked(body: bytes) -> bytes:
    """The body without gzip; as it is where it is broken or becomes too long."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(body, UNPACKED_MOST)
    except zlib.error:
        return body
    return found if unpacker.eof else body


def _differ(how: Compare, left: _Read, right: _Read) -> dict[Place, Difference]:
    """The places at which two answers differ, at most ``MOST_PLACES``."""
    found = _Found()
    if left.answer.status != right.answer.status:
        found.add(Kind.STATUS, "", str(left.answer.status), str(right.answer.status))
    if how.headers:
        ours, theirs = _fields(left.answer), _fields(right.answer)
        for name in how.headers:
            if ours.get(name) != theirs.get(name):
                found.add(Kind.HEADER, name, _header(name, ours.get(name)), _header(name, theirs.get(name)))
    match how.body:
        case BodyComparison.LENGTH:
            _lengths(left.answer, right.answer, found)
        case BodyComparison.EXACT:
            _bytes(left, right, found)
        case BodyComparison.JSON:
            _json(how, left, right, found)
        case BodyComparison.NONE:
            pass
    return found.places


class _Found:
    __slots__ = ("_known", "places")

    def __init__(self) -> None:
        self.places: dict[Place, Difference] = {}
        self._known: set[tuple[Kind, tuple[str, ...]]] = set()
        """Places in JSON: what an array of numbers differs in is written once, not thirty thousand times."""

    @property
    def full(self) -> bool:
        return len(self.places) >= MOST_PLACES

    def add(self, kind: Kind, path: str, left: str, right: str) -> None:
        """The first of a place is kept."""
        place = Place(kind, path)
        if place not in self.places and not self.full:
            self.places[place] = Difference(kind, path, left, right)

    def add_json(self, kind: Kind, place: tuple[str, ...], left: Any, right: Any, hidden: bool) -> None:
        if (kind, place) not in self._known:
            self._known.add((kind, place))
            self.add(kind, text(place), _value(left, hidden), _value(right, hidden))


def _fields(answer: Answer) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in answer.headers:
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _header(name: str, value: str | None) -> str:
    return ABSENT if value is None else redact.header(name, value)


def _size(length: int) -> str:
    return "unknown" if length < 0 else f"{length} bytes"


def _lengths(left: Answer, right: Answer, found: _Found) -> None:
    if left.length != right.length:
        found.add(Kind.LENGTH, "", _size(left.length), _size(right.length))


def _bytes(left: _Read, right: _Read, found: _Found) -> None:
    """Where they begin to differ, and no more of it: in a text nothing says what is a secret."""
    if left.answer.cut or right.answer.cut:
        # Of what was cut only the beginning is here, and the length of the whole.
        if left.answer.length != right.answer.length:
            found.add(Kind.LENGTH, "cut", _size(left.answer.length), _size(right.answer.length))
            return
        ours, theirs = left.answer.body, right.answer.body
        both = min(len(ours), len(theirs))
        ours, theirs = ours[:both], theirs[:both]
    else:
        ours, theirs = left.unpacked, right.unpacked
    if ours != theirs:
        begins = _common(ours, theirs)
        found.add(
            Kind.BODY,
            "cut" if left.answer.cut or right.answer.cut else "",
            f"{_size(left.answer.length)}, differing from byte {begins} on",
            f"{_size(right.answer.length)}, differing from byte {begins} on",
        )


def _common(one: bytes, other: bytes) -> int:
    """How many bytes they begin with alike; halving, since looking at each costs more than all the rest."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def _json(how: Compare, left: _Read, right: _Read, found: _Found) -> None:
    if left.answer.body == right.answer.body and not (left.answer.cut or right.answer.cut):
        return
    ours, theirs = left.value(), right.value()
    if ours is not _NO_JSON and theirs is not _NO_JSON:
        _walk(_patterns(how.ignore), (), ours, theirs, False, found)
    elif (ours is _NO_JSON) is (theirs is _NO_JSON) or left.answer.cut or right.answer.cut:
        _bytes(left, right, found)
    else:
        found.add(Kind.BODY, "", *["no JSON" if value is _NO_JSON else "JSON" for value in (ours, theirs)])


@lru_cache(maxsize=256)
def _patterns(ignore: tuple[str, ...]) -> tuple[Pattern, ...]:
    return tuple([pattern(path) for path in ignore])


def _walk(
    ignore: tuple[Pattern, ...], place: tuple[str, ...], left: Any, right: Any, hidden: bool, found: _Found
) -> None:
    """``hidden``: a name above says that what is here is a secret."""
    if found.full or (ignore and covers(ignore, place)):
        return
    if len(place) < DEEPEST:
        if isinstance(left, dict) and isinstance(right, dict):
            for key in left if left.keys() == right.keys() else dict.fromkeys([*left, *right]):
                _member(ignore, (*place, key), left.get(key, _ABSENT), right.get(key, _ABSENT), hidden, found)
            return
        if isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                found.add_json(Kind.JSON, place, left, right, hidden)
            inside = (*place, ELEMENT)
            for one, other in zip(left, right, strict=False):
                # Most are equal, and plain: a call for each of them would cost three times as much.
                if type(one) not in _PLAIN or type(one) is not type(other) or one != other:
                    _walk(ignore, inside, one, other, hidden, found)
            return
    if not _same(left, right):
        found.add_json(Kind.JSON, place, left, right, hidden)


def _member(
    ignore: tuple[Pattern, ...], place: tuple[str, ...], left: Any, right: Any, hidden: bool, found: _Found
) -> None:
    hidden = hidden or redact.secret(place[-1])
    if left is not _ABSENT and right is not _ABSENT:
        _walk(ignore, place, left, right, hidden, found)
    elif not found.full and not covers(ignore, place):
        found.add_json(Kind.MEMBER, place, left, right, hidden)


def _same(left: Any, right: Any) -> bool:
    # In Python true is 1; in JSON they are two things.
    return bool(left == right) and isinstance(left, bool) is isinstance(right, bool)


def _value(value: Any, hidden: bool) -> str:
    if value is _ABSENT:
        return ABSENT
    if hidden:
        return redact.REDACTED
    # Members of what is shown whole might be secrets.
    if isinstance(value, dict):
        return f"an object of {len(value)}"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, str):
        return f'"{redact.shown(value)}"'
    return redact.shown(json.dumps(value))
