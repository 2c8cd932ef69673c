"""The requests: heads of 11 fields as a browser sends them, with the cookies of all proxies, so that all read the same.

A returning user brings what each proxy would have given him: gatekeeper's own cookie and nginx's userid, whose hash
decides, and the names of servers in the forms of HAProxy, Envoy and Caddy.
"""

import base64
import hashlib
import hmac
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Ports
from benchmarks.proxies.job import USERS, Job, host, of_user, service

COUNTER = "~~~~~~~~"
"""The load puts a number of eight digits in its place, another in each request."""
SEED = 20261123
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@dataclass(frozen=True, slots=True)
class Shape:
    """How requests look. ``fresh``: no head ever comes twice. ``close``: each on a connection of its own."""

    users: int = USERS
    body: int = 0
    fresh: bool = False
    close: bool = False


def envoys(port: int) -> str:
    """The address that Envoy's stateful session keeps in its cookie."""
    return base64.b64encode(f"127.0.0.1:{port}".encode()).decode()


def caddys(port: int) -> str:
    """The address that Caddy's cookie policy keeps, as an HMAC without a secret."""
    return hmac.new(b"", f"127.0.0.1:{port}".encode(), hashlib.sha256).hexdigest()


def cookie(draw: random.Random, name: str, ports: Ports, *, green: bool) -> str:
    version, port = ("green", ports.green) if green else ("blue", ports.blue)
    # 16 bytes in base64 is the form nginx's userid module reads.
    userid = base64.b64encode(draw.randbytes(16)).decode()
    mine = f"gatekeeper-{name}={draw.randbytes(16).hex()}"
    return f"theme=dark; {mine}; uid={userid}; server={version}; envoy={envoys(port)}; lb={caddys(port)}"


def requests(ports: Ports, job: Job, shape: Shape) -> list[bytes]:
    """One for each user: the same users in every run; they are spread evenly over the services."""
    draw = random.Random(SEED)
    return [_request(draw, ports, job, shape, user) for user in range(shape.users)]


def _request(draw: random.Random, ports: Ports, job: Job, shape: Shape, user: int) -> bytes:
    number = of_user(user, job)
    visits = f"; visit={COUNTER}" if shape.fresh else ""
    page = COUNTER if shape.fresh else "2"
    # Every tenth of them at ten percent.
    green = (user * job.share) % 100 + job.share >= 100
    fields = {
        "Host": host(number),
        "User-Agent": AGENT,
        "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "Accept-Language": "de,en-US;q=0.7,en;q=0.3",
        "Accept-Encoding": "gzip, deflate, br, zstd",
        "Referer": "https://shop.example.com/products?page=1&sort=price",
        "Cookie": cookie(draw, service(number), ports, green=green) + visits,
        "Sec-Fetch-Dest": "document",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Site": "same-origin",
        "Priority": "u=0, i",
    }
    if shape.body:
        fields |= {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(shape.body)}
    if shape.close:
        fields["Connection"] = "close"
    method = "POST" if shape.body else "GET"
    lines = [f"{method} /products/4711?page={page}&sort=price HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode() + b"x" * shape.body


def write(folder: Path, found: Sequence[bytes]) -> Path:
    """For load.lua and the driver: one after the other, with a zero byte between."""
    path = folder / "requests"
    path.write_bytes(b"\0".join(found))
    return path


def read(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\0")
