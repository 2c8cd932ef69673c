"""Imports go downward only, core is pure, and a worker loads nothing that traffic does not need.

What is read is the source, not what happens to be imported: an import inside a function counts, too.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1] / "gatekeeper"
SOURCES = sorted(ROOT.rglob("*.py"))

EVERYWHERE = {"errors", "clock", "core.codec"}
# Part -> the parts it may import besides its own and EVERYWHERE. The package itself ("") holds the version number.
MAY_IMPORT = {
    "": set(),
    "__main__": {"interface"},
    "errors": set(),
    "clock": set(),
    "places": set(),
    "channel": set(),
    "core": set(),
    "http1": set(),
    "telemetry": {"core", ""},
    "tls": {"core"},
    "config": {"core", "tls"},
    "dataplane": {"core", "http1", "telemetry", "tls", "channel", ""},
    "control": {"core", "telemetry", "tls", "channel", ""},
    "interface": {"places", ""},
    # What the service manager says and is told: environment and sockets, no part of the engine.
    "systemd": set(),
    # What app is made of besides wiring: reading what is configured, and what signals ask for.
    "loader": {"config", "control", "core"},
    "assembly": {"control", "loader", "telemetry"},
    "signals": {"control", "systemd"},
    "rotation": {"control", "core", "telemetry"},
    "surroundings": {"control", "systemd"},
    # Questions from the command line to the planner and the judge.
    "simulation": {"core"},
    "replay": {"core", ""},
    "app": {
        *("", "places", "channel", "core", "http1", "telemetry", "config", "dataplane", "control"),
        *("systemd", "surroundings", "loader", "assembly", "signals", "rotation", "simulation", "replay"),
    },
}
# The command line loads the engine for a few verbs, and only inside them: the others stay a thin client.
ONLY_INSIDE_A_FUNCTION = {"interface": {"app", "config"}}

# Time, chance, input and output reach core as arguments, so that every decision can be repeated.
IMPURE = {
    *("asyncio", "concurrent", "datetime", "glob", "http", "io", "logging", "multiprocessing", "os", "pathlib"),
    *("random", "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess"),
    *("tempfile", "threading", "time", "uuid", "uvloop", "aiohttp"),
}
TRAFFIC_NEEDS = {"gatekeeper", "httptools", "itsdangerous", "re2", "uvloop"}
LONGEST_FILE = 400


class Import(NamedTuple):
    module: str
    line: int
    inside_a_function: bool


def imports(source: str) -> Iterator[Import]:
    """Every import of a source text; a relative one shows as a name that begins with a dot."""
    tree = ast.parse(source)
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names = [f"{base}.{alias.name}" if is_package(base) else base for alias in node.names]
        else:
            continue
        yield from (Import(name, node.lineno, id(node) in inside) for name in names)


def is_package(module: str) -> bool:
    return (ROOT.parent / module.replace(".", "/") / "__init__.py").exists()


def part_of(module: str) -> str:
    """``gatekeeper.core.split`` -> ``core``; a name the package itself defines -> ``""``."""
    first = module.split(".")[1:2]
    return first[0] if first and first[0] in MAY_IMPORT else ""


def upward(part: str, source: str) -> list[str]:
    """The imports of a source text of ``part`` that break the rule of the layers."""
    wrong = []
    for found in imports(source):
        if found.module.startswith("."):
            wrong.append(f"line {found.line}: {found.module} is relative; name it from gatekeeper on")
        if found.module.partition(".")[0] != "gatekeeper":
            continue
        target = part_of(found.module)
        allowed = {part} | MAY_IMPORT[part]
        if found.inside_a_function:
            allowed |= ONLY_INSIDE_A_FUNCTION.get(part, set())
        by_name = any(f"{found.module}.".startswith(f"gatekeeper.{name}.") for name in EVERYWHERE)
        if target not in allowed and not by_name:
            wrong.append(f"line {found.line}: {part or 'gatekeeper'} must not import {found.module}")
    return wrong


def part_of_file(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downward_only(path):
    assert part_of_file(path) in MAY_IMPORT, f"give {path.name} a place among the layers"
    wrong = upward(part_of_file(path), path.read_text())
    assert not wrong


@pytest.mark.parametrize("path", sorted(ROOT.glob("core/**/*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_core_is_pure(path):
    source = path.read_text()
    outside = {found.module.partition(".")[0] for found in imports(source)} & IMPURE
    called = {
        node.func.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not outside
    assert not called & {"open", "print", "input", "exec", "eval"}
    assert "gatekeeper.clock" not in {found.module for found in imports(source)}


def test_a_worker_loads_only_what_traffic_needs():
    """Neither the control plane nor any of its libraries: not in the memory, and not in the reach of a worker."""
    script = """
import json, sys
before = set(sys.modules)
import gatekeeper.dataplane.worker
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    loaded = json.loads(done.stdout)
    foreign = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    # Compiled extensions register helpers of Cython's under names that carry its version.
    assert {name for name in foreign if "cython" not in name} <= TRAFFIC_NEEDS
    own = {name.split(".")[1] for name in loaded if name.startswith("gatekeeper.")}
    assert own <= {"channel", "clock", "core", "dataplane", "errors", "http1", "telemetry", "tls"}
    assert "sqlite3" not in loaded


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_one_noun(path):
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST_FILE


@pytest.mark.parametrize(
    ("part", "line", "wrong"),
    [
        ("dataplane", "from gatekeeper.control.store.store import Store", True),
        ("dataplane", "import gatekeeper.control", True),
        ("dataplane", "def f():\n    from gatekeeper import control", True),
        ("dataplane", "from gatekeeper.core.routing import compile", False),
        ("control", "from gatekeeper.dataplane import worker", True),
        ("control", "from gatekeeper import __version__", False),
        ("core", "from gatekeeper.telemetry import block", True),
        ("core", "from gatekeeper import errors", False),
        ("core", "from . import split", True),
        ("http1", "from gatekeeper.core import model", True),
        ("http1", "from gatekeeper.core.codec import dump", False),
        ("http1", "from gatekeeper.core import codec", False),
        ("http1", "from gatekeeper.errors import Fault", False),
        ("interface", "from gatekeeper.core import model", True),
        ("interface", "from gatekeeper import config", True),
        ("interface", "def check():\n    from gatekeeper.config import load_file", False),
        ("interface", "def check():\n    from gatekeeper.control import store", True),
        ("control", "from gatekeeper import app", True),
    ],
)
def test_the_rule_itself_tells_right_from_wrong(part, line, wrong):
    assert bool(upward(part, line)) is wrong
