"""The table of a release's life as docs/release-states.md shows it: a diagram, and every cell."""

from gatekeeper.core.release.lifecycle import TABLE, Cell, Choice, Event
from gatekeeper.core.release.model import ReleaseState


def as_mermaid() -> str:
    """A state diagram; events that lead the same way share an arrow, those that stay are left to the table."""
    arrows: dict[tuple[ReleaseState, ReleaseState], list[Event]] = {}
    for state, row in TABLE.items():
        for event, cell in row.items():
            for to in cell.states:
                if to is not state:
                    arrows.setdefault((state, to), []).append(event)
    lines = ["stateDiagram-v2", f"    [*] --> {ReleaseState.PLANNED.value}: start"]
    lines += [
        f"    {state.value} --> {to.value}: {', '.join(event.value for event in events)}"
        for (state, to), events in arrows.items()
    ]
    ends = (ReleaseState.PROMOTED, ReleaseState.ROLLED_BACK, ReleaseState.ABORTED)
    return "\n".join([*lines, *(f"    {state.value} --> [*]" for state in ends)])


def as_markdown() -> str:
    """A row an event, a column a state."""
    lines = [f"| event | {' | '.join(_shown(state) for state in TABLE)} |", "|---" * (len(TABLE) + 1) + "|"]
    for event in Event:
        cells = (_cell(state, row.get(event)) for state, row in TABLE.items())
        lines.append(f"| **{event.value}** | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(state: ReleaseState, cell: Cell | None) -> str:
    if cell is None:
        return ""
    if cell.repeat:
        return "nothing"
    if isinstance(cell.to, Choice):
        return f"{' or '.join('stays' if to is state else _shown(to) for to in cell.to.to)}: {cell.to.by}"
    return "stays" if cell.to is state else _shown(cell.to)


def _shown(state: ReleaseState) -> str:
    return state.value.replace("_", " ")
