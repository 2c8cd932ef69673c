"""The life of an exchange, as a table of states and events.

The state says how far the *response* half is. The *request* half is simpler and ends by itself: its body has been read
to the end or not (``request_done``), in any state but TUNNEL, which only a request without a body can reach.

A cell that is not in the table cannot happen. If it does, two parts of the program disagree about who owns a
connection, and bytes could reach the wrong request: ``IllegalEventError`` is raised, which fails a test, and in
production closes the connection it happened on. ``docs/exchange.md`` shows the table; a test keeps it equal.
"""

from typing import Final

from gatekeeper.errors import GatekeeperError

# States
CHOOSING: Final = "choosing"
"""No backend has the request: one is being chosen or connected to."""
WAITING: Final = "waiting"
"""A backend has the request's head; no final response head has come."""
ANSWERING: Final = "answering"
"""The final response head is with the client; its body is being passed on."""
TUNNEL: Final = "tunnel"
"""Both connections carry another protocol's bytes."""
OVER: Final = "over"
"""Counted, and the claim on the backend given back. Nothing happens any more."""

# Events
SENT: Final = "sent"
"""The request's head was written to a backend."""
AGAIN: Final = "again"
"""The try failed and another one is allowed."""
INTERIM: Final = "interim"
"""A 1xx other than 101 came."""
HEAD: Final = "head"
"""A final response head came, its body follows."""
WHOLE: Final = "whole"
"""A final response came in one read, head and body."""
SWITCH: Final = "switch"
"""A 101 came, to a request that asked for it."""
END: Final = "end"
"""The response, or the tunnel, came to its end."""
LOCAL: Final = "local"
"""Gatekeeper answers itself: an error, before any response has begun."""
CUT: Final = "cut"
"""The response has begun and cannot be completed: the connection is closed short of its end."""
LEFT: Final = "left"
"""The client went away."""

TABLE: Final[dict[str, dict[str, str]]] = {
    CHOOSING: {SENT: WAITING, AGAIN: CHOOSING, LOCAL: OVER, LEFT: OVER},
    WAITING: {
        AGAIN: CHOOSING,
        INTERIM: WAITING,
        HEAD: ANSWERING,
        WHOLE: OVER,
        SWITCH: TUNNEL,
        LOCAL: OVER,
        LEFT: OVER,
    },
    ANSWERING: {END: OVER, CUT: OVER, LEFT: OVER},
    TUNNEL: {END: OVER},
    OVER: {},
}


class IllegalEventError(GatekeeperError):
    """An event that the state does not allow; the text names both."""


def after(state: str, event: str) -> str:
    """The next state. Raises IllegalEventError and changes nothing where the table has no such cell."""
    try:
        return TABLE[state][event]
    except KeyError:
        allowed = ", ".join(TABLE.get(state, ())) or "nothing"
        raise IllegalEventError(f"an exchange that is {state} cannot have {event}; possible: {allowed}") from None


def as_markdown() -> str:
    """The table as docs/exchange.md shows it: a row a state, a column an event."""
    events = list(dict.fromkeys(event for row in TABLE.values() for event in row))
    lines = [f"| state | {' | '.join(events)} |", "|---" * (len(events) + 1) + "|"]
    lines += [f"| **{state}** | {' | '.join(row.get(event, '') for event in events)} |" for state, row in TABLE.items()]
    return "\n".join(lines)
