"""What a check came to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """``text`` is for people: how it was, and where it failed the way out."""

    passed: bool
    text: str
