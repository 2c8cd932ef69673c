"""docs/ofrep.md does what it says, to the letter."""

from pathlib import Path

import pytest

from tests.system import walkthrough
from tests.system.walkthrough import PORTS, differences

pytestmark = pytest.mark.system

DOCUMENT = Path(__file__).parents[2] / "docs" / "ofrep.md"


@pytest.mark.outside("curl", "bash", "node")
def test_whoever_follows_the_document_sees_what_it_shows(tmp_path, free_ports):
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    said = differences(walkthrough.run(DOCUMENT.read_text(), tmp_path, ports))
    assert not said, f"{said}\n\nif that is right: python -m tests.system.walkthrough --write docs/ofrep.md"
