"""Keys that have a meaning to come: refused by name, so that nobody believes they work, and not called unknown."""

from collections.abc import Iterator

from gatekeeper.config.problems import listed
from gatekeeper.config.tree import KeyPath, Mapping, Node, Report

_TOP = frozenset({"plans", "flags", "freeze", "notify", "releases", "analysis", "trip", "guard"})
_SERVICE = frozenset({"mirror", "plan", "plans", "flags", "analysis", "trip", "guard", "freeze", "notify", "retain"})


def refuse_later_keys(root: Node, report: Report) -> None:
    """Report the keys that are not available yet and take them, with all they hold, out of the tree."""
    for path, node, later in _levels(root):
        if not isinstance(node, Mapping):
            continue
        for name in [name for name in node.entries if name in later]:
            entry = node.entries.pop(name)
            report.add(entry.key.place, (*path, name), "is not available yet", allowed=_way_out(path))


def _way_out(path: KeyPath) -> str:
    return f"the keys of `gatekeeper schema`; not yet: {listed(sorted(_SERVICE if path else _TOP))}"


def _levels(root: Node) -> Iterator[tuple[KeyPath, Node, frozenset[str]]]:
    """Every node that may hold such keys, with its path."""
    yield (), root, _TOP
    if not isinstance(root, Mapping):
        return
    services = root.get("services")
    if isinstance(services, Mapping):
        for name, service in services.entries.items():
            yield ("services", name), service.value, _SERVICE
