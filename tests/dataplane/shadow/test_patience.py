"""When copies go: after the user's own answer, so that they are not the reason why it is late, or after PATIENCE."""

import pytest

from gatekeeper.core.shadow.tally import Outcome
from gatekeeper.dataplane.shadow.shadow import PATIENCE
from tests.dataplane.world import GET, OK

pytestmark = pytest.mark.usefixtures("patient")
BEGINNING = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"


def test_copies_go_when_the_user_has_his_answer_and_are_compared_with_it(mirrored):
    here = mirrored()
    client, backend = here.asked(GET)
    assert not here.lines
    backend.send(OK)
    assert client.take() == OK
    for copy in here.copies():
        copy.send(OK)
    assert here.tally().outcomes[Outcome.COMPARED] == 1


def test_an_answer_that_takes_long_keeps_no_copy_back(mirrored):
    here = mirrored()
    client, backend = here.asked(GET)
    backend.send(BEGINNING)
    here.pass_time(PATIENCE / 2)
    assert not here.lines
    here.pass_time(PATIENCE)
    copies = here.copies()
    for copy in copies:
        copy.send(BEGINNING + b"cde")
    backend.send(b"cde")
    assert client.take() == BEGINNING + b"cde"
    here.pass_time(PATIENCE)
    assert len(here.lines) == len(copies), "once"
    assert here.tally().outcomes[Outcome.COMPARED] == 1


def test_a_user_who_leaves_is_mirrored_all_the_same_and_not_compared(mirrored):
    here = mirrored()
    client, _ = here.asked(GET)
    client.end()
    for copy in here.copies():
        copy.send(OK)
    assert here.tally().outcomes == {
        Outcome.SENT: 1,
        Outcome.AGAIN: 1,
        Outcome.ANSWERED: 1,
        Outcome.NOT_COMPARED: 1,
    }
