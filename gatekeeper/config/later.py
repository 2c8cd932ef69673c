"""Keys that are not known where they stand, but mean something: some elsewhere, some in times to come."""

from gatekeeper.config.problems import listed
from gatekeeper.config.substitute import CHECKS, nodes_at
from gatekeeper.config.tree import KeyPath, Mapping, Node, Report

LATER: dict[KeyPath, tuple[str, ...]] = {
    (): ("flags",),
    ("services", "*"): ("flags", "mirror"),
    **dict.fromkeys(CHECKS, ("mirror",)),
}
"""Where keys with a meaning to come would stand (a star is every name or item): refused by name, so that nobody
believes they work, and not called unknown."""

_ANALYSIS = "in the plan that is to be judged: plans.NAME.analysis"
_GUARD = "in the analysis of a plan: plans.NAME.analysis.guard"
ELSEWHERE: dict[KeyPath, dict[str, str]] = {
    (): {"analysis": _ANALYSIS, "guard": _GUARD},
    ("services", "*"): {"analysis": _ANALYSIS, "guard": _GUARD},
    ("plans", "*"): {"guard": _GUARD},
    ("plans", "*", "steps", "*"): {"analysis": _ANALYSIS, "guard": _GUARD},
}
"""Where people look for keys that stand elsewhere, and where that is."""


def refuse_later_keys(root: Node, report: Report) -> None:
    """Report the keys that are not available, yet or there, and forget what stands behind them."""
    for pattern, later in LATER.items():
        allowed = f"the keys of `gatekeeper schema`; not yet: {listed(later)}"
        _refuse(root, pattern, dict.fromkeys(later, ("is not available yet", allowed)), report)
    for pattern, keys in ELSEWHERE.items():
        _refuse(root, pattern, {name: ("does not stand here", where) for name, where in keys.items()}, report)


def _refuse(root: Node, pattern: KeyPath, keys: dict[str, tuple[str, str]], report: Report) -> None:
    """Each of ``keys`` with what is wrong, and what is allowed."""
    for path, node in nodes_at(root, pattern):
        for name, (message, allowed) in keys.items():
            entry = node.entries.get(name) if isinstance(node, Mapping) else None
            if entry is not None:
                report.add(entry.key.place, (*path, name), message, allowed=allowed)
                report.blame(entry.key)
                entry.value = Mapping(entry.key.place)
