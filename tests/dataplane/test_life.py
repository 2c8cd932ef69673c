"""The life of an exchange: every cell of the table, legal or not."""

from pathlib import Path

import pytest

from gatekeeper.dataplane import life
from gatekeeper.dataplane.life import OVER, TABLE, IllegalEventError, after
from gatekeeper.errors import Fault
from tests.dataplane.world import GET, OK

EVENTS = sorted({event for row in TABLE.values() for event in row})
CELLS = [(state, event) for state in TABLE for event in EVENTS]
DOCUMENT = Path(__file__).parents[2] / "docs" / "exchange.md"


@pytest.mark.parametrize(("state", "event"), [cell for cell in CELLS if cell[1] in TABLE[cell[0]]])
def test_an_event_of_the_table_leads_to_its_state(state, event):
    assert after(state, event) is TABLE[state][event]
    assert TABLE[state][event] in TABLE


@pytest.mark.parametrize(("state", "event"), [cell for cell in CELLS if cell[1] not in TABLE[cell[0]]])
def test_any_other_event_is_illegal_and_names_state_and_event(state, event):
    with pytest.raises(IllegalEventError, match=f"{state} cannot have {event}"):
        after(state, event)


def test_every_state_can_be_reached_and_only_over_is_the_end():
    reached, found = set(), {life.CHOOSING}
    while found:
        state = found.pop()
        reached.add(state)
        found |= set(TABLE[state].values()) - reached
    assert reached == set(TABLE)
    assert [state for state, row in TABLE.items() if not row] == [OVER]


def test_an_exchange_that_is_over_refuses_to_end_again_and_its_counters_stay(world):
    here = world()
    client, backend = here.asked(GET)
    exchange = client.protocol.exchange
    backend.send(OK)
    counted = here.counts("blue")
    for end in (lambda: exchange.fail(Fault.INTERNAL), exchange.on_client_lost):
        with pytest.raises(IllegalEventError):
            end()
    assert here.counts("blue") == counted
    assert client.take() == OK


def test_the_document_shows_the_table_as_it_is():
    assert life.as_markdown() in DOCUMENT.read_text(encoding="utf-8")
