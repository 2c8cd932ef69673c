"""The examples load, and the operator's page names every key."""

import re
from pathlib import Path

import pytest

from gatekeeper.config import json_schema, load_file, load_text
from gatekeeper.config.later import _SERVICE, _TOP
from gatekeeper.core import model

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "config").glob("*.yaml"))
PAGE = (ROOT / "docs" / "configuration.md").read_text()


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("GATEKEEPER_PASS_KEY", "k" * 32)


def test_the_examples_are_there():
    assert {"minimal.yaml", "full.yaml", "sticky.yaml", "rules.yaml", "testers.yaml", "include.yaml"} <= {
        path.name for path in EXAMPLES
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_loads(path):
    assert load_file(path).services


def test_the_full_example_names_every_key():
    text = (ROOT / "config" / "full.yaml").read_text()
    pattern = {"exact", "suffix", "contains", "regex", "present", "one_of", "header", "query", "client_ip", "include"}
    for key in keys() - pattern:
        assert re.search(rf"\b{key}:", text), key


def test_the_full_example_shows_the_defaults_where_it_says_so():
    shop = load_file(ROOT / "config" / "full.yaml").services["shop"]
    assert (shop.timeouts, shop.retries) == (model.Timeouts(), model.Retries())
    assert shop.versions["green"].health == model.HealthCheck("/healthz")
    assert load_file(ROOT / "config" / "full.yaml").settings.limits == model.Limits()


def keys() -> set[str]:
    schema = json_schema()
    parts = [schema, *schema["$defs"].values()]
    return {key for part in parts for each in [part, *part.get("anyOf", [])] for key in each.get("properties", {})}


def test_the_page_names_every_key():
    for key in keys():
        assert re.search(rf"`(?:[a-z_]+\.)*{key}[`.]", PAGE), key


def test_the_page_names_every_key_that_is_not_available_yet():
    for key in _TOP | _SERVICE:
        assert f"`{key}`" in PAGE, key


def test_the_page_states_every_default():
    schema = json_schema()
    rows = {cells[1]: cells[-2] for line in PAGE.splitlines() if len(cells := [c.strip() for c in line.split("|")]) > 4}
    for name in ("Limits", "Log", "Timeouts", "Retries", "Health"):
        for key, part in schema["$defs"][name]["properties"].items():
            default = part["default"]
            text = str(default).lower() if isinstance(default, bool) else str(default)
            assert f"`{text}`" in rows[f"`{name.lower()}.{key}`"], (name, key)


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_a_block_of_the_page_loads(block, tmp_path):
    if "services:" not in block:
        shop = "services: {shop: {versions: {blue: {backends: 'http://h'}, green: {backends: 'http://h'}}}}\n"
        block = shop + block
    assert load_text(block, "page", tmp_path).services
