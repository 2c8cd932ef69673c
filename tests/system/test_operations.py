"""docs/operations.md promises nothing that is not so: its tables of files, exit codes and alerts, its commands.

Its signals are tried in test_operations_signals.py, its failures in test_failures_*.py, a test for each row.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from tests.system import operations
from tests.system.operations import FAILURES, Backend, amend, quoted, tables
from tests.system.programs import until

# They say which rows they try.
from tests.system import test_failures_access, test_failures_around, test_failures_inside  # noqa: F401  # isort: skip

pytestmark = pytest.mark.system

DOCS = operations.DOCUMENT.parent
TEXT = operations.DOCUMENT.read_text()
BY_HAND = {
    "The disk is read-only": "tests/system/test_disk.py tries it, on a file system of its own",
    "Memory runs out": "tried in a memory control group that was too small",
}


def test_every_row_of_the_failures_is_tried():
    assert operations.TRIED | BY_HAND.keys() == FAILURES.keys()
    assert operations.TRIED & BY_HAND.keys() == set()


# What it names is there.


def test_every_metric_it_names_is_one_of_ours():
    known = set(re.findall(r"`(gatekeeper_\w+)`", (DOCS / "metrics.md").read_text()))
    named = {name.removesuffix("_bucket") for name in re.findall(r"gatekeeper_\w+", TEXT)}
    assert named - known == set()


def test_every_event_it_names_is_one_of_ours():
    known = set(quoted("\n".join(re.findall(r"^\| (`.*?) \|", (DOCS / "logs.md").read_text(), flags=re.MULTILINE))))
    texts = [cell for row in FAILURES.values() for cell in row.cells]
    named = {word for text in texts for word in re.findall(r"events? `(\w+)`", text)}
    assert named
    assert named - known == set()


def test_every_command_it_names_is_one_of_ours():
    from gatekeeper.interface.cli import gatekeeper

    named = set(re.findall(r"`gatekeeper ([a-z]+)", TEXT)) | set(
        re.findall(r"^ +gatekeeper ([a-z]+)", TEXT, re.MULTILINE)
    )
    assert named - gatekeeper.all().keys() == set()


# Exit codes


def test_serve_ends_with_the_codes_it_says(site):
    codes = {row.name for row in tables("Start, stop") if row.name.isdigit()}
    gatekeeper = site()
    gatekeeper.process.terminate()
    found = {str(gatekeeper.process.wait(15))}
    with contextlib.closing(socket.create_server(("127.0.0.1", gatekeeper.port))):
        found.add(str(gatekeeper.launch().wait(15)))
    content = gatekeeper.file.read_text()
    gatekeeper.file.write_text("{}")
    found.add(str(gatekeeper.launch().wait(15)))
    gatekeeper.file.write_text(content)
    amend(gatekeeper, admin={"http": "127.0.0.1:1", "tokens": "none.yaml"})
    assert gatekeeper.launch().wait(15) == 2
    assert found == codes


# Files

FILES = tables("Files")


def mode(path):
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def test_files_have_the_modes_and_owners_it_says(site, tmp_path, free_port):
    gatekeeper = site(start=False)
    users = tmp_path / "made" / "users.sock"
    users.parent.mkdir()
    tokens = tmp_path / "tokens.yaml"
    private = tmp_path / "private" / "state.db"
    amend(gatekeeper, listen=[f"127.0.0.1:{gatekeeper.port}", f"unix:{users}"], state=str(private))
    amend(gatekeeper, admin={"http": f"127.0.0.1:{free_port}", "tokens": str(tokens)})
    access = tmp_path / "access.log"
    amend(gatekeeper, log={"access": "json", "access_file": str(access)})
    assert gatekeeper.cli("token", "add", "anna", "--config", str(gatekeeper.file)).returncode == 0
    gatekeeper.start()
    found = {"admin.sock": gatekeeper.socket, "sockets of listen": users, "token file": tokens}
    found["log.file, log.access_file"] = access
    found |= {name: private.with_name(name) for name in ("state.db", "state.db-wal", "state.db-shm", "state.db.lock")}
    wanted = {row.name.replace("`", ""): row.cells[0] for row in FILES if re.fullmatch(r"\d{4}", row.cells[0])}
    # The last two are there once something was judged or mirrored; the tests of these look at their modes.
    later = {"state.db.before-upgrade", "certificates, keys", "state.db.judge/", "state.db.shadow/"}
    assert wanted.keys() - found.keys() == later
    assert {name: mode(path) for name, path in found.items()} == {name: wanted[name] for name in found}
    assert {path.stat().st_uid for path in found.values()} == {os.geteuid()}
    assert mode(private.parent) == "0700"
    assert private.with_name("state.db.lock").read_text() == f"{gatekeeper.process.pid}\n"


def test_the_token_file_keeps_owner_and_mode_also_when_root_edits_it(site, tmp_path):
    if os.geteuid():
        pytest.skip("only root can give files away")
    gatekeeper, tokens = site(start=False), tmp_path / "tokens.yaml"
    add = ("token", "add", "--file", str(tokens))
    assert gatekeeper.cli(*add, "anna").returncode == 0
    os.chown(tokens, 65534, 65534)
    tokens.chmod(0o640)
    assert gatekeeper.cli(*add, "ben").returncode == 0
    assert (tokens.stat().st_uid, tokens.stat().st_gid, mode(tokens)) == (65534, 65534, "0640")


def test_the_admin_socket_has_the_group_of_a_directory_with_the_setgid_bit(site):
    if os.geteuid():
        pytest.skip("only root can give directories away")
    gatekeeper = site(start=False)
    os.chown(gatekeeper.folder, -1, 65534)
    gatekeeper.folder.chmod(0o2755)
    gatekeeper.start()
    assert gatekeeper.socket.stat().st_gid == 65534


def test_after_a_kill_the_newest_changes_are_gone_without_the_log_and_there_with_it(site):
    gatekeeper = site()
    gatekeeper.split(blue=1, green=2)
    log = gatekeeper.state.with_name("state.db-wal")
    gatekeeper.end()
    assert log.stat().st_size
    kept = log.rename(log.with_name("kept"))
    gatekeeper.start()
    assert gatekeeper.status()["services"][0]["split"] == {"blue": 100, "green": 0}
    gatekeeper.process.terminate()
    gatekeeper.process.wait(15)
    assert not log.exists(), "a stop leaves one file"
    assert kept.exists()


def test_a_token_file_or_a_certificate_that_is_missing_ends_a_start(site, free_port, tmp_path):
    gatekeeper = site(start=False)
    amend(gatekeeper, admin={"http": f"127.0.0.1:{free_port}", "tokens": "none.yaml"})
    assert gatekeeper.launch().wait(15) == 2
    tls = {"cert": str(tmp_path / "none.pem"), "key": str(tmp_path / "none.key")}
    amend(gatekeeper, listen=[{"address": f"127.0.0.1:{gatekeeper.port}", "tls": tls}])
    assert gatekeeper.launch().wait(15) == 2


def test_an_admin_socket_that_is_none_is_left_alone(site):
    gatekeeper = site(start=False)
    gatekeeper.socket.write_text("mine")
    assert gatekeeper.launch().wait(15) == 1
    assert gatekeeper.socket.read_text() == "mine"


# Backup


@pytest.mark.parametrize("way", ["sqlite3", "python3", "a snapshot"])
def test_a_backup_of_a_running_gatekeeper_is_whole_and_starts_elsewhere(site, way, tmp_path, free_ports):
    gatekeeper = site()
    revision = gatekeeper.split(blue=1, green=3)["revision"]
    copy = tmp_path / "copy.db"
    (with_shell,) = re.findall(r"^ +\(umask 077; (sqlite3 .*)\)$", TEXT, re.MULTILINE)
    (with_python,) = re.findall(r"`(python3 -c .*?)`", TEXT, re.DOTALL)
    command = {"sqlite3": with_shell, "python3": " ".join(with_python.split("\n"))}.get(way)
    if command is None:
        for ending in ("", "-wal"):
            shutil.copy(f"{gatekeeper.state}{ending}", f"{copy}{ending}")
    elif shutil.which(way) is None:
        pytest.skip(f"{way} is not installed")
    else:
        command = command.replace("/var/lib/gatekeeper/state.db", str(gatekeeper.state))
        command = command.replace("/backup/state.db", str(copy))
        subprocess.run(["sh", "-c", f"umask 077; {command}"], check=True)
        assert mode(copy) == "0600"
    gatekeeper.end()
    with contextlib.closing(sqlite3.connect(copy)) as other:
        assert other.execute("SELECT max(revision) FROM revisions").fetchone() == (revision,)
    for ending in ("", "-wal", "-shm"):
        Path(f"{gatekeeper.state}{ending}").unlink(missing_ok=True)
    copy.replace(gatekeeper.state)
    amend(gatekeeper, listen=[f"127.0.0.1:{free_ports(1)[0]}"])  # another machine
    gatekeeper.start()
    status = gatekeeper.status()
    assert (status["revision"], status["services"][0]["split"]) == (revision + 1, {"blue": 1, "green": 3})


# A container


def test_process_1_refuses_to_hand_over_and_takes_its_workers_along(site):
    if os.geteuid() or shutil.which("unshare") is None:
        pytest.skip("needs the right to make a name space of processes")
    gatekeeper = site(start=False)
    gatekeeper.program = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *gatekeeper.program]
    gatekeeper.start()
    assert gatekeeper.status()["pid"] == 1
    supervisor = next(pid for pid in gatekeeper.supervisor_pids() if pid != gatekeeper.process.pid)
    os.kill(supervisor, signal.SIGUSR2)
    until(lambda: "SIGUSR2 refused" in (gatekeeper.folder / "out0").read_text())
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: gatekeeper.worker_pids() == [])


def test_the_backends_of_these_tests_end_when_they_are_told_to(free_port):
    before = threading.active_count()
    Backend("blue", free_port).stop()
    until(lambda: threading.active_count() <= before)
