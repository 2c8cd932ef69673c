import asyncio
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from gatekeeper.interface import demo
from gatekeeper.interface.client import UnreachableError
from gatekeeper.interface.demo import HEADLESS, USERS, BrokenPromiseError, Story, program
from gatekeeper.interface.demo_load import Answer
from gatekeeper.interface.demo_stage import DemoError


def _answer(status=200, version="blue", lost=""):
    return Answer(0, sent=1.0, received=2.0, status=status, version=version, lost=lost)


@pytest.fixture
def story():
    stage = SimpleNamespace(
        port=1, check_alive=lambda: None, log_tail=lambda: "\n    its log", troubles=lambda: "\n    its troubles"
    )
    return Story(stage, HEADLESS)


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (_answer(version="green"), "1 x 200 from green"),
        (_answer(status=500), "1 x 500 from blue"),
        (_answer(status=503, version=""), "1 x 503 from gatekeeper"),
        (_answer(status=0, version="", lost="reset"), "1 x reset"),
    ],
)
def test_one_wrong_answer_among_many_breaks_the_promise(story, answer, seen):
    story._expect_only([_answer()] * 100, {"blue"})
    with pytest.raises(BrokenPromiseError, match=seen):
        story._expect_only([*[_answer()] * 100, answer], {"blue"})


@pytest.mark.parametrize("users", [0, 30, 200, USERS])
def test_a_share_far_from_its_weight_breaks_the_promise(story, users):
    story._expect_share(USERS // 10, 0.1)
    with pytest.raises(BrokenPromiseError, match=f"{users} of {USERS}"):
        story._expect_share(users, 0.1)


def test_one_percent_must_be_somebody(story):
    with pytest.raises(BrokenPromiseError):
        story._expect_share(0, 0.01)


@pytest.mark.parametrize("wrong", [_answer(status=0, version="", lost="reset"), _answer(status=502, version="")])
def test_the_account_finds_one_lost_or_failed_request(story, wrong):
    story._load.answers.extend([_answer(), _answer(status=500, version="green2")])
    story._settle()
    story._load.answers.append(wrong)
    with pytest.raises(BrokenPromiseError):
        story._settle()


async def test_waiting_for_what_never_happens_has_an_end(story, monkeypatch):
    async def never():
        return False

    monkeypatch.setattr(demo, "WITHIN", 0.05)
    with pytest.raises(DemoError, match=r"nobody came within 0\.05 s\n    its log"):
        await story._until(never, "nobody came")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BrokenPromiseError("2 lost"), "2 lost\n    its troubles"),
        (UnreachableError("no answer", "unix:/a"), r"no answer \(unix:/a\)\n    its troubles"),
        (TimeoutError(), "it was not done within 180 s\n    its troubles"),
    ],
)
async def test_whatever_breaks_is_told_with_what_the_log_says(story, monkeypatch, error, said):
    async def tell():
        await asyncio.sleep(0)
        raise error

    monkeypatch.setattr(story, "tell", tell)
    with pytest.raises(DemoError, match=said):
        await demo._play(story, story._stage, HEADLESS)


@pytest.mark.system
def test_the_demo_shows_a_release_and_a_rollback_within_45_seconds():
    began = time.monotonic()
    command = [sys.executable, "-m", "gatekeeper", "demo", "--headless"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    for line in ("green has 100 %", "rollback shop", "none lost", "All of it happened"):
        assert line in done.stdout
    assert time.monotonic() - began < 45


def test_the_demo_names_the_program_so_that_another_terminal_finds_it(monkeypatch, tmp_path):
    here = tmp_path / "gatekeeper"
    here.write_text("#!/bin/sh\n")
    here.chmod(0o700)
    monkeypatch.setattr("sys.argv", [str(here), "demo"])
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    assert program() == str(here)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == "gatekeeper"
