"""The tables of docs/operations.md on who may do what, and on changes that are refused: each row, tried as written."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from tests.system.clocked import Clocks
from tests.system.operations import amend, ready, tries, wait_for

pytestmark = pytest.mark.system

# Access


@pytest.fixture
def door(site, seen, tmp_path, free_port):
    """A gatekeeper that listens on TCP, too, and anna's token: ``door.came("status", code=0)`` is what she is told."""
    gatekeeper = seen.of(site(start=False))
    tokens, token = tmp_path / "tokens.yaml", tmp_path / "anna.token"
    amend(gatekeeper, admin={"http": f"127.0.0.1:{free_port}", "tokens": str(tokens)})

    def add(*more):
        done = gatekeeper.cli("token", "add", "anna", *more, "--config", str(gatekeeper.file))
        assert done.returncode == 0, done.stderr
        token.write_text(done.stdout)

    def came(*words, code=0):
        return seen.run(
            gatekeeper, *words, "--url", f"http://127.0.0.1:{free_port}", "--token-file", str(token), code=code
        )

    gatekeeper.add, gatekeeper.came, gatekeeper.tokens = add, came, tokens
    return gatekeeper


@tries("A token has leaked")
def test_a_token_that_is_revoked_opens_nothing(door, seen):
    door.add("--role", "operator")
    door.start()
    door.came("split", "shop", "green=1", "--yes")
    assert "anna" in seen.run(door, "audit")
    seen.run(door, "token", "revoke", "anna", "--config", str(door.file))
    wait_for(door, "tokens_changed")
    door.came("status", code=4)
    seen.run(door, "restore", "1", "--yes")
    assert door.status()["services"][0]["split"] == {"blue": 100, "green": 0}


@tries("A token has expired")
def test_a_token_that_has_expired_opens_nothing(door, seen, tmp_path):
    door.program = (clocks := Clocks(tmp_path / "clocks")).program
    door.add("--expires", "1d")
    door.start()
    door.came("status")
    clocks.pass_(86400)
    door.came("status", code=4)


@tries("The token file has a mistake")
def test_a_token_file_with_a_mistake_leaves_the_tokens_of_before(door, seen):
    door.add("--role", "viewer")
    door.start()
    door.tokens.write_text("- {name: x}\n")
    wait_for(door, "tokens_refused")
    seen.look(door)
    door.came("status")
    assert "[0].sha256" in seen.run(door, "check", str(door.file), code=2)


@tries("You are not allowed")
def test_who_may_not_is_told_what_is_needed(door, seen):
    door.add("--role", "viewer")
    door.start()
    door.came("split", "shop", "green=1", "--yes", code=4)
    assert "refused" in seen.run(door, "audit")


@tries("The admin socket is gone")
def test_an_admin_socket_that_was_deleted_comes_back_with_an_upgrade(site, seen):
    gatekeeper = seen.of(site())
    gatekeeper.socket.unlink()
    seen.run(gatekeeper, "status", code=3)
    gatekeeper.process.send_signal(signal.SIGUSR2)
    wait_for(gatekeeper, "old_program_ended")
    assert ready(gatekeeper)


class Outsider:
    """Another user of this machine, in the directory of the socket, which is all he can see of this test."""

    ID = 65534

    def __init__(self, gatekeeper, seen):
        self._folder = gatekeeper.folder
        for self._python in (sys.executable, "/usr/bin/python3"):
            with contextlib.suppress(OSError):
                if self._begin("--version").returncode == 0:
                    return
        seen.skip("there is no interpreter that everybody may run")

    def _begin(self, *words):
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "GATEKEEPER_SOCKET": "admin.sock"}
        command = [self._python, "-m", "gatekeeper", *words]
        who = {"user": self.ID, "group": self.ID, "extra_groups": []}
        return subprocess.run(
            command, **who, cwd=self._folder, env=environment, capture_output=True, text=True, timeout=30, check=False
        )

    def run(self, *words, code=0):
        done = self._begin(*words)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr


@tries("The socket is another's")
def test_who_may_not_open_the_socket_is_told_so(site, seen):
    gatekeeper = seen.of(site())
    if os.geteuid():
        seen.skip("only root can be somebody else")
    outsider = Outsider(gatekeeper, seen)
    seen.add(outsider.run("status", code=3))
    os.chown(gatekeeper.socket, -1, Outsider.ID)
    outsider.run("split", "shop", "green=1", "--yes")
    assert "needs admin" in outsider.run("history", "prune", "--before", "1", "--yes", code=4)


# Changes


def broken(gatekeeper):
    content = gatekeeper.file.read_text()
    gatekeeper.file.write_text(content.replace('"backends"', '"backend"', 1))
    return content


@tries("A reload is refused")
def test_a_reload_with_a_mistake_changes_nothing(site, seen):
    gatekeeper = seen.of(site())
    content = broken(gatekeeper)
    assert "did you mean backends?" in seen.run(gatekeeper, "reload", "--yes", code=2)
    gatekeeper.process.send_signal(signal.SIGHUP)
    wait_for(gatekeeper, "reload_refused")
    assert gatekeeper.get().status == 200
    gatekeeper.file.write_text(content)
    seen.run(gatekeeper, "reload", "--yes")


@tries("A reload needs more")
def test_a_reload_of_what_is_fixed_is_refused_and_an_upgrade_takes_it_up(site, seen):
    gatekeeper = seen.of(site())
    amend(gatekeeper, workers=2)
    seen.run(gatekeeper, "reload", "--yes", code=4)
    gatekeeper.process.send_signal(signal.SIGUSR2)
    wait_for(gatekeeper, "old_program_ended")
    assert len(ready(gatekeeper)) == 2


@tries("An upgrade fails")
def test_an_upgrade_that_fails_changes_nothing(site, seen):
    gatekeeper = seen.of(site())
    pid, content = gatekeeper.status()["pid"], broken(gatekeeper)
    gatekeeper.process.send_signal(signal.SIGUSR2)
    (failed,) = wait_for(gatekeeper, "handover_failed")
    assert "did you mean backends?" in failed["reason"]
    assert (gatekeeper.status()["pid"], gatekeeper.get().status) == (pid, 200)
    gatekeeper.file.write_text(content)
    gatekeeper.process.send_signal(signal.SIGUSR2)
    wait_for(gatekeeper, "old_program_ended")


@tries("Somebody was faster")
def test_of_two_who_expect_the_same_revision_the_second_is_refused(site, seen):
    gatekeeper = seen.of(site())
    seen.run(gatekeeper, "split", "shop", "green=1", "--yes", "--expect", "1", "--note", "mine")
    assert "mine" in seen.run(gatekeeper, "split", "shop", "blue=1", "--yes", "--expect", "1", code=4)


@tries("A change waits to be confirmed")
def test_a_change_that_waits_keeps_others_out_until_it_is_settled(site, seen):
    gatekeeper = seen.of(site())
    seen.run(gatekeeper, "split", "shop", "green=1", "--yes", "--confirm-within", "10s")
    seen.run(gatekeeper, "split", "shop", "blue=1", "green=1", "--yes", code=4)
    seen.look(gatekeeper)
    wait_for(gatekeeper, "undone")
    assert gatekeeper.get().version == "blue"


@tries("A deploy is not healthy")
def test_a_deploy_of_sick_backends_leaves_the_old_ones(site, seen, free_ports):
    gatekeeper = seen.of(site())
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    said = seen.run(gatekeeper, "deploy", "shop", "blue", url, "--wait", "--timeout", "1s", code=4)
    assert f"{url}: connection refused" in said
    assert gatekeeper.get().status == 200
