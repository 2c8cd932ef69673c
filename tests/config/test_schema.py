"""The JSON Schema: what editors are told agrees with what the loader takes."""

import json
import re
from pathlib import Path

import pytest
import yaml

from gatekeeper.config import ConfigError, json_schema, load_text
from gatekeeper.config.schema import DIALECT

EXAMPLES = sorted((Path(__file__).parents[2] / "config").glob("*.yaml"))
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
KNOWN = {
    *("$schema", "$id", "$defs", "$ref", "title", "description", "default"),
    *("type", "anyOf", "enum", "const", "pattern", "minimum", "maximum"),
    *("properties", "patternProperties", "additionalProperties", "required", "minProperties", "maxProperties"),
    *("items", "minItems", "maxItems"),
}


class EditorLoader(yaml.SafeLoader):
    """YAML as editors read it (YAML 1.2): yes, no, on and off and dates are texts."""


EditorLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith((":bool", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
EditorLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


def agrees(schema, value, root) -> bool:
    """Whether ``value`` is valid; the part of draft 2020-12 that the schema uses."""
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema and not agrees(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, root):
        return False
    if "anyOf" in schema and not any(agrees(one, value, root) for one in schema["anyOf"]):
        return False
    kinds = schema.get("type", list(TYPES))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not any(isinstance(value, TYPES[kind]) and (kind == "boolean") >= isinstance(value, bool) for kind in kinds):
        return False
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        return False
    if isinstance(value, str):
        return re.search(schema.get("pattern", ""), value) is not None
    if isinstance(value, list):
        sized = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        return sized and all(agrees(schema.get("items", {}), item, root) for item in value)
    if isinstance(value, dict):
        return agrees_mapping(schema, value, root)
    return schema.get("minimum", value) <= value <= schema.get("maximum", value)


def agrees_mapping(schema, value, root) -> bool:
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, item in value.items():
        parts = (
            [known[name]] if name in known else [one for regex, one in patterns.items() if re.search(regex, str(name))]
        )
        others = schema.get("additionalProperties", True)
        if not parts and not (others is True or (others and agrees(others, item, root))):
            return False
        if not all(agrees(part, item, root) for part in parts):
            return False
    sized = schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value))
    return sized and set(schema.get("required", [])) <= set(value)


def editor(text):
    return yaml.load(text, Loader=EditorLoader)  # noqa: S506 - a SafeLoader


def test_the_schema_is_json_of_the_dialect_editors_know():
    schema = json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$schema"] == DIALECT
    assert agrees(schema, {"include": "a"}, schema)
    assert not agrees(schema, {"workers": 1}, schema)


def test_every_key_has_a_description():
    schema = json_schema()
    for name, part in [("", schema), *schema["$defs"].items()]:
        mapping = part if "properties" in part else part["anyOf"][1]
        for key, value in mapping["properties"].items():
            assert value.get("description") or "$ref" in value, (name, key)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_editor_accepts_every_example(path):
    assert agrees(json_schema(), editor(path.read_text()), json_schema())


JUDGED = "\nplans: {p: {steps: [{weight: 5}, {weight: 100}], analysis: {%s}}}"
SHOP = "services: {shop: {versions: {blue: {backends: ['http://h:1']}}%s}}%s"


@pytest.mark.parametrize(
    ("service", "top"),
    [
        ("", ""),
        (", hosts: a.example, stable: blue, split: {blue: 0.5}", "\nlisten: ':80'"),
        (", skew: 0, timeouts: {idle: 1h30m}", "\nlisten: [{address: ':80'}]\nworkers: 4"),
        (", retries: {budget: 5}, strip_prefix: '${X}'", "\nlog: {access: off}"),
        (", rules: [{when: {path: /a, header: {a: 1, b: {present: true}}}, split: {blue: 1}}]", ""),
        (", sticky: {by: 'header:X'}, testers: {from: '::1', keys: 0123456789abcdef}", "\nlimits: {body: 5MiB}"),
        (", sticky: {by: 'header:X'}, testers: {from: '::1', keys: []}", "\nlimits: {body: 5}"),
        (", ejection: off, trip: off, slow_start: 30s", "\nadmin: {users: {anna: {role: viewer}}}"),
        (", plan: p", "\nplans: {p: {steps: [{weight: 1.5}, {weight: 100%, hold: 0}], on_fail: pause}}"),
        ("", "\nplans: {p: {steps: [{weight: 100, verify: [http: /, {command: {run: [a, 5]}}]}]}}"),
        ("", "\nplans: {p: {steps: [{weight: 100}], start: {at: 2026-12-01T06:00Z, window: {days: [mon, sat-sun]}}}}"),
        (", plan: p", JUDGED % ""),
        ("", JUDGED % "alpha: 1%, promote_beta: 0.1, routes: /a, burst: {cap: 2.5}, guard: {p99: 1s}"),
        ("", JUDGED % "tolerate: {errors: x1.1 + 0.1pt, latency: 5%}, promote_within: {errors: x2 + 1pt}"),
        ("", JUDGED % "metrics: [{name: a, prometheus: 'http://h', query: q, min: -1.5}]"),
        (", freeze: [{from: 2026-12-01 06:00, timezone: UTC}]", "\nfreeze: [{days: daily, hours: '22:00-06:00'}]"),
        ("", "\nnotify: [{url: 'http://h', secret: 1234567890123456, events: tripped}]"),
        (", ejection: {for: 1s, keep: 20%}, trip: {min: 1, errors: 5}", "\ndns: {refresh: 1m}"),
    ],
)
def test_what_the_loader_takes_the_editor_accepts(tmp_path, monkeypatch, service, top):
    monkeypatch.setenv("X", "true")
    text = SHOP % (service, top)
    load_text(text, "x", tmp_path)
    assert agrees(json_schema(), editor(text), json_schema())


@pytest.mark.parametrize(
    ("service", "top"),
    [
        (", stabel: blue", ""),
        (", timeouts: {connect: 5}", ""),
        (", timeouts: {connect: soon}", ""),
        (", split: {blue: -1}", ""),
        (", split: {'a b': 1}", ""),
        (", rules: [{to: blue}]", ""),
        (", rules: [{when: {path: {exact: a, prefix: b}}, to: blue}]", ""),
        (", sticky: {mode: ramb}", ""),
        (", hosts: []", ""),
        (", strip_prefix: 1", ""),
        (", mirror: {to: blue}", ""),
        (", ejection: false", ""),
        (", ejection: {out: 1s}", ""),
        (", trip: {errors: 0}", ""),
        ("", "\nplans: {p: {}}"),
        ("", "\nplans: {p: {steps: []}}"),
        ("", "\nplans: {p: {steps: [{weight: 101}]}}"),
        ("", "\nplans: {p: {steps: [{weight: 100}], verify: [{}]}}"),
        ("", "\nplans: {p: {steps: [{weight: 100}], verify: [{http: /, command: {run: [a]}}]}}"),
        ("", "\nplans: {p: {steps: [{weight: 100}], verify: [{command: {run: smoke}}]}}"),
        ("", "\nplans: {p: {steps: [{weight: 100}], start: {at: 2026-12-01}}}"),
        ("", "\nplans: {p: {steps: [{weight: 100}], start: {window: {hours: 9-16}}}}"),
        ("", "\nplans: {p: {steps: [{weight: 100}], start: {window: {days: monday}}}}"),
        ("", "\nplans: {p: {steps: [{weight: 100}], approve: {groups: []}}}"),
        ("", "\nanalysis: {}"),
        ("", "\nplans: {p: {steps: [{weight: 5}, {weight: 100}], analysis: off}}"),
        ("", JUDGED % "alpha: 0.5"),
        ("", JUDGED % "tolerate: {errors: 0.5}"),
        ("", JUDGED % "tolerate: {latency: 5}"),
        ("", JUDGED % "steps: proof"),
        (", plan: [p]", ""),
        ("", "\nreleases: {r: {services: [shop]}}"),
        ("", "\nfreeze: {days: mon}"),
        ("", "\nnotify: [{url: 'ftp://h', secret: 0123456789abcdef}]"),
        ("", "\nnotify: [{url: 'http://h', secret: 0123456789abcdef, events: [split]}]"),
        ("", "\nworkers: 0"),
        ("", "\nlisten: 80"),
        ("", "\nlimits: {body: lots}"),
    ],
)
def test_what_the_schema_refuses_the_loader_refuses(tmp_path, service, top):
    text = SHOP % (service, top)
    assert not agrees(json_schema(), editor(text), json_schema())
    with pytest.raises(ConfigError):
        load_text(text, "x", tmp_path)
