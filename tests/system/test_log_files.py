"""Logs in files are rotated under load as those of other servers: moved away, SIGUSR1, and not a line is lost."""

import json
import os
import re
import signal

import pytest

from tests.system.operations import amend
from tests.system.programs import requests_counted, until

pytestmark = pytest.mark.system

TURNS = 3


@pytest.fixture
def logging(shop):
    """gatekeeper over two nginx that writes to the files ``events`` and ``access``."""
    gatekeeper = shop(start=False, workers=2)
    gatekeeper.log, gatekeeper.access = gatekeeper.folder / "events", gatekeeper.folder / "access"
    amend(
        gatekeeper,
        log={"access": "json", "file": str(gatekeeper.log), "access_file": str(gatekeeper.access)},
    )
    gatekeeper.launch()
    until(lambda: gatekeeper.process.poll() is not None or '"started"' in text(gatekeeper.log), what="the start")
    return gatekeeper


def text(path):
    return path.read_text() if path.exists() else ""


def lines(*paths):
    return [json.loads(line) for path in paths for line in text(path).splitlines()]


def events(path, kind):
    return [line for line in lines(path) if line.get("event") == kind]


def rotate(gatekeeper, turn):
    """Move both files away and have them opened anew; the old ones."""
    old = [path.rename(f"{path}.{turn}") for path in (gatekeeper.log, gatekeeper.access)]
    gatekeeper.process.send_signal(signal.SIGUSR1)
    until(lambda: events(gatekeeper.log, "logs_reopened"), what="the new files")
    return old


def test_under_load_nothing_is_lost_and_the_old_files_get_nothing_any_more(logging, wrk):
    gatekeeper = logging
    load = wrk(gatekeeper.port, connections=16)
    old, sizes = [], []
    for turn in range(TURNS):
        until(lambda: gatekeeper.access.exists() and gatekeeper.access.stat().st_size > 100_000)
        old += rotate(gatekeeper, turn)
        sizes += [path.stat().st_size for path in old[-2:]]
    load.stop()
    counted = requests_counted(gatekeeper.quiet_metrics())
    assert [path.stat().st_size for path in old] == sizes
    gatekeeper.process.terminate()
    assert gatekeeper.process.wait(15) == 0
    access = [path for path in (*old, gatekeeper.access) if path.name.startswith("access")]
    found = lines(*access)
    assert len(found) == counted
    assert len({line["request_id"] for line in found if line["request_id"]}) == counted
    told = [line["event"] for line in lines(*(old[0::2]), gatekeeper.log) if line["type"] == "event"]
    assert told.count("logs_reopened") == TURNS
    assert told.count("started") == 1
    assert told[-1] == "stopped"
    assert lines(gatekeeper.log)[0]["event"] == "logs_reopened"
    assert (gatekeeper.folder / "out0").read_bytes() == b""


def test_a_file_that_cannot_be_opened_keeps_the_old_one_and_is_told_until_it_works(logging):
    gatekeeper = logging
    moved = gatekeeper.access.rename(f"{gatekeeper.access}.0")
    gatekeeper.access.mkdir()
    gatekeeper.process.send_signal(signal.SIGUSR1)
    (kept,) = until(lambda: events(gatekeeper.log, "logs_kept"))
    assert re.search("access: cannot be opened for writing: Is a directory", kept["reason"])
    assert gatekeeper.get().status == 200
    until(lambda: lines(moved))
    assert "goes on in its old file" in gatekeeper.cli("status").stdout
    assert gatekeeper.metrics()["gatekeeper_problems"] > 0
    gatekeeper.access.rmdir()
    gatekeeper.process.send_signal(signal.SIGUSR1)
    until(lambda: events(gatekeeper.log, "logs_reopened"))
    assert gatekeeper.metrics()["gatekeeper_problems"] == 0
    assert gatekeeper.get().status == 200
    until(lambda: lines(gatekeeper.access))


def test_a_replaced_worker_writes_to_the_file_as_well(logging):
    gatekeeper = logging
    pids = gatekeeper.workers()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not set(gatekeeper.workers()) & {*pids, None})
    before = len(lines(gatekeeper.access))
    assert gatekeeper.get().status == 200
    until(lambda: len(lines(gatekeeper.access)) > before)


def test_a_start_with_a_path_that_cannot_be_opened_says_so(shop):
    gatekeeper = shop(start=False)
    for key in ("file", "access_file"):
        amend(gatekeeper, log={"access": "json", key: "/nonexistent/log"})
        assert gatekeeper.launch().wait(15) == 1
        said = gatekeeper.said()
        assert "/nonexistent/log: cannot be opened for writing: No such file or directory" in said
        assert f"`log.{key}:`" in said
        amend(gatekeeper, log={"access": "json"})


def test_a_reload_changes_the_level_and_refuses_other_files(logging):
    gatekeeper = logging
    amend(gatekeeper, log={"file": str(gatekeeper.folder / "other")})
    status, reply = gatekeeper.call("POST", "/v1/reload", {})
    assert status == 409
    assert "log.file" in reply["detail"]
    amend(gatekeeper, log={"file": str(gatekeeper.log), "level": "error"})
    assert gatekeeper.call("POST", "/v1/reload", {})[0] == 200
    gatekeeper.split(blue=1, green=1)
    amend(gatekeeper, log={"level": "info"})
    assert gatekeeper.call("POST", "/v1/reload", {})[0] == 200
    gatekeeper.split(blue=1, green=0)
    until(lambda: events(gatekeeper.log, "split"))
    assert len(events(gatekeeper.log, "split")) == 1
