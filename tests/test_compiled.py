"""The traffic path as machine code (setup.py): what is asked for is what is built and what runs.

The promises of the modules are those of ``tests/http1``, ``tests/core`` and ``tests/dataplane``: ``make compiled`` runs
them on a compiled wheel.
"""

import importlib
import os
import runpy
import sys
from importlib.machinery import ExtensionFileLoader
from pathlib import Path

import gatekeeper

ROOT = Path(__file__).parents[1]
SETUP = runpy.run_path(str(ROOT / "setup.py"))
FILES = [ROOT / name for name in SETUP["FILES"]]


def test_what_was_asked_for_is_what_runs():
    """``make compiled`` sets the switch: its tests must not pass on Python because nothing was compiled."""
    if os.environ.get(SETUP["SWITCH"]) == "1":
        assert gatekeeper.COMPILED
    for part, names in SETUP["COMPILED"].items():
        for name in names:
            loader = importlib.import_module(f"gatekeeper.{part}.{name}").__loader__
            assert isinstance(loader, ExtensionFileLoader) is gatekeeper.COMPILED, name


def test_every_module_that_is_named_exists():
    assert [file for file in FILES if not file.is_file()] == []


def test_without_a_compiler_it_says_so_and_builds_python(monkeypatch, capsys):
    monkeypatch.setenv("CC", "/nonexistent/cc")
    monkeypatch.setattr(sys, "argv", ["setup.py", "bdist_wheel"])
    assert SETUP["extensions"]() == []
    assert "pure Python: no C compiler" in capsys.readouterr().err


def test_an_editable_install_compiles_nothing(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["setup.py", "editable_wheel"])
    assert SETUP["extensions"]() == []
