"""Coverage-guided fuzzing of gatekeeper's traffic path, with atheris.

    python -m tests.fuzz TARGET [--seconds N] [--corpus DIR] [--findings DIR]
    python -m tests.fuzz TARGET --replay FILE...

A finding does not end the run: it is made smaller, written to the findings (one per place and kind) and counted.
Exit 1 if there are any. What hangs or exhausts memory is written as well, and the run goes on in a new process.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NAMES = ("request", "response", "chunked", "frames", "proxy", "session")
# An input that takes longer than this many seconds hangs. The slowest honest ones take a tenth of a second, but on a
# busy machine a process of low priority may stand still for long, and the clock goes on.
HANG_SECONDS = 120
MEMORY_MIB = 2048
# Seconds spent on making a finding smaller: well below what counts as hanging.
SHRINK_SECONDS = 10
LONGEST = {"request": 4096, "response": 4096, "chunked": 4096, "frames": 1024, "proxy": 512, "session": 2048}

Check = Callable[[bytes], None]


def place(error: BaseException) -> str:
    """What makes two findings the same: the kind of error, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    where = frames[-1]
    return f"{type(error).__name__}-{Path(where.filename).stem}-{where.lineno}"


def outcome(check: Check, data: bytes) -> str:
    try:
        check(data)
    except Exception as error:  # noqa: BLE001 - any error at all is a finding
        return place(error)
    return ""


def smaller(check: Check, data: bytes, wanted: str) -> bytes:
    """Less of the same finding: pieces are left out as long as it stays."""
    end = time.monotonic() + SHRINK_SECONDS
    size = max(1, len(data) // 2)
    while size:
        at = 0
        while at < len(data) and time.monotonic() < end:
            less = data[:at] + data[at + size :]
            if outcome(check, less) == wanted:
                data = less
            else:
                at += size
        size //= 2
    return data


def modules() -> list[str]:
    """Every module of gatekeeper, by its dotted name."""
    root = HERE.parents[1]
    paths = [path.relative_to(root).with_suffix("") for path in (root / "gatekeeper").rglob("*.py")]
    return [".".join(path.parts).removesuffix(".__init__") for path in paths]


def fuzz(name: str, seconds: int, corpus: Path, findings: Path) -> None:
    """Run until the time is over. Does not return: libFuzzer ends the process."""
    import atheris  # type: ignore[import-untyped]

    # Coverage elsewhere would reward inputs for finding new weights instead of new traffic, and costs half the speed.
    others = [each for each in modules() if not each.startswith(("gatekeeper.http1", "gatekeeper.dataplane"))]
    with atheris.instrument_imports(include=["gatekeeper"], exclude=others, enable_loader_override=False):
        from tests.fuzz.targets import PLAINER, TARGETS
    check = TARGETS[name]

    def one(data: bytes) -> None:
        try:
            check(data)
        except Exception as error:  # noqa: BLE001 - any error at all is a finding
            kind = place(error)
            found = findings / f"{name}-{kind}.bin"
            if not found.exists():
                found.write_bytes(data)
                sys.stderr.write(f"fuzz: found {found.name}\n{traceback.format_exc()}\n")
                data = smaller(check, data, kind)
                plain = PLAINER[name](data) if name in PLAINER else data
                found.write_bytes(plain if outcome(check, plain) == kind else data)

    words = HERE / "words.dict"
    seeds = HERE / "seeds" / name
    arguments = [
        sys.argv[0], str(corpus), *([str(seeds)] if seeds.is_dir() else []), f"-max_total_time={seconds}",
        f"-timeout={HANG_SECONDS}", f"-rss_limit_mb={MEMORY_MIB}", f"-artifact_prefix={findings}/{name}-",
        f"-max_len={LONGEST[name]}", "-print_final_stats=1", "-reload=0", "-len_control=20",
        *([f"-dict={words}"] if name in {"request", "response", "chunked"} else []),
    ]  # fmt: skip
    options = {}
    if name == "session":
        from tests.fuzz.mutate import mutate

        def other(data: bytes, most: int, seed: int) -> bytes:
            return mutate(data, most, seed) if seed % 2 else atheris.Mutate(data, most)

        options["custom_mutator"] = other
    atheris.Setup(arguments, one, **options)
    atheris.Fuzz()


def drive(name: str, seconds: int, corpus: Path, findings: Path) -> int:
    """Run it in processes of its own until the time is over; what they did in all."""
    end = time.monotonic() + seconds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that its process ends with it
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    executed = covered = features = 0
    while (left := round(end - time.monotonic())) > 0:
        command = [sys.executable, "-m", "tests.fuzz", name, "--seconds", str(left), "--corpus", str(corpus)]
        command += ["--findings", str(findings), "--here"]
        with subprocess.Popen(command, cwd=HERE.parents[1], stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            try:
                for line in process.stderr:
                    sys.stderr.write(line)
                    if found := re.search(r"cov: (\d+) ft: (\d+)", line):
                        covered, features = int(found[1]), int(found[2])
                    elif found := re.search(r"stat::number_of_executed_units: *(\d+)", line):
                        executed += int(found[1])
            finally:
                process.terminate()
        if process.returncode and time.monotonic() < end - 1:
            sys.stderr.write(f"fuzz: the process ended with {process.returncode}; going on in a new one\n")
            time.sleep(1)  # one that cannot even start must not become a storm
    names = sorted(path.name for path in findings.glob(f"{name}-*"))
    sys.stdout.write(f"{name}: {executed} executions, {covered} edges, {features} features\n")
    sys.stdout.write(f"findings: {', '.join(names) or 'none'}\n")
    return 1 if names else 0


def replay(name: str, files: list[str]) -> int:
    from tests.fuzz.targets import TARGETS

    bad = 0
    for file in files:
        try:
            TARGETS[name](Path(file).read_bytes())
        except Exception:  # noqa: BLE001 - any error at all is a finding
            bad += 1
            sys.stdout.write(f"{file}:\n{traceback.format_exc()}\n")
        else:
            sys.stdout.write(f"{file}: holds\n")
    return 1 if bad else 0


def main() -> Any:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--findings", type=Path)
    parser.add_argument("--replay", nargs="+", metavar="FILE")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.replay:
        return replay(options.target, options.replay)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "gatekeeper-fuzz"
    corpus = (options.corpus or cache / options.target).absolute()
    findings = (options.findings or corpus.parent / "findings").absolute()
    if options.here:
        return fuzz(options.target, options.seconds, corpus, findings)
    return drive(options.target, options.seconds, corpus, findings)


if __name__ == "__main__":
    sys.exit(main())
