"""The proxies that are compared, each set up to do the same job as well as it can.

The job: 50/50 over two versions, returning users kept on theirs by a cookie, kept-alive connections to the backends,
X-Forwarded-For, no access log, one process or worker. The plain aiohttp proxy and the byte mover do less (one backend,
no split, no cookie): what they leave out is in their favour.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import find

BODY_BYTES = 800
CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Ports:
    blue: int
    green: int
    proxy: int


@dataclass(frozen=True, slots=True)
class Contestant:
    """``prepare`` writes the configuration into a folder and returns the command that runs in the foreground."""

    name: str
    title: str
    splits: bool
    prepare: Callable[[Path, Ports], Sequence[str]]


NGINX_COMMON = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
{body}
}}
"""


def _nginx(folder: Path, name: str, body: str) -> list[str]:
    path = folder / f"{name}.conf"
    path.write_text(NGINX_COMMON.format(folder=folder, body=body))
    # -e: before the file is read, nginx opens its compiled-in error log, which an ordinary user may not write.
    return [find("nginx"), "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(path)]


def backends(folder: Path, ports: Ports) -> list[str]:
    """One nginx that plays both versions: kept-alive connections, 0.8 KB of body, answers that tell who gave them."""
    body = "\n".join(
        f"""  server {{
    listen 127.0.0.1:{port} backlog=4096;
    default_type text/html;
    add_header Cache-Control private;
    add_header X-Backend {name};
    location / {{ return 200 "{name[0] * BODY_BYTES}"; }}
  }}"""
        for name, port in (("blue", ports.blue), ("green", ports.green))
    )
    return _nginx(folder, "backends", body)


def _prepare_nginx(folder: Path, ports: Ports) -> list[str]:
    # userid gives a browser an id by cookie; split_clients hashes it: the same user always meets the same version.
    return _nginx(
        folder,
        "proxy",
        f"""
  split_clients "$uid_got$uid_set" $version {{ 50% blue; * green; }}
  upstream blue  {{ server 127.0.0.1:{ports.blue};  keepalive 128; keepalive_requests 1000000000; }}
  upstream green {{ server 127.0.0.1:{ports.green}; keepalive 128; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{ports.proxy} backlog=4096;
    userid on; userid_name uid; userid_expires 30d;
    location / {{
      proxy_pass http://$version;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
  }}""",
    )


def _prepare_haproxy(folder: Path, ports: Ports) -> list[str]:
    path = folder / "haproxy.cfg"
    path.write_text(f"""\
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend front
  bind 127.0.0.1:{ports.proxy}
  default_backend shop
backend shop
  balance roundrobin
  cookie server insert indirect nocache httponly
  server blue 127.0.0.1:{ports.blue} weight 50 cookie blue pool-max-conn 128
  server green 127.0.0.1:{ports.green} weight 50 cookie green pool-max-conn 128
""")
    return [find("haproxy"), "-db", "-f", str(path)]


def _prepare_gatekeeper(folder: Path, ports: Ports) -> list[str]:
    config = {
        "listen": [{"address": f"127.0.0.1:{ports.proxy}"}],
        "admin": {"socket": str(folder / "admin.sock")},
        "state": str(folder / "state.db"),
        "workers": 1,
        "log": {"access": "off", "level": "warning"},
        "services": {
            "shop": {
                "versions": {
                    "blue": {"backends": [f"http://127.0.0.1:{ports.blue}"]},
                    "green": {"backends": [f"http://127.0.0.1:{ports.green}"]},
                },
                "split": {"blue": 50, "green": 50},
                "sticky": {"by": ["cookie"], "mode": "ramp"},
            },
        },
    }
    path = folder / "gatekeeper.yaml"
    path.write_text(json.dumps(config, indent=2))  # JSON is YAML
    return [sys.executable, "-m", "gatekeeper", "serve", "--config", str(path)]


def _prepare_aiohttp(_folder: Path, ports: Ports) -> list[str]:
    return [sys.executable, "-m", "benchmarks.plain_aiohttp", f"http://127.0.0.1:{ports.blue}", str(ports.proxy)]


def _prepare_floor(_folder: Path, ports: Ports) -> list[str]:
    return [sys.executable, "-m", "benchmarks.byte_mover", str(ports.blue), str(ports.proxy)]


CONTESTANTS: dict[str, Contestant] = {
    contestant.name: contestant
    for contestant in (
        Contestant("floor", "uvloop moving bytes, no HTTP", splits=False, prepare=_prepare_floor),
        Contestant("nginx", "nginx", splits=True, prepare=_prepare_nginx),
        Contestant("haproxy", "HAProxy", splits=True, prepare=_prepare_haproxy),
        Contestant("gatekeeper", "gatekeeper", splits=True, prepare=_prepare_gatekeeper),
        Contestant("aiohttp", "aiohttp.web + ClientSession", splits=False, prepare=_prepare_aiohttp),
    )
}
