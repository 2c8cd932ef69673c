"""Envoy: weighted endpoints, a stateful session kept in a cookie, routes for the rules, virtual hosts for the hosts."""

import json
from pathlib import Path
from typing import Any

from benchmarks.processes import BenchmarkError, Ports
from benchmarks.proxies.job import Job, Rule, host, rules, service
from benchmarks.proxies.programs import located

TYPE = "type.googleapis.com/envoy.extensions."
MANY = 1_000_000


def _typed(name: str, kind: str, **config: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": TYPE + kind, **config}}


def _cluster(name: str, weights: dict[int, int]) -> dict[str, Any]:
    endpoints = [
        {
            "endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}},
            "load_balancing_weight": weight,
        }
        for port, weight in weights.items()
    ]
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), MANY)
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "lb_policy": "ROUND_ROBIN",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
    }


def _match(rule: Rule) -> dict[str, Any]:
    if rule.kind == "path":
        return {"path_separated_prefix": rule.value}
    if rule.kind == "query":
        return {"prefix": "/", "query_parameters": [{"name": "preview", "string_match": {"exact": rule.value}}]}
    wanted: dict[str, Any] = {"name": "x-partner", "string_match": {"exact": rule.value}}
    if rule.kind == "cookie":
        wanted = {"name": "cookie", "string_match": {"safe_regex": {"regex": f"(|.*; )staff={rule.value}(|;.*)"}}}
    return {"prefix": "/", "headers": [wanted]}


def _hosts(job: Job) -> list[dict[str, Any]]:
    def route(match: dict[str, Any], cluster: str) -> dict[str, Any]:
        return {"match": match, "route": {"cluster": cluster, "timeout": "0s"}}

    first = [route(_match(rule), "only-green") for rule in rules(job.rules)]
    return [
        {
            "name": service(number),
            "domains": [host(number) if number else "*"],
            "routes": [*first, route({"prefix": "/"}, service(number))],
        }
        for number in range(job.services)
    ]


def prepare(folder: Path, ports: Ports, job: Job) -> list[str]:
    cookie = {"name": "envoy", "path": "/"}
    session = _typed(
        "envoy.filters.http.stateful_session",
        "filters.http.stateful_session.v3.StatefulSession",
        session_state=_typed(
            "envoy.http.stateful_session.cookie",
            "http.stateful_session.cookie.v3.CookieBasedSessionState",
            cookie=cookie,
        ),
    )
    router = _typed("envoy.filters.http.router", "filters.http.router.v3.Router")
    log = _typed("log", "access_loggers.file.v3.FileAccessLog", path=str(folder / "access.log"))
    manager = _typed(
        "manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="front",
        codec_type="HTTP1",
        use_remote_address=True,
        access_log=[log] if job.access_log else [],
        http_filters=[session, router],
        route_config={"name": "front", "virtual_hosts": _hosts(job)},
    )
    chain: dict[str, Any] = {"filters": [manager]}
    if job.tls:
        files = {
            "certificate_chain": {"filename": str(folder / "cert.pem")},
            "private_key": {"filename": str(folder / "key.pem")},
        }
        chain["transport_socket"] = _typed(
            "tls",
            "transport_sockets.tls.v3.DownstreamTlsContext",
            common_tls_context={"tls_certificates": [files]},
        )
    listener = {
        "name": "front",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": ports.proxy}},
        "tcp_backlog_size": 4096,
        "filter_chains": [chain],
    }
    weights = {ports.blue: 100 - job.share, ports.green: job.share}
    clusters = [_cluster(service(number), weights) for number in range(job.services)]
    clusters.append(_cluster("only-green", {ports.green: 1}))
    path = folder / "envoy.json"
    path.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": clusters}}))
    program = located("envoy")
    if program is None:
        raise BenchmarkError("envoy is not installed; run without --no-install, or leave it out with --only")
    options = ["--concurrency", str(job.workers), "--disable-hot-restart", "--log-level", "error"]
    return [program, "-c", str(path), *options]
