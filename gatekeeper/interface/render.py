"""What people read: aligned tables, numbers with units, problems one per line.

Everything here turns API documents into text; nothing asks or decides. Texts that came from elsewhere (build names,
reasons, paths) lose their control characters, so that no backend or file can write escape sequences to a terminal.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Table:
    """``right`` names the columns whose cells are numbers; ``more`` rows were left out at the end. Where a terminal is
    too narrow, the columns that ``gives`` names give way, or all if it names none.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    right: frozenset[str] = frozenset()
    more: int = 0
    gives: frozenset[str] = frozenset()


def clean(value: object) -> str:
    """One line of printable text."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(value))


def as_json(data: object, *, indent: int | None = None) -> str:
    """JSON that a terminal may show: what would be no printable character is escaped, not only what JSON demands."""
    text = json.dumps(data, indent=indent, ensure_ascii=False)
    if text.isprintable():
        return text
    # Between the values there is nothing but spaces and line ends; an escape means the same within a text.
    return "".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text)


def plain(table: Table) -> str:
    """The table as aligned text without trailing spaces; columns two spaces apart."""
    lines = [[name.upper() for name in table.columns], *([clean(cell) for cell in row] for row in table.rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(table.columns))]
    right = [name in table.right for name in table.columns]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def rich_table(table: Table, *, fold: bool = True) -> Any:
    """The same for a terminal. rich is imported only here: it would double the start time of every verb.

    What is too wide is folded, or cut where each row must stay one line.
    """
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    overflow: Any = "fold" if fold else "ellipsis"
    for name in table.columns:
        justify: Any = "right" if name in table.right else "left"
        # rich takes from columns that may wrap first. Whether their cells do wrap is the cells' own word.
        keeps = name not in table.gives if table.gives else not fold
        drawn.add_column(name, justify=justify, no_wrap=keeps, overflow=overflow)
    for row in table.rows:
        # Text, not str: square brackets in a name are no markup.
        drawn.add_row(*(Text(clean(cell), no_wrap=not fold, overflow=overflow) for cell in row))
    return drawn


def show(table: Table) -> None:
    """Print for a terminal if standard output is one, else plainly."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(rich_table(table))
    else:
        sys.stdout.write(plain(table) + "\n")


Part = str | Table
"""A line, or a table; a picture is a sequence of them."""


def write(parts: Sequence[Part]) -> None:
    """Print a picture once."""
    for part in parts:
        if isinstance(part, Table):
            show(part)
        else:
            sys.stdout.write(f"{part}\n")


def rich_group(parts: Sequence[Part], height: int) -> Any:
    """The picture for a terminal of so many lines: the longest tables lose their last rows if they must, and say so."""
    from rich.console import Group
    from rich.text import Text

    drawn = []
    for part in _fitted(parts, height):
        if isinstance(part, Table):
            drawn.append(rich_table(part, fold=False))
        text = part if isinstance(part, str) else f"... and {part.more} more" if part.more else None
        if text is not None:
            drawn.append(Text(text, no_wrap=True, overflow="ellipsis"))
    return Group(*drawn)


TABLE_LINES = 4
"""Lines of a table beside its rows: the header, the rule under it, and space around."""


def _fitted(parts: Sequence[Part], height: int) -> Sequence[Part]:
    found = list(parts)
    while (missing := sum(map(_lines, found)) - height) > 0:
        at = max(range(len(found)), key=lambda each: _rows(found[each]))
        longest = found[at]
        if not isinstance(longest, Table) or len(longest.rows) <= 1:
            break
        # One line is for saying so, the first time.
        kept = max(1, len(longest.rows) - missing - (0 if longest.more else 1))
        left_out = longest.more + len(longest.rows) - kept
        found[at] = replace(longest, rows=longest.rows[:kept], more=left_out)
    return found


def _rows(part: Part) -> int:
    return len(part.rows) if isinstance(part, Table) else 0


def _lines(part: Part) -> int:
    return len(part.rows) + TABLE_LINES + bool(part.more) if isinstance(part, Table) else 1


def number(value: object) -> str:
    """A weight or count as short as it can be: 90, 0.5, 2.25."""
    if value is None:
        return NOTHING
    text = str(value)
    return (text.rstrip("0").rstrip(".") or "0") if "." in text and "e" not in text.lower() else text


def percent(fraction: float | None) -> str:
    return NOTHING if fraction is None else f"{fraction * 100:.1f}%"


def rate(per_second: float | None) -> str:
    return NOTHING if per_second is None else f"{per_second:.1f}"


def milliseconds(seconds: float | None) -> str:
    """Three significant digits: 0.42, 12.3, 1250."""
    if seconds is None:
        return NOTHING
    value = seconds * 1000
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}"


def size(count: float | None) -> str:
    """Bytes as ``512 B``, ``87 MiB``, ``1.5 GiB``."""
    if count is None:
        return NOTHING
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def duration(seconds: float) -> str:
    """The two largest units: ``45s``, ``3m 12s``, ``2h 5m``, ``4d 1h``."""
    whole = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def moment(at: object) -> str:
    """Wall seconds, or an ISO text as it came, in the reader's own time zone."""
    if isinstance(at, bool) or not isinstance(at, int | float):
        return clean(at) if at else NOTHING
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")


def weights(split: Mapping[str, object]) -> str:
    """``blue=90 green=10``: exactly what the verb ``split`` takes."""
    return " ".join(f"{clean(name)}={number(weight)}" for name, weight in split.items()) or NOTHING


def changed(row: Mapping[str, Any]) -> str:
    """What a revision set: ``shop: blue=90 green=10; flag theme: on, on=10 off=90``; empty if nothing of these."""
    parts = [f"{clean(name)}: {weights(split)}" for name, split in (row.get("splits") or {}).items()]
    for name, held in (row.get("flags") or {}).items():
        state = "gone" if held is None else "killed" if held.get("killed") else "on" if held.get("on") else "off"
        parts.append(f"flag {clean(name)}: {state}" + (f", {weights(held['split'])}" if held is not None else ""))
    return "; ".join(parts)


def problem_line(problem: Mapping[str, Any]) -> str:
    """``FILE:LINE: PATH: MESSAGE (found X; allowed: Y; did you mean Z?)`` with what is known of it."""
    if text := problem.get("text"):
        return clean(text)
    place = clean(problem.get("file") or "")
    if place and (line := problem.get("line")):
        place += f":{line}"
    line_parts = [place, clean(problem.get("path") or ""), clean(problem.get("message") or "")]
    extra = []
    if (found := problem.get("found")) not in {None, ""}:
        extra.append(f"found {clean(found)}")
    if allowed := problem.get("allowed"):
        extra.append(f"allowed: {clean(listing(allowed))}")
    if suggestion := problem.get("suggestion"):
        extra.append(f"did you mean {clean(suggestion)}?")
    return ": ".join(part for part in line_parts if part) + (f" ({'; '.join(extra)})" if extra else "")


def revision_line(row: Mapping[str, Any]) -> str:
    """``revision 19, ann, split shop: blue=90 green=10 (why)``."""
    what = " ".join([clean(row.get("action", "")), changed(row)]).strip()
    note = f" ({clean(row['note'])})" if row.get("note") else ""
    return f"revision {row.get('revision')}, {clean(row.get('actor', ''))}, {what}{note}"


def listing(value: object) -> str:
    """A list as ``a, b, c``; anything else as it is."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return ", ".join(str(item) for item in value)
    return str(value)
