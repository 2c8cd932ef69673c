"""The documents at the root say what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
ROOM = re.compile(r" {6}([a-z0-9/]+)/ ")


def rooms_of_the_picture() -> dict[str, set[str]]:
    """Folder -> the words in its part of the tree of ARCHITECTURE.md."""
    tree = (ROOT / "ARCHITECTURE.md").read_text().partition("    gatekeeper/\n")[2].partition("\n\n")[0]
    rooms: dict[str, set[str]] = {"": set()}
    room = ""
    for line in tree.splitlines():
        if found := ROOM.match(line):
            room = found[1]
            rooms[room] = set()
        rooms[room] |= set(re.findall(r"[a-z0-9_*]+", line))
    return rooms


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(document):
    targets = LINK.findall(document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_the_tree_in_the_architecture_names_every_module():
    rooms = rooms_of_the_picture()
    missing = []
    for path in sorted((ROOT / "gatekeeper").rglob("*.py")):
        folder = path.parent.relative_to(ROOT / "gatekeeper").as_posix().removeprefix(".")
        if not path.stem.startswith("__") and path.stem not in rooms.get(folder, set()):
            # demo_* stands for the parts of the demo.
            if folder == "interface" and path.stem.startswith("demo_") and "demo_*" in rooms[folder]:
                continue
            missing.append(f"{folder}/{path.name}")
    assert missing == []


def test_the_readme_names_every_command():
    from gatekeeper.interface.cli import gatekeeper

    text = (ROOT / "README.md").read_text()
    assert [verb for verb in gatekeeper.all() if f"`gatekeeper {verb}" not in text] == []
