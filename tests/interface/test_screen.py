import fcntl
import os
import pty
import signal
import struct
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

from gatekeeper.interface.screen import Happened, _Keys


@pytest.fixture
def keyboard(monkeypatch):
    """A terminal on standard input; what the test writes to the other end was typed."""
    typing, terminal = pty.openpty()
    with os.fdopen(terminal, "r") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield typing
    os.close(typing)


def test_q_is_heard_without_return_and_ends_it(keyboard):
    with _Keys() as keys:
        os.write(keyboard, b"q")
        assert keys.wait(5.0) is Happened.QUIT


def test_another_key_draws_anew(keyboard):
    with _Keys() as keys:
        os.write(keyboard, b"x")
        assert keys.wait(5.0) is Happened.RESIZED


def test_a_new_size_of_the_window_wakes_it(keyboard):
    with _Keys() as keys:
        os.kill(os.getpid(), signal.SIGWINCH)
        assert keys.wait(5.0) is Happened.RESIZED
        assert keys.wait(0.0) is Happened.NOTHING


def test_nothing_happens_within_the_time(keyboard):
    begun = time.monotonic()
    with _Keys() as keys:
        assert keys.wait(0.05) is Happened.NOTHING
    assert time.monotonic() - begun >= 0.05


def test_without_a_terminal_to_type_at_there_are_no_keys(monkeypatch):
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with _Keys() as keys:
            assert keys.wait(0.0) is Happened.NOTHING


def test_the_terminal_is_left_as_it_was_whatever_happens(keyboard):
    before, handler = termios.tcgetattr(sys.stdin), signal.getsignal(signal.SIGWINCH)
    keys = _Keys()
    keys.__enter__()
    assert termios.tcgetattr(sys.stdin) != before
    keys.__exit__(RuntimeError, RuntimeError(), None)
    assert termios.tcgetattr(sys.stdin) == before
    assert signal.getsignal(signal.SIGWINCH) is handler


STATUS = {
    "version": "0.1.0",
    "pid": 7,
    "started": 0,
    "revision": 17,
    "workers": [],
    "services": [
        {
            "name": f"service-{number}",
            "stable": "blue",
            "split": {"blue": 1},
            "versions": {"blue": {"backends": [], "live": {"rate": float(number)}}},
        }
        for number in range(30)
    ],
}


def test_top_on_a_real_terminal_fits_it_at_every_size_and_ends_by_q(admin):
    admin.answer("GET", "/v1/status", STATUS)
    child, terminal = pty.fork()
    if not child:
        os.environ.update(TERM="xterm", COLUMNS="", LINES="")
        os.execv(sys.executable, [sys.executable, "-m", "gatekeeper", "top", "--interval", "0.2"])  # noqa: S606
    out = bytearray()

    def size(lines, columns):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read():
        try:
            while data := os.read(terminal, 65536):
                out.extend(data)
        except OSError:  # how Linux says that the other end is gone
            pass

    def until(text):
        deadline = time.monotonic() + 10
        while text not in out:
            assert time.monotonic() < deadline, bytes(out)
            time.sleep(0.01)

    size(24, 100)
    reader = threading.Thread(target=read)
    reader.start()
    until(b"... and")
    assert b"service-29" in out
    assert b"service-2 " not in out
    size(60, 100)
    until(b"service-2 ")
    os.write(terminal, b"q")
    _, status = os.waitpid(child, 0)
    reader.join(5)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert out.rstrip().endswith(b"\x1b[?1049l")
