"""The picture in docs/judging.md: a real release of a candidate that fails more often, and what the judge made of it.

    python -m benchmarks.judging_picture                  # plays the release (a minute or two) and draws it
    python -m benchmarks.judging_picture --log FILE       # draws what was recorded: `gatekeeper release seconds`

Written to docs/images/judging.svg; what was recorded is kept beside the benchmarks' results.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from typing import Final

from benchmarks.machine import ROOT
from benchmarks.processes import BenchmarkError
from benchmarks.releases.shop import Fault
from benchmarks.releases.stand import standing
from benchmarks.releases.users import Users
from gatekeeper.core import codec
from gatekeeper.core.judge.second import Second

PICTURE: Final = ROOT / "docs" / "images" / "judging.svg"
LOG: Final = ROOT / "benchmarks" / "results" / "judging-picture.jsonl"
FAULT: Final = Fault("3 points more errors", errors=0.03)
RPS: Final = 60.0
STEPS: Final = (
    {"weight": 1, "hold": "20s"},
    {"weight": 5, "hold": "40s"},
    {"weight": 10, "hold": "40s"},
    {"weight": 20, "hold": "1h"},
    {"weight": 100},
)
PATIENCE: Final = 600.0

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, MIDDLE, BOTTOM = 70, 690, 52, 290, 350
"""Edges of the odds' field; the failures' rows are between MIDDLE and BOTTOM."""
LOWEST, HIGHEST = 0.1, 1000.0
MOST_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Moment:
    """One second: the odds after it, the candidate's weight, first failures of users on stable and candidate."""

    at: int
    odds: float
    weight: float
    stable: int
    candidate: int
    kind: str


def moments(lines: Iterable[str]) -> list[Moment]:
    """What was recorded, second by second. Raises CodecError for what is no such log."""
    found, weight = [], 0.0
    for line in lines:
        row = json.loads(line)
        if "second" not in row:
            continue
        second = codec.load(Second, row["second"])
        plain = [cell for cell in second.cells if not cell.fresh]
        weight = plain[-1].weight if plain else weight
        stable = sum(cell.stable.errors for cell in second.cells)
        candidate = sum(cell.candidate.errors for cell in second.cells)
        found.append(Moment(second.at, exp(min(row["odds"], 30.0)), weight, stable, candidate, row["kind"]))
    return found


def until_rollback(found: Sequence[Moment]) -> Sequence[Moment]:
    """What came after the verdict is no part of the story."""
    first = next((place for place, each in enumerate(found) if each.kind == "rollback"), len(found) - 1)
    return found[: first + 1]


def draw(found: Sequence[Moment]) -> str:
    """As SVG, legible on light and on dark."""
    end = found[-1].at + 1
    last = max(end * 1.06, 10)

    def x(at: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * at / last, 1)

    def y(odds: float) -> float:
        part = log(min(max(odds, LOWEST), HIGHEST) / LOWEST) / log(HIGHEST / LOWEST)
        return round(MIDDLE - (MIDDLE - TOP) * part, 1)

    def height(weight: float) -> float:
        return round(MIDDLE - (MIDDLE - TOP) * min(weight, MOST_WEIGHT) / MOST_WEIGHT, 1)

    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12" role="img" aria-label="Odds against luck over the time of a release, up to its rollback">'
    )
    title = f"A candidate with {FAULT.name}, {RPS:g} requests a second"
    out = [
        head,
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="14" fill="#222">{title}</text>',
    ]
    corners = [f"{x(0)},{MIDDLE}"]
    for each in found:
        corners += [f"{x(each.at)},{height(each.weight)}", f"{x(each.at + 1)},{height(each.weight)}"]
    out.append(f'<polygon points="{" ".join([*corners, f"{x(end)},{MIDDLE}"])}" fill="#cfe0f3"/>')
    weights = (0.05, 0.1, 0.15, 0.2)
    out += [_text(RIGHT + 8, height(weight) + 4, f"{100 * weight:.0f} %", fill="#4a7ab0") for weight in weights]
    out.append(_text(RIGHT + 8, TOP - 12, "weight", fill="#4a7ab0"))
    for odds in (0.1, 1, 10, 100, 1000):
        out.append(f'<path d="M{LEFT} {y(odds)}H{RIGHT}" stroke="#ddd" stroke-width="1"/>')
        out.append(_text(LEFT - 8, y(odds) + 4, f"{odds:,g} : 1", fill="#444", anchor="end"))
    for odds, what, colour in ((100, "rolls back", "#c0392b"), (10, "suspicious: no step up", "#c77d0a")):
        out.append(f'<path d="M{LEFT} {y(odds)}H{RIGHT}" stroke="{colour}" stroke-width="1.5" stroke-dasharray="6 4"/>')
        out.append(_text(LEFT + 6, y(odds) - 5, what, fill=colour))
    line = " ".join(f"{x(each.at + 1)},{y(each.odds)}" for each in found)
    out.append(f'<polyline points="{line}" fill="none" stroke="#222" stroke-width="2" stroke-linejoin="round"/>')
    out.append(_text(LEFT - 8, TOP - 12, "odds", fill="#222", anchor="end"))
    for name, row, colour in (("candidate", MIDDLE + 18, "#c0392b"), ("stable", MIDDLE + 38, "#4a7ab0")):
        out.append(_text(LEFT - 8, row + 4, name, fill=colour, anchor="end"))
        for each in found:
            many = each.candidate if name == "candidate" else each.stable
            if many:
                out.append(f'<circle cx="{x(each.at + 0.5)}" cy="{row}" r="{2 + min(many, 4)}" fill="{colour}"/>')
    out.append(_text(RIGHT + 8, MIDDLE + 32, "failures", fill="#444"))
    step = next(each for each in (5, 10, 20, 30, 60, 120, 300, 600, 3600) if last / each <= 8 or each == 3600)
    out += [_text(x(at), BOTTOM + 8, f"{at} s", fill="#444", anchor="middle") for at in range(0, int(last) + 1, step)]
    if found[-1].kind == "rollback":
        out.append(f'<path d="M{x(end)} {TOP}V{BOTTOM - 8}" stroke="#c0392b" stroke-width="1.5"/>')
        out.append(_text(x(end) - 6, TOP - 12, f"rolled back after {end} s", fill="#c0392b", anchor="end"))
    return "\n".join([*out, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, *, fill: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" fill="{fill}" text-anchor="{anchor}">{text}</text>'


async def record() -> str:
    """Play the release and take what the judge was told, with what it said. Raises BenchmarkError."""
    async with standing(FAULT, {"steps": [dict(step) for step in STEPS], "analysis": {}}) as stand:
        users = Users(stand.port, RPS, FAULT)
        load = asyncio.create_task(users.come())
        try:
            release = await stand.ask("POST", "/v1/services/shop/releases", {"to": "green", "plan": "watched"})
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until:
                await asyncio.sleep(0.5)
                found = await stand.ask("GET", "/v1/services/shop/releases/last")
                if (found.get("verdict") or {}).get("kind") == "rollback":
                    break
            else:
                raise BenchmarkError(f"the release was not rolled back within {PATIENCE:g} s")
        finally:
            load.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await load
        release_id = found.get("id", release.get("id"))
        path = f"http://gatekeeper/v1/services/shop/releases/{release_id}/seconds"
        async with stand.session.get(path) as answer:
            return await answer.text()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.judging_picture", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--log", type=Path, help="draw this instead of playing a release")
    options = parser.parse_args(arguments)
    try:
        text = options.log.read_text() if options.log else asyncio.run(record())
    except BenchmarkError as problem:
        print(f"refused: {problem}", file=sys.stderr)
        return 1
    found = moments(text.splitlines())
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(draw(until_rollback(found)))
    if not options.log:
        LOG.write_text(text)
    print(PICTURE.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
