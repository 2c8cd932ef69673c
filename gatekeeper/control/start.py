"""The first state of a process: the file's definition with what the store kept, durable before anybody routes by it."""

from typing import Any

from gatekeeper.control.controller import changed_running, digest
from gatekeeper.control.feed import write_line
from gatekeeper.control.store import Record, Store
from gatekeeper.core.command import initial_state
from gatekeeper.core.model import Definition, State


async def first_state(store: Store, definition: Definition, *, entropy: str, now: float) -> tuple[State, list[str]]:
    """The state to start with, and notes where file and store did not agree.

    A restart with the same file goes on with the same revision. A file that was edited in between (or a new store)
    makes a revision of its own. ``entropy`` as in ``Reload``; ``now`` is wall seconds. Raises StoreError, or the
    SplitError of a stored split that is damaged.
    """
    stored = store.load()
    state, notes = initial_state(definition, stored.running, stored.revision, entropy, now)
    same = all(stored.running.get(name) == service.running for name, service in state.services.items())
    if stored.revision and same and digest(state) == stored.definition:
        return state, notes
    state, notes = initial_state(definition, stored.running, stored.revision + 1, entropy, now)
    event: dict[str, Any] = {"kind": "start", "actor": "gatekeeper", "note": "; ".join(notes)}
    changed = {
        name: running for name, running in changed_running(None, state).items() if running != stored.running.get(name)
    }
    written = await store.append(
        Record(
            revision=state.revision,
            at=now,
            actor="gatekeeper",
            action="start",
            note="; ".join(notes),
            running=changed,
            events=[event],
            definition=digest(state),
        )
    )
    for each in written:
        write_line(each)  # nobody watches yet
    return state, notes
