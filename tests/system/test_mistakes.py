"""Each kind of mistake a file can hold, reloaded into a gatekeeper under load: everything is named, nothing happens."""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest
import pytest_asyncio

from tests.config.conftest import SHOP, indented
from tests.config.test_mistakes import FILES, PLACES, SERVICE, TOP, VERSION
from tests.conftest import _take
from tests.system.parts import Load, running
from tests.system.scripted import Backend

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

GOOD = "services: {s: {versions: {v: {backends: 'http://h'}}}}\n"

SYNTAX = [
    ("services:\n  s: [1, 2\n  t: 3\n", 3, "this is not YAML"),
    (GOOD + "---\nworkers: 1\n", 2, "a second document begins here"),
    (GOOD + "workers: 1\nworkers: 2\n", 3, "workers: this key is here twice"),
    (GOOD + "state: /caf\udce9\n", 2, "the file is not UTF-8"),
    (GOOD + "state: a\0b\n", 2, "U+0000"),
    ("[" * 5_000, 1, "nested too deeply"),
    (GOOD + "include: missing.yaml\n", 2, "include: there is no such file"),
    (GOOD + "state: ${GK_NOT_SET}\n", 2, "the environment variable GK_NOT_SET is not set"),
    (GOOD + "state: ${file:missing}\n", 2, "cannot be used: No such file or directory"),
]

EVERYTHING = """\
lisen: [':80']
services:
  shop:
    stabel: blue
    versions:
      blue: {backends: ['127.0.0.1:9001']}
      green: {backends: ['http://127.0.0.1:9002'], health: {rise: 0}}
    split: {bleu: 1}
    rules: [{when: {method: [get]}, to: grey}]
    timeouts: {connect: 5}
workers: none
"""


def cases():
    """The text of a file, the line of its one mistake, and what must be said of it."""
    for keys, path, message, *_ in SERVICE:
        yield SHOP + indented(keys), 6, f"services.shop.{path}: {message}"
    for keys, path, message, *_ in TOP:
        yield SHOP + keys, 6, f"{path}: {message}"
    for version, path, message, *_ in VERSION:
        text = f"services:\n  s:\n    versions:\n      v: {version}"
        yield text, 4, f"services.s.versions.v{path}: {message}"
    for text, path, message in FILES:
        yield text, 1, f"{path}: {message}" if path else message
    for first, second, path, message in PLACES:
        body = "versions: {v: {backends: 'http://h'}}"
        yield f"services:\n  s: {{{first}, {body}}}\n  t: {{{second}, {body}}}\n", 3, f"{path}: {message}"
    yield from SYNTAX


class Stage:
    """One gatekeeper under load for all cases."""

    def __init__(self, gatekeeper, load):
        self.gatekeeper, self.load = gatekeeper, load

    async def reload(self, text):
        """Reload this text and see that nothing comes of it; the lines of standard error."""
        self.gatekeeper.file.write_bytes(os.fsencode(text))
        before = await self.gatekeeper.admin("GET", "/v1/services/shop")
        code, out, err = await self.gatekeeper.command("reload")
        assert (code, out) == (2, "")
        await self.load.more(4)
        assert self.load.failures == []
        after = await self.gatekeeper.admin("GET", "/v1/services/shop")
        assert after[1]["revision"] == before[1]["revision"] == 2
        assert after[1]["split"] == {"blue": 60, "green": 40}
        return [line.strip() for line in err.splitlines()]

    async def history(self):
        return (await self.gatekeeper.admin("GET", "/v1/revisions"))[1]["revisions"]


@pytest.fixture(scope="module")
def port():
    held = []
    found = _take(held)
    for each in held:
        each.close()
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(port):
    async with Backend.answering("blue") as blue, Backend.answering("green") as green:
        services = {
            "shop": {
                "versions": {"blue": {"backends": [blue.url]}, "green": {"backends": [green.url]}},
                "sticky": {"mode": "none"},
            }
        }
        with tempfile.TemporaryDirectory(prefix="gatekeeper") as folder:
            async with running(Path(folder), port, services) as gatekeeper:
                await gatekeeper.weigh("shop", blue=60, green=40)
                async with Load(port, connections=4, pause=0.002) as load:
                    await load.more(50)
                    yield Stage(gatekeeper, load)
                assert load.failures == []
                assert set(load.bodies) == {b"blue", b"green"}
                assert len(await Stage(gatekeeper, load).history()) == 2


@pytest.mark.parametrize(("text", "line", "said"), [pytest.param(*case, id=case[2][:60]) for case in cases()])
async def test_a_file_with_a_mistake_changes_nothing_and_the_mistake_is_named_with_its_line(stage, text, line, said):
    """The same revision and split, undisturbed traffic, exit 2."""
    first, problem, *_ = await stage.reload(text)
    assert first == "gatekeeper: 1 problem; nothing was changed"
    assert problem.startswith(f"{stage.gatekeeper.file}:{line}: ")
    assert said.replace("gk.yaml", str(stage.gatekeeper.file)) in problem


async def test_all_mistakes_of_a_file_are_named_at_once(stage):
    """In the order of the file, each with its line."""
    first, *problems = await stage.reload(EVERYTHING)
    assert first == "gatekeeper: 9 problems; nothing was changed"
    places = [tuple(problem.removeprefix(f"{stage.gatekeeper.file}:").split(": ")[:2]) for problem in problems]
    assert places[:9] == [
        ("1", "lisen"),
        ("4", "services.shop.stabel"),
        ("6", "services.shop.versions.blue.backends[0]"),
        ("7", "services.shop.versions.green.health.rise"),
        ("8", "services.shop.split.bleu"),
        ("9", "services.shop.rules[0].when.method[0]"),
        ("9", "services.shop.rules[0].to"),
        ("10", "services.shop.timeouts.connect"),
        ("11", "workers"),
    ]


async def test_a_file_that_is_gone_or_unreadable_changes_nothing(stage):
    """The way out is told here too."""
    file = stage.gatekeeper.file
    file.unlink()
    code, _, err = await stage.gatekeeper.command("reload")
    assert (code, str(file) in err) == (2, True)
    file.mkdir()
    code, _, err = await stage.gatekeeper.command("reload")
    assert (code, str(file) in err) == (2, True)
    file.rmdir()
    assert await stage.gatekeeper.revision() == 2


async def test_the_command_itself_ends_with_2_and_names_the_line(stage):
    """As a process, for a script that looks at the exit code."""
    stage.gatekeeper.file.write_text(EVERYTHING)
    done = await asyncio.to_thread(stage.gatekeeper.cli, "reload")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{stage.gatekeeper.file}:9: services.shop.rules[0].to: there is no such version" in done.stderr
    assert await stage.gatekeeper.revision() == 2
