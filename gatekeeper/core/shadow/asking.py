"""A plan's ``mirror`` check: when it has passed, when it has failed, and what is kept of it as evidence."""

from math import lgamma, log, log1p
from typing import Final

from gatekeeper.core.release.plan import MirrorCheck
from gatekeeper.core.shadow.report import Report, Row, report
from gatekeeper.core.shadow.tally import Tally

EARLY: Final = 20.0
"""Odds at which a check fails before its end. They hold however often one looks: a candidate whose share of different
answers is what is tolerated fails early in one check of twenty at most."""
ROWS: Final = 5
ROW_MOST: Final = 400
"""Places in the evidence, and characters of each with its sample: so all of it fits into what is kept of a check."""


def verdict(tally: Tally, check: MirrorCheck, *, over: bool) -> tuple[bool, str] | None:
    """Whether the check has passed, with its evidence in words; None: it goes on. ``over``: its time is."""
    found = report(tally)
    wanted = f"at most {percent(check.max_different)} may"
    if found.asked >= check.at_least and too_many(found.different, found.asked, check.max_different):
        return False, evidence(found, f"too many answers differ: {share(found)}, {wanted}")
    if not over:
        return None
    if found.asked < check.at_least:
        why = f"only {found.asked} answers were compared, of at least {check.at_least}"
        way = "let it take longer (`for`), or copy more (`percent`, `methods`)"
        return False, evidence(found, f"{why}; {_missing(found)}{way}")
    passed = found.different <= check.max_different * found.asked
    return passed, evidence(found, f"{share(found)}, {wanted}")


def too_many(different: int, asked: int, most: float) -> bool:
    """Whether the odds are ``EARLY`` that more than ``most`` (0..1) of all answers differ.

    The bet is a mixture over all larger shares (Krichevsky and Trofimov's), so its wealth is fair at every moment.
    """
    if not asked or different <= most * asked:
        return False
    if most <= 0:
        return True
    same = asked - different
    mixed = lgamma(different + 0.5) + lgamma(same + 0.5) - lgamma(asked + 1) - 2 * lgamma(0.5)
    fair = different * log(most) + (same * log1p(-most) if same else 0.0)
    return mixed - fair >= log(EARLY)


def share(found: Report) -> str:
    """``3 of 1,000 answers differ (0.3 %, 95 % interval 0.1 to 0.88 %)``."""
    if not found.asked:
        return "nothing was compared"
    return (
        f"{found.different:,} of {found.asked:,} answers differ ({percent(found.different / found.asked)}, "
        f"95 % interval {percent(found.low)} to {percent(found.high)})"
    )


def percent(part: float) -> str:
    return f"{float(f'{100 * part:.3g}'):g} %"


def evidence(found: Report, first: str) -> str:
    """Some lines: what was found, where answers differ with an example each, and what is no fault of the candidate."""
    lines = [first]
    lines += [_difference(row) for row in found.differences[:ROWS]]
    if len(found.differences) > ROWS:
        lines.append(f"and in {len(found.differences) - ROWS} more places")
    if found.noise:
        places = [f"{row.kind} {row.path}".strip() for row in found.noise]
        more = f" and {len(places) - ROWS} more" if len(places) > ROWS else ""
        lines.append(f"not counted, since stable differs there from itself: {', '.join(places[:ROWS])}{more}")
    if found.user.p50 is not None and found.candidate.p50 is not None:
        times = f"{1000 * found.user.p50:.3g} ms, the candidate's {1000 * found.candidate.p50:.3g} ms"
        lines.append(f"half of the users' answers began within {times}")
    lines.append(", ".join(f"{name} {many:,}" for name, many in found.outcomes.items() if many) or "nothing was copied")
    return "\n".join(lines)


def _difference(row: Row) -> str:
    where = f"{row.kind} {row.path}".strip()
    if not row.samples:
        return f"{where}: {row.requests:,}"
    one = row.samples[0]
    return f"{where}: {row.requests:,}, such as {one.request}: {one.left} -> {one.right}"[:ROW_MOST]


def _missing(found: Report) -> str:
    """Why so few, where it shows."""
    lost = {name: many for name, many in found.outcomes.items() if many and name in _LOSSES}
    return "".join(f"{many:,} {_LOSSES[name]}; " for name, many in lost.items())


_LOSSES: Final = {
    "shed": "were not copied for want of time",
    "body_too_large": "had a body that is too long to be copied",
    "not_compared": "could not be compared in time",
}
