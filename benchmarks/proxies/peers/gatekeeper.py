"""gatekeeper itself, with its metrics on as ever; and a release of it that is judged while it is measured."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.processes import BenchmarkError, Ports
from benchmarks.proxies.job import Job, Rule, host, rules, service, visited

NAMES = ("gatekeeper", "gatekeeper-compiled")
PLAN = "judged"
TAKEN_SECONDS = 15.0
BUILD_SECONDS = 600.0
ROOT = Path(__file__).parents[3]
BUILT = ROOT / "build" / "compiled"
"""Where ``make compiled`` puts it, too."""


def _when(rule: Rule) -> dict[str, Any]:
    return {
        "header": {"header": {"X-Partner": rule.value}},
        "path": {"path": {"prefix": rule.value}},
        "cookie": {"cookie": {"staff": rule.value}},
        "query": {"query": {"preview": rule.value}},
    }[rule.kind]


def flags(count: int) -> dict[str, Any]:
    """Flags as somebody has them who has many: some released, some to a part of the users, some under a condition that
    no request meets, one switched off; all kinds in turn.
    """
    kinds: list[dict[str, Any]] = [
        {"on": True, "percent": 50},
        {"on": True},
        {"on": True, "variants": {"old": "old", "new": "new"}, "off": "old", "split": {"old": 90, "new": 10}},
        {"on": True, "percent": 20, "when": {"header": {"X-Country": "DE"}}},
        {"on": False},
    ]
    return {f"feature-{number:02}": kinds[number % len(kinds)] for number in range(count)}


def configuration(folder: Path, ports: Ports, job: Job) -> dict[str, Any]:
    """As in a file."""
    versions = {
        "blue": {"backends": f"http://127.0.0.1:{ports.blue}"},
        "green": {"backends": f"http://127.0.0.1:{ports.green}"},
    }
    # Users are kept by cookie where nothing is said of it.
    common: dict[str, Any] = {"versions": versions}
    if job.rules:
        common["rules"] = [{"when": _when(rule), "to": "green"} for rule in rules(job.rules)]
    split = {"split": {"blue": 100} if job.judged else {"blue": 100 - job.share, "green": job.share}}
    asked = visited(job)
    listen: dict[str, Any] = {"address": f"127.0.0.1:{ports.proxy}"}
    if job.tls:
        listen["tls"] = {"cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    found: dict[str, Any] = {
        "listen": [listen],
        "admin": {"socket": str(folder / "admin.sock")},
        "state": str(folder / "state.db"),
        "workers": job.workers,
        "log": {"access": "combined" if job.access_log else "off", "level": "warning"},
        "services": {
            # 10,000 that are split would be more than the 200,000 values a configuration may have.
            service(number): common
            | ({"hosts": host(number)} if job.services > 1 else {})
            | (split if number in asked else {})
            for number in range(job.services)
        },
    }
    if job.flags:
        found["flags"] = flags(job.flags)
    if job.judged:
        steps = [{"weight": job.share, "hold": "24h"}, {"weight": 100}]
        found["plans"] = {PLAN: {"steps": steps, "analysis": {}}}
    return found


def prepare(folder: Path, ports: Ports, job: Job) -> list[str]:
    path = folder / "gatekeeper.yaml"
    found = configuration(folder, ports, job)
    path.write_text(json.dumps(found))  # JSON is YAML
    return [sys.executable, "-m", "gatekeeper", "serve", "--config", str(path)]


def build() -> None:
    """Compile what is in the tree, unless that was done since the last change. Raises BenchmarkError."""
    sources = [ROOT / "setup.py", *(ROOT / "gatekeeper").rglob("*.py")]
    if BUILT.exists() and BUILT.stat().st_mtime > max(source.stat().st_mtime for source in sources):
        return
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(BUILT), "."]
    environment = os.environ | {"GATEKEEPER_COMPILE": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
    )
    if done.returncode:
        raise BenchmarkError(f"gatekeeper was not compiled: {done.stderr[-2000:]}")
    if not list(BUILT.glob("gatekeeper/dataplane/exchange.*.so")):
        raise BenchmarkError(
            "gatekeeper was built as Python; GATEKEEPER_COMPILE=1 pip install -v . says what is missing"
        )
    os.utime(BUILT)


def prepare_compiled(folder: Path, ports: Ports, job: Job) -> list[str]:
    build()
    python, *arguments = prepare(folder, ports, job)
    # -P: the working directory holds the source, which would be found first.
    return ["env", f"PYTHONPATH={BUILT}", python, "-P", *arguments]


class Admin(http.client.HTTPConnection):
    """The admin socket. One request at a time."""

    def __init__(self, folder: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = str(folder / "admin.sock")

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def say(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Raises BenchmarkError for what is refused."""
        self.request(method, path, None if body is None else json.dumps(body))
        answer = self.getresponse()
        found: dict[str, Any] = json.loads(answer.read())
        if answer.status >= 400:
            raise BenchmarkError(f"{method} {path} was answered {answer.status}: {found.get('detail', found)}")
        return found


def begin(folder: Path, job: Job) -> None:
    """Start what only runs by command: the release that is judged. Raises BenchmarkError."""
    if not job.judged:
        return
    admin = Admin(folder)
    try:
        admin.say("POST", "/v1/services/shop/releases", {"to": "green", "plan": PLAN})
        deadline = time.monotonic() + TAKEN_SECONDS
        while time.monotonic() < deadline:
            if float(admin.say("GET", "/v1/services/shop")["split"].get("green", 0)) == job.share:
                return
            time.sleep(0.05)
    finally:
        admin.close()
    raise BenchmarkError(f"the release had not taken its step to {job.share} % after {TAKEN_SECONDS:g} s")


def judged(folder: Path) -> bool:
    """Whether the release is still there and its judge has been told of requests."""
    admin = Admin(folder)
    try:
        release = admin.say("GET", "/v1/services/shop/releases/last")
        return bool(release["active"]) and bool(release.get("verdicts"))
    finally:
        admin.close()
