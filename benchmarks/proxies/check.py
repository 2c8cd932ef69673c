"""Before it is measured a proxy has to prove that it does the job of the case, not less."""

import zlib

from benchmarks.processes import BenchmarkError, Ports, ask
from benchmarks.proxies.bulk_backend import FULL
from benchmarks.proxies.contestants import Contestant
from benchmarks.proxies.heads import Shape, caddys, envoys
from benchmarks.proxies.job import BODY_BYTES, Job, host, matching, rules

CHECK_REQUESTS = 64
"""New users that ask. All on one version would happen once in 2**63 fair draws; at ten percent, with three times as
many, once in 600 million."""
FORCED_REQUESTS = 16
"""New users who meet a rule: all on its version by luck once in 65,000 draws at 50 %."""
CHECK_BODY = 100_000


def job(contestant: Contestant, ports: Ports, asked: Job) -> None:
    """Whole answers; both versions get new users, and returning ones stay; rules and hosts. Raises BenchmarkError."""
    name, tls = contestant.name, asked.tls
    seen: set[str] = set()
    for number in range(CHECK_REQUESTS if asked.share == 50 else 3 * CHECK_REQUESTS):
        status, fields, body = ask(ports.proxy, tls=tls)
        version = fields.get("x-backend", "")
        if status != 200 or body not in {b"b" * BODY_BYTES, b"g" * BODY_BYTES}:
            raise BenchmarkError(f"{name} gave a wrong answer: {status}, {len(body)} bytes")
        seen.add(version)
        if contestant.splits and number < 8:
            cookie = fields.get("set-cookie", "").partition(";")[0]
            if not cookie:
                raise BenchmarkError(f"{name} gave a new user no cookie")
            again = ask(ports.proxy, cookie, tls=tls)[1]["x-backend"]
            if again != version:
                raise BenchmarkError(f"{name} moved the user {cookie!r} from {version} to {again}")
    if not contestant.splits:
        return
    if seen != {"blue", "green"}:
        raise BenchmarkError(f"{name} did not split: new users all went to {seen}")
    _cookies(name, ports, tls=tls)
    _rules(name, ports, asked)
    for number in {0, asked.services // 2, asked.services - 1}:
        status = ask(ports.proxy, fields={"Host": host(number)}, tls=tls)[0]
        if status != 200:
            raise BenchmarkError(f"{name} answered {status} for {host(number)}")


def _cookies(name: str, ports: Ports, *, tls: bool) -> None:
    """What the load sends as cookies of those who name a server has to mean that server to them."""
    cookies = {"haproxy": "server={0}", "envoy": f"envoy={envoys(ports.green)}", "caddy": f"lb={caddys(ports.green)}"}
    if name not in cookies:
        return
    for _ in range(FORCED_REQUESTS):
        version = ask(ports.proxy, cookies[name].format("green"), tls=tls)[1]["x-backend"]
        if version != "green":
            raise BenchmarkError(f"{name} does not know the cookie that the load sends for green")


def _rules(name: str, ports: Ports, asked: Job) -> None:
    found = rules(asked.rules)
    for rule in {*found[:4], *found[-4:]}:
        path, fields = matching(rule)
        for _ in range(FORCED_REQUESTS):
            version = ask(ports.proxy, path=path, fields=fields, tls=asked.tls)[1].get("x-backend")
            if version != "green":
                raise BenchmarkError(f"{name} does not obey the rule {rule.kind} {rule.value}: {version}")


def posted(contestant: Contestant, ports: Ports, shape: Shape) -> None:
    """A body of that size reaches the backend whole."""
    status, fields, _ = ask(ports.proxy, body=b"x" * shape.body)
    if status != 200 or fields.get("x-read") != str(shape.body):
        raise BenchmarkError(f"{contestant.name}: a body of {shape.body} bytes was answered {status}, {fields}")


def bulk(contestant: Contestant, ports: Ports) -> None:
    """Bodies arrive as they were sent."""
    for path in (f"/{CHECK_BODY}", f"/{CHECK_BODY}?chunked"):
        status, _, body = ask(ports.proxy, path=path)
        if status != 200 or len(body) != CHECK_BODY or zlib.crc32(body) != zlib.crc32(FULL[:CHECK_BODY]):
            raise BenchmarkError(f"{contestant.name}: {path} was answered {status} with {len(body)} bytes, or others")
    status, _, body = ask(ports.proxy, body=FULL[:CHECK_BODY])
    if status != 200 or body != str(CHECK_BODY).encode():
        raise BenchmarkError(f"{contestant.name}: a body of {CHECK_BODY} bytes was answered {status}, {body[:60]!r}")
