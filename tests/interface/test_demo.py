import asyncio
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from gatekeeper.interface import demo, demo_story, demo_witness
from gatekeeper.interface.client import UnreachableError
from gatekeeper.interface.demo import HEADLESS, program
from gatekeeper.interface.demo_load import Answer
from gatekeeper.interface.demo_stage import DemoError
from gatekeeper.interface.demo_story import Story
from gatekeeper.interface.demo_witness import USERS, BrokenPromiseError, Witness, expect_only, expect_share


def _answer(status=200, version="blue", lost=""):
    return Answer(0, sent=1.0, received=2.0, status=status, version=version, lost=lost)


@pytest.fixture
def stage():
    return SimpleNamespace(
        port=1, check_alive=lambda: None, log_tail=lambda: "\n    its log", troubles=lambda: "\n    its troubles"
    )


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (_answer(version="green"), "1 x 200 from green"),
        (_answer(status=500), "1 x 500 from blue"),
        (_answer(status=503, version=""), "1 x 503 from gatekeeper"),
        (_answer(status=0, version="", lost="reset"), "1 x reset"),
    ],
)
def test_one_wrong_answer_among_many_breaks_the_promise(answer, seen):
    expect_only([_answer()] * 100, {"blue"})
    with pytest.raises(BrokenPromiseError, match=seen):
        expect_only([*[_answer()] * 100, answer], {"blue"})


@pytest.mark.parametrize("users", [0, 5, 100, USERS])
def test_a_share_far_from_its_weight_breaks_the_promise(users):
    expect_share(USERS // 10, USERS, 0.1)
    with pytest.raises(BrokenPromiseError, match=f"{users} of {USERS}"):
        expect_share(users, USERS, 0.1)


def test_five_percent_must_be_somebody():
    with pytest.raises(BrokenPromiseError):
        expect_share(0, 40, 0.05)


@pytest.mark.parametrize("wrong", [_answer(status=0, version="", lost="reset"), _answer(status=502, version="")])
def test_the_account_finds_one_lost_or_failed_request(stage, wrong):
    witness = Witness(stage)
    witness.load.answers.extend([_answer(), _answer(status=500, version="green2")])
    assert "1 failed" in witness.settle("green2")
    witness.load.answers.append(wrong)
    with pytest.raises(BrokenPromiseError):
        witness.settle("green2")


async def test_waiting_for_what_never_happens_has_an_end(stage, monkeypatch):
    async def never():
        return False

    monkeypatch.setattr(demo_witness, "WITHIN", 0.05)
    with pytest.raises(DemoError, match=r"nobody came within 0\.05 s\n    its log"):
        await Witness(stage).until(never, "nobody came")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BrokenPromiseError("2 lost"), "2 lost\n    its troubles"),
        (UnreachableError("no answer", "unix:/a"), r"no answer \(unix:/a\)\n    its troubles"),
        (TimeoutError(), "it was not done within 180 s\n    its troubles"),
    ],
)
async def test_whatever_breaks_is_told_with_what_the_log_says(stage, monkeypatch, error, said):
    async def tell():
        await asyncio.sleep(0)
        raise error

    story = Story(stage, HEADLESS)
    monkeypatch.setattr(story, "tell", tell)
    with pytest.raises(DemoError, match=said):
        await demo._play(story, stage, HEADLESS)


def _releases(monkeypatch, stage, *documents):
    """A story whose looks at the release see these, the last one again and again."""
    seen = list(documents)

    async def call(*_, **__):
        await asyncio.sleep(0)
        return seen.pop(0) if len(seen) > 1 else seen[0]

    stage.call = call
    monkeypatch.setattr(demo_witness, "WITHIN", 0.3)
    return Story(stage, HEADLESS)


def _release(state, step=-1):
    return {"state": state, "active": state not in ("promoted", "rolled_back"), "step": step, "headline": f"so {state}"}


async def test_a_release_that_ends_otherwise_than_promised_breaks_the_promise(stage, monkeypatch):
    story = _releases(monkeypatch, stage, _release("verifying"), _release("rolled_back"))
    with pytest.raises(BrokenPromiseError, match="the release is so rolled_back, and was to be promoted"):
        await story._state("promoted")
    with pytest.raises(BrokenPromiseError, match="before its step 2"):
        await story._at_step(1)


async def test_a_step_is_seen_when_it_is_taken_and_missed_when_it_is_not(stage, monkeypatch):
    story = _releases(monkeypatch, stage, _release("waiting"), _release("progressing", 0))
    before = time.monotonic()
    assert await story._at_step(0) >= before
    with pytest.raises(DemoError, match="step 2 was not taken"):
        await story._at_step(1)


async def test_a_report_without_the_evidence_breaks_the_promise(stage, monkeypatch):
    async def call(_method, path, *_, **__):
        await asyncio.sleep(0)
        return f"# report of {path}\n"

    stage.call = call
    with pytest.raises(BrokenPromiseError, match=demo_story.SECOND):
        await Story(stage, HEADLESS)._report()


@pytest.mark.system
def test_the_demo_shows_a_release_by_a_plan_and_a_faulty_one_caught_within_40_seconds():
    began = time.monotonic()
    command = [sys.executable, "-m", "gatekeeper", "demo", "--headless"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    for line in (
        "deploy shop green",
        "verify shop green",
        "refused:",
        "approves over TCP",
        "its time has come",
        "step 3 of 3, 100 %",
        "rollback shop",
        "promoted: green is stable",
        "rolled back",
        "release report shop",
        "none lost",
        "All of it happened",
    ):
        assert line in done.stdout, line
    assert time.monotonic() - began < 40


def test_the_demo_names_the_program_so_that_another_terminal_finds_it(monkeypatch, tmp_path):
    here = tmp_path / "gatekeeper"
    here.write_text("#!/bin/sh\n")
    here.chmod(0o700)
    monkeypatch.setattr("sys.argv", [str(here), "demo"])
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    assert program() == str(here)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == "gatekeeper"
