"""An hour of a release of which nothing is wrong, on real sockets, while the weather over both versions changes.

    python -m benchmarks.quiet_hour               # an hour at 200 requests a second
    python -m benchmarks.quiet_hour --quick       # three minutes of it: the same weather, twenty times as fast

Both versions share a database, so to speak: it grows slower and faster by 80 % over ten minutes, its errors drift
between .1 % and 1.5 %, and now and then a tenth of all requests fails for half a minute. The release ramps meanwhile.
The judge may neither end it nor call it suspicious for long, and what supervisor and workers hold in memory must not
grow. Exit 0 if so, else 1. The judge may hold where both fail (shared trouble): that is what it is for.
"""

import argparse
import asyncio
import contextlib
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks import machine
from benchmarks.processes import BenchmarkError, family
from benchmarks.releases.shop import Fate, Fault, Version, fate
from benchmarks.releases.stand import Stand, standing
from benchmarks.releases.users import Users

HOUR: Final = 3600.0
QUICK: Final = 20.0
RAMP: Final = (1, 5, 25, 50)
LOOK_SECONDS: Final = 5.0
WARM: Final = 0.2
"""The part of the time after which memory must not grow: connections, memos and the judge's buffers are filled."""
GROWTH_LIMIT: Final = 8 << 20
"""Bytes that a process may grow by after that; what leaks a kilobyte a second reaches it in three quarters of it."""
NOBODY = Fault("a quiet hour")
ALARMS: Final = ("rollback", "invalid")


@dataclass(slots=True)
class Weather:
    """What hits both versions alike, by the time since ``began``, that runs ``faster`` than the clock."""

    faster: float
    began: float = field(default_factory=time.monotonic)

    @property
    def now(self) -> float:
        """Seconds of the hour."""
        return (time.monotonic() - self.began) * self.faster

    @property
    def errors(self) -> float:
        now = self.now
        if now % 1100 > 1070:
            return 0.1
        return 0.008 + 0.007 * math.sin(2 * math.pi * now / 1700)

    @property
    def slower(self) -> float:
        return 1 + 0.8 * math.sin(2 * math.pi * self.now / 600)


class Shared(Version):
    """One of two versions under one sky."""

    def __init__(self, weather: Weather, *, candidate: bool) -> None:
        super().__init__(NOBODY, candidate=candidate)
        self._weather = weather

    def fate(self, number: int) -> Fate:
        found = fate(NOBODY, number)
        # One number decides at every rate: what fails at 1 % fails at 2 %.
        fails = found.luck < self._weather.errors
        seconds = 0.3 * found.seconds * self._weather.slower
        return Fate(found.luck, fails, False, seconds, seconds)


@dataclass(slots=True)
class Seen:
    """One look. ``rss`` in bytes, the supervisor's first; ``odds`` as the judge shows them."""

    at: float
    kind: str
    odds: float
    weight: float
    rss: list[int]


def resident(pid: int) -> list[int]:
    """Of a process and its descendants (proc(5), status), in the order of their pids: the supervisor is the oldest."""
    found = []
    for member in sorted(family(pid)):
        with contextlib.suppress(OSError, ValueError, IndexError):
            text = Path(f"/proc/{member}/status").read_text()
            found.append(int(text.partition("VmRSS:")[2].split()[0]) << 10)
    return found


async def look(stand: Stand, began: float) -> Seen:
    """Raises BenchmarkError."""
    release = await stand.ask("GET", "/v1/services/shop/releases/last")
    verdict: dict[str, Any] = next(iter(release.get("verdicts") or ()), {})
    kind = (release.get("verdict") or {}).get("kind") or "none"
    weight = await stand.share()
    return Seen(time.monotonic() - began, kind, float(verdict.get("odds", 0.0)), weight, resident(stand.pid))


async def watch(rps: float, seconds: float, faster: float, log: Path | None = None) -> tuple[list[Seen], Users]:
    """So many ``seconds`` of a ramp, looked at. Raises BenchmarkError."""
    hold = f"{max(1, round(seconds / len(RAMP)))}s"
    steps = [{"weight": weight, "hold": hold} for weight in RAMP]
    # Nothing but an alarm may end it, and nothing may end before the hour does.
    plan = {"steps": [*steps, {"weight": 100, "pause": True}], "analysis": {}}
    weather = Weather(faster)
    versions = Shared(weather, candidate=False), Shared(weather, candidate=True)
    seen: list[Seen] = []
    async with standing(NOBODY, plan, versions=versions, workers=2, log=log) as stand:
        weather.began = began = time.monotonic()
        users = Users(stand.port, rps, NOBODY)
        load = asyncio.create_task(users.come())
        try:
            await stand.ask("POST", "/v1/services/shop/releases", {"to": "green", "plan": "watched"})
            while time.monotonic() < began + seconds:
                await asyncio.sleep(min(LOOK_SECONDS, seconds / 36))
                if users.problem is not None:
                    raise users.problem
                seen.append(await look(stand, began))
        finally:
            load.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await load
    return seen, users


def growth(seen: Sequence[Seen]) -> list[int]:
    """Of each process: the most it had in the last tenth less the most it had until it was warm."""
    last = seen[-1].at
    warm = [each.rss for each in seen if each.at <= WARM * last and len(each.rss) == len(seen[-1].rss)]
    late = [each.rss for each in seen if each.at >= 0.9 * last and len(each.rss) == len(seen[-1].rss)]
    return [max(now) - max(then) for then, now in zip(zip(*warm, strict=True), zip(*late, strict=True), strict=True)]


def wrong(seen: Sequence[Seen]) -> list[str]:
    """What must not be in a quiet hour."""
    problems = [f"after {each.at:.0f} s the judge said {each.kind}" for each in seen if each.kind in ALARMS][:1]
    if not any(each.weight for each in seen[-3:]):
        problems.append("the candidate lost its weight")
    problems += [
        f"process {place} grew by {size:,} bytes" for place, size in enumerate(growth(seen)) if size > GROWTH_LIMIT
    ]
    if len({len(each.rss) for each in seen}) != 1:
        problems.append("a process died or was replaced")
    return problems


def markdown(seen: Sequence[Seen], users: Users, about: dict[str, str]) -> str:
    """What was said, how long, and what it held in memory."""
    spent: dict[str, float] = {}
    for before, now in pairwise([Seen(0.0, "none", 0.0, 0.0, []), *seen]):
        spent[now.kind] = spent.get(now.kind, 0.0) + now.at - before.at
    out = ["| | |", "|---|---:|", f"| requests | {users.sent:,} |", f"| of them failed | {users.failed:,} |"]
    out += [f"| seconds of *{kind}* | {seconds:,.0f} |" for kind, seconds in spent.items()]
    out.append(f"| highest odds against luck | {max(each.odds for each in seen):.2f} : 1 |")
    for place, (first, last, more) in enumerate(zip(seen[0].rss, seen[-1].rss, growth(seen), strict=True)):
        name = "supervisor" if place == 0 else f"worker {place - 1}"
        out.append(
            f"| memory of the {name}, first and last (growth once warm), MiB | "
            f"{first / 2**20:.1f}, {last / 2**20:.1f} ({more / 2**20:+.1f}) |"
        )
    return "\n".join([*out, "", "; ".join(f"{name} {value}" for name, value in about.items()) + "."]) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quiet_hour", description=__doc__.partition("\n")[0])
    parser.add_argument("--rps", type=float, default=200.0, help="requests a second (default: 200)")
    parser.add_argument("--quick", action="store_true", help="three minutes of it")
    parser.add_argument("--no-write", action="store_true", help="print only; leave benchmarks/results alone")
    options = parser.parse_args(arguments)
    faster = QUICK if options.quick else 1.0
    try:
        seen, users = asyncio.run(watch(options.rps, HOUR / faster, faster))
    except BenchmarkError as problem:
        print(f"refused: {problem}", file=sys.stderr)
        return 1
    about = machine.heading() | {"load": f"{options.rps:g} requests a second for {HOUR / faster:g} s"}
    table = markdown(seen, users, about)
    print(table)
    problems = wrong(seen)
    for each in problems:
        print(each, file=sys.stderr)
    if not options.no_write:
        raw = json.dumps({"about": about, "problems": problems, "seen": [asdict(each) for each in seen]}) + "\n"
        machine.keep("quiet-hour-quick" if options.quick else "quiet-hour", table, about, raw)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
