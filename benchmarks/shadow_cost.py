"""What mirrored requests cost those that are not: ``python -m benchmarks.shadow_cost``.

Two measurements. *CPU*: the data plane of one worker, whole, between transports that only count bytes, so that what
differs between two turns is the code and nothing else; turns with a mirror alternate with turns without. *Times*: users
of a gatekeeper on a core of its own at a fixed rate, by an open loop; a gatekeeper with a mirror takes turns with one
without. See README.md.
"""

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from benchmarks.machine import heading, keep
from benchmarks.processes import BenchmarkError, Cores, Ports, cpu_seconds
from benchmarks.proxies import heads
from benchmarks.proxies.cases import CASES
from benchmarks.proxies.contestants import Contestant
from benchmarks.proxies.job import Job
from benchmarks.proxies.latency import LATE_P99, WARM_SECONDS, drive, quantiles
from benchmarks.proxies.measure import FOREIGN_LIMIT, PROXY_CORE, staged
from benchmarks.proxies.peers import gatekeeper
from benchmarks.recording_cost import ANSWER, HEAD, USERS, Sink, Turns
from gatekeeper.core.model import Backend, Definition, Service, Settings, Version
from gatekeeper.core.reload import initial_state
from gatekeeper.core.routing import compile  # noqa: A004 - the project's word for it
from gatekeeper.core.shadow.model import Mirror
from gatekeeper.dataplane.downstream import Downstream
from gatekeeper.dataplane.plane import Plane
from gatekeeper.dataplane.shadow.lines import Line
from gatekeeper.dataplane.upstream import Upstream
from gatekeeper.telemetry.accesslog import AccessLog
from gatekeeper.telemetry.block import Block
from gatekeeper.telemetry.recorder import Recorder

SLOTS = {"shop": {"blue": 2, "green": 3}, "blog": {"blue": 4, "green": 5}}
TURN = 2_000
"""Requests of one turn, 30 ms: a second of others on the machine spoils a few, which a median leaves out."""
LINES = 4
MIRROR = Mirror("green")
MIRRORS: dict[str, tuple[float | None, float | None]] = {
    "at 0 %": (0.0, None),
    "of another service": (None, 10.0),
    "at 10 %": (10.0, None),
}
"""Percent that the service's mirror has, and another service's."""
MOST_SLOWER = 1.1
"""What users' p99 may be of what it is without a mirror."""


class Bench:
    """A worker with a connection from a client, one to the version that users get, and some for copies."""

    def __init__(self, block: Block) -> None:
        self.loop = Turns()
        loop: Any = self.loop
        self.plane = Plane(loop, Recorder(block), AccessLog("off", dropped=lambda _lines: None))
        self._heads = cycle([HEAD.format(path="checkout", page=0, user=user).encode() for user in range(USERS)])
        self._lines: list[Line] = []
        self.mirror()
        self._client = Downstream(self.plane, loop)
        sink: Any = Sink()
        self._client.connection_made(sink)
        for backend in self.plane.backends.all():
            if backend.key[:2] == ("shop", "blue"):
                upstream = Upstream(backend)
                upstream.connection_made(sink)
                backend.give(upstream, time.monotonic())

    def mirror(self, here: float | None = None, there: float | None = None) -> None:
        """Give the service that is asked a mirror with so many percent, and another one, that is not; None: none."""
        services = {
            name: Service(
                name,
                {each: Version(each, (Backend(f"http://{each}-{name}:80"),)) for each in slots},
                "blue",
                {"blue": Decimal(100), "green": Decimal(0)},
                hosts=(f"{name}.test",),
                mirror=None if percent is None else replace(MIRROR, percent=percent),
            )
            for (name, slots), percent in zip(SLOTS.items(), (here, there), strict=True)
        }
        state = initial_state(Definition(Settings(), services), {}, 1, "ab" * 32, time.time())[0]
        self.plane.swap(compile(state, SLOTS, None), state)

    def _fill(self) -> None:
        """Copies find connections: making one is a matter of the loop."""
        lines = self.plane.mirroring._lines
        while len(lines) < LINES:
            for backend in self.plane.backends.all():
                if backend.key[0] == "shop":
                    line = Line(lines, backend)
                    sink: Any = Sink()
                    line.connection_made(sink)
                    lines.give(line, time.monotonic())
                    self._lines.append(line)

    def turn(self) -> float:
        """CPU seconds of TURN requests, each answered at once, its copies behind it."""
        client, loop, shadows = self._client, self.loop, self.plane.mirroring
        self._fill()
        requests = list(islice(self._heads, TURN))
        begin = time.process_time()
        for request in requests:
            client.data_received(request)
            loop.run()
            exchange: Any = client.exchange
            exchange.upstream.data_received(ANSWER)
            loop.run()
            if shadows._under_way:
                for line in self._lines:
                    if line.copy is not None:
                        line.data_received(ANSWER)
                loop.run()
        took = time.process_time() - begin
        shadows.look(time.monotonic())
        return took


def cpu(rounds: int) -> dict[str, dict[str, float]]:
    """By mirror, in microseconds: a request without one, what it adds, and the middle half of that."""
    block = Block.create(8)
    bench = Bench(block)
    found = {}
    for name, (here, there) in MIRRORS.items():
        without, added = [], []
        for _ in range(rounds):
            bench.mirror()
            before = bench.turn()
            bench.mirror(here, there)
            on = bench.turn()
            bench.mirror()
            after = bench.turn()
            without.append((before + after) / 2)
            added.append(on - (before + after) / 2)
        low, middle, high = statistics.quantiles(added, n=4)
        scale = 1e6 / TURN
        found[name] = {
            "request_us": statistics.median(without) * scale,
            "added_us": middle * scale,
            "added_low_us": low * scale,
            "added_high_us": high * scale,
        }
    return found


# Users' times


@dataclass(frozen=True, slots=True)
class Timed:
    """A gatekeeper with a mirror of so many percent (None: without one). Times in seconds, ``cpu`` per request."""

    percent: float | None
    took: dict[str, float]
    late: dict[str, float]
    cpu: float
    foreign: float
    outcomes: dict[str, int]


def _configured(percent: float | None) -> Contestant:
    """Users have blue and green; copies go to a third version, that nobody has."""

    def configure(folder: Path, ports: Ports, job: Job) -> Sequence[str]:
        command = gatekeeper.prepare(folder, ports, job)
        path = folder / "gatekeeper.yaml"
        document = json.loads(path.read_text())
        shop = document["services"]["shop"]
        shop["versions"] = {**shop["versions"], "next": {"backends": f"http://127.0.0.1:{ports.green}"}}
        if percent is not None:
            shop["mirror"] = {"to": "next", "percent": percent}
        path.write_text(json.dumps(document))
        return command

    return Contestant("gatekeeper", "gatekeeper", splits=True, configure=configure)


def timed(percent: float | None, rate: float, seconds: float) -> Timed:
    """One gatekeeper, started for it. Raises BenchmarkError."""
    case = CASES["small"]
    with staged(case, _configured(percent)) as stage:
        requests = heads.write(stage.folder, heads.requests(stage.ports, case.job, case.shape))
        drive(stage.ports.proxy, requests, rate, WARM_SECONDS)
        cores, before = Cores([stage.pid], (PROXY_CORE,)), cpu_seconds(stage.pid)
        found = drive(stage.ports.proxy, requests, rate, seconds)
        used, foreign = cpu_seconds(stage.pid) - before, cores.foreign()
        time.sleep(1.5)  # until workers have told of the last second
        admin = gatekeeper.Admin(stage.folder)
        runs = admin.say("GET", "/v1/services/shop/shadow")["runs"]
        admin.close()
        outcomes = {name: many for name, many in runs[0]["outcomes"].items() if many} if runs else {}
        return Timed(
            percent, quantiles(found.took), quantiles(found.late), used / found.answered, foreign, outcomes
        )  # fmt: skip


def doubt(each: Timed) -> str:
    """Why it must not be believed; empty if it may."""
    if each.foreign > FOREIGN_LIMIT:
        return f"other programs used {each.foreign:.0%} of its core (allowed: {FOREIGN_LIMIT:.0%})"
    if each.late["p99"] > LATE_P99:
        return f"the driver was late by {each.late['p99'] * 1e3:.1f} ms itself (p99, allowed: {LATE_P99 * 1e3:.0f} ms)"
    return ""


def rounds_of(percent: float, rate: float, seconds: float, rounds: int, attempts: int) -> Iterator[tuple[Timed, Timed]]:
    """Without a mirror and with one, in turns. Raises BenchmarkError where one is not to be believed."""
    for number in range(rounds):
        pair = []
        for each in (None, percent):
            for attempt in range(attempts):
                found = timed(each, rate, seconds)
                why = doubt(found)
                if not why:
                    break
                sys.stderr.write(f"round {number + 1}, {each}: {why}\n")
                if attempt == attempts - 1:
                    raise BenchmarkError(f"{why}; try again on a machine that does nothing else, or with --attempts")
            pair.append(found)
            sys.stderr.write(f"round {number + 1}, mirror {each}: p99 {found.took['p99'] * 1e6:.0f} us\n")
        yield pair[0], pair[1]


# The report


def _cpu_table(found: dict[str, dict[str, float]]) -> list[str]:
    lines = ["| mirror | a request without one | it adds | middle half |", "|---|---:|---:|---:|"]
    for name, each in found.items():
        spread = f"{each['added_low_us']:.2f} - {each['added_high_us']:.2f}"
        lines.append(f"| {name} | {each['request_us']:.2f} | {each['added_us']:.2f} | {spread} |")
    return lines


def _times_table(name: str, pairs: Sequence[tuple[Timed, Timed]]) -> list[str]:
    lines = [f"| {name} | without | with | ratio of each round |", "|---|---:|---:|---|"]
    for quantile in ("p50", "p99", "p99.9"):
        without, with_ = ([side.took[quantile] * 1e6 for side in sides] for sides in zip(*pairs, strict=True))
        ratios = ", ".join(f"{ours / theirs:.2f}" for theirs, ours in zip(without, with_, strict=True))
        lines.append(
            f"| {quantile}, us | {statistics.median(without):.0f} | {statistics.median(with_):.0f} | {ratios} |"
        )
    cpus = [statistics.median([side.cpu * 1e6 for side in sides]) for sides in zip(*pairs, strict=True)]
    lines.append(f"| CPU a request, us | {cpus[0]:.1f} | {cpus[1]:.1f} | |")
    told = ", ".join(f"{many:,} {outcome}" for outcome, many in pairs[-1][1].outcomes.items())
    return [*lines, "", f"Of the last round's requests: {told or 'nothing was copied'}."]


def slower(pairs: Sequence[tuple[Timed, Timed]]) -> float:
    """The median over the rounds of the ratio of both p99."""
    return statistics.median([with_.took["p99"] / without.took["p99"] for without, with_ in pairs])


def report(options: argparse.Namespace) -> bool:
    """Measure, print and keep; whether users' p99 is within the bound."""
    about = heading()
    lines = [
        f"# What mirrored requests cost, {about['date']}, {about['revision']}",
        "",
        "CPU of the data plane in microseconds; medians, and the middle half, of differences between turns of",
        f"{TURN:,} requests that follow each other, {options.turns} times.",
        "",
    ]
    of_cpu = cpu(options.turns)
    lines += _cpu_table(of_cpu)
    good, raw = True, []
    if options.rounds:
        percent = options.percent
        pairs = list(rounds_of(percent, options.rate, options.seconds, options.rounds, options.attempts))
        raw = pairs
        good = slower(pairs) <= MOST_SLOWER
        lines += [
            "",
            f"Users' times at {options.rate:,.0f} requests a second, {options.rounds} rounds of {options.seconds:g} s,",
            f"with a mirror of {percent:g} %, each copy asked twice:",
            "",
            *_times_table(f"mirror {percent:g} %", pairs),
            "",
            f"p99: {slower(pairs):.2f} of what it is without (allowed: {MOST_SLOWER}): {'pass' if good else 'FAIL'}.",
        ]
    lines += ["", f"{about['cpu']}, Python {about['python']}, kernel {about['kernel']}.", ""]
    text = "\n".join(lines)
    print(text)
    if not options.no_write:
        kept = {"about": about, "cpu": of_cpu, "times": [[_plain(each) for each in pair] for pair in raw]}
        keep("shadow", text, about, json.dumps(kept, indent=1))
    return good


def _plain(each: Timed) -> dict[str, Any]:
    return {name: getattr(each, name) for name in each.__slots__}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shadow_cost", description=__doc__)
    parser.add_argument("--turns", type=int, default=60, help="of each mirror, for CPU")
    parser.add_argument("--rounds", type=int, default=5, help="of both, for times; 0: CPU alone")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a round")
    parser.add_argument("--rate", type=float, default=5_000.0, help="requests a second")
    parser.add_argument("--percent", type=float, default=10.0, help="of the mirror, for times")
    parser.add_argument("--attempts", type=int, default=3, help="for a run that is not to be believed")
    parser.add_argument("--no-write", action="store_true", help="keep no results")
    options = parser.parse_args(arguments)
    gc.set_threshold(50_000, 20, 100)  # as a worker does
    try:
        good = report(options)
    except BenchmarkError as error:
        sys.exit(f"{parser.prog}: {error}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
