"""Which flags a copy is told of: its user's, but for those that follow a release to its candidate."""

import pytest

from gatekeeper.core.model import Pattern, PatternKind, When
from tests.dataplane.flags import boolean, flying, text
from tests.dataplane.shadow.mirrored import MIRROR
from tests.dataplane.world import Message, request

GERMAN = When(headers=(("x-country", Pattern(PatternKind.EXACT, ("DE",))),))


@pytest.fixture
def told(mirrored):
    """``told(flags, *lines)``: what the user's backend, the candidate and the user's version again are told."""

    def ask(flags, *lines):
        here = mirrored(MIRROR)
        here.flags = flying(*flags)
        here.use(here.service, 8)
        _, backend = here.asked(request("GET", *lines))
        return [Message.read(wire.take()).get("x-gatekeeper-flags") for wire in (backend, *here.copies())]

    return ask


def test_a_copy_has_its_users_flags(told):
    assert told([boolean("new"), text("theme", {"light": 50, "dark": 50})]) in (
        ["new, theme=light"] * 3,
        ["new, theme=dark"] * 3,
    )


def test_what_follows_the_candidate_is_on_for_copies_to_it_alone(told):
    assert told([boolean("new", following="green"), boolean("old")]) == ["old", "new, old", "old"]


def test_what_follows_the_users_version_is_off_for_copies_elsewhere(told):
    assert told([boolean("new", following="blue"), boolean("old")]) == ["new, old", "old", "new, old"]


def test_a_flag_that_follows_is_on_where_its_condition_matches(told):
    following = boolean("new", following="green", when=GERMAN)
    assert told([following], "X-Country: DE") == [None, "new", None]
    assert told([following], "X-Country: FR") == [None, None, None]


def test_copies_are_no_evaluations(mirrored):
    here = mirrored(MIRROR)
    here.flags = flying(boolean("new"))
    here.use(here.service, 8)
    here.compared()
    (row,) = here.plane.tally.take()["of"]
    assert dict(row[3])[2] == 1, "one answer of the class 2xx"
