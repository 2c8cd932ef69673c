"""Answers that come before their request was written are nobody's."""

from tests.dataplane.world import GET, OK, Message, post

STRAY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"


def test_a_stray_answer_in_the_turn_of_the_next_request_is_not_taken_for_its_answer(world):
    here = world()
    client, pooled = here.asked(GET)
    pooled.send(OK)
    assert client.take() == OK
    client.send(GET, run=False)
    pooled.send(STRAY, run=False)
    here.loop.run()
    assert pooled.lost
    fresh = here.backend()
    assert fresh is not pooled
    assert fresh.take().startswith(b"GET / HTTP/1.1\r\n")
    fresh.send(OK)
    assert client.take() == OK
    assert here.counts("blue").retries == 1


def test_a_request_with_a_body_is_then_answered_with_502_and_goes_nowhere_else(world):
    here = world()
    client, pooled = here.asked(GET)
    pooled.send(OK)
    client.take()
    client.send(post(b"order"), run=False)
    pooled.send(STRAY, run=False)
    here.loop.run()
    assert Message.read(client.take()).status == 502
    assert pooled.lost
    assert len(here.attempts) == 1
    assert here.counts("blue").errors == {"upstream_protocol": 1}
