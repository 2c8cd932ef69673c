"""A disk that is full or that nobody may write: changes are refused with the reason, traffic notices nothing, and it
goes on where it was once the disk does."""

import contextlib
import os
import signal

import pytest

from tests.system.disks import FullDisk, LimitedDisk, ReadOnlyDisk
from tests.system.kernel import gone
from tests.system.ledger import Ledger, check_file
from tests.system.programs import PATIENCE, until
from tests.system.visitors import Visitor, running

pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.outside("nginx", "wrk")]

RULE = {"name": "beta", "when": {"header": {"X-Beta": "1"}}, "to": "green"}
GREEN = "/v1/services/shop/versions/green2"
COMMANDS = (
    ("PUT", "/v1/services/shop/split", {"blue": 40, "green": 60}),
    ("PUT", "/v1/services/shop/split?confirm_within=5m", {"blue": 30, "green": 70}),
    ("PUT", GREEN, {"backends": ["http://127.0.0.1:9"]}),
    ("DELETE", "/v1/services/shop/versions/spare", None),
    ("POST", "/v1/services/shop/rollback", {}),
    ("POST", "/v1/reload", {}),
    ("POST", "/v1/revisions/1/restore", None),
)


@pytest.fixture
def on_disk(tmp_path, nginx, serve):
    """``on_disk(FullDisk)``: a gatekeeper whose state file lies on such a disk, and the disk."""
    with contextlib.ExitStack() as stack:

        def start(kind):
            try:
                disk = kind(tmp_path / "disk")
            except OSError as error:
                pytest.skip(f"this user cannot have a {kind.__name__} here: {error}")
            stack.callback(disk.close)
            blue, green = nginx("blue"), nginx("green")
            versions = {"blue": blue.url, "green": green.url, "spare": blue.url}
            gatekeeper = serve(versions, start=False)
            stack.callback(gatekeeper.end)  # before the disk goes
            gatekeeper.state = disk.folder / "state.db"
            gatekeeper.write()
            gatekeeper.start()
            disk.use(gatekeeper.process.pid)
            return gatekeeper, disk

        yield start


def refused(gatekeeper, disk, method, path, body, key):
    """Ask for a change on the failing disk; the problem."""
    disk.fail()  # again each time: undoing what was written by half may have made room
    status, problem = gatekeeper.call(method, path, body, fields={"Idempotency-Key": key})
    assert (status, problem["code"]) == (503, "store_failed"), problem
    assert disk.why in problem["detail"], problem
    assert str(gatekeeper.state) in problem["detail"]
    assert problem["allowed"]
    return problem


def kill(gatekeeper):
    gatekeeper.process.kill()
    gatekeeper.process.wait()


def heal(gatekeeper, disk):
    """What an operator does; some disks want the program off for it, and its workers go on meanwhile."""
    if not disk.heals_under_use:
        kill(gatekeeper)
    disk.heal()
    if not disk.heals_under_use:
        gatekeeper.start()


@pytest.mark.parametrize("kind", [FullDisk, ReadOnlyDisk, LimitedDisk])
def test_changes_are_refused_with_the_reason_while_the_disk_fails_and_work_again_afterwards(on_disk, wrk, kind):
    """Whatever is asked for, nothing changes; traffic does not notice; the same keys act, once, when the disk is well
    again; the history has neither a gap nor a trace of what was refused, also after a kill."""
    gatekeeper, disk = on_disk(kind)
    gatekeeper.split(blue=100)
    revision = gatekeeper.split(blue=90, green=10)["revision"]
    load = wrk(gatekeeper.port, "close=50")
    gatekeeper.write(rules=[RULE])
    for number, (method, path, body) in enumerate(COMMANDS):
        refused(gatekeeper, disk, method, path, body, f"key-{number}")
        status = gatekeeper.status()
        assert status["revision"] == revision
        assert {worker["revision"] for worker in status["workers"]} == {revision}
        assert status["services"][0]["split"] == {"blue": 90, "green": 10, "spare": 0}
    assert any("full" in problem or "disk" in problem for problem in status["problems"]), status["problems"]
    assert gatekeeper.get(fields={"X-Beta": "1"}).revision == revision
    assert gatekeeper.call("GET", "/v1/revisions")[0] == 200
    dry = gatekeeper.call("PUT", "/v1/services/shop/split?dry_run=1", {"blue": 1})
    assert (dry[0], dry[1]["dry_run"]) == (200, True)

    heal(gatekeeper, disk)
    if disk.heals_under_use:
        status, reply = gatekeeper.call("POST", "/v1/reload", {}, fields={"Idempotency-Key": "key-5"})
        assert status == 200, reply
    # Else the start has taken up the file, which was edited.
    assert gatekeeper.status()["revision"] == revision + 1
    method, path, body = COMMANDS[0]
    for number in range(2):
        status, reply = gatekeeper.call(method, path, body, fields={"Idempotency-Key": "key-0"})
        assert (status, reply["revision"]) == (200, revision + 2), (number, reply)
    assert gatekeeper.get(fields={"X-Beta": "1"}).version == "green"
    assert gatekeeper.status()["problems"] == []
    assert load.stop().errors == {}
    if kind is FullDisk:  # a process that may write nothing cannot log either, and another process forgets
        assert gatekeeper.events("store_failed")
        assert gatekeeper.events("store_recovered")

    kill(gatekeeper)
    gatekeeper.start()
    ledger = Ledger(gatekeeper)
    ledger.check_numbers()
    assert max(ledger.rows) == revision + 2
    assert gatekeeper.status()["services"][0]["split"] == {"blue": 40, "green": 60, "spare": 0}
    gatekeeper.process.terminate()
    assert gatekeeper.process.wait(PATIENCE) == 0
    check_file(gatekeeper.state)


@pytest.mark.parametrize("kind", [FullDisk, ReadOnlyDisk])
def test_a_supervisor_and_a_worker_killed_while_the_disk_fails_cost_no_request_but_the_worker_s(on_disk, kind):
    """A worker that dies is replaced; a supervisor that dies comes back, or says why it does not; and when it is back
    on a disk that is well, no worker of before routes by what was before."""
    gatekeeper, disk = on_disk(kind)
    gatekeeper.split(blue=90, green=10)
    with running(visitor := Visitor(gatekeeper)):
        disk.fail()
        victim = gatekeeper.workers()[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: gone(victim))
        until(lambda: {worker["state"] for worker in gatekeeper.status()["workers"]} == {"ready"})
        until(lambda: len(visitor.visits) > 20)
        after_worker = len(visitor.visits)
        assert sum(bool(visit.problem) for visit in visitor.visits) <= 1

        kill(gatekeeper)
        process = gatekeeper.launch()
        until(lambda: process.poll() is not None or gatekeeper.events("started"), 30, "the start or its failure")
        if process.poll() is not None:
            assert process.returncode == 1
            assert str(gatekeeper.state) in gatekeeper.said()
            disk.heal()
            gatekeeper.start()
        else:
            heal(gatekeeper, disk)
        reply = gatekeeper.split(green=100)
        assert reply["workers"] == {"acknowledged": 2, "total": 2}
        for _ in range(50):
            answer = gatekeeper.get()
            assert (answer.version, answer.revision) == ("green", reply["revision"])
        assert gatekeeper.worker_pids() == sorted(gatekeeper.workers())
    assert [visit for visit in visitor.visits[after_worker:] if visit.problem] == []
