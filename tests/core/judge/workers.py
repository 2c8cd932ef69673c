"""A worker's recording, as plainly as it can be said: requests in, parts out, for tests of what is made of them."""

import json
from dataclasses import dataclass, field
from typing import Any

from gatekeeper.core.judge.latency import SLOWEST, bucket, score
from gatekeeper.core.judge.part import Part
from gatekeeper.core.judge.units import SIZE, Units, first_seen


@dataclass(frozen=True)
class Request:
    """Of a user. ``unit`` None: it has none. ``counted``: the split drew its label."""

    at: int
    unit: int | None
    weight: float
    candidate: bool
    failed: bool = False
    took: float = 0.1
    route: str = ""
    backend: str = ""
    counted: bool = True
    worker: int = 0


@dataclass
class Counts:
    arms: list[list[Any]] = field(default_factory=lambda: [[0, 0, 0, 0, {}] for _ in range(2)])
    routes: dict[str, list[int]] = field(default_factory=dict)


def memory():
    """Of units, and what a worker sees of it."""
    buffer = bytearray(SIZE)
    return Units.begin(buffer), memoryview(buffer)


def part(at, requests, *, sticky=False, seen=None, routes=(), keep=1, others=False):
    """What one worker sends of one second, through JSON and all checks. ``seen`` is the shared memory of units."""
    cells, units, backends = {}, {}, {}
    totals, excluded, unkeyed = ([0, 0, 0], [0, 0, 0]), 0, 0
    for each in requests:
        totals[each.candidate][0] += 1
        totals[each.candidate][1] += each.failed
        if not each.counted or (sticky and each.unit is None):
            excluded += 1
            unkeyed += sticky and each.unit is None
            continue
        if each.candidate and each.backend:
            counts = backends.setdefault(each.backend, [0, 0])
            counts[0] += 1
            counts[1] += each.failed
        cell = cells.setdefault(each.weight, Counts())
        arm = cell.arms[each.candidate]
        arm[0] += 1
        place = SLOWEST if each.failed else score(each.took, 0.05, 0.002) if each.candidate else bucket(each.took)
        on_route = cell.routes.setdefault(each.route, [0, 0, 0, 0]) if each.route in routes else None
        if on_route:
            on_route[each.candidate] += 1
        if not sticky:
            arm[1] += each.failed
            arm[2] += 1
            arm[3] += each.failed
            arm[4][place] = arm[4].get(place, 0) + 1
            if on_route:
                on_route[2 + each.candidate] += each.failed
            continue
        first = [each.unit, int(each.candidate), each.weight, place, int(each.failed), 0, []]
        entry = units.setdefault((each.unit, each.weight, each.candidate), first)
        entry[5] |= each.failed
        if each.failed and each.route in routes and each.route not in entry[6]:
            entry[6].append(each.route)
    for key, entry in list(units.items()):
        if seen is not None and first_seen(seen, key[0]):
            entry[3] = -1
        if (entry[3] < 0 and not entry[5]) or key[0] & (keep - 1):
            del units[key]
    rows = [
        [weight, *([*arm[:4], [*arm[4].items()]] for arm in each.arms), each.routes] for weight, each in cells.items()
    ]
    data = {
        "at": at,
        "cells": rows,
        "units": list(units.values()),
        "keep": keep,
        "others": others,
        "stable": totals[0],
        "candidate": totals[1],
        "backends": backends,
        "excluded": excluded,
        "unkeyed": unkeyed,
    }
    return Part.load(json.loads(json.dumps(data)))
