"""Checks under way when the program changes, or is killed: they are made again, and nothing is left of the first."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.system.programs import until

pytestmark = [pytest.mark.system, pytest.mark.outside("nginx")]

STUBBORN = "trap '' TERM; echo $$ >> runs; while [ ! -e checked ]; do sleep 0.05; done"
"""It ignores being asked to end."""
PLANS = {
    "careful": {"verify": [{"command": {"run": ["sh", "-c", STUBBORN]}}], "steps": [{"weight": 100, "hold": "1s"}]}
}


@pytest.fixture
def checking(team):
    """A gatekeeper in whose release that check runs; and the check's pid."""
    gatekeeper = team(plans=PLANS)
    gatekeeper.until_ready()
    gatekeeper.begin(plan="careful")
    return gatekeeper, until(lambda: runs(gatekeeper), what="the check")[0]


def runs(gatekeeper):
    path = gatekeeper.folder / "runs"
    return path.read_text().split() if path.exists() else []


def made_again(gatekeeper, first):
    """The check is made a second time, alone, and decides."""
    until(lambda: runs(gatekeeper)[1:], 10, "the check made again")
    until(lambda: not Path(f"/proc/{first}").exists(), 10, "the end of the old check")
    release = gatekeeper.release()
    assert (release["state"], release["step"]) == ("verifying", -1)
    (gatekeeper.folder / "checked").touch()
    began = time.monotonic()
    gatekeeper.comes_to("promoted")
    assert time.monotonic() - began < 5
    assert len(runs(gatekeeper)) == 2
    assert not list(gatekeeper.folder.glob("*.checks-*"))


def test_a_new_program_makes_them_again_and_neither_of_the_two_waits_for_what_does_not_end(checking):
    gatekeeper, first = checking
    old = gatekeeper.status()["pid"]
    os.kill(old, signal.SIGUSR2)
    until(lambda: gatekeeper.status()["pid"] != old, 20, "the new program")
    made_again(gatekeeper, first)
    assert gatekeeper.process.wait(20) == 0, "the old program has ended well"


def test_what_a_killed_program_left_running_is_ended_before_it_is_made_again(checking):
    gatekeeper, first = checking
    gatekeeper.kill()
    assert Path(f"/proc/{first}").exists(), "nobody has told it"
    gatekeeper.start()
    made_again(gatekeeper, first)


def test_a_program_that_stops_ends_them(checking):
    gatekeeper, first = checking
    gatekeeper.process.terminate()
    assert gatekeeper.process.wait(20) == 0
    assert not Path(f"/proc/{first}").exists()
