"""Passes over a tree before its values are read: words that mean nothing here, ``${...}``, relative paths."""

import os
import re
from collections.abc import Iterator

from gatekeeper.config.tree import KeyPath, Mapping, Node, Report, Scalar, Sequence, shown, walk

MAX_SECRET = 64 * 1024
"""Bytes of a ``${file:...}``: keys and tokens are far smaller."""

_BARE = re.compile(r"yes|no|on|off", re.IGNORECASE)
_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# A star is every name or item.
_OFF_IS_A_WORD: tuple[KeyPath, ...] = (("log", "access"), ("services", "*", "ejection"), ("services", "*", "trip"))
# Keys that are such words: a flag's own, and names of its variants. Its off may be the variant of that name.
_SWITCHES: tuple[KeyPath, ...] = (
    ("flags", "*", "*"),
    *(("flags", "*", name, "*") for name in ("schedule", "variants", "split")),
)
_OFF_IS_A_VARIANT: tuple[KeyPath, ...] = (("flags", "*", "off"), ("flags", "*", "on_fail"))
# Where the checks of plans stand.
CHECKS: tuple[KeyPath, ...] = (("plans", "*", "verify", "*"), ("plans", "*", "steps", "*", "verify", "*"))
# Where values are paths of files; a list of one mapping may be written as the mapping.
_PATHS: tuple[KeyPath, ...] = (
    ("admin", "socket"),
    ("admin", "tokens"),
    ("state",),
    *(("listen", "*", "tls", "*", name) for name in ("cert", "key", "client_ca")),
    *(("listen", "*", "tls", name) for name in ("cert", "key", "client_ca")),
    *(("services", "*", "versions", "*", "tls", name) for name in ("ca", "cert", "key")),
    ("services", "*", "error_pages", "*"),
    *((*path, "released_in", "token_file") for path in CHECKS),
    ("plans", "*", "analysis", "metrics", "*", "token_file"),
)


def refuse_traps(root: Node, report: Report) -> None:
    """Report keys without a value, and bare yes, no, on and off: texts to some readers of YAML, booleans to others."""
    for path, key, node in walk(root):
        for scalar in (key, node):
            if not isinstance(scalar, Scalar) or report.blamed(scalar):
                continue
            if scalar.null:
                message = "a key is empty" if scalar is key else "nothing stands here; give a value or remove the key"
                report.add(scalar.place, path, message, found=shown(scalar) if scalar.written else "")
                report.blame(scalar)
            elif scalar.plain and _BARE.fullmatch(scalar.written) and not _is_a_word(path, of_key=scalar is key):
                word = scalar.written.lower()
                allowed = f'"{scalar.written}" in quotes, or {"true" if word in {"yes", "on"} else "false"}'
                report.add(
                    scalar.place, path, "a bare yes, no, on or off is ambiguous", found=scalar.written, allowed=allowed
                )
                report.blame(scalar)


def _is_a_word(path: KeyPath, *, of_key: bool) -> bool:
    return any(
        len(path) == len(known) and all(one in {"*", step} for one, step in zip(known, path, strict=True))
        for known in (_SWITCHES if of_key else (*_OFF_IS_A_WORD, *_OFF_IS_A_VARIANT))
    )


def references(text: str) -> bool:
    """Whether ``${...}`` stands in a text."""
    return any(found[0] != "$${" for found in _REFERENCE.finditer(text))


def substitute(root: Node, report: Report, path: KeyPath = ()) -> None:
    """Replace ``${NAME}`` and ``${file:PATH}`` in every value below ``root``; ``$${`` stands for a literal ``${``."""
    for at, _, node in walk(root, path):
        if isinstance(node, Scalar) and "${" in node.written and node.text is node.written:
            _expand(node, at, report)


def _expand(scalar: Scalar, path: KeyPath, report: Report) -> None:
    failed = False

    def value(found: re.Match[str]) -> str:
        nonlocal failed
        if found[0] == "$${":
            return "${"
        why = ""
        name = found[1]
        if not found[2]:
            why = "${ is not closed by }"
        elif name.startswith("file:"):
            text = _file(scalar, name.removeprefix("file:"))
            if isinstance(text, str):
                return text
            why = f"the file of ${{{name}}} cannot be used: {text.strerror or 'it is not UTF-8 text'}"
        elif not _ENV_NAME.fullmatch(name):
            why = "what stands in ${...} is not a name"
        elif name in os.environ:
            return os.environ[name]
        else:
            why = f"the environment variable {name} is not set"
        failed = True
        allowed = "${NAME} of the environment, ${file:PATH}, or $${ for the characters themselves"
        report.add(scalar.place, path, why, found=shown(scalar), allowed=allowed)
        return ""

    scalar.text = _REFERENCE.sub(value, scalar.written)
    if failed:
        report.blame(scalar)


def _file(scalar: Scalar, name: str) -> str | OSError:
    """The text of a file, without the line break editors leave at its end."""
    try:
        with (scalar.place.source.base / name).open("rb") as file:
            data = file.read(MAX_SECRET + 1)
        if len(data) > MAX_SECRET:
            return OSError(0, f"it is longer than {MAX_SECRET // 1024} KiB")
        return data.decode().rstrip("\r\n")
    except OSError as error:
        return error
    except ValueError:  # not UTF-8, or a NUL in the name
        return OSError(0, "")


def resolve_paths(root: Node) -> None:
    """Make paths absolute: a relative one starts at the directory of the file it is written in.

    A program without a slash stays a name, which is looked up in PATH when it is run.
    """
    for path in _PATHS:
        for _, node in nodes_at(root, path):
            if isinstance(node, Scalar) and node.text and not node.null:
                _resolve(node)
    for path in CHECKS:
        for _, run in nodes_at(root, (*path, "command", "run")):
            program = run.items[0] if isinstance(run, Sequence) and run.items else None
            if isinstance(program, Scalar) and "/" in program.text:
                _resolve(program)


def _resolve(node: Scalar) -> None:
    # A second pass over the same node, which an alias brings, changes nothing more.
    node.text = os.path.normpath(node.place.source.base / node.text)


def nodes_at(node: Node, pattern: KeyPath, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
    """Every node at a path like ``pattern``, in which a star is every name or item, with its path."""
    if not pattern:
        yield path, node
    elif isinstance(node, Mapping):
        names = list(node.entries) if pattern[0] == "*" else [name for name in node.entries if name == pattern[0]]
        for name in names:
            yield from nodes_at(node.entries[name].value, pattern[1:], (*path, name))
    elif isinstance(node, Sequence) and pattern[0] == "*":
        for index, item in enumerate(node.items):
            yield from nodes_at(item, pattern[1:], (*path, index))
