"""The walk-through of docs/shadow.md does what it says, to the letter."""

import pytest

from tests.system.walkthrough import followed

pytestmark = [pytest.mark.system, pytest.mark.alone]  # on a busy machine copies are shed, and the report says so


@pytest.mark.outside("curl", "bash")
def test_whoever_follows_the_document_sees_what_it_shows(tmp_path, free_ports):
    typed = followed("shadow.md", tmp_path, free_ports)
    assert [
        verb for verb in ("shadow report", "shadow reset", "release start") if f"gatekeeper {verb}" not in typed
    ] == []
