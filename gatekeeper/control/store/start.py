"""The first state of a process: what the store kept, or the file where that is the later act; durable before use.

Which of the two is later tells the digest of the file that was taken up last (at a start or by a reload). If the file
still has it, what came after it goes on: weights, deploys, a configuration that was sent, a revision restored. If the
file was edited, it is taken up now, as a reload would: it says what exists, the store what runs.
"""

from dataclasses import replace
from typing import Any

from gatekeeper.control.feed import write_line
from gatekeeper.control.store.definitions import digest
from gatekeeper.control.store.rows import Audit, Delta, Record, Stored
from gatekeeper.control.store.store import Store
from gatekeeper.core import codec
from gatekeeper.core import split as splits
from gatekeeper.core.command import initial_state
from gatekeeper.core.difference import compare
from gatekeeper.core.flags.running import check_flags
from gatekeeper.core.model import Definition, State

_ACTOR = "gatekeeper"


async def first_state(store: Store, definition: Definition, *, entropy: str, now: float) -> tuple[State, list[str]]:
    """The state to start with, and notes where file and store did not agree.

    A restart with the same file goes on with the very state of before. A file that was edited in between, or a new
    store, makes a revision of its own. ``entropy`` as in ``Reload``; ``now`` is wall seconds. Raises StoreError, or the
    SplitError of a stored split that is damaged.
    """
    stored, file = store.load(), digest(definition)
    last = stored.state
    if last is not None and stored.file == file:
        _check(last)
        return last, []
    state, notes = initial_state(definition, stored.running, stored.revision + 1, entropy, now, last)
    if last is not None and replace(state, revision=last.revision) == last and [*state.services] == [*last.services]:
        await store.append(Record(None, now, _ACTOR, "start", file=file))
        return last, []
    for each in await store.append(_record(stored, state, notes, file, now)):
        write_line(each)  # nobody watches yet
    return state, notes


def _record(stored: Stored, state: State, notes: list[str], file: str, now: float) -> Record:
    note = "; ".join(notes)
    changes = codec.dump([*compare(stored.state, state)]) if stored.state is not None else []
    event: dict[str, Any] = {"kind": "start", "actor": _ACTOR, "note": note}
    delta = Delta.between(stored.state, state)
    return Record(
        revision=state.revision,
        at=now,
        actor=_ACTOR,
        action="start",
        note=note,
        changes=changes,
        # What ran of a service and goes on as it was makes no row of its own, also where no state was kept.
        delta=replace(
            delta, running={name: one for name, one in delta.running.items() if one != stored.running.get(name)}
        ),
        events=[{**event, "changes": changes} if changes else event],
        file=file,
        audit=Audit(now, _ACTOR, _ACTOR, "start", "", state.revision, "done", note),
    )


def _check(state: State) -> None:
    check_flags(state.flags)
    for name, service in state.services.items():
        try:
            for split in (service.running.split, *service.running.rules.values()):
                splits.check(split)
        except splits.SplitError as error:
            raise splits.SplitError(
                f"the stored split of service {name} is damaged: {error}; restore the state file from a copy, "
                "or start with a new one to begin with the splits of the file"
            ) from error
