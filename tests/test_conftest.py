"""The marker that keeps a trusted run from passing by testing less."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).with_name("conftest.py")
SAMPLE = """
import pytest

@pytest.mark.outside("no-such-program")
def test_needs_it():
    raise AssertionError("ran without the program")

@pytest.mark.outside("python3")
def test_has_it():
    pass
"""


def _outcome(folder: Path, environ: dict[str, str]) -> str:
    shutil.copy(CONFTEST, folder / "conftest.py")
    (folder / "test_sample.py").write_text(SAMPLE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(folder),
    ]
    done = subprocess.run(
        [*command, str(folder)], env=environ, capture_output=True, text=True, timeout=60, check=False, cwd=folder
    )
    return done.stdout.strip().splitlines()[-1]


def test_a_missing_program_skips_its_tests_on_a_developers_machine(tmp_path):
    outcome = _outcome(tmp_path, {k: v for k, v in os.environ.items() if k != "CI"})
    assert "1 passed" in outcome
    assert "1 skipped" in outcome


def test_a_missing_program_fails_its_tests_in_ci(tmp_path):
    outcome = _outcome(tmp_path, {**os.environ, "CI": "true"})
    assert "1 passed" in outcome
    assert "1 error" in outcome


def test_free_ports_are_different_and_can_be_listened_on(free_ports):
    ports = free_ports(20) + free_ports(20)
    assert len(set(ports)) == 40
    assert all(20_000 <= port < 32_000 for port in ports)
