"""The proxies that are compared, each set up to do the same job as well as it can.

The plain aiohttp proxy and the byte mover do less (one backend, no split, no cookie): what they leave out is in their
favour.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import BenchmarkError, Ports, find
from benchmarks.proxies.job import Job
from benchmarks.proxies.peers import caddy, envoy, gatekeeper, haproxy, nginx


@dataclass(frozen=True, slots=True)
class Contestant:
    """``configure`` writes files into a folder and returns the command that runs in the foreground.

    ``splits``: whether it does the job, and not less. ``needs``: its program, if one has to be installed.
    """

    name: str
    title: str
    splits: bool
    configure: Callable[[Path, Ports, Job], Sequence[str]]
    needs: tuple[str, ...] = ()

    def prepare(self, folder: Path, ports: Ports, job: Job | None = None) -> list[str]:
        """``configure``, and what its files speak of. Raises BenchmarkError."""
        job = job or Job()
        if job.tls:
            certificate(folder)
        return list(self.configure(folder, ports, job))


def certificate(folder: Path) -> None:
    """``cert.pem`` and ``key.pem``, an elliptic curve as certificates have them today."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(folder / "key.pem")]
    about = [
        "-days",
        "2",
        "-subj",
        "/CN=shop.example.com",
        "-addext",
        "subjectAltName=DNS:shop.example.com,IP:127.0.0.1",
    ]
    command = [find("openssl"), "req", "-x509", *key, "-out", str(folder / "cert.pem"), *about]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise BenchmarkError(f"openssl made no certificate: {done.stderr[-500:]}")


def plain_aiohttp(_folder: Path, ports: Ports, _job: Job) -> list[str]:
    backend = f"http://127.0.0.1:{ports.blue}"
    return [sys.executable, "-m", "benchmarks.proxies.plain_aiohttp", backend, str(ports.proxy)]


def floor(_folder: Path, ports: Ports, _job: Job) -> list[str]:
    return [sys.executable, "-m", "benchmarks.proxies.byte_mover", str(ports.blue), str(ports.proxy)]


CONTESTANTS: dict[str, Contestant] = {
    contestant.name: contestant
    for contestant in (
        Contestant("floor", "uvloop moving bytes, no HTTP", splits=False, configure=floor),
        Contestant("nginx", "nginx", splits=True, configure=nginx.prepare, needs=("nginx",)),
        Contestant("haproxy", "HAProxy", splits=True, configure=haproxy.prepare, needs=("haproxy",)),
        Contestant("gatekeeper", "gatekeeper", splits=True, configure=gatekeeper.prepare),
        Contestant("gatekeeper-compiled", "gatekeeper, compiled", splits=True, configure=gatekeeper.prepare_compiled),
        Contestant("envoy", "Envoy", splits=True, configure=envoy.prepare, needs=("envoy",)),
        Contestant("caddy", "Caddy", splits=True, configure=caddy.prepare, needs=("caddy",)),
        Contestant("aiohttp", "aiohttp.web + ClientSession", splits=False, configure=plain_aiohttp),
    )
}


def two_versions(folder: Path, ports: Ports) -> list[str]:
    """The small backends, and the folder may be read by whomever they become."""
    return nginx.backends(folder, ports)


def bodies(_folder: Path, ports: Ports) -> list[str]:
    """The backends for large bodies."""
    return [sys.executable, "-m", "benchmarks.proxies.bulk_backend", str(ports.blue), str(ports.green)]


def merged(path: Path, **changes: object) -> None:
    """Change the top of a file that gatekeeper's ``prepare`` wrote."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
