"""A real Prometheus with the files of deploy/ watches a real gatekeeper."""

import contextlib
import hashlib
import http.client
import json
import subprocess
import threading
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.system.operations import amend
from tests.system.programs import answers, end, until

pytestmark = [pytest.mark.system, pytest.mark.outside("prometheus", "promtool")]

TOKEN = "the-token-of-prometheus-which-nobody-guesses"
DEPLOY = Path(__file__).parents[2] / "deploy"


class Prometheus:
    """It asks every half second, and evaluates all rules as often."""

    def __init__(self, folder, port, target):
        self.port = port
        folder.mkdir()
        for name in ("recording", "alerts"):
            rules = yaml.safe_load((DEPLOY / "prometheus" / f"{name}.yml").read_text())
            for group in rules["groups"]:
                group["interval"] = "500ms"
                for rule in group["rules"]:
                    rule.pop("for", None)  # a test has no minute; tests/deploy/test_alerts.py has
            (folder / f"{name}.yml").write_text(yaml.safe_dump(rules))
        scrape = {
            "job_name": "gatekeeper",
            "scrape_interval": "500ms",
            "scrape_timeout": "500ms",
            "authorization": {"credentials": TOKEN},
            "static_configs": [{"targets": [target]}],
        }
        config = {"rule_files": ["recording.yml", "alerts.yml"], "scrape_configs": [scrape]}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        checked = subprocess.run(
            ["promtool", "check", "config", str(folder / "prometheus.yml")], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
        command = [
            "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
        ]  # fmt: skip
        with (folder / "said").open("wb") as said:
            self.process = subprocess.Popen(command, stdout=said, stderr=said)
        until(lambda: self.process.poll() is not None or (answers(port) and self.is_ready()))
        assert self.process.poll() is None, (folder / "said").read_text()

    def is_ready(self):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request("GET", "/-/ready")
            return connection.getresponse().status == 200

    def ask(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as response:
            reply = json.load(response)
        assert reply["status"] == "success", reply
        return reply["data"]

    def query(self, expr):
        """Labels without those of the target -> value."""
        return {
            tuple(value for label, value in sorted(each["metric"].items()) if label in {"service", "version"}): float(
                each["value"][1]
            )
            for each in self.ask("query", query=expr)["result"]
        }

    def rules(self):
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]

    def firing(self):
        """Names of alerts that fire, with the version where they have one."""
        return {
            (each["labels"]["alertname"], each["labels"].get("version", ""))
            for each in self.ask("alerts")["alerts"]
            if each["state"] == "firing"
        }


@pytest.fixture
def prometheus(tmp_path, free_ports):
    started = []

    def start(target):
        started.append(Prometheus(tmp_path / "prometheus", free_ports(1)[0], target))
        return started[-1]

    yield start
    for each in started:
        end(each.process)


@contextlib.contextmanager
def users(gatekeeper):
    """Requests one after the other, until the end."""
    done = threading.Event()

    def ask():
        with contextlib.closing(gatekeeper.connect()) as connection:
            while not done.is_set():
                gatekeeper.get(connection=connection)
                done.wait(0.005)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_faulty_version_and_a_dead_backend_are_alerts_and_all_rules_evaluate(site, prometheus, free_ports):
    admin = f"127.0.0.1:{free_ports(1)[0]}"
    gatekeeper = site(start=False, trip="off", split={"blue": 50, "green": 50})
    tokens = gatekeeper.folder / "tokens.yaml"
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    tokens.write_text(json.dumps([{"name": "prometheus", "role": "viewer", "sha256": digest}]))
    amend(gatekeeper, admin={"http": admin, "tokens": str(tokens)})
    gatekeeper.start()
    watching = prometheus(admin)
    with users(gatekeeper):
        until(lambda: len(watching.query("job_service_version:gatekeeper_failures:ratio1m")) == 2)
        shares = until(lambda: watching.query("job_service_version:gatekeeper_share:ratio1m"))
        assert sum(shares.values()) == pytest.approx(1)
        assert watching.query("job_service_version:gatekeeper_stable:max")["shop", "blue"] == 1
        assert ("GatekeeperVersionErrors", "green") not in watching.firing()

        gatekeeper.green[0].status = 500
        until(lambda: ("GatekeeperVersionErrors", "green") in watching.firing())
        assert ("GatekeeperVersionErrors", "blue") not in watching.firing()
        gatekeeper.green[0].stop()
        until(lambda: ("GatekeeperVersionUnavailable", "green") in watching.firing())
        assert {(rule["name"], rule["health"], rule.get("lastError", "")) for rule in watching.rules()} == {
            (rule["name"], "ok", "") for rule in watching.rules()
        }
        assert watching.query("up") == {(): 1}
    gatekeeper.process.kill()
    until(lambda: ("GatekeeperDown", "") in watching.firing())
