import pytest

from gatekeeper.interface.arguments import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("45s", 45), ("5m", 300), ("8h", 28800), ("2d", 172800), ("1d2h3m4s", 93784)]
)
def test_a_duration_is_read_as_seconds(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "h", "-1h", "1.5h", "1w", "5m1h", "5 m", "٣m", "1m1m", "1234567890s"])
def test_what_is_no_duration_is_none(text):
    assert seconds_of(text) is None
