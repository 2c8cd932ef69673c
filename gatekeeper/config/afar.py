"""A configuration that comes from afar: from an administrator of gatekeeper who need not be one of this machine.

What makes gatekeeper read the environment or files of this machine and show or send what is in them is refused:
``include``, ``${...}``, error pages, the token of a check or a metric; and so is what makes it run a program.
Certificates and keys may be named; nothing of what is in them is ever shown.
"""

from gatekeeper.config.reader import Budget, read
from gatekeeper.config.substitute import CHECKS, nodes_at, references
from gatekeeper.config.tree import KeyPath, Mapping, Node, Report, Scalar, Source, shown, walk

_REFUSED: tuple[tuple[KeyPath, str], ...] = (
    ((), "include"),
    (("services", "*"), "error_pages"),
    *((path, "command") for path in CHECKS),
    *(((*path, "released_in"), "token_file") for path in CHECKS),
    (("plans", "*", "analysis", "metrics", "*"), "token_file"),
)
"""Where they stand (a star is every name or item), and their names."""
_ALLOWED = "on the admin socket, by root or the user gatekeeper runs as"


def read_from_afar(data: bytes, source: Source, report: Report) -> Node | None:
    """The tree of a text without what would read this machine; each of these is reported."""
    root = read(data, source, report, Budget())
    if not isinstance(root, Mapping):
        return root
    for pattern, name in _REFUSED:
        for path, node in list(nodes_at(root, pattern)):
            if isinstance(node, Mapping) and name in node.entries:
                key = node.entries.pop(name).key
                report.add(key.place, (*path, name), "cannot be used from afar", found=shown(key), allowed=_ALLOWED)
                report.blame(node)  # a check without its one key is no second mistake
    for path, _, node in walk(root):
        if isinstance(node, Scalar) and references(node.written):
            report.add(node.place, path, "${...} cannot be used from afar", found=shown(node), allowed=_ALLOWED)
            report.blame(node)
            node.text = ""  # what it stands for is not looked up: even whether it is there is not said
    return root
