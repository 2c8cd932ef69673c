"""Caddy: the cookie policy; it has no weights in this version, so a backend stands there as often as it weighs."""

import json
from pathlib import Path
from typing import Any

from benchmarks.processes import Ports, find
from benchmarks.proxies.job import Job, Rule, host, rules


def _match(rule: Rule) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {
        "header": {"header": {"X-Partner": [rule.value]}},
        "path": {"path": [rule.value, f"{rule.value}/*"]},
        "cookie": {"header_regexp": {"Cookie": {"pattern": f"(^|; )staff={rule.value}(;|$)"}}},
        "query": {"query": {"preview": [rule.value]}},
    }
    return found[rule.kind]


def _proxy(ports: list[int], job: Job) -> dict[str, Any]:
    kept = {"idle_timeout": "300s", "max_idle_conns": 0, "max_idle_conns_per_host": max(128, job.connections)}
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"127.0.0.1:{port}"} for port in ports],
        "load_balancing": {"selection_policy": {"policy": "cookie", "name": "lb"}},
        # Otherwise it asks for compressed answers in its own name.
        "transport": {"protocol": "http", "compression": False, "keep_alive": kept},
    }


def prepare(folder: Path, ports: Ports, job: Job) -> list[str]:
    parts = 10
    green = round(job.share / 100 * parts)
    both = [ports.blue] * (parts - green) + [ports.green] * green
    routes: list[dict[str, Any]] = [
        {"match": [_match(rule)], "handle": [_proxy([ports.green], job)], "terminal": True} for rule in rules(job.rules)
    ]
    routes += [
        {"match": [{"host": [host(number)]}], "handle": [_proxy(both, job)], "terminal": True}
        for number in range(1, job.services)
    ]
    server: dict[str, Any] = {
        "listen": [f"127.0.0.1:{ports.proxy}"],
        "automatic_https": {"disable": True},
        "protocols": ["h1"],
        "idle_timeout": "300s",
        "routes": [*routes, {"handle": [_proxy(both, job)]}],
    }
    logs: dict[str, Any] = {"default": {"level": "ERROR", "exclude": ["http.log.access"]}}
    apps: dict[str, Any] = {"http": {"servers": {"front": server}}}
    if job.access_log:
        server["logs"] = {}
        file = {"output": "file", "filename": str(folder / "access.log"), "roll": False}
        logs["access"] = {"include": ["http.log.access"], "writer": file}
    if job.tls:
        server["tls_connection_policies"] = [{}]
        files = {"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
        apps["tls"] = {"certificates": {"load_files": [files]}}
    path = folder / "caddy.json"
    alone = {"disabled": True, "config": {"persist": False}}
    path.write_text(json.dumps({"admin": alone, "logging": {"logs": logs}, "apps": apps}))
    return [find("caddy"), "run", "--config", str(path)]
