"""Small texts for people: durations, shares, which release."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from urllib.parse import urlsplit

from gatekeeper.core.outcome import number
from gatekeeper.core.release.model import Release


def which(release: Release) -> str:
    """``release 12 of shop and cart``."""
    return f"release {release.id} of {listed(release.services)}"


def moves(release: Release) -> str:
    """``shop from blue to green``."""
    return listed(f"{move.service} from {move.stable} to {move.to}" for move in release.moves)


def candidates(release: Release) -> str:
    """``green``, or ``shop green and cart v2`` where they differ."""
    return _versions({move.service: move.to for move in release.moves})


def olds(release: Release) -> str:
    """What was stable before, as ``candidates``."""
    return _versions({move.service: move.stable for move in release.moves})


def _versions(versions: Mapping[str, str]) -> str:
    names = set(versions.values())
    return names.pop() if len(names) == 1 else listed(f"{service} {name}" for service, name in versions.items())


def step_of(release: Release, step: int) -> str:
    """``step 2 of 4``."""
    return f"step {step + 1} of {len(release.plan.steps)}"


def the_judge(release: Release) -> str:
    """``the judge says suspicious: SENTENCE``."""
    verdict = release.verdict
    if verdict is None:
        return "the judge has not said anything yet"
    return f"the judge says {verdict.kind.replace('_', ' ')}: {verdict.sentence}"


def percent(weight: Decimal) -> str:
    return f"{number(weight)} %"


def duration(seconds: float) -> str:
    """``2 h 5 min``, ``90 s``: at most two units, none that is 0."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts = []
    for name, size in units:
        count, whole = divmod(whole, size)
        parts.append(f"{count} {name}" if count else "")
    first = next(place for place, part in enumerate(parts) if part)
    return " ".join(part for part in parts[first : first + 2] if part)


def listed(items: Iterable[str], last: str = "and") -> str:
    """``a, b and c``."""
    *most, end = items
    return f"{', '.join(most)} {last} {end}" if most else end


def with_reason(text: str, reason: str) -> str:
    return f"{text}: {reason}" if reason else text


def count(many: int, what: str) -> str:
    return f"{many} {what}" if many == 1 else f"{many} {what}s"


def host(url: str) -> str:
    """``https://hooks.example.com:8443``: whom an address names, without what only they should know."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    with suppress(ValueError):
        if parts.port is not None:
            name = f"{f'[{name}]' if ':' in name else name}:{parts.port}"
    return f"{parts.scheme}://{name}"
