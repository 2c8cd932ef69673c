"""What workers counted of flags is added up, shown, bounded, and handed on."""

import pytest

from gatekeeper.telemetry.cells import ASKED, FORCED, MICROSECONDS, TIMES
from gatekeeper.telemetry.flagged import MOST_NAMES, Flagged

DARK = {"service": "shop", "flag": "theme", "variant": "dark"}


def values(flagged: Flagged) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in flagged.families()
        for sample in family.samples
    }


def value(flagged: Flagged, name: str, /, **labels: str) -> float | None:
    return values(flagged).get((name, frozenset(labels.items())))


def row(variant: str, *counts: tuple[int, int], service: str = "shop", flag: str = "theme") -> list[object]:
    return [service, flag, variant, [list(pair) for pair in counts]]


def test_rows_of_all_workers_are_added_up():
    flagged = Flagged()
    first = row("dark", (2, 3), (5, 1), (TIMES + 2, 3), (TIMES + 14, 1), (MICROSECONDS, 61_500_000))
    flagged.hear([first, row("light", (2, 7))])
    flagged.hear([row("dark", (2, 4), (FORCED, 2), (ASKED, 5), (MICROSECONDS, 500_000))])
    assert value(flagged, "gatekeeper_flag_requests_total", **DARK, **{"class": "2xx"}) == 7
    assert value(flagged, "gatekeeper_flag_requests_total", **DARK, **{"class": "5xx"}) == 1
    assert value(flagged, "gatekeeper_flag_evaluations_total", flag="theme", variant="dark") == 15
    assert value(flagged, "gatekeeper_flag_evaluations_total", flag="theme", variant="light") == 7
    assert value(flagged, "gatekeeper_flag_request_duration_seconds_sum", **DARK) == 62
    assert value(flagged, "gatekeeper_flag_request_duration_seconds_bucket", **DARK, le="0.0025") == 0
    assert value(flagged, "gatekeeper_flag_request_duration_seconds_bucket", **DARK, le="0.005") == 3
    assert value(flagged, "gatekeeper_flag_request_duration_seconds_bucket", **DARK, le="+Inf") == 4


def test_a_flag_on_two_services_has_evaluations_of_both_and_requests_of_each():
    flagged = Flagged()
    flagged.hear([row("dark", (2, 3)), row("dark", (2, 4), service="blog")])
    flagged.evaluated("theme", "dark")
    assert value(flagged, "gatekeeper_flag_evaluations_total", flag="theme", variant="dark") == 8
    assert value(flagged, "gatekeeper_flag_requests_total", **DARK, **{"class": "2xx"}) == 3


def test_a_new_program_goes_on_from_what_the_old_one_leaves():
    old, new = Flagged(), Flagged()
    old.hear([row("dark", (2, 3), (TIMES, 3), (MICROSECONDS, 12)), row("light", (ASKED, 1))])
    new.hear(old.dump())
    assert values(new) == values(old)
    assert values(new)


def test_what_is_counted_after_a_hand_over_reaches_the_new_program_once():
    old, new = Flagged(), Flagged()
    old.hear([row("dark", (2, 3), (TIMES, 3))])
    assert old.rest() == []
    new.hear(old.hand_over())
    old.hear([row("dark", (2, 4), (TIMES + 1, 4))])
    old.evaluated("theme", "light")
    new.hear([row("dark", (2, 1), (TIMES, 1))])
    new.hear(old.rest())
    assert value(new, "gatekeeper_flag_requests_total", **DARK, **{"class": "2xx"}) == 8
    assert value(new, "gatekeeper_flag_evaluations_total", flag="theme", variant="light") == 1
    assert value(old, "gatekeeper_flag_requests_total", **DARK, **{"class": "2xx"}) == 7


@pytest.mark.parametrize(
    "rows", [5, [5], [["shop", "theme", "dark"]], [row("dark", (MICROSECONDS + 1, 1))], [row("dark", (2, -1))],
             [row("dark", (-1, 1))], [["shop", "theme", "dark", [["x", 1]]]]]
)  # fmt: skip
def test_what_is_no_row_is_refused_and_nothing_counted_goes_back(rows):
    flagged = Flagged()
    flagged.hear([row("dark", (2, 3))])
    with pytest.raises(ValueError, match="no rows of flags"):
        flagged.hear(rows)
    assert value(flagged, "gatekeeper_flag_requests_total", **DARK, **{"class": "2xx"}) == 3


def test_more_names_than_there_is_room_for_displace_the_one_that_was_silent_longest():
    flagged = Flagged()
    flagged.hear([row("dark", (2, 1)), row("light", (2, 1))])
    flagged.hear([row(f"v{number}", (2, 1), flag="other") for number in range(MOST_NAMES - 2)])
    flagged.hear([row("dark", (2, 1))])
    flagged.hear([row("new", (2, 1))])
    assert len(flagged.dump()) == MOST_NAMES
    assert value(flagged, "gatekeeper_flag_evaluations_total", flag="theme", variant="dark") == 2
    assert value(flagged, "gatekeeper_flag_evaluations_total", flag="theme", variant="light") is None
