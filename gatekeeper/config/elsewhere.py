"""Keys that are not known where they stand, but mean something elsewhere: people are told where."""

from gatekeeper.config.substitute import nodes_at
from gatekeeper.config.tree import KeyPath, Mapping, Node, Report

_ANALYSIS = "in the plan that is to be judged: plans.NAME.analysis"
_GUARD = "in the analysis of a plan: plans.NAME.analysis.guard"
_STEP = "in a plan, whose steps have holds; of a flag: gatekeeper flag show NAME says how it stands"
_QUERIES = "in the analysis of a plan; of a flag: alerts by gatekeeper_flag_verdict, and gatekeeper flag off NAME"
_OF_FLAG = "in the analysis of the flag: flags.NAME.analysis.guard"
_FLAGS = "at the top, with the service's name in services: flags.NAME.services"
ELSEWHERE: dict[KeyPath, dict[str, str]] = {
    (): {"analysis": _ANALYSIS, "guard": _GUARD},
    ("services", "*"): {"analysis": _ANALYSIS, "guard": _GUARD, "flags": _FLAGS},
    ("flags", "*"): {"guard": _OF_FLAG},
    ("flags", "*", "analysis"): {"steps": _STEP, "deadline": _STEP, "metrics": _QUERIES},
    ("plans", "*"): {"guard": _GUARD},
    ("plans", "*", "steps", "*"): {"analysis": _ANALYSIS, "guard": _GUARD},
}
"""Where people look for keys that stand elsewhere (a star is every name or item), and where that is."""


def refuse_misplaced_keys(root: Node, report: Report) -> None:
    """Report them, and forget what stands behind them."""
    for pattern, keys in ELSEWHERE.items():
        for path, node in nodes_at(root, pattern):
            for name, where in keys.items():
                entry = node.entries.get(name) if isinstance(node, Mapping) else None
                if entry is not None:
                    report.add(entry.key.place, (*path, name), "does not stand here", allowed=where)
                    report.blame(entry.key)
                    entry.value = Mapping(entry.key.place)
