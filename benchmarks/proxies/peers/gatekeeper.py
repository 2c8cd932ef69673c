"""gatekeeper itself, with its metrics on as ever; and a release of it that is judged while it is measured."""

import http.client
import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.processes import BenchmarkError, Ports
from benchmarks.proxies.job import Job, Rule, host, rules, service, visited

PLAN = "judged"
TAKEN_SECONDS = 15.0


def _when(rule: Rule) -> dict[str, Any]:
    return {
        "header": {"header": {"X-Partner": rule.value}},
        "path": {"path": {"prefix": rule.value}},
        "cookie": {"cookie": {"staff": rule.value}},
        "query": {"query": {"preview": rule.value}},
    }[rule.kind]


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
    if job.judged:
        steps = [{"weight": job.share, "hold": "24h"}, {"weight": 100}]
        found["plans"] = {PLAN: {"steps": steps, "analysis": {}}}
    return found


def prepare(folder: Path, ports: Ports, job: Job) -> list[str]:
    path = folder / "gatekeeper.yaml"
    found = configuration(folder, ports, job)
    path.write_text(json.dumps(found))  # JSON is YAML
    return [sys.executable, "-m", "gatekeeper", "serve", "--config", str(path)]


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
