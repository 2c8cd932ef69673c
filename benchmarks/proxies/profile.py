"""Where a proxy's time goes: the kernel, the loop, Python, its own machine code; for figures that want a reason.

    python -m benchmarks.proxies.profile small,connections-10000 [nginx,gatekeeper] [--seconds 5]

Needs Linux's perf (`apt-get install linux-perf`) and leave to look into the kernel (root). Shares are of samples; times
are these shares of the CPU per request of the same run, so sampling itself is in them, a few per cent.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import machine
from benchmarks.processes import BenchmarkError, family, find
from benchmarks.proxies.cases import CASES
from benchmarks.proxies.contestants import CONTESTANTS
from benchmarks.proxies.measure import LOAD_CORE, WARM_UP_SECONDS, Run, Stage, play, staged
from benchmarks.proxies.report import table, titled

FUNCTIONS = 12
PARTS = {
    "[kernel": "the kernel",
    "libpython": "Python",
    "python3": "Python",
    "loop.cpython": "uvloop",
    "__mypyc": "gatekeeper, compiled",
    "libc.so": "libc",
    "libcrypto": "OpenSSL",
    "libssl": "OpenSSL",
}
"""How the names of files begin, or, after two underscores, end before their suffix, and what they are."""


@contextlib.contextmanager
def sampling(stage: Stage, seconds: float, path: Path) -> Iterator[None]:
    """Sample all processes of the proxy into ``path`` for that long, once the load is warm."""
    delay = round(1000 * (stage.case.settle + WARM_UP_SECONDS + 0.5))
    watched = ",".join(map(str, family(stage.pid)))
    command = [find("perf"), "record", "-q", "-F", "999", "-D", str(delay), "-o", str(path), "-p", watched]
    command += ["--", "sleep", str(delay / 1000 + seconds)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield
        finally:
            process.terminate()
            errors = process.communicate(timeout=60)[1]
    if not path.exists():
        raise BenchmarkError(f"perf recorded nothing: {errors.strip()[-500:]}")


def _reported(path: Path, key: str) -> list[tuple[float, str]]:
    command = [find("perf"), "report", "-i", str(path), "--stdio", "-q", "--no-children", "-F", f"overhead,{key}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise BenchmarkError(f"perf cannot read what it recorded: {done.stderr.strip()[-500:]}")
    return shares(done.stdout)


def shares(output: str) -> list[tuple[float, str]]:
    """Lines of ``perf report`` as parts of 1 and names."""
    found = []
    for line in output.splitlines():
        share, _, name = line.strip().partition("%")
        if name and not share.startswith("#"):
            found.append((float(share) / 100, " ".join(name.split())))
    return found


def part_of(file: str) -> str:
    """What code in this file is: ours, Python's, the kernel's."""
    for word, part in PARTS.items():
        if file.startswith(word) or (word.startswith("__") and word in file):
            return part
    return file


def profiled(case: str, name: str, seconds: float, path: Path) -> tuple[Run, dict[str, float], list[tuple[float, str]]]:
    """A run, the share of each part of the code, and the functions with the largest. Raises BenchmarkError."""
    with staged(CASES[case], CONTESTANTS[name]) as stage, sampling(stage, seconds, path):
        run = play(stage, seconds + 1)
    parts: dict[str, float] = {}
    for share, file in _reported(path, "dso"):
        parts[part_of(file)] = parts.get(part_of(file), 0.0) + share
    return run, parts, _reported(path, "sym")[:FUNCTIONS]


def section(case: str, name: str, run: Run, parts: dict[str, float], functions: list[tuple[float, str]]) -> list[str]:
    """Of the report."""
    whole = run.cpu_per_request * 1e6
    rows = [(part, f"{share:.0%}", f"{share * whole:,.1f} us") for part, share in parts.items() if share >= 0.005]
    first = ", ".join(f"`{words.removeprefix('[k] ').removeprefix('[.] ')}` {share:.1%}" for share, words in functions)
    heading = f"## {CASES[case].title} (`{case}`): {titled(name)}, {whole:,.1f} us a request"
    return [heading, "", *table(("", "share", "time"), rows), "", f"Most: {first}.", ""]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.proxies.profile", description=__doc__.partition("\n")[0])
    parser.add_argument("cases", help="comma-separated: " + ", ".join(CASES))
    parser.add_argument("proxies", nargs="?", default="nginx,gatekeeper", help="comma-separated")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args(arguments)
    cases, names = options.cases.split(","), options.proxies.split(",")
    if unknown := [
        *(each for each in cases if each not in CASES),
        *(each for each in names if each not in CONTESTANTS),
    ]:
        parser.error(f"unknown: {', '.join(unknown)}")
    os.sched_setaffinity(0, {LOAD_CORE})
    lines = ["# Where the time goes", ""]
    try:
        about = machine.heading() | machine.describe(("nginx", "wrk"))
        for case in cases:
            for name in names:
                with tempfile.TemporaryDirectory(prefix="gatekeeper-profile-") as folder:
                    found = profiled(case, name, options.seconds, Path(folder, "perf.data"))
                lines += section(case, name, *found)
    except BenchmarkError as problem:
        print(f"refused: {problem}", file=sys.stderr)
        return 1
    lines.append("; ".join(f"{key} {value}" for key, value in about.items()) + ".")
    print("\n".join(lines))
    machine.keep("profile", "\n".join([*lines, ""]), about)
    return 0


if __name__ == "__main__":
    sys.exit(main())
