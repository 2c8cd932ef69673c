"""The walk-through of docs/flags.md does what it says, to the letter."""

import pytest

from gatekeeper.interface import verbs_flag
from tests.system.walkthrough import followed

pytestmark = pytest.mark.system


@pytest.mark.outside("curl", "bash")
def test_whoever_follows_the_document_sees_what_it_shows(tmp_path, free_ports):
    typed = followed("flags.md", tmp_path, free_ports)
    assert [verb for verb in verbs_flag.flag.commands if f"gatekeeper flag {verb}" not in typed] == []
