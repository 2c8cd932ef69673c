"""What services and flags are both made of: shares of units, and conditions on requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

Weights = Mapping[str, Decimal]
"""Version or variant -> weight, in the order they are defined. Any positive total; 0 = nobody gets it."""


class Origin(StrEnum):
    """Where a version or a flag was defined; ``deploy`` is by a command."""

    FILE = "file"
    DEPLOY = "deploy"


class PatternKind(StrEnum):
    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    CONTAINS = "contains"
    REGEX = "regex"
    PRESENT = "present"
    ONE_OF = "one_of"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One test on one value. ``values`` holds one text, several for ONE_OF, "true" or "false" for PRESENT."""

    kind: PatternKind
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class When:
    """All parts must match (AND); an empty ``When`` matches every request.

    ``headers``, ``cookies`` and ``query`` are (name, pattern) pairs; header names in lower case.
    ``methods`` is empty for any method; ``networks`` (CIDR texts) is empty for any client address.
    """

    headers: tuple[tuple[str, Pattern], ...] = ()
    cookies: tuple[tuple[str, Pattern], ...] = ()
    query: tuple[tuple[str, Pattern], ...] = ()
    path: Pattern | None = None
    methods: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Split:
    """Weights and who owns which part of the hash range [0, SPACE), see ``core.split``.

    ``stacks`` maps a version (of a flag: a variant) to its pieces in the order they were joined. A piece (start, end)
    with start < end was joined upwards, one with start > end downwards; its latest joined point is next to ``end``.
    ``salt`` is hexadecimal; it keys the hash of unit ids.
    """

    weights: Weights
    stacks: Mapping[str, tuple[tuple[int, int], ...]]
    salt: str
