"""Runs a document: what it says to save is saved, what it says to type is typed, and what comes is held against it.

    python -m tests.system.walkthrough docs/releasing.md           # what differs; exit 1 if anything does
    python -m tests.system.walkthrough --write docs/releasing.md   # put what came into the document

A block after ``Save as `NAME` `` is a file. In a block of ``console``, ``$ `` begins what is typed, ``> `` goes on with
it, and the other lines are what comes; all of it in one shell. A command must succeed unless the next one is
``echo $?``. Moments, times, counts of requests and the like are another in every run: ``settled`` makes them equal.
"""

import contextlib
import difflib
import os
import pwd
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 60.0
"""Seconds for one command."""
USER, HOME = "anna", "/home/anna"
"""Who follows the document, and where, in it."""
FENCE = re.compile(r"^(```+)(\w*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
SAVE = re.compile(r"Save as `([^`]+)`[^`]*\Z")
BARS = "[\N{FULL BLOCK}\N{LIGHT SHADE}#.]"
CHANGING = (
    (r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", "MOMENT"),
    (r"\b\d\d:\d\d:\d\d\b", "TIME"),
    (r"\b\d+(\.\d+)? ?ms\b", "N ms"),
    (r"\b\d+\.\d+ s\b", "N s"),
    (rf"\[{BARS}+\]", "[BAR]"),
    (r"held for \S+ of", "held for TIME of"),
    (r"\bin \d+(\.\d+)?s\b", "in TIME"),
    (r"(?m)^ *\d+ (blue|green|red)$", r"N \1"),
    (r"(?m)^((?:shop +\w+| ) +(?:blue|green|red) +\d+) .* (\d+/\d+)$", r"\1 ... \2"),  # what flows, in a status
    (r"\buid \d+", "uid N"),
    (r"\d+ of \d+ requests failed", "N of N requests failed"),
    (r"\bended after \S+ s\b", "ended after N s"),
    (r'"at":\d+\.\d+', '"at":N'),
    (r"\b[0-9a-f]{32,64}\b", "DIGEST"),
    (r"\d+ of \d+ answers differ .*", "N of N answers differ"),  # a copy may be shed
    (r"(?m)^ +\d+ (requests were not copied|copies|answers) .*\n", ""),
    (r"(?m)^(status|(?:header|json) +\S+) +\d+ (.*GET /basket/)\d+$", r"\1 N \2N"),
    (r"(?m)^(user's|candidate's) .*", r"\1 N N N"),
    (r"(?m)[ \t]+", " "),
    (r"(?m) +$", ""),
)
"""What is another in every run -> what stands for it. In this order."""


@dataclass
class Typed:
    """A command and what came of it, as the document has it and, once it was typed, as it was."""

    command: str
    expected: str
    came: str = ""
    code: int = 0


@dataclass
class Block:
    start: int
    end: int
    """Place in the document, of what is between the fences."""
    file: str = ""
    text: str = ""
    typed: list[Typed] = field(default_factory=list)

    def as_text(self):
        """A console block with what came instead of what was expected."""
        return "".join(f"$ {each.command.replace(chr(10), chr(10) + '> ')}\n{each.came}" for each in self.typed)


def blocks(document):
    """Everything in a document that is to be saved or typed."""
    found = []
    for fence in FENCE.finditer(document):
        block = Block(fence.start(3), fence.end(3), text=fence[3])
        if fence[2] == "console":
            block.typed = _typed(fence[3])
        elif name := SAVE.search(document[: fence.start()].rstrip()):
            block.file = name[1]
        else:
            continue
        found.append(block)
    return found


def _typed(text):
    found = []
    for line in text.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append(Typed(line[2:].rstrip("\n"), ""))
        elif line.startswith("> ") and not found[-1].expected:
            found[-1].command += "\n" + line[2:].rstrip("\n")
        else:
            found[-1].expected += line
    return found


def settled(text):
    """Without what is another in every run."""
    for pattern, word in CHANGING:
        text = re.sub(pattern, word, text)
    return text


class Shell:
    """One shell for the whole document. ``ports``: those of the document -> those that are free here."""

    def __init__(self, folder, ports):
        self._folder, self._ports = folder, ports
        self._user = pwd.getpwuid(os.getuid()).pw_name
        bin_ = str(Path(sys.executable).parent)
        environment = {
            "PATH": os.pathsep.join([bin_, os.environ.get("PATH", os.defpath)]),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "TZ": "UTC",
            # What a document installs by npm is here already, as it was published.
            "NODE_PATH": str(Path(__file__).parents[1] / "vendor" / "javascript"),
        }
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def save(self, name, text):
        """Where the shell is just now."""
        (Path(f"/proc/{self._process.pid}/cwd").readlink() / name).write_text(self._here(text))

    def type(self, typed):
        """Let it run to its end; raises TimeoutError."""
        mark = f"--{os.urandom(8).hex()}--"
        line = f"{self._here(typed.command)}\n__code=$?; printf '%s %s\\n' {mark} $__code; (exit $__code)\n"
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()
        said = self._until(f"{mark} ".encode(), typed.command)
        end = self._until(b"\n", typed.command)
        typed.came, typed.code = self._there(said.decode()), int(end)

    def _until(self, mark, command):
        said, end = b"", time.monotonic() + PATIENCE
        pipe = self._process.stdout.fileno()
        while not said.endswith(mark):
            if not select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError(f"not done within {PATIENCE:g} s: {command}\n{said.decode()}")
            piece = os.read(pipe, 1)  # no further than the mark
            if not piece:
                raise EOFError(f"the shell ended: {command}\n{said.decode()}")
            said += piece
        return said[: -len(mark)]

    def _here(self, text):
        for there, here in self._ports.items():
            text = re.sub(rf"\b{there}\b", str(here), text)
        return text

    def _there(self, text):
        for there, here in self._ports.items():
            text = re.sub(rf"\b{here}\b", str(there), text)
        for place in (str(self._folder), str(self._folder).replace("_", r"\_")):  # in Markdown _ is written \_
            text = text.replace(place, HOME)
        text = re.sub(rf"\buid {os.getuid()}( {{0,3}})", "uid 1000", text)
        return re.sub(rf"\b{re.escape(self._user)}\b", USER, text)

    def end(self):
        """Kill everything that was started from here."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (path / "cwd").readlink().is_relative_to(self._folder):
                    os.kill(int(path.name), signal.SIGKILL)


def run(document, folder, ports):
    """Do what the document says; the blocks with what came. Raises AssertionError where something went wrong."""
    found = blocks(document)
    shell = Shell(folder, ports)
    try:
        for block in found:
            if block.file:
                shell.save(block.file, block.text)
            for number, typed in enumerate(block.typed):
                shell.type(typed)
                asked = number + 1 < len(block.typed) and block.typed[number + 1].command == "echo $?"
                assert typed.code == 0 or asked, f"exit {typed.code}: {typed.command}\n{typed.came}"
    finally:
        shell.end()
    return found


def differences(found):
    """What came and is not in the document, and the other way round, for people."""
    out = []
    for block in found:
        for typed in block.typed:
            expected, came = settled(typed.expected), settled(typed.came)
            if expected != came:
                lines = difflib.unified_diff(expected.splitlines(), came.splitlines(), "document", "here", lineterm="")
                out.append("\n".join([f"$ {typed.command}", *lines]))
    return "\n\n".join(out)


def followed(name: str, tmp_path: Path, free_ports: Callable[[int], Sequence[int]]) -> str:
    """What is typed in docs/NAME, all of it, after it was done in ``tmp_path`` and showed what the document shows."""
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    found = run((Path(__file__).parents[2] / "docs" / name).read_text(), tmp_path, ports)
    said = differences(found)
    assert not said, f"{said}\n\nif that is right: python -m tests.system.walkthrough --write docs/{name}"
    return "\n".join(each.command for block in found for each in block.typed)


def rewritten(document, found):
    """The document with what came."""
    for block in reversed(found):
        if block.typed:
            document = document[: block.start] + block.as_text() + document[block.end :]
    return document


def main(arguments):
    import socket

    write = arguments[0] == "--write"
    path = Path(arguments[-1])
    held = [socket.socket() for _ in PORTS]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = dict(zip(PORTS, (each.getsockname()[1] for each in held), strict=True))
    for each in held:
        each.close()
    # As long as HOME, so that the columns of tables with paths in them stand where they do here.
    folder = Path(f"/tmp/w{os.getpid() % 10000:04}")  # noqa: S108 - must not exist yet
    folder.mkdir(0o700)
    try:
        found = run(path.read_text(), folder, ports)
    finally:
        shutil.rmtree(folder)
    said = differences(found)
    sys.stdout.write(said + "\n" if said else "")
    if write:
        path.write_text(rewritten(path.read_text(), found))
    return 1 if said and not write else 0


PORTS = (8080, 9001, 9002, 9003, 9900)
"""Those of the document."""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
