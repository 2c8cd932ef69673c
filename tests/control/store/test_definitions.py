"""Definitions as text: whole, short, and known again by a later gatekeeper."""

import json
import subprocess
import sys
from dataclasses import field, make_dataclass, replace
from decimal import Decimal
from pathlib import Path

from gatekeeper.config import load_file
from gatekeeper.control.store import definitions
from gatekeeper.core import codec
from gatekeeper.core.model import Backend, Definition, Service, Settings, Version

ROOT = Path(__file__).parents[3]


def service(**more):
    versions = {name: Version(name, (Backend("http://127.0.0.1:9001"),)) for name in ("blue", "green")}
    return Service("shop", versions, "blue", {"blue": Decimal(100), "green": Decimal(0)}, **more)


def test_what_is_not_said_is_not_written_and_what_is_read_back_is_the_same():
    for each in (service(), service(skew=2.5, trip=None, hosts=("a.example",)), Settings(), Settings(workers=3)):
        text = definitions.text(each)
        assert codec.load(type(each), json.loads(text)) == each
    assert json.loads(definitions.text(Settings(workers=3))) == {"workers": 3}
    assert json.loads(definitions.text(service(trip=None)))["trip"] is None, "none is not the default here"


def test_every_example_of_the_project_is_read_back_as_it_was(monkeypatch):
    monkeypatch.chdir(ROOT)
    read = 0
    for path in sorted((ROOT / "config").glob("*.yaml")):
        try:
            definition = load_file(path)
        except Exception:  # noqa: BLE001, S112 - whether examples load is tested elsewhere; some need their environment
            continue
        for each in (definition.settings, *definition.services.values()):
            assert codec.load(type(each), json.loads(definitions.text(each))) == each
            read += 1
    assert read > 2


def test_a_field_that_a_later_gatekeeper_adds_does_not_change_the_text_of_what_was_before():
    now = make_dataclass("Thing", [("name", str), ("size", int, field(default=1))], frozen=True)
    later = make_dataclass("Thing", [("name", str), ("size", int, 1), ("new", dict, field(default_factory=dict))])
    assert definitions.text(now("a")) == definitions.text(later("a")) == '{"name":"a"}'
    assert definitions.text(later("a", new={"b": 1})) != definitions.text(now("a"))


def test_the_digest_tells_every_difference_and_the_order():
    base = Definition(Settings(), {"shop": service(), "cart": replace(service(), name="cart")})
    others = [
        Definition(Settings(workers=2), base.services),
        Definition(base.settings, {"shop": base.services["shop"]}),
        Definition(base.settings, dict(reversed(base.services.items()))),
        Definition(base.settings, {**base.services, "shop": service(slow_start=1.0)}),
        Definition(base.settings, {**base.services, "shop": replace(service(), split={"green": 0, "blue": 100})}),
    ]
    assert len({definitions.digest(each) for each in (base, *others)}) == len(others) + 1
    assert definitions.digest(base) == definitions.digest(Definition(Settings(), dict(base.services)))


def test_the_digest_is_the_same_in_every_process():
    script = (
        "from tests.control.store.test_definitions import service; from gatekeeper.control.store import definitions;"
        "from gatekeeper.core.model import *;"
        "print(definitions.digest(Definition(Settings(admin_users={'a': User(Role.VIEWER)}), {'shop': service()})))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1


def test_the_digest_of_a_definition_is_what_earlier_gatekeepers_made_it():
    """It is in their state files. Should it ever change, every start after the upgrade takes its file for edited."""
    assert definitions.digest(Definition(Settings(), {"shop": service()})) == "8d61dfb011001adb4dec6062f07ca774"
