"""docs/logs.md as a test reads it: which fields an event of each kind may have."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HANDBOOK = Path(__file__).parents[2] / "docs" / "logs.md"
HEAD = {"type", "time", "level", "event", "clipped"}


def quoted(text):
    return re.findall(r"`([a-z_*]+)`", text)


@cache
def kinds():
    """All kinds of the table of events."""
    table = HANDBOOK.read_text().partition("| event | when |")[2].partition("\n\n")[0]
    return {kind for row in table.splitlines()[2:] for kind in quoted(row.split("|")[1])}


@cache
def fields():
    """Kind -> fields that are documented for it."""
    section = HANDBOOK.read_text().partition("### Fields of events")[2].partition("\n## ")[0]
    changes = set(quoted(section.partition("accepted commands:")[2].partition(". A field")[0]))
    found = {kind: set() for kind in kinds()}
    for row in re.findall(r"^\| (`.*)\|$", section, re.MULTILINE):
        names, of, _ = row.split("|", 2)
        wanted = set(quoted(of)) | (changes if "changes" in of else set()) | (kinds() if of.strip() == "all" else set())
        for each in wanted:
            hits = {kind for kind in kinds() if kind.startswith("release_")} if each == "release_*" else {each}
            for kind in hits:
                found[kind] |= set(quoted(names))
    return found


def undocumented(folder) -> Iterator[str]:
    """Kinds and fields in the logs of a gatekeeper's folder that the handbook does not have."""
    for path in folder.glob("out*"):
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith('{"type": "event"') and line.endswith("}"):
                event = json.loads(line)
                if event["event"] not in kinds():
                    yield event["event"]
                else:
                    yield from (f"{event['event']}.{name}" for name in event.keys() - HEAD - fields()[event["event"]])
