"""The whole API by its own description: whatever is sent to it, it answers as it says it does.

With GATEKEEPER_LONG for ten minutes. What fails is printed with the command that repeats it, and the seed.
"""

import asyncio
import hashlib
import json
import sys
from pathlib import Path

import pytest

from gatekeeper.core.model import Role
from tests.system.parts import running
from tests.system.scripted import Backend
from tests.system.wire import ask

pytestmark = pytest.mark.system

HERE = Path(__file__).parent
CONFIG = HERE / "schemathesis.toml"
SECONDS = 12
SECONDS_LONG = 300

# A request under a condition that is never true gets no further; half of the time none is sent but one that holds.
UNCONDITIONAL = """
[parameters]
"header.If-Match" = "*"
"""


PLANS = {
    "careful": {
        "verify": [{"http": "/"}, {"command": {"run": ["true"]}}],
        "approve": {"groups": ["product"]},
        "steps": [{"weight": 10, "hold": "1s"}, {"weight": 50, "pause": True}, {"weight": 100, "hold": "1s"}],
    },
    "quick": {"verify": [{"http": "/"}], "steps": [{"weight": 10, "hold": "500ms"}, {"weight": 100}]},
}
FLAGS = {
    "new-checkout": {"on": True, "percent": 50},
    "theme": {"on": True, "variants": {"light": "l", "dark": "d"}, "off": "light", "split": {"dark": 100}},
}
GROUPS = {"everything": {"services": ["shop", "cart"], "plan": "quick"}}


@pytest.fixture
def tokens(tmp_path):
    """A token file in which every role's token is its name."""
    path = tmp_path / "tokens.yaml"
    entries = [
        {"name": role.value, "role": role.value, "sha256": hashlib.sha256(role.value.encode()).hexdigest()}
        for role in Role
    ]
    path.write_text(json.dumps(entries))
    return path


async def fuzzed(url, config, seconds):
    """Exit code and report of the fuzzer with all its checks."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(config)),
        *("run", f"{url}/openapi.json"),
        *("--header", "Authorization: Bearer admin", "--checks", "all", "--max-time", str(seconds)),
        *("--request-timeout", "10", "--continue-on-failure", "--no-shrink", "--warnings", "off"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=config.parent,  # it leaves a folder of examples where it runs
    )
    try:
        report, _ = await asyncio.wait_for(child.communicate(), seconds + 60)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return child.returncode, report.decode(errors="replace")


@pytest.mark.parametrize("conditional", [True, False], ids=["conditional", "unconditional"])
async def test_every_answer_to_whatever_is_sent_is_what_the_description_says(
    tmp_path, free_ports, tokens, long, conditional
):
    traffic, admin = free_ports(2)
    config = tmp_path / "schemathesis.toml"
    config.write_text(("" if conditional else UNCONDITIONAL) + CONFIG.read_text())
    async with Backend.answering("blue") as blue, Backend.answering("green") as green:
        services = {
            "shop": {
                "versions": {"blue": {"backends": [blue.url]}, "green": {"backends": [green.url]}},
                "testers": {"keys": ["k" * 32]},
                "plan": "careful",
            },
            "cart": {
                "hosts": ["cart.example.com"],
                "versions": {"blue": {"backends": [blue.url]}, "green": {"backends": [green.url]}},
            },
        }
        reach = {"http": f"127.0.0.1:{admin}", "tokens": str(tokens)}
        more = {"admin": reach, "plans": PLANS, "releases": GROUPS, "flags": FLAGS}
        async with running(tmp_path, traffic, services, **more) as gatekeeper:
            code, report = await fuzzed(f"http://127.0.0.1:{admin}", config, SECONDS_LONG if long else SECONDS)
            assert code == 0, report
            assert (await gatekeeper.admin("GET", "/v1/status"))[0] == 200
            logged = (gatekeeper.folder / "out0").read_text()
            assert "admin request failed" not in logged


async def test_no_endpoint_is_answered_on_the_addresses_users_go_to(tmp_path, free_ports, tokens):
    traffic, admin = free_ports(2)
    async with Backend.answering("blue") as blue:
        blue.health_path = "/checked"
        services = {"shop": {"versions": {"blue": {"backends": [blue.url]}}}}
        reach = {"http": f"127.0.0.1:{admin}", "tokens": str(tokens)}
        async with running(tmp_path, traffic, services, admin=reach) as gatekeeper:
            described = await ask(admin, "/openapi.json", Authorization="Bearer admin")
            revision = await gatekeeper.revision()
            for path, item in json.loads(described.body)["paths"].items():
                values = {"service": "shop", "version": "blue", "revision": 1, "release": 1, "path": "main.js"}
                target = path.format(**values, flag="new-checkout")
                for method in item:
                    answer = await gatekeeper.ask(target, method.upper(), Authorization="Bearer admin")
                    assert (answer.status, answer.body) == (200, b"blue"), (method, path)
            assert await gatekeeper.revision() == revision
