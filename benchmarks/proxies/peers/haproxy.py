"""HAProxy: weighted servers and an inserted cookie; lists for the rules, a map for the hosts.

Also the backends for small bodies: it waits for the whole of a body, and tells how long it was.
"""

from pathlib import Path

from benchmarks.processes import Ports, find
from benchmarks.proxies.job import BODY_BYTES, Job, host, rules, service

GLOBAL = """\
global
  nbthread {threads}
  maxconn {maxconn}
  no strict-limits
  tune.bufsize {buffer}
{more}
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 60s
  timeout http-request 30s
"""
FETCHES = {
    "header": "req.hdr(X-Partner) -m str",
    "path": "path -m beg",
    "cookie": "req.cook(staff) -m str",
    "query": "url_param(preview) -m str",
}


def backends(folder: Path, ports: Ports) -> list[str]:
    """Two that read 10 KB of body and say so."""
    path = folder / "backends.cfg"
    text = GLOBAL.format(threads=1, maxconn=4096, buffer=32768, more="")
    for name, port in (("blue", ports.blue), ("green", ports.green)):
        text += f"""\
frontend {name}
  bind 127.0.0.1:{port} backlog 4096
  http-request wait-for-body time 10s
  http-request return status 200 content-type text/html hdr X-Backend {name} hdr X-Read "%[req.body_size]" \
string {name[0] * BODY_BYTES}
"""
    path.write_text(text)
    return [find("haproxy"), "-db", "-f", str(path)]


def _backend(name: str, ports: Ports, job: Job) -> str:
    kept = max(128, job.connections)
    out = [f"backend {name}", "  balance roundrobin", "  cookie server insert indirect nocache httponly"]
    out += [
        f"  server {version} 127.0.0.1:{port} weight {weight} cookie {version} pool-max-conn {kept}"
        for version, port, weight in (("blue", ports.blue, 100 - job.share), ("green", ports.green, job.share))
    ]
    return "\n".join(out)


def prepare(folder: Path, ports: Ports, job: Job) -> list[str]:
    out = [
        GLOBAL.format(
            threads=job.workers,
            maxconn=max(4096, job.connections + 256),
            buffer=65536 if job.large else 16384,
            more="  log stdout format raw local0 info" if job.access_log else "",
        )
        + "  option forwardfor\n  http-reuse always"
    ]
    if job.access_log:
        out += ["  log global", "  option httplog"]
    tls = ""
    if job.tls:
        (folder / "both.pem").write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
        tls = f" ssl crt {folder}/both.pem ssl-min-ver TLSv1.2"
    out += ["frontend front", f"  bind 127.0.0.1:{ports.proxy} backlog 4096{tls}"]
    found = rules(job.rules)
    for kind, fetch in FETCHES.items():
        values = [rule.value + ("/" if kind == "path" else "") for rule in found if rule.kind == kind]
        if values:
            (folder / f"{kind}.lst").write_text("\n".join(values) + "\n")
            out.append(f"  use_backend only-green if {{ {fetch} -f {folder}/{kind}.lst }}")
    if job.services > 1:
        (folder / "hosts.map").write_text("".join(f"{host(n)} {service(n)}\n" for n in range(job.services)))
        out.append(f"  use_backend %[req.hdr(host),lower,map({folder}/hosts.map,shop)]")
    out.append("  default_backend shop")
    out += ["backend only-green", f"  server green 127.0.0.1:{ports.green} pool-max-conn {max(128, job.connections)}"]
    out += [_backend(service(number), ports, job) for number in range(job.services)]
    path = folder / "haproxy.cfg"
    path.write_text("\n".join(out) + "\n")
    return [find("haproxy"), "-db", "-f", str(path)]
