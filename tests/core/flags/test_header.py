"""What a backend is told: one member of an RFC 9651 dictionary for each flag."""

import pytest

from gatekeeper.core.flags.header import line, longest, member
from tests.core.flags.states import THEME, said


def told(value):
    return member(said(variants={"a": value, "b2": value}, off="a"), "b2")


def test_true_is_the_key_alone_and_false_is_left_out():
    assert member(said(), "on") == b"new"
    assert member(said(), "off") == b""


@pytest.mark.parametrize(
    ("value", "item"),
    [
        ("dark", b"dark"),
        ("*x/y:z", b"*x/y:z"),
        ("", b'""'),
        ("1st", b'"1st"'),
        ("a b", b'"a b"'),
        ('a"\\', b'"a\\"\\\\"'),
        ("für", b'%"f%c3%bcr"'),
        ('ü%"', b'%"%c3%bc%25%22"'),
        ("a\r\nX: 1", b'%"a%0d%0aX: 1"'),
        ("\x7f", b'%"%7f"'),
    ],
)
def test_a_text_is_a_token_a_string_or_a_display_string(value, item):
    assert told(value) == b"new=" + item


@pytest.mark.parametrize(
    ("value", "item"),
    [
        (0, b"0"),
        (-12, b"-12"),
        (999_999_999_999_999, b"999999999999999"),
        (-999_999_999_999_999, b"-999999999999999"),
        (10**15, b"b2"),
        (-(10**15), b"b2"),
        (1.0, b"1.0"),
        (-0.5, b"-0.5"),
        (2.125, b"2.125"),
        (0.1, b"0.1"),
        (2.1255, b"b2"),
        (1e-9, b"b2"),
        (999_999_999_999.5, b"999999999999.5"),
        (1e12, b"b2"),
        (1e300, b"b2"),
        (1e3, b"1000.0"),
    ],
)
def test_a_number_is_itself_where_the_line_can_hold_it_exactly(value, item):
    assert told(value) == b"new=" + item


def test_an_object_is_told_by_the_name_of_its_variant():
    assert told({"columns": 3}) == b"new=b2"
    assert member(said(variants={"1st": {}, "b": {}}, off="b"), "1st") == b'new="1st"'


def test_members_stand_in_one_line_and_nothing_makes_no_line():
    assert line([b"new-checkout", b"", b"theme=dark"]) == b"X-Gatekeeper-Flags: new-checkout, theme=dark\r\n"
    assert line([b"", b""]) == b""
    assert line([]) == b""


def test_the_longest_line_is_counted_to_the_byte():
    flags = [said("a"), said("theme", **THEME), said("b")]
    assert longest(flags) == len(line([b"a", b"theme=light", b"b"]))
    assert longest([]) == 0
    assert longest([said(variants={"no": False}, off="no")]) == 0
