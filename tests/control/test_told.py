"""docs/logs.md has every kind of event that the code tells, with every field that it writes there."""

import ast
from pathlib import Path

import pytest

from gatekeeper.core.release.model import TOLD
from tests.system.told import HEAD, fields, kinds

ROOT = Path(__file__).parents[2] / "gatekeeper"
NOT_EVENTS = {"dropped", "missed"}
"""What a stream tells its one reader, see ``control.api.stream``."""


def literals():
    """(kind, its other keys, place) of every event that is written out as a dict in the code."""
    for path in sorted(ROOT.rglob("*.py")):
        folder = path.relative_to(ROOT).parts[0]
        if folder in {"interface", "config", "dataplane", "http1"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Dict):
                continue
            keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "kind":
                    for kind in constants(value):
                        yield kind, set(keys) - {"kind", "at"}, f"{path.relative_to(ROOT)}:{node.lineno}"


def constants(node):
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from constants(node.body)
        yield from constants(node.orelse)


FOUND = [each for each in literals() if each[0] not in NOT_EVENTS]


@pytest.mark.parametrize(("kind", "keys", "place"), FOUND, ids=[f"{each[0]}-{each[2]}" for each in FOUND])
def test_an_event_of_the_code_is_documented_with_its_fields(kind, keys, place):
    assert kind in kinds(), place
    assert keys - HEAD <= fields()[kind], place


def test_every_kind_that_is_documented_is_told_somewhere():
    built = {f"release_{word}" for word in TOLD} | {"backend_ready", "backend_ejected"}  # their names are put together
    said = built | {each[0] for each in FOUND}
    texts = "".join(path.read_text() for path in ROOT.rglob("*.py"))
    assert {kind for kind in kinds() - said if f'"{kind}"' not in texts} == set()


def test_every_event_has_its_number_and_its_revision():
    assert all({"id", "revision"} <= fields()[kind] for kind in kinds())
