"""What recording for a judge costs a worker: ``python -m benchmarks.recording_cost``.

The data plane of one worker, whole, between transports that only count bytes: no kernel, no loop, so what differs
between two runs is the code and nothing else. Turns of a few thousand requests alternate between a service that is
judged and the same one when nobody judges it; a figure is the median of the differences of turns that follow each
other, in CPU time. See README.md.
"""

import argparse
import gc
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import cycle, islice
from typing import Any

from benchmarks.machine import heading, keep
from gatekeeper.channel import encode
from gatekeeper.core.flags.model import FlagState
from gatekeeper.core.judge.units import SIZE
from gatekeeper.core.model import Backend, Definition, Service, Settings, State, Sticky, StickyMode, Version
from gatekeeper.core.reload import initial_state
from gatekeeper.core.routing import compile  # noqa: A004 - the project's word for it
from gatekeeper.dataplane.downstream import Downstream
from gatekeeper.dataplane.plane import Plane
from gatekeeper.dataplane.upstream import Upstream
from gatekeeper.telemetry.accesslog import AccessLog
from gatekeeper.telemetry.block import Block
from gatekeeper.telemetry.recorder import Recorder

SLOTS = {"blue": 2, "green": 3}
USERS = 64
TURN = 2_000
"""Requests of one turn, 50 ms: a second of others on the machine spoils a few, which a median leaves out."""
PAGES = 4096
SWEEP = 250
"""Requests between two looks at what was recorded: 2,500 a second."""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
HEAD = (
    "GET /{path} HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html\r\n"
    "Accept-Language: en\r\nAccept-Encoding: gzip\r\nReferer: http://shop.test/{page}\r\n"
    "Cookie: a=1; gatekeeper-shop=user{user:04}\r\n\r\n"
)
SETTINGS: dict[str, tuple[StickyMode, bool]] = {
    "users kept, heads that repeat": (StickyMode.RAMP, False),
    "users kept, heads that do not": (StickyMode.RAMP, True),
    "a draw per request": (StickyMode.NONE, False),
}
"""What is measured: how labels stick, and whether each head is another."""


class Sink:
    """A transport that takes everything at once."""

    def write(self, data: bytes) -> None: ...

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("203.0.113.9", 1234) if name == "peername" else default

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Turns:
    """A loop that is turned by hand."""

    def __init__(self) -> None:
        self._calls: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def call_soon(self, call: Callable[..., object], *arguments: Any) -> None:
        self._calls.append((call, arguments))

    def run(self) -> None:
        while self._calls:
            calls, self._calls = self._calls, []
            for call, arguments in calls:
                call(*arguments)


class Bench:
    """A worker with one connection from a client, and one to each of two versions."""

    def __init__(self, mode: StickyMode, *, changing: bool, block: Block, seen: str) -> None:
        self.loop = Turns()
        loop: Any = self.loop
        self.plane = Plane(loop, Recorder(block), AccessLog("off", dropped=lambda _lines: None))
        versions = {name: Version(name, (Backend(f"http://{name}:80"),)) for name in SLOTS}
        weights = {name: Decimal(50) for name in SLOTS}
        service = Service("shop", versions, "blue", weights, sticky=Sticky(mode=mode))
        self._state: State = initial_state(Definition(Settings(), {"shop": service}), {}, 1, "ab" * 32, time.time())[0]
        self.fly({})
        self._upstreams = {}
        for group in self.plane.snapshot.groups:
            for backend, _ in group.members if group is not None else ():
                upstream = Upstream(backend)
                sink: Any = Sink()
                upstream.connection_made(sink)
                backend.give(upstream, time.monotonic())
                self._upstreams[backend.id] = upstream
        self._client = Downstream(self.plane, loop)
        sink = Sink()
        self._client.connection_made(sink)
        pages = PAGES if changing else 1
        heads = [
            HEAD.format(path="checkout", page=page, user=user).encode()
            for page in range(pages)
            for user in range(USERS)
        ]
        self._heads = cycle(heads)
        self._units = mode is StickyMode.RAMP
        self._seen = seen

    def fly(self, flags: Mapping[str, FlagState]) -> None:
        """Route with these flags."""
        state = replace(self._state, flags=flags)
        self.plane.swap(compile(state, {"shop": SLOTS}, None), state)

    def judge(self, *, judged: bool) -> None:
        case = {
            "release": "r", "service": "shop", "stable": "blue", "candidate": "green", "units": self._units,
            "origin": time.monotonic(), "tolerate": [0.05, 0.002], "slow": 0.8, "routes": ["/checkout", "/cart"],
            "seen": self._seen,
        }  # fmt: skip
        self.plane.judge([case] if judged else [])

    def turn(self, requests: int = 0) -> float:
        """CPU seconds of so many requests (TURN unless said), each answered at once."""
        client, loop = self._client, self.loop
        heads = list(islice(self._heads, requests or TURN))
        now = time.monotonic()
        begin = time.process_time()
        for number, head in enumerate(heads):
            client.data_received(head)
            loop.run()
            exchange: Any = client.exchange
            exchange.upstream.data_received(ANSWER)
            loop.run()
            if not number % SWEEP:
                self.plane.dockets.look(now, self.plane.connections)
                self.plane.tally.look(now)
        return time.process_time() - begin

    def seconds(self) -> float:
        """CPU seconds of telling the supervisor of one second with TURN requests."""
        self.turn()
        now = time.monotonic() + 2.0
        begin = time.process_time()
        for message in self.plane.dockets.look(now, self.plane.connections):
            encode(message)
        return time.process_time() - begin


def measure(mode: StickyMode, changing: bool, rounds: int) -> dict[str, float]:
    """In microseconds: a request when nobody judges, what judging adds, the spread of that; telling of a second."""
    block = Block.create(8)
    with tempfile.NamedTemporaryFile() as seen:
        seen.write(bytes([255]) * SIZE)  # users come back: all were seen before
        seen.flush()
        bench = Bench(mode, changing=changing, block=block, seen=seen.name)
        return _measured(bench, rounds)


def _measured(bench: Bench, rounds: int) -> dict[str, float]:
    bench.turn()
    without, added, told = [], [], []
    for _ in range(rounds):
        bench.judge(judged=False)
        before = bench.turn()
        bench.judge(judged=True)
        on = bench.turn()
        bench.judge(judged=False)
        after = bench.turn()
        without.append((before + after) / 2)
        added.append(on - (before + after) / 2)
        bench.judge(judged=True)
        told.append(bench.seconds())
    low, middle, high = statistics.quantiles(added, n=4)
    scale = 1e6 / TURN
    return {
        "request_us": statistics.median(without) * scale,
        "added_us": middle * scale,
        "added_low_us": low * scale,
        "added_high_us": high * scale,
        "second_us": statistics.median(told) * 1e6,
    }


def report(rounds: int) -> None:
    about = heading()
    found = {name: measure(mode, changing, rounds) for name, (mode, changing) in SETTINGS.items()}
    lines = [
        f"# What recording for a judge costs, {about['date']}, {about['revision']}",
        "",
        f"CPU in microseconds; medians, and the middle half, of differences between turns of {TURN:,} requests that",
        f"follow each other, {rounds} times.",
        "",
        "| | a request, not judged | judging adds | middle half | telling of a second |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, each in found.items():
        spread = f"{each['added_low_us']:.2f} - {each['added_high_us']:.2f}"
        lines.append(
            f"| {name} | {each['request_us']:.1f} | {each['added_us']:.2f} | {spread} | {each['second_us']:.0f} |"
        )
    lines += ["", f"{about['cpu']}, Python {about['python']}, kernel {about['kernel']}.", ""]
    text = "\n".join(lines)
    print(text)
    keep("recording", text, about, json.dumps({"about": about, "rounds": rounds, "found": found}, indent=1))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recording_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--core", type=int, default=0, help="the core to stay on")
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, {options.core})
    gc.set_threshold(50_000, 20, 100)  # as a worker does
    report(options.rounds)


if __name__ == "__main__":
    main()
