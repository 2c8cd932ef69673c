"""The proxies that the bench can stand around: their files, their processes.

Each gets the same setting: forward all, nothing buffered, connections to the backend kept, one to three seconds of
time for everything. Hosts choose the backend: ``dead.test`` has nobody listening, ``hole.test`` one that never accepts,
``sick.test`` one that a health check found out; all others go to the scripted backend, ``quick.test`` with 0.3 s for
its answers.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.wire.judge import Manner

START_SECONDS = 20.0
STOP_SECONDS = 5.0
# Below the kernel's ephemeral ports, so that no connection of the bench takes one of them.
PORTS = range(20_000, 32_000)

_FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})


class Places(NamedTuple):
    """Ports of 127.0.0.1."""

    proxy: int
    backend: int
    dead: int
    hole: int


class Proxy(NamedTuple):
    program: str
    version: list[str]
    manner: Manner


PROXIES = {
    "gatekeeper": Proxy(
        sys.executable,
        [sys.executable, "-m", "gatekeeper", "--version"],
        Manner(
            _FORWARDED | {b"x-request-id", b"traceparent", b"x-gatekeeper-version", b"x-gatekeeper-revision"},
            exact=True,
        ),
    ),
    "nginx": Proxy("nginx", ["nginx", "-v"], Manner(_FORWARDED, exact=False)),
    "haproxy": Proxy("haproxy", ["haproxy", "-v"], Manner(_FORWARDED, exact=False)),
    "caddy": Proxy("caddy", ["caddy", "version"], Manner(_FORWARDED | {b"via", b"user-agent"}, exact=False)),
}


def gatekeeper_file(home: Path, places: Places) -> tuple[Path, list[str]]:
    def service(port: int, host: str | None, response: str = "3s", **more: object) -> dict[str, object]:
        return {
            **({"hosts": [host]} if host else {}),
            "versions": {"blue": {"backends": [f"http://127.0.0.1:{port}"], **more}},
            "sticky": {"by": ["client_ip"]},
            "timeouts": {"request_head": "2s", "connect": "500ms", "response": response, "idle": "2s", "drain": "1s"},
        }

    check = {"path": "/", "interval": "1h", "timeout": "1s"}
    settings = {
        "listen": [f"127.0.0.1:{places.proxy}"],
        "admin": {"socket": str(home / "admin.sock")},
        "state": str(home / "state.db"),
        "workers": 1,
        "trusted_proxies": ["127.0.0.2/32"],
        "limits": {"body": "49MiB"},
        "log": {"access": "off"},
        "services": {
            "main": service(places.backend, None),
            "quick": service(places.backend, "quick.test", "300ms"),
            "dead": service(places.dead, "dead.test"),
            "hole": service(places.hole, "hole.test"),
            "sick": service(places.dead, "sick.test", health=check),
        },
    }
    path = home / "gatekeeper.yaml"
    path.write_text(json.dumps(settings))
    return path, [sys.executable, "-m", "gatekeeper", "serve", "--config", str(path)]


def nginx_file(home: Path, places: Places) -> tuple[Path, list[str]]:
    def server(name: str, port: int, more: str = "") -> str:
        return f"""
  upstream {name} {{ server 127.0.0.1:{port} max_fails=0; keepalive 32; }}
  server {{
    listen 127.0.0.1:{places.proxy}{more};
    server_name {name}.test;
    location / {{ proxy_pass http://{name}; }}
  }}"""

    path = home / "nginx.conf"
    path.write_text(f"""
daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  client_header_timeout 2s; client_body_timeout 1s; keepalive_timeout 1s; send_timeout 1s; lingering_timeout 1s;
  client_max_body_size 49m;
  proxy_connect_timeout 500ms; proxy_read_timeout 3s; proxy_send_timeout 3s;
  proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off; server_tokens off;
  map $remote_addr $forwarded {{ 127.0.0.2 $proxy_add_x_forwarded_for; default $remote_addr; }}
  map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
  proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;
  proxy_set_header X-Forwarded-For $forwarded;
  proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;
  proxy_pass_header Date; proxy_pass_header Server;
  {server("main", places.backend, " default_server")}
  {server("quick", places.backend, "; proxy_read_timeout 300ms")}
  {server("dead", places.dead)}
  {server("hole", places.hole)}
  {server("sick", places.dead)}
}}
""")
    return path, ["nginx", "-p", str(home), "-c", str(path)]


def haproxy_file(home: Path, places: Places) -> tuple[Path, list[str]]:
    path = home / "haproxy.cfg"
    path.write_text(f"""
global
  nbthread 1
  stats socket {home}/haproxy.sock
defaults
  mode http
  timeout client 2s
  timeout http-request 2s
  timeout http-keep-alive 1s
  timeout connect 500ms
  timeout server 3s
  timeout tunnel 1s
  option http-keep-alive
  http-reuse always
frontend front
  bind 127.0.0.1:{places.proxy}
  acl trusted src 127.0.0.2
  http-request del-header X-Forwarded-For unless trusted
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(Host)]
  option forwardfor
  use_backend dead if {{ req.hdr(host) -i dead.test }}
  use_backend hole if {{ req.hdr(host) -i hole.test }}
  use_backend sick if {{ req.hdr(host) -i sick.test }}
  use_backend quick if {{ req.hdr(host) -i quick.test }}
  default_backend main
backend main
  server s 127.0.0.1:{places.backend}
backend quick
  timeout server 300ms
  server s 127.0.0.1:{places.backend}
backend dead
  server s 127.0.0.1:{places.dead}
backend hole
  server s 127.0.0.1:{places.hole}
backend sick
  server s 127.0.0.1:{places.dead} disabled
""")
    return path, ["haproxy", "-db", "-f", str(path)]


def caddy_file(home: Path, places: Places) -> tuple[Path, list[str]]:
    def proxy(port: int, response: str = "3s") -> str:
        return f"""reverse_proxy 127.0.0.1:{port} {{
    flush_interval -1
    trusted_proxies 127.0.0.2/32
    transport http {{
      dial_timeout 500ms
      response_header_timeout {response}
      read_timeout {response}
      compression off
    }}
  }}"""

    hosts = {"dead": places.dead, "hole": places.hole, "sick": places.dead}
    rules = "\n".join(
        f"  @{name} host {name}.test\n  handle @{name} {{\n{proxy(port)}\n}}" for name, port in hosts.items()
    )
    path = home / "Caddyfile"
    path.write_text(f"""
{{
  admin off
  auto_https off
  servers {{
    protocols h1
    timeouts {{
      read_header 2s
      read_body 1s
      idle 1s
    }}
  }}
}}
http://:{places.proxy} {{
  bind 127.0.0.1
  request_body {{
    max_size 49MiB
  }}
{rules}
  @quick host quick.test
  handle @quick {{
{proxy(places.backend, "300ms")}
  }}
  handle {{
{proxy(places.backend)}
  }}
}}
""")
    return path, ["caddy", "run", "--config", str(path), "--adapter", "caddyfile"]


FILES = {"gatekeeper": gatekeeper_file, "nginx": nginx_file, "haproxy": haproxy_file, "caddy": caddy_file}


def version_of(name: str) -> str:
    done = subprocess.run(PROXIES[name].version, capture_output=True, text=True, timeout=30, check=False)
    return (done.stdout + done.stderr).splitlines()[0]


def missing(name: str) -> bool:
    return shutil.which(PROXIES[name].program) is None


def _free(number: int) -> list[int]:
    found = []
    for port in random.sample(PORTS, 1_000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == number:
            return found
    raise RuntimeError(f"no {number} free ports in {PORTS}")


@contextlib.contextmanager
def _hole() -> Iterator[int]:
    """A port whose accept queue is full: a connection to it is never made."""
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        yield full.getsockname()[1]


@contextlib.contextmanager
def running(name: str, home: Path, backend: int) -> Iterator[int]:
    """Start a proxy in front of ``backend``; the port it listens on. Raises RuntimeError if it does not start."""
    proxy, dead = _free(2)
    with _hole() as hole, (home / "said").open("wb") as said:
        _, command = FILES[name](home, Places(proxy, backend, dead, hole))
        process = subprocess.Popen(command, stdout=said, stderr=said, cwd=home, env=os.environ | {"HOME": str(home)})
        try:
            deadline = time.monotonic() + START_SECONDS
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", proxy), 1):
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{name} did not start: {(home / 'said').read_text()[-2000:]}")
                time.sleep(0.05)
            yield proxy
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
