"""nginx: ``userid`` gives a browser an id, ``split_clients`` hashes it, maps are the rules. Also the small backends."""

from pathlib import Path

from benchmarks.processes import Ports, find
from benchmarks.proxies.job import BODY_BYTES, Job, Rule, host, rules

COMMON = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
worker_processes {workers};
events {{ worker_connections {slots}; multi_accept on; }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
{body}
}}
"""
SOURCES = {"header": "http_x_partner", "cookie": "cookie_staff", "query": "arg_preview"}
ALWAYS = "keepalive_requests 1000000000;"
LARGE = """
  client_max_body_size 0; client_body_buffer_size 256k; proxy_request_buffering off;
  proxy_buffer_size 64k; proxy_buffers 16 64k; proxy_busy_buffers_size 256k; proxy_max_temp_file_size 0;"""


def command(folder: Path, name: str, body: str, *, workers: int = 1, slots: int = 16384) -> list[str]:
    path = folder / f"{name}.conf"
    path.write_text(COMMON.format(folder=folder, body=body, workers=workers, slots=slots))
    # -e: before the file is read, nginx opens its compiled-in error log, which an ordinary user may not write.
    return [find("nginx"), "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(path)]


def backends(folder: Path, ports: Ports) -> list[str]:
    """One nginx that plays both versions: kept-alive connections, 0.8 KB of body, answers that tell who gave them.

    ``/count`` of either tells how many requests both of them got.
    """
    body = "\n".join(
        f"""  server {{
    listen 127.0.0.1:{port} backlog=4096;
    default_type text/html;
    add_header Cache-Control private;
    add_header X-Backend {name};
    location = /count {{ stub_status; }}
    location / {{ return 200 "{name[0] * BODY_BYTES}"; }}
  }}"""
        for name, port in (("blue", ports.blue), ("green", ports.green))
    )
    return command(folder, "backends", body)


def _maps(found: list[Rule]) -> str:
    out = ["  map_hash_max_size 16384; map_hash_bucket_size 128;"]
    for kind, source in SOURCES.items():
        values = " ".join(f"{rule.value} green;" for rule in found if rule.kind == kind)
        out.append(f'  map ${source} $by_{kind} {{ default ""; {values} }}')
    out.append('  map "$by_header$by_cookie$by_query" $version { "" $drawn; default green; }')
    return "\n".join(out)


def _server(number: int, ports: Ports, job: Job, folder: Path, found: list[Rule]) -> str:
    listen = f"127.0.0.1:{ports.proxy}"
    options = " ssl" if job.tls else ""
    # Options of a socket may be given once only.
    if not number:
        options += f" default_server backlog=4096{' reuseport' if job.workers > 1 else ''}"
    out = [f"  server {{ listen {listen}{options}; server_name {host(number)};"]
    if job.tls:
        out.append(f"    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;")
        out.append("    ssl_protocols TLSv1.2 TLSv1.3;")
    out += [
        "    userid on; userid_name uid; userid_expires 30d;",
        '    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;',
        "    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        # Not by a variable: its value would be looked for among all upstreams, one after the other.
        f"    location / {{ if ($version = green) {{ proxy_pass http://green-{number}; }}",
        f"      proxy_pass http://blue-{number}; }}",
    ]
    out += [
        f"    location {rule.value}/ {{ proxy_pass http://green-{number}; }}" for rule in found if rule.kind == "path"
    ]
    return "\n".join([*out, "  }"])


def prepare(folder: Path, ports: Ports, job: Job) -> list[str]:
    found = rules(job.rules)
    kept = max(128, job.connections)
    out = [f'  split_clients "$uid_got$uid_set" $drawn {{ {100 - job.share}% blue; * green; }}', _maps(found)]
    out.append("  server_names_hash_max_size 65536; server_names_hash_bucket_size 128;" + (LARGE if job.large else ""))
    if job.access_log:
        out.append(f"  access_log {folder}/access.log combined buffer=64k flush=1s;")
    for number in range(job.services):
        out += [
            f"  upstream {name}-{number} {{ server 127.0.0.1:{port}; keepalive {kept}; {ALWAYS} }}"
            for name, port in (("blue", ports.blue), ("green", ports.green))
        ]
        out.append(_server(number, ports, job, folder, found))
    return command(folder, "proxy", "\n".join(out), workers=job.workers, slots=max(4096, 2 * job.connections + 512))
