"""What programs say is kept small, and can be shown to anybody."""

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from gatekeeper.control.releases.output import Output, harmless, reported
from gatekeeper.core.release.model import OUTPUT_KEPT


def said(*parts):
    output = Output()
    for part in parts:
        output.add(part)
    return output.text()


def test_what_is_short_is_kept_whole():
    assert said(b"one\n", b"", b"two\n") == "one\ntwo\n"
    assert said() == ""


def test_of_what_is_long_beginning_and_end_are_kept_and_what_is_left_out_is_counted():
    text = said(b"first" + b"x" * 10_000, b"y" * 10_000 + b"last")
    assert text.startswith("firstxx")
    assert text.endswith("yylast")
    assert "[... 16009 bytes left out ...]" in text
    assert len(text) <= OUTPUT_KEPT


@given(st.lists(st.binary(max_size=3000), max_size=8))
@example([b"\xd8", b"\x80"])  # a sign of Arabic that counts as invisible
def test_it_is_bounded_harmless_and_the_same_however_it_comes(parts):
    text = said(*parts)
    assert text == said(b"".join(parts))
    assert len(text) <= OUTPUT_KEPT
    assert not [one for one in text if unicodedata.category(one) in {"Cc", "Cf"} and one not in "\n\t"]


def test_a_terminal_obeys_nothing_of_it_and_nothing_in_it_is_hidden():
    assert harmless("a\x1b[2Jb\x00c\x7f\td\r\ne\rf") == "a␛[2Jb␀c␡\td\ne␍f"
    assert harmless("\x9b1m \u202egnp.exe \u200b \u2066") == "�1m �gnp.exe � �"
    assert said(b"\xff caf\xc3\xa9") == "� café"


def test_a_report_says_how_it_ended_and_then_what_was_said():
    assert reported("exit code 0") == reported("exit code 0", "\n \n") == "exit code 0"
    assert reported("exit code 1", "\nno\n") == "exit code 1\nno"
    assert reported("exit\x1bcode") == "exit␛code"


@given(st.text(max_size=3000), st.text(min_size=0, max_size=9000))
def test_a_report_is_bounded_and_keeps_both_ends(how, output):
    text = reported(how, output)
    assert len(text) <= OUTPUT_KEPT
    if output.strip():
        assert text.endswith(output.strip("\n")[-500:])
