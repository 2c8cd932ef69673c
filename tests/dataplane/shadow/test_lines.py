"""Connections for copies: few, kept for a while, and never somebody else's."""

from dataclasses import replace

from gatekeeper.dataplane.backends import Secure
from gatekeeper.dataplane.shadow import lines
from tests.dataplane.shadow.mirrored import ONCE
from tests.dataplane.world import GET, OK


def test_a_connection_that_nobody_used_for_a_while_is_closed(mirrored):
    here = mirrored(ONCE)
    here.compared()
    here.pass_time(lines.IDLE_SECONDS - 2)
    assert not here.lines[0].lost
    here.pass_time(3)
    assert here.lines[0].lost


def test_it_is_closed_when_its_backend_ends_it(mirrored):
    here = mirrored(ONCE)
    here.compared()
    here.lines[0].end()
    assert here.lines[0].lost
    here.compared()
    assert len(here.lines) == 2


def test_none_is_kept_to_a_backend_that_leaves(mirrored):
    here = mirrored(ONCE)
    here.compared()
    client, backend = here.asked(GET)
    here.states(green="draining")
    here.pass_time(0.1)
    assert not here.lines[0].lost, "its copy may end"
    here.lines[0].send(OK)
    assert here.lines[0].lost
    backend.send(OK)
    client.take()


def test_an_idle_one_to_a_backend_that_leaves_is_closed(mirrored):
    here = mirrored(ONCE)
    here.compared()
    here.states(green="draining")
    here.pass_time(0.1)
    assert here.lines[0].lost


def test_one_that_was_made_by_other_means_carries_no_copy(mirrored):
    here = mirrored(ONCE)
    here.compared()
    next(each for each in here.known() if "green" in each.id).secure = Secure(None, "other")
    here.asked(GET)
    assert here.lines[0].lost
    assert len(here.lines) == 2


def test_there_are_so_many_and_an_idle_one_makes_room(mirrored, monkeypatch):
    monkeypatch.setattr(lines, "MOST_LINES", 2)
    here = mirrored(replace(ONCE, to="green"))
    here.asked(GET)
    assert here.shadows._lines.room()
    here.asked(GET)
    assert not here.shadows._lines.room()
    here.lines[0].send(OK)
    assert here.shadows._lines.room()
    assert here.lines[0].protocol.transport.is_closing()
