"""docs/ofrep.md does what it says, to the letter."""

import pytest

from tests.system.walkthrough import followed

pytestmark = pytest.mark.system


@pytest.mark.outside("curl", "bash", "node")
def test_whoever_follows_the_document_sees_what_it_shows(tmp_path, free_ports):
    followed("ofrep.md", tmp_path, free_ports)
