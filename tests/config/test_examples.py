"""The examples load, and the operator's page names every key."""

import re
from pathlib import Path

import pytest

from gatekeeper.config import json_schema, load_file, load_text, plans
from gatekeeper.core import model
from gatekeeper.core.judge.analysis import Analysis, Burst, Demand, Guard
from gatekeeper.core.release import plan

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "config").glob("*.yaml"))
PAGE = (ROOT / "docs" / "configuration.md").read_text()


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("GATEKEEPER_PASS_KEY", "k" * 32)
    monkeypatch.setenv("GATEKEEPER_HOOK_SECRET", "h" * 32)


def test_the_examples_are_there():
    assert {
        "minimal.yaml",
        "full.yaml",
        "sticky.yaml",
        "rules.yaml",
        "testers.yaml",
        "include.yaml",
        "release.yaml",
        "judged.yaml",
        "flags.yaml",
    } <= {path.name for path in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_loads(path):
    assert load_file(path).services


def test_the_full_example_names_every_key():
    text = (ROOT / "config" / "full.yaml").read_text()
    pattern = {"exact", "suffix", "contains", "regex", "present", "one_of", "header", "query", "client_ip", "include"}
    for key in keys() - pattern:
        assert re.search(rf"\b{key}:", text), key


def test_the_full_example_shows_the_defaults_of_a_plan():
    full = load_file(ROOT / "config" / "full.yaml").releasing.plans["careful"]
    plain = plan.Plan("careful", full.steps)
    assert (full.on_fail, full.max_hold, full.retain) == (plain.on_fail, plain.max_hold, plain.retain)
    assert full.approve == plan.Approval(full.approve.groups)
    assert full.analysis.queries
    assert full.analysis == Analysis(guard=Guard(0.05, 0.8, 60), burst=Burst(), queries=full.analysis.queries)
    assert full.verify[0].http == plan.HttpCheck("/healthz")
    assert full.verify[1].command == plan.CommandCheck(full.verify[1].command.run)


def test_the_release_example_says_what_its_comments_say():
    found = load_file(ROOT / "config" / "release.yaml")
    releasing = found.releasing
    assert releasing.groups["storefront"].services == ("shop", "cart")
    assert set(releasing.defaults) == {"shop", "cart"}
    careful = releasing.plans["careful"]
    assert [step.weight for step in careful.steps] == [1, 10, 50, 100]
    smoke = Path(careful.verify[1].command.run[0])
    assert smoke == ROOT / "config" / "smoke.sh"
    assert smoke.stat().st_mode & 0o111
    assert careful.window.timezone == "Europe/Berlin"
    assert {len(freeze.services) for freeze in releasing.freezes} == {0, 1}
    assert releasing.notify[0].secret == "h" * 32


def test_the_judged_example_says_what_its_comments_say():
    plans = load_file(ROOT / "config" / "judged.yaml").releasing.plans
    judged, careful = plans["judged"].analysis, plans["careful"].analysis
    assert judged == Analysis(routes=("/checkout",), guard=Guard(0.05, 0.8, 60))
    assert (careful.steps, careful.alpha, careful.warm_up) == (Demand.PASSED, 0.001, 30)
    assert [(one.name, one.min, one.max) for one in careful.queries] == [("orders", 0.02, None)]


def test_the_flags_example_says_what_its_comments_say():
    flags = load_file(ROOT / "config" / "flags.yaml").flags
    assert [flag.on for flag in flags.values()] == [False, False, True, False, False]
    assert flags["new-checkout"].split == {"on": 10, "off": 90}
    assert (flags["quick-buy"].analysis.tolerate_errors, flags["quick-buy"].on_fail) == (0.001, "off")
    assert flags["theme"].variants[flags["theme"].off] == "light"
    assert flags["banner"].schedule.off_at - flags["banner"].schedule.on_at == 86_400
    assert flags["new-search"].services == ("shop",)


def test_the_full_example_shows_the_defaults_where_it_says_so():
    shop = load_file(ROOT / "config" / "full.yaml").services["shop"]
    assert (shop.timeouts, shop.retries) == (model.Timeouts(), model.Retries())
    assert (shop.ejection, shop.trip, shop.slow_start) == (model.Ejection(), model.Trip(), 0)
    assert shop.versions["green"].health == model.HealthCheck("/healthz")
    assert load_file(ROOT / "config" / "full.yaml").settings.limits == model.Limits()
    assert load_file(ROOT / "config" / "full.yaml").settings.dns == model.Dns()


def keys() -> set[str]:
    schema = json_schema()
    parts = [schema, *schema["$defs"].values()]
    return {key for part in parts for each in [part, *part.get("anyOf", [])] for key in each.get("properties", {})}


def test_the_page_names_every_key():
    for key in keys():
        assert re.search(rf"`(?:[a-z_]+\.)*{key}[`.]", PAGE), key


def test_the_page_names_every_event_that_can_be_told():
    for kind in plans.EVENTS:
        assert f"`{kind}`" in PAGE, kind


def test_the_page_states_the_defaults_of_plans_and_what_belongs_to_them():
    """In the part of each of them: the row of a key has its default in the last cell."""
    parts = {
        "## Plans": ("Plan", "Step"),
        "### Checks": ("HttpCheck", "CommandCheck", "ReleasedInCheck"),
        "### Times": ("Window",),
        "### Mirror": ("Mirror", "Compare"),
        "### Approvals": ("Approval",),
        "### Freezes": ("Freeze",),
        "## Flags": ("Flag",),
        "### Analysis": ("Analysis", "Tolerate", "PromoteWithin", "Guard", "Burst", "Metric"),
    }
    schema = json_schema()["$defs"]
    seen = 0
    for title, names in parts.items():
        text = PAGE.partition(f"\n{title}\n")[2].partition("\n#")[0]
        rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("| `")]
        for name in names:
            mapping = schema[name] if "properties" in schema[name] else schema[name]["anyOf"][1]
            for key, part in mapping["properties"].items():
                if part.get("default") in (None, [], {}):
                    continue
                default = part["default"]
                default = default[0] if default == ["daily"] else default
                shown = str(default).lower() if isinstance(default, bool) else str(default).replace("'", "") or '""'
                stated = [row[-2] for row in rows if row[1].strip("`").rpartition(".")[2] == key]
                if (name, key) in {("Freeze", "reason"), ("Flag", "owner"), ("Flag", "description")}:
                    shown = "none"
                assert stated, (name, key)
                assert any(shown in cell for cell in stated), (name, key, shown)
                seen += 1
    assert seen > 10


def test_the_page_states_every_default():
    schema = json_schema()
    rows = {cells[1]: cells[-2] for line in PAGE.splitlines() if len(cells := [c.strip() for c in line.split("|")]) > 4}
    for name in ("Limits", "Log", "Dns", "Timeouts", "Retries", "Health", "Ejection", "Trip"):
        for key, part in schema["$defs"][name]["properties"].items():
            default = part.get("default")
            if default is None:  # what happens without it is said in words
                assert re.fullmatch(r"[a-z ]+", rows[f"`{name.lower()}.{key}`"]), (name, key)
                continue
            text = str(default).lower() if isinstance(default, bool) else str(default) or '""'
            assert f"`{text}`" in rows[f"`{name.lower()}.{key}`"], (name, key)


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_a_block_of_the_page_loads(block, tmp_path):
    if not re.search(r"^services:", block, re.MULTILINE):
        shop = "services: {shop: {versions: {blue: {backends: 'http://h'}, green: {backends: 'http://h'}}}}\n"
        block = shop + block
    assert load_text(block, "page", tmp_path).services
