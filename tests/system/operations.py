"""docs/operations.md as a test reads it, and what a test needs to try what it says."""

import http.server
import json
import re
import threading
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.system.programs import until

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"


class Row(NamedTuple):
    """A row of a table: its first cell, and the others."""

    name: str
    cells: list[str]


def tables(title):
    """The rows of all tables of the sections whose title begins so, without their heads."""
    found = []
    for section in re.split(r"^## ", DOCUMENT.read_text(), flags=re.MULTILINE)[1:]:
        if section.startswith(title):
            for lines in re.findall(r"(?:^\|.*\n)+", section, flags=re.MULTILINE):
                found += [_row(line) for line in lines.splitlines()[2:]]
    return found


def _row(line):
    name, *cells = (cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|")))
    return Row(name, cells)


def quoted(text):
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


FAILURES = {row.name: row for row in tables("Failures")}
TRIED = set()


def tries(*names):
    """The test tries these rows of the failures, one after the other; it adds what it sees to its argument ``seen``."""
    TRIED.update(names)
    return pytest.mark.parametrize("seen", names, indirect=True)


class Seen:
    """All that an operator could see while a row was tried."""

    def __init__(self, name):
        self.row = FAILURES[name]
        self.text = ""
        self.gatekeepers = []

    def of(self, gatekeeper):
        """The log of this one counts; itself."""
        self.gatekeepers.append(gatekeeper)
        return gatekeeper

    def add(self, text):
        self.text += f"{text}\n"

    def run(self, gatekeeper, *arguments, code=0):
        """A command of the operator's, which must end with this exit code; what it said."""
        done = gatekeeper.cli(*arguments)
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        self.add(said)
        return said

    def look(self, gatekeeper):
        """The status and the metrics as they are now."""
        self.run(gatekeeper, "status")
        self.add("\n".join(gatekeeper.metrics()))

    def start_fails(self, gatekeeper, code=1):
        """Start it: it must end with this exit code; what it said."""
        process = gatekeeper.launch()
        assert process.wait(30) == code, gatekeeper.said()
        said = (gatekeeper.folder / f"err{len(gatekeeper.processes) - 1}").read_text()
        assert all(line.startswith("gatekeeper: ") for line in said.splitlines()), said
        self.add(said)
        return said

    def skip(self, reason):
        self.row = Row("", [""])
        pytest.skip(reason)

    def missing(self):
        """What the row says one sees, and nobody saw. Commands of the operator's are no texts to be seen."""
        logs = [path.read_text() for each in self.gatekeepers for path in sorted(each.folder.glob("out*"))]
        text = "\n".join([self.text, *logs])
        texts = [each for each in quoted(self.row.cells[0]) if not each.startswith("gatekeeper ")]
        return [each for each in texts if not re.search(".*".join(map(re.escape, each.split("…"))), text)]


class Backend:
    """A version's backend. ``status`` is what users get, ``well`` what its check says; ``/slow`` ends with ``stop``."""

    def __init__(self, name, port):
        self.name, self.port = name, port
        self.status, self.well = 200, True
        self._server = None
        self._stopped = threading.Event()
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                status = (200 if backend.well else 500) if self.path == "/healthz" else backend.status
                if self.path == "/slow":
                    backend._stopped.wait(60)
                body = f"{backend.name} {self.headers.get('X-Gatekeeper-Revision', 0)}".encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        """Listen no more."""
        self._stopped.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def versions_of(**backends):
    """The versions of a file, each with a check five times a second; stable is the first."""
    health = {"path": "/healthz", "interval": "200ms", "timeout": "5s"}
    return {name: {"backends": [each.url for each in ones], "health": health} for name, ones in backends.items()}


def amend(gatekeeper, **top):
    """Set keys of the file's top level."""
    document = json.loads(gatekeeper.file.read_text())
    for key, value in top.items():
        document[key] = {**document[key], **value} if isinstance(document.get(key), dict) else value
    gatekeeper.file.write_text(json.dumps(document, indent=2))


def ready(gatekeeper):
    """The workers' pids once all of them serve."""
    workers = gatekeeper.status()["workers"]
    pids = [worker["pid"] for worker in workers if worker["state"] == "ready"]
    return pids if len(pids) == len(workers) else None


def wait_for(gatekeeper, *kinds, count=1):
    """The events of these kinds, once there are so many."""
    until(lambda: len(gatekeeper.events(*kinds)) >= count, what=f"{count} of {kinds}")
    return gatekeeper.events(*kinds)
