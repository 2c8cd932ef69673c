"""Keys that have a meaning to come: refused by name, so that nobody believes they work, and not called unknown."""

from gatekeeper.config.problems import listed
from gatekeeper.config.substitute import CHECKS, nodes_at
from gatekeeper.config.tree import KeyPath, Mapping, Node, Report

LATER: dict[KeyPath, tuple[str, ...]] = {
    (): ("analysis", "flags", "guard"),
    ("services", "*"): ("analysis", "flags", "guard", "mirror"),
    ("plans", "*"): ("analysis",),
    **dict.fromkeys(CHECKS, ("mirror",)),
}
"""Where they would stand (a star is every name or item), and their names."""


def refuse_later_keys(root: Node, report: Report) -> None:
    """Report the keys that are not available yet, and forget what stands behind them."""
    for pattern, later in LATER.items():
        for path, node in nodes_at(root, pattern):
            for name in later:
                entry = node.entries.get(name) if isinstance(node, Mapping) else None
                if entry is not None:
                    allowed = f"the keys of `gatekeeper schema`; not yet: {listed(later)}"
                    report.add(entry.key.place, (*path, name), "is not available yet", allowed=allowed)
                    report.blame(entry.key)
                    entry.value = Mapping(entry.key.place)
