import io
import json

import pytest

from gatekeeper.interface import render


def test_columns_are_aligned_and_numbers_stand_right():
    table = render.Table(("name", "weight"), [("blue", "100"), ("green", "5")], frozenset({"weight"}))
    assert render.plain(table) == "NAME   WEIGHT\nblue      100\ngreen       5"


def test_no_escape_sequence_reaches_a_terminal():
    table = render.Table(("build",), [("\x1b[31mred\x07",)])
    assert "\x1b" not in render.plain(table)
    assert "\x1b" not in render.problem_line({"path": "a", "message": "\x1b]0;title\x07"})


@pytest.mark.parametrize(
    ("value", "text"), [(90, "90"), ("90.00", "90"), (0.5, "0.5"), ("0", "0"), ("0.0", "0"), (100, "100"), (None, "-")]
)
def test_a_weight_is_as_short_as_it_can_be(value, text):
    assert render.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.00042, "0.42"), (0.0123, "12.3"), (1.25, "1250"), (None, "-"), (0, "0.00")]
)
def test_milliseconds_have_about_three_digits(seconds, text):
    assert render.milliseconds(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (45.9, "45s"), (192, "3m 12s"), (7500, "2h 5m"), (349200, "4d 1h"), (-5, "0s")]
)
def test_a_duration_has_its_two_largest_units(seconds, text):
    assert render.duration(seconds) == text


def test_a_problem_is_one_line_with_place_and_way_out():
    problem = {
        "file": "gatekeeper.yaml",
        "line": 4,
        "path": "services.shop.split",
        "message": "unknown version",
        "found": "gren",
        "allowed": ["blue", "green"],
        "suggestion": "green",
    }
    assert render.problem_line(problem) == (
        "gatekeeper.yaml:4: services.shop.split: unknown version "
        "(found gren; allowed: blue, green; did you mean green?)"
    )


def test_a_problem_found_to_be_zero_is_still_said():
    assert render.problem_line({"path": "weight", "message": "too small", "found": 0}) == "weight: too small (found 0)"


def test_weights_are_shown_as_the_verb_takes_them():
    assert render.weights({"blue": 90, "green": "10.0"}) == "blue=90 green=10"


def test_a_moment_that_is_text_stays_as_it_came():
    assert render.moment("2026-11-23T12:00:00Z") == "2026-11-23T12:00:00Z"
    assert render.moment(None) == "-"


def test_json_shows_no_character_that_a_terminal_would_obey():
    data = {"a\x9b31m": ["\x1b[2J", "\u2028", "ü", "\U000e0001"], "b": "\n"}
    for indent in (None, 2):
        text = render.as_json(data, indent=indent)
        assert json.loads(text) == data
        assert all(character.isprintable() or character == "\n" for character in text)
        assert "ü" in text


def test_on_a_narrow_terminal_the_column_that_gives_way_is_cut_and_no_other():
    from rich.console import Console

    row = ("17:12:24", "a long text that says more than fits", "operator")
    table = render.Table(("at", "text", "who"), [row], gives=frozenset({"text"}))
    console = Console(width=40, file=io.StringIO())
    console.print(render.rich_table(table, fold=False))
    lines = [line for line in console.file.getvalue().splitlines() if "17:12" in line]
    assert len(lines) == 1
    assert lines[0].startswith(" 17:12:24 ")
    assert "a long text" in lines[0]
    assert "\N{HORIZONTAL ELLIPSIS}" in lines[0]
    assert lines[0].rstrip().endswith("operator")
    console.print(render.rich_table(table))
    words = " ".join(console.file.getvalue().split())
    assert "says more" in words
