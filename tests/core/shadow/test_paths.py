"""Places in JSON: written once, read as they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.core.shadow.paths import ELEMENT, MOST, PathError, above, covers, pattern, text


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("$", ()),
        ("$.time", ("time",)),
        ("$.items[*].id", ("items", ELEMENT, "id")),
        ("$['two words'].x", ("two words", "x")),
        ("$.any.*", ("any", "other")),
    ],
)
def test_a_path_covers_its_place_and_everything_below(written, place):
    assert covers([pattern(written)], place)
    assert covers([pattern(written)], (*place, "below"))


@pytest.mark.parametrize(
    ("written", "place"),
    [("$.time", ()), ("$.time", ("times",)), ("$.a.b", ("a",)), ("$.*", (ELEMENT,)), ("$[*]", ("a",))],
)
def test_a_path_covers_nothing_else(written, place):
    assert not covers([pattern(written)], place)


@pytest.mark.parametrize("wrong", ["", "time", "$time", "$.", "$.a[3]", "$.a[", "$..a", "$['a", "$.a b"])
def test_what_is_no_path_is_refused_with_what_is_allowed(wrong):
    with pytest.raises(PathError, match=r"\$"):
        pattern(wrong)


@given(st.lists(st.text(max_size=8) | st.just(ELEMENT), max_size=4))
def test_a_short_place_is_written_on_one_printable_line_and_leads_up_to_the_root(place):
    written = text(place)
    assert written.isprintable()
    for _ in place:
        written = above(written)
    assert written == "$"


def test_a_long_place_is_cut_and_leads_nowhere():
    written = text(["x" * 500])
    assert len(written) == MOST
    assert above(written) == ""


@given(st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True) | st.just(ELEMENT), max_size=6))
def test_what_is_written_of_plain_names_is_read_as_the_same_place(place):
    assert pattern(text(place)) == tuple(place)
