"""The walk-through of docs/shadow.md does what it says, to the letter."""

from pathlib import Path

import pytest

from tests.system import walkthrough
from tests.system.walkthrough import PORTS, differences

pytestmark = [pytest.mark.system, pytest.mark.alone]  # on a busy machine copies are shed, and the report says so

DOCUMENT = Path(__file__).parents[2] / "docs" / "shadow.md"


@pytest.mark.outside("curl", "bash")
def test_whoever_follows_the_document_sees_what_it_shows(tmp_path, free_ports):
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    found = walkthrough.run(DOCUMENT.read_text(), tmp_path, ports)
    said = differences(found)
    assert not said, f"{said}\n\nif that is right: python -m tests.system.walkthrough --write docs/shadow.md"
    typed = "\n".join(each.command for block in found for each in block.typed)
    assert [
        verb for verb in ("shadow report", "shadow reset", "release start") if f"gatekeeper {verb}" not in typed
    ] == []
