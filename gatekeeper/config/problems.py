"""What is wrong with a file, each mistake with its place and the way out."""

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gatekeeper.errors import GatekeeperError

FOUND_LENGTH = 80
"""Characters of a found value that are shown: enough to recognise it, too few to flood a terminal."""

MAX_COMPARED = 256
"""Length of a word, and number of candidates, up to which the nearest one is looked for: the search is quadratic."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. ``line`` and ``column`` count from 1; texts are empty where there is nothing to say.

    ``found`` is the value as it is written in the file: ``${...}`` is never shown with what it stands for.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    found: str = ""
    allowed: str = ""
    suggestion: str = ""

    def __str__(self) -> str:
        hints = []
        if self.found:
            hints.append(f"found {self.found}")
        if self.allowed:
            hints.append(f"allowed: {self.allowed}")
        if self.suggestion:
            hints.append(f"did you mean {self.suggestion}?")
        where = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}: {where}{self.message}" + (f" ({'; '.join(hints)})" if hints else "")


class ConfigError(GatekeeperError):
    """A file that cannot be used. ``problems`` holds every mistake, in the order of the file; never empty."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class WrongValueError(Exception):
    """A value outside what its key allows; raised by the readers of single values, which know no place."""

    def __init__(self, message: str, *, allowed: str = "", suggestion: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.allowed = allowed
        self.suggestion = suggestion


def closest(word: str, candidates: Iterable[str]) -> str:
    """The candidate that ``word`` was most likely meant to be, or "" when none is near."""
    names = list(candidates)
    if len(word) > MAX_COMPARED or len(names) > MAX_COMPARED:
        return ""
    folded = {name.lower(): name for name in reversed(names)}
    near = difflib.get_close_matches(word.lower(), list(folded), n=1, cutoff=0.6)
    return folded[near[0]] if near else ""


def quoted(text: str) -> str:
    """``text`` in double quotes on one line, shortened, with control characters escaped."""
    shown = text if len(text) <= FOUND_LENGTH else text[: FOUND_LENGTH - 1] + "…"
    # ensure_ascii would make names unreadable; what a terminal obeys (C0, DEL, C1) is escaped all the same.
    body = json.dumps(shown, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", body)


def listed(names: Iterable[str], limit: int = 24) -> str:
    """Names with commas, cut after ``limit`` of them."""
    every = list(names)
    rest = f", … ({len(every) - limit} more)" if len(every) > limit else ""
    return ", ".join(every[:limit]) + rest
