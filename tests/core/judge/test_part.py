"""What a worker sent is taken as it is or refused whole: nothing too big, nothing that does not go together."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.judge.part import BACKENDS_SENT, CELLS_SENT, UNITS_SENT, Part, Seen, kept
from gatekeeper.core.judge.second import Arm, Backend, Cell, Second, Tally, Totals

FULL = {
    "at": 12,
    "cells": [[0.1, [90, 1, 90, 1, [[20, 89], [63, 1]]], [10, 2, 10, 2, [[21, 8], [63, 2]]], {"/a": [40, 5, 1, 2]}]],
    "units": [[2**32 - 1, 1, 0.1, 63, 1, 1, ["/a"]], [5, 0, 0.1, -1, 0, 1, []]],
    "keep": 4,
    "others": True,
    "stable": [91, 1, 3],
    "candidate": [12, 3, 0],
    "backends": {"http://10.0.1.5:9002": [10, 2]},
    "excluded": 3,
    "unkeyed": 1,
}


def test_everything_that_was_sent_is_there():
    part = Part.load(json.loads(json.dumps(FULL)))
    stable, candidate = Arm(90, 1, 90, 1, {20: 89, 63: 1}), Arm(10, 2, 10, 2, {21: 8, 63: 2})
    assert part == Part(
        12,
        (Cell(0.1, stable, candidate, routes={"/a": Tally(40, 5, 1, 2)}),),
        (Seen(2**32 - 1, True, 0.1, 63, True, True, ("/a",)), Seen(5, False, 0.1, -1, False, True)),
        4,
        True,
        Totals(91, 1, 3),
        Totals(12, 3, 0),
        {"http://10.0.1.5:9002": Backend(10, 2)},
        3,
        1,
    )
    assert part.second(units=False) == Second(12, part.cells, part.stable, part.candidate, part.backends, 3, 1, keep=4)
    # Where labels stick to units, what counts once per unit is settled elsewhere.
    assert part.second(units=True).cells == (Cell(0.1, Arm(90), Arm(10), routes={"/a": Tally(40, 5)}),)


def test_what_is_missing_is_nothing():
    assert Part.load({"at": 3}) == Part(3)
    assert Part.load({"at": 3}).second(units=True) == Second(3)


def changed(path, value):
    data = copy.deepcopy(FULL)
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return data


ARM = [90, 1, 90, 1, [[20, 89], [63, 1]]]
UNIT = [5, 0, 0.1, -1, 0, 1, []]


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ([], "is no part"),
        ({}, "at"),
        (changed(["at"], -1), "at: -1 is no count"),
        (changed(["at"], 1.5), "at"),
        (changed(["at"], True), "at"),
        (changed(["more"], 1), "'more': unknown field"),
        (changed(["keep"], 3), "keep"),
        (changed(["keep"], 0), "keep"),
        (changed(["keep"], 2**21), "keep"),
        (changed(["excluded"], 2**41), "excluded"),
        (changed(["stable"], [1, 2]), "stable: .* must be a row of 3"),
        (changed(["candidate"], None), "candidate"),
        (changed(["cells"], {}), "cells"),
        (changed(["cells"], [[0.1, ARM, ARM, {}]] * (CELLS_SENT + 1)), "cells: must be at most 32 rows"),
        (changed(["cells", 0], [0.1]), "cells"),
        (changed(["cells", 0], 7), "cells"),
        (changed(["cells", 0, 0], 1.5), "cells: 1.5 is no weight"),
        (changed(["cells", 0, 0], float("nan")), "cells: nan is no weight"),
        (changed(["cells", 0, 0], "0.1"), "no weight"),
        (changed(["cells", 0, 1], [1, 2, 3]), "cells"),
        (changed(["cells", 0, 1, 1], 91), "do not go together"),
        (changed(["cells", 0, 1, 3], 91), "do not go together"),
        (changed(["cells", 0, 1, 4], [[20, 89]]), "do not go together"),
        (changed(["cells", 0, 1, 4], [[64, 90]]), "64 is no bucket"),
        (changed(["cells", 0, 1, 4], [[1]]), "cells"),
        (changed(["cells", 0, 1, 4], [[1, 0]] * 65), "at most 64 pairs"),
        (changed(["cells", 0, 3], {f"/{n}": [0, 0, 0, 0] for n in range(9)}), "cells.routes"),
        (changed(["cells", 0, 3], {"/" + "a" * 600: [0, 0, 0, 0]}), "cells.routes"),
        (changed(["cells", 0, 3, "/a"], [1]), "cells.routes./a: .* must be a row of 4"),
        (changed(["units"], [UNIT] * (UNITS_SENT + 1)), "units: must be at most 2,048 rows"),
        (changed(["units", 0, 0], 2**32), "is no unit"),
        (changed(["units", 0, 0], -1), "is no unit"),
        (changed(["units", 0, 1], 2), "must be 0 or 1"),
        (changed(["units", 0, 2], -0.1), "no weight"),
        (changed(["units", 0, 3], 64), "no bucket"),
        (changed(["units", 0, 3], -2), "no bucket"),
        (changed(["units", 0, 5], 0), "what failed first has failed"),
        (changed(["units", 0, 6], [1]), "routes must be"),
        (changed(["units", 0, 6], ["/"] * 9), "routes must be"),
        (changed(["units", 0], [1, 2]), "units"),
        (changed(["backends"], {str(n): [0, 0] for n in range(BACKENDS_SENT + 1)}), "backends"),
        (changed(["backends"], {"a": [1]}), "backends.a: .* must be a row of 2"),
    ],
)
def test_what_is_no_part_is_refused_with_the_place(data, place):
    with pytest.raises(ValueError, match=place):
        Part.load(data)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
paths = st.sampled_from(
    [
        *(["at"], ["cells"], ["cells", 0], ["cells", 0, 1], ["cells", 0, 1, 4], ["cells", 0, 1, 4, 0], ["cells", 0, 3]),
        *(["units"], ["units", 0], ["units", 0, 3], ["units", 0, 6], ["keep"], ["stable"], ["backends"], ["others"]),
    ]
)


@settings(max_examples=300)
@given(path=paths, value=values)
def test_whatever_stands_in_any_place_it_is_a_part_or_a_value_error(path, value):
    try:
        part = Part.load(changed(path, value))
    except ValueError:
        return
    assert part.at >= 0


def test_of_too_many_units_those_with_low_bits_of_zero_are_kept():
    assert all(kept(unit, 1) for unit in range(8))
    assert [unit for unit in range(16) if kept(unit, 4)] == [0, 4, 8, 12]
    assert kept(0xFFFFFF00, 256)
