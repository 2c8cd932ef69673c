"""A worker takes a change only upon the very state that it was made from."""

import pytest

from gatekeeper.control.fleet import publish
from gatekeeper.core.model import Settings, State
from gatekeeper.dataplane.merging import merge
from tests.control.kept import flag


def state(revision, *flags):
    return State(revision, Settings(), {}, flags={each.definition.name: each for each in flags})


def test_a_change_of_another_state_is_refused_and_the_one_that_is_there_is_left_alone():
    old, new = state(4, flag("a")), state(5, flag("a", on=False))
    message = publish.changes(old, new, {})
    for have, what in ((None, "None"), (state(3, flag("a")), "3")):
        with pytest.raises(ValueError, match=f"based on revision 4, this worker has {what}"):
            merge(message, have, {})
    assert merge(message, old, {})[0] == new
    assert old == state(4, flag("a"))


def test_a_flag_that_is_gone_goes_and_one_that_came_comes():
    old, new = state(1, flag("a"), flag("b")), state(2, flag("b"), flag("c", 10))
    assert merge(publish.changes(old, new, {}), old, {})[0] == new
