"""Sessions: bounded in number and time, a token's, and nothing that is kept lets anybody in."""

import pytest

from gatekeeper.control.dashboard.sessions import IDLE_SECONDS, SECONDS, Sessions, digest


def test_an_id_opens_its_session_and_no_other_text_does():
    sessions = Sessions()
    name, session = sessions.begin("anna", 0.0)
    assert sessions.find(name, 1.0) is session
    for wrong in ("", name[:-1], name + "x", session.key, session.csrf, "\udcff", "x" * 10_000):
        assert sessions.find(wrong, 1.0) is None


def test_what_is_kept_opens_nothing():
    sessions = Sessions()
    name, session = sessions.begin("anna", 0.0)
    assert name not in repr(sessions.__dict__)
    assert session.key == digest(name)
    assert sessions.find(session.key, 0.0) is None


def test_no_two_ids_and_no_two_csrf_tokens_are_alike():
    sessions = Sessions()
    made = [sessions.begin(f"token{at}", 0.0) for at in range(500)]
    assert len({name for name, _ in made} | {session.csrf for _, session in made}) == 1000
    assert min(len(name) for name, _ in made) >= 43, "32 bytes of chance"


def test_a_session_ends_when_nobody_uses_it_and_at_its_end_however_much_it_is_used():
    sessions = Sessions()
    name, _ = sessions.begin("anna", 0.0)
    now = 0.0
    while now + IDLE_SECONDS - 1 < SECONDS:
        now += IDLE_SECONDS - 1
        assert sessions.find(name, now) is not None
    assert sessions.find(name, SECONDS) is None
    assert len(sessions) == 0
    idle, _ = sessions.begin("anna", 0.0)
    assert sessions.find(idle, IDLE_SECONDS) is None
    assert sessions.find(idle, 0.0) is None, "what is over does not come back"


def test_beyond_the_bound_the_one_that_was_used_longest_ago_goes():
    sessions = Sessions(most=3, of_a_token=3)
    names = [sessions.begin(f"token{at}", float(at))[0] for at in range(3)]
    assert sessions.find(names[0], 3.0) is not None
    sessions.begin("new", 4.0)
    assert [sessions.find(name, 5.0) is not None for name in names] == [True, False, True]
    assert len(sessions) == 3


def test_a_token_cannot_sign_everybody_else_out():
    sessions = Sessions(most=10, of_a_token=4)
    anna, _ = sessions.begin("anna", 0.0)
    thiefs = [sessions.begin("thief", 1.0 + at)[0] for at in range(100)]
    assert sessions.find(anna, 200.0) is not None
    assert sum(sessions.find(name, 200.0) is not None for name in thiefs) == 4


def test_those_that_are_over_make_room_before_those_that_are_not():
    sessions = Sessions(most=2)
    old, _ = sessions.begin("anna", 0.0)
    young, _ = sessions.begin("bert", SECONDS - 10)
    sessions.begin("carl", SECONDS)
    assert (sessions.find(old, SECONDS), sessions.find(young, SECONDS) is not None) == (None, True)


@pytest.mark.parametrize("kept", [set(), {"bert"}])
def test_a_token_that_is_gone_takes_its_sessions_along(kept):
    sessions = Sessions()
    anna, _ = sessions.begin("anna", 0.0)
    bert, _ = sessions.begin("bert", 0.0)
    sessions.keep(kept)
    assert sessions.find(anna, 1.0) is None
    assert (sessions.find(bert, 1.0) is not None) == bool(kept)
