"""CPU per request, times at fixed rates and memory of gatekeeper beside other proxies, in one run.

    python -m benchmarks.proxies [--only small,tls,nginx,gatekeeper] [--rounds 5] [--seconds 5] [--soak 60] [--rehearse]

Contestants take turns (A B C A B C ...), so that a slow minute of the machine meets all of them, and so do the cases.
A run that is not to be believed is refused rather than reported: its place in the table stays empty and says why. Exit
0 if all could be believed, 1 if not. Whether gatekeeper keeps its promises is printed, and changes no exit code.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from benchmarks import machine
from benchmarks.processes import BenchmarkError
from benchmarks.proxies import idle, latency, picture, programs, report, soak
from benchmarks.proxies.cases import CASES
from benchmarks.proxies.contestants import CONTESTANTS
from benchmarks.proxies.gates import gates
from benchmarks.proxies.measure import LOAD_CORE, PROXY_CORE, Run, doubt, run_once
from benchmarks.proxies.results import Results

PAUSE_SECONDS = 2.0
"""Wait before a doubted run is tried again: most bursts of neighbours on a shared machine are over by then."""
SPECIAL = (latency.NAME, idle.NAME, soak.NAME)
IDLE_ROUNDS = 3
"""Memory does not depend on what else the machine does."""
REHEARSAL_SECONDS = 20.0
Found = TypeVar("Found")


class Harness:
    """Plays what was chosen; what is refused once is not tried in later rounds."""

    def __init__(self, names: Sequence[str], options: argparse.Namespace) -> None:
        self._names = names
        self._options = options
        self.results = Results()

    def _believed(self, case: str, name: str, one: Callable[[], Found], why: Callable[[Found], str]) -> Found | None:
        """What ``one`` finds, if it may be believed; tried some times. Else None, and the reason is kept."""
        if (case, name) in self.results.refused:
            return None
        reason = ""
        for attempt in range(self._options.attempts):
            if attempt:
                time.sleep(PAUSE_SECONDS)
            try:
                found = one()
            except BenchmarkError as problem:
                reason = str(problem)
            else:
                reason = why(found)
                if not reason or self._options.rehearse:
                    if reason:
                        print(f"  {case} {name}: would be refused: {reason}", file=sys.stderr, flush=True)
                    return found
            print(f"  {case} {name}: {reason}", file=sys.stderr, flush=True)
        self.results.refused[case, name] = reason
        return None

    def _taking_part(self, rivals: Sequence[str]) -> list[str]:
        return [name for name in rivals if name in self._names or name == "direct"]

    def loaded(self, cases: Sequence[str]) -> None:
        for case in cases:
            self.results.rounds[case] = [{} for _ in range(self._options.rounds)]
        for number in range(self._options.rounds):
            for case in cases:
                for name in self._taking_part(CASES[case].rivals):
                    self._loaded_once(number, case, name)

    def _loaded_once(self, number: int, case: str, name: str) -> None:
        def one() -> Run:
            return run_once(CASES[case], CONTESTANTS[name], self._options.seconds)

        run = self._believed(case, name, one, doubt)
        if run is not None:
            self.results.rounds[case][number][name] = run
            print(
                f"  {number + 1}/{self._options.rounds} {case:18} {name:10} {run.cpu_per_request * 1e6:10,.1f} "
                f"us/request {run.throughput:10,.1f}/s  core {run.busy:.0%} busy",
                file=sys.stderr,
                flush=True,
            )

    def _most(self, case: str, name: str) -> Run | None:
        """What a contestant can do at most, for a case that asks for a part of that."""
        return self._believed(
            case, name, lambda: run_once(CASES["small"], CONTESTANTS[name], self._options.seconds), doubt
        )

    def latency(self) -> None:
        names, seconds, most = self._taking_part(latency.RIVALS), self._options.seconds, {}
        for name in dict.fromkeys((*latency.SETTERS, *names)):
            if name != "direct" and (run := self._most(latency.NAME, name)) is not None:
                most[name] = run.throughput
        if not set(latency.SETTERS) <= most.keys():
            return
        rates = latency.Rates(most)
        for number in range(self._options.rounds):
            played: dict[str, list[latency.Timed]] = {}
            for name in names:
                found = self._believed(
                    latency.NAME,
                    name,
                    lambda name=name: latency.play(name, rates, seconds),  # type: ignore[misc]
                    lambda found: next(filter(None, map(latency.doubt, found)), ""),
                )
                if found:
                    played[name] = found
                    words = ", ".join(f"{each.rate:,.0f}/s p99 {each.took['p99'] * 1e6:,.0f} us" for each in found)
                    print(f"  {number + 1}/{self._options.rounds} latency {name:10} {words}", file=sys.stderr)
            self.results.timed.append(played)

    def idle(self) -> None:
        for number in range(min(self._options.rounds, IDLE_ROUNDS)):
            played = {}
            for name in self._taking_part(idle.RIVALS):
                held = self._believed(idle.NAME, name, lambda name=name: idle.play(name), lambda _: "")  # type: ignore[misc]
                if held is not None:
                    played[name] = held
                    words = f"{held.added / 2**20:+.1f} MiB for {held.connections:,} connections"
                    print(f"  {number + 1} idle {name:10} {words}", file=sys.stderr, flush=True)
            self.results.held.append(played)

    def soak(self) -> None:
        seconds = REHEARSAL_SECONDS if self._options.rehearse else self._options.soak * 60
        print(f"  soak: {seconds:,.0f} s", file=sys.stderr, flush=True)
        most = self._most(soak.NAME, "gatekeeper")
        if most is None:
            return
        # Not tried again: an hour is long, and what others do to it can be seen in its parts.
        try:
            self.results.soak = soak.play(seconds, most.throughput)
        except BenchmarkError as problem:
            self.results.refused[soak.NAME, "gatekeeper"] = str(problem)


def chosen(only: str) -> tuple[list[str], list[str]]:
    """Cases and contestants of ``--only``; of which none is named all are. Raises BenchmarkError for a word unknown."""
    words = [word for word in only.split(",") if word]
    every = (*CASES, *SPECIAL)
    if unknown := [word for word in words if word not in every and word not in CONTESTANTS]:
        known = f"cases: {', '.join(every)}; proxies: {', '.join(CONTESTANTS)}"
        raise BenchmarkError(f"unknown: {', '.join(unknown)} ({known})")
    cases = [name for name in every if name in words] or list(every)
    names = [name for name in CONTESTANTS if name in words] or list(CONTESTANTS)
    return cases, names


def parsed(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[str], list[str]]:
    parser = argparse.ArgumentParser(prog="benchmarks.proxies", description=__doc__.partition("\n")[0])
    known = f"cases ({', '.join((*CASES, *SPECIAL))}), proxies ({', '.join(CONTESTANTS)}), or both (default: all)"
    parser.add_argument("--only", default="", help=f"comma-separated: {known}")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each proxy (default 5)")
    parser.add_argument("--seconds", type=int, default=5, help="length of one measurement (default 5)")
    parser.add_argument("--attempts", type=int, default=3, help="tries of a run that is in doubt (default 3)")
    parser.add_argument("--soak", type=float, default=60, metavar="MINUTES", help="length of the soak (default 60)")
    parser.add_argument("--no-install", action="store_true", help="fail where a program is missing")
    parser.add_argument("--no-write", action="store_true", help="print only; leave benchmarks/results alone")
    parser.add_argument(
        "--rehearse",
        action="store_true",
        help="everything once, for a second, to see that it works; nothing is written",
    )
    options = parser.parse_args(arguments)
    try:
        cases, names = chosen(options.only)
    except BenchmarkError as problem:
        parser.error(str(problem))
    if options.rehearse:
        options.rounds, options.seconds, options.attempts, options.no_write = 1, 1, 1, True
    if min(options.rounds, options.seconds, options.attempts) < 1 or options.soak <= 0:
        parser.error("--rounds, --seconds and --attempts start at 1, --soak above 0")
    return options, cases, names


def heading(names: Sequence[str], options: argparse.Namespace) -> dict[str, str]:
    known = [name for name in ("nginx", "haproxy", "envoy", "caddy") if name in names]
    about = machine.heading() | machine.describe((*known, "wrk"))
    about |= {"rounds": str(options.rounds), "seconds": str(options.seconds)}
    return about | ({"rehearsal": "not to be believed"} if options.rehearse else {})


def kept(results: Results, about: dict[str, str]) -> None:
    stem = f"proxies-{about['date']}-{about['revision']}"
    drawn = picture.draw(results)
    machine.keep(
        "proxies",
        report.markdown(results, about, f"{stem}.svg" if drawn else ""),
        about,
        report.as_json(results, about),
    )
    if drawn:
        (machine.ROOT / "benchmarks" / "results" / f"{stem}.svg").write_text(drawn)


def main(arguments: Sequence[str] | None = None) -> int:
    options, cases, names = parsed(arguments)
    if not {PROXY_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        print(f"refused: cores {PROXY_CORE} (proxy) and {LOAD_CORE} (load) are needed", file=sys.stderr)
        return 1
    harness = Harness(names, options)
    try:
        needed = {program for name in names for program in CONTESTANTS[name].needs}
        programs.ensure(
            ["nginx", "haproxy", "wrk", "taskset", "openssl", *sorted(needed)], install=not options.no_install
        )
        os.sched_setaffinity(0, {LOAD_CORE})  # the harness itself must not disturb what it measures
        about = heading(names, options)
    except BenchmarkError as problem:
        print(f"refused: {problem}", file=sys.stderr)
        return 1
    try:
        harness.loaded([case for case in cases if case in CASES])
        for name, play in ((latency.NAME, harness.latency), (idle.NAME, harness.idle), (soak.NAME, harness.soak)):
            if name in cases:
                play()
    except KeyboardInterrupt:
        print("ended early: what follows is what there is", file=sys.stderr)
    results = harness.results
    print(report.markdown(results, about))
    if not options.no_write:
        kept(results, about)
    missed = [gate for gate in gates(results) if gate.holds is False]
    print(f"{len(missed)} promises missed, {len(results.refused)} figures refused", file=sys.stderr)
    return int(bool(results.refused))


if __name__ == "__main__":
    sys.exit(main())
