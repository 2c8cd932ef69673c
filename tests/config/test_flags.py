"""``flags`` in the file, and one flag as a document from the admin API."""

from decimal import Decimal

import pytest

from gatekeeper.config import ConfigError, load_text
from gatekeeper.config.flag_values import flag_changes, flag_schema
from gatekeeper.core.flags.model import FlagChanges, FlagFails, FlagSchedule, FlagType
from gatekeeper.core.judge.analysis import Analysis, Guard
from gatekeeper.core.model import Pattern, PatternKind, When

SHOP = 'services: {shop: {versions: {blue: {backends: ["http://127.0.0.1:9001"]}}}}\n'
BERLIN = {"timezone": "Europe/Berlin"}


def read(text, tmp_path):
    return load_text(SHOP + text, "gk.yaml", tmp_path).flags


def one(text, tmp_path):
    return read(f"flags:\n  new: {text}\n", tmp_path)["new"]


def problems(text, tmp_path):
    with pytest.raises(ConfigError) as caught:
        read(text, tmp_path)
    return caught.value.problems


def test_a_file_without_flags_has_none(tmp_path):
    assert read("", tmp_path) == {}


def test_a_boolean_flag(tmp_path):
    text = (
        "{on: true, percent: 12.5%, services: [shop], when: {header: {X-Country: DE}}, owner: anna, "
        "expires: 2027-01-31, description: d}"
    )
    flag = one(text, tmp_path)
    assert (flag.type, flag.variants, flag.off, flag.on) == (FlagType.BOOLEAN, {"on": True, "off": False}, "off", True)
    assert flag.split == {"on": Decimal("12.5"), "off": Decimal("87.5")}
    assert flag.when == When(headers=(("x-country", Pattern(PatternKind.EXACT, ("DE",))),))
    assert (flag.services, flag.owner, flag.expires, flag.description) == (("shop",), "anna", "2027-01-31", "d")


def test_on_and_off_need_no_quotes_where_a_flag_has_them(tmp_path):
    flag = one("{off: off, variants: {on: big, off: small}, split: {on: 1, off: 3}}", tmp_path)
    assert (flag.variants, flag.off, flag.split) == ({"on": "big", "off": "small"}, "off", {"on": 1, "off": 3})


@pytest.mark.parametrize(
    ("variants", "values"),
    [
        ("{a: true, b: false}", {"a": True, "b": False}),
        ('{a: 1, b: "2"}', None),
        ('{a: "1", b: "true"}', {"a": "1", "b": "true"}),
        ("{a: 1, b: -20}", {"a": 1, "b": -20}),
        ("{a: 1.0, b: 2.0}", {"a": 1.0, "b": 2.0}),
        ("{a: 1, b: 1e3}", {"a": 1.0, "b": 1000.0}),
        ("{a: light, b: 1.2.3}", {"a": "light", "b": "1.2.3"}),
        ("{a: 010, b: x}", {"a": "010", "b": "x"}),
        ('{a: {x: 1, y: [1.5, true, "1"]}, b: {}}', {"a": {"x": 1, "y": [1.5, True, "1"]}, "b": {}}),
        ("{a: [1], b: []}", {"a": [1], "b": []}),
    ],
)
def test_values_keep_their_type(variants, values, tmp_path):
    text = f"{{variants: {variants}, off: b}}"
    if values is None:
        assert "is no number" in problems(f"flags: {{new: {text}}}", tmp_path)[0].message
        return
    found = one(text, tmp_path).variants
    assert found == values
    assert [type(value) for value in found.values()] == [type(value) for value in values.values()]


def test_where_the_type_is_said_quotes_do_not_matter(tmp_path):
    assert one("{type: string, variants: {a: 1, b: true}, off: b}", tmp_path).variants == {"a": "1", "b": "true"}
    assert one('{type: number, variants: {a: "1", b: 2}, off: b}', tmp_path).variants == {"a": 1, "b": 2}
    assert one('{type: boolean, variants: {a: "true", b: "false"}}', tmp_path).variants == {"a": True, "b": False}


def test_moments_of_a_schedule_are_those_of_the_place(tmp_path):
    flag = one("{schedule: {on: 2026-07-01T06:00, off: 2026-12-01T06:00, timezone: Europe/Berlin}}", tmp_path)
    assert flag.schedule == FlagSchedule(1_782_878_400.0, 1_796_101_200.0)
    assert one("{schedule: {on: 2026-07-01T06:00+02:00}}", tmp_path).schedule == FlagSchedule(1_782_878_400.0)


def test_a_flag_that_follows_concerns_that_service(tmp_path):
    flag = one("{follow: shop}", tmp_path)
    assert (flag.follow, flag.services) == ("shop", ("shop",))


MISTAKES = [
    ("{New: {}}", "flags.New", "is not the name of a flag", "did you mean new?"),
    ("{blue.version: {}}", 'flags."blue.version"', "is not the name of a flag", "not ending in .version"),
    ("{new: {on: yes}}", "flags.new.on", "a bare yes, no, on or off is ambiguous", "or true"),
    ("{new: {no: true}}", "flags.new.no", "unknown key", "type, variants"),
    ("{new: {pecrent: 1}}", "flags.new.pecrent", "unknown key", "did you mean percent?"),
    ("{new: {percent: 101}}", "flags.new.percent", "is too large", "0 to 100"),
    ("{new: {percent: half}}", "flags.new.percent", "is not a percentage"),
    ("{new: {percent: 1, split: {on: 1}}}", "flags.new.percent", "says what split says", "one of the two"),
    ("{new: {percent: 1, variants: {a: true, b: false}}}", "flags.new.percent", "is for a boolean flag", "split over"),
    ("{new: {type: text}}", "flags.new.type", "is not one of the words", "boolean, string, number or object"),
    ("{new: {type: string}}", "flags.new.variants", "a flag of type string needs them"),
    ("{new: {variants: {}}}", "flags.new.variants", "is empty", "at least one"),
    ("{new: {variants: {a b: 1, b: 2}, off: b}}", 'flags.new.variants."a b"', "is not the name of a variant"),
    ("{new: {variants: {a: 1, b: x}, off: a}}", "flags.new.variants.b", "is no number", 'found "x"'),
    ("{new: {variants: {a: 1, b: 2}}}", "flags.new.off", "which variant is served", "allowed: a, b"),
    ("{new: {variants: {a: 1, b: 2}, off: c}}", "flags.new.off", "there is no variant c", 'found "c"'),
    ("{new: {split: {no: 1}}}", "flags.new.split.no", "no such variant"),
    ("{new: {split: {maybe: 1}}}", "flags.new.split.maybe", "no such variant", "on, off"),
    ("{new: {split: {on: 0}}}", "flags.new.split", "the weights add up to 0"),
    ("{new: {services: [shpo]}}", "flags.new.services[0]", "there is no such service", "did you mean shop?"),
    ("{new: {follow: shpo}}", "flags.new.follow", "there is no such service", "did you mean shop?"),
    ("{new: {follow: shop, services: []}}", "flags.new.services", "a flag that follows shop concerns it alone"),
    ("{new: {expires: soon}}", "flags.new.expires", "is not a day", "2027-01-31"),
    ("{new: {expires: 2027-1-3}}", "flags.new.expires", "is not a day", "did you mean 2027-01-03?"),
    ("{new: {expires: 2027-02-30}}", "flags.new.expires", "is no day there is"),
    ("{new: {expires: 2400-01-01}}", "flags.new.expires", "is too far away"),
    ("{new: {schedule: {}}}", "flags.new.schedule", "says no time", "on, off or both"),
    ("{new: {schedule: {on: 2026-12-01T06:00}}}", "flags.new.schedule.on", "is local to no time zone"),
    (
        "{new: {schedule: {on: 2026-12-01T06:00Z, timezone: Europe/Berlin}}}",
        "flags.new.schedule.timezone",
        "means nothing where on has an offset",
    ),
    (
        "{new: {schedule: {on: 2026-12-01T06:00Z, off: 2026-12-01T07:00+01:00}}}",
        "flags.new.schedule",
        "on and off are the same moment",
    ),
    ("{new: {when: {path: checkout}}}", "flags.new.when.path", "never matches a path", "did you mean /checkout?"),
    ("{new: {when: {header: {A: x, a: y}}}}", "flags.new.when.header.a", "this header is here twice"),
    ("{new: {owner: [anna]}}", "flags.new.owner", "takes a single value"),
    ("[new]", "flags", "takes a mapping"),
    ("{new: {on_fail: off}}", "flags.new.on_fail", "nobody judges the flag", "off beside an analysis, or keep"),
    ("{new: {on_fail: rollback, analysis: {}}}", "flags.new.on_fail", "is not one of the words", "off or keep"),
    ("{new: {analysis: {steps: passed}}}", "flags.new.analysis.steps", "does not stand here", "in a plan"),
    ("{new: {analysis: {deadline: 1h}}}", "flags.new.analysis.deadline", "does not stand here", "flag show NAME"),
    ("{new: {analysis: {metrics: []}}}", "flags.new.analysis.metrics", "does not stand here", "flag off NAME"),
    ("{new: {analysis: {guard: {}}}}", "flags.new.analysis.guard", "says no bound", "errors, p99 or both"),
    ("{new: {analysis: {tolerate: {errors: 9pt}}}}", "flags.new.analysis.tolerate.errors", "is more than what"),
    ("{new: {guard: {errors: 5%}}}", "flags.new.guard", "does not stand here", "flags.NAME.analysis.guard"),
    ("{new: {follow: shop, analysis: {}}}", "flags.new.analysis", "is judged with its releases", "in their plan"),
]


@pytest.mark.parametrize(("text", "path", "message", "parts"), [(*one[:3], one[3:]) for one in MISTAKES])
def test_a_mistake_is_one_problem_with_its_place(text, path, message, parts, tmp_path):
    found = problems(f"flags: {text}\n", tmp_path)
    assert [(problem.line, problem.path) for problem in found] == [(2, path)], [str(one) for one in found]
    assert message in found[0].message
    assert all(part in str(found[0]) for part in parts)


def test_what_is_asked_of_a_flag_reads_as_in_a_plan(tmp_path):
    text = "{analysis: {alpha: 2%, tolerate: {errors: 0.1pt}, routes: /cart, guard: {errors: 5%}}, on_fail: off}"
    flag = one(text, tmp_path)
    asked = Analysis(alpha=0.02, tolerate_errors=0.001, routes=("/cart",), guard=Guard(errors=0.05))
    assert (flag.analysis, flag.on_fail) == (asked, FlagFails.OFF)
    assert one("{}", tmp_path).analysis is None
    assert one("{analysis: {}}", tmp_path).analysis == Analysis()


def test_a_document_can_take_the_judge_away():
    assert flag_changes({"analysis": {}, "on_fail": "off"}) == FlagChanges(analysis=Analysis(), on_fail=FlagFails.OFF)
    for nothing in (None, ""):
        assert flag_changes({"analysis": nothing}) == FlagChanges(analysis=False)


def test_flags_under_a_service_are_told_where_to_stand(tmp_path):
    text = 'services: {shop: {flags: {a: {}}, versions: {blue: {backends: ["http://127.0.0.1:9001"]}}}}\n'
    with pytest.raises(ConfigError) as caught:
        load_text(text, "gk.yaml", tmp_path)
    assert "at the top" in str(caught.value.problems[0])


def test_flags_that_do_not_fit_into_one_line_are_refused(tmp_path):
    value = "x" * 2500
    text = f"flags:\n  a: {{variants: {{a: {value}, off: b}}}}\n  b: {{variants: {{a: {value}, off: b}}}}\n"
    found = problems(text, tmp_path)
    assert [problem.path for problem in found] == ["flags"]
    assert "could make an X-Gatekeeper-Flags of 50" in found[0].message


# A document


def test_a_document_says_only_what_stands_in_it():
    assert flag_changes({}) == FlagChanges()
    assert flag_changes({"percent": 5}) == FlagChanges(percent=Decimal(5))
    assert flag_changes({"on": True, "split": {"a": Decimal("0.5"), "b": 1}}) == FlagChanges(
        on=True, split={"a": Decimal("0.5"), "b": Decimal(1)}
    )
    assert flag_changes({"schedule": {"off": "2026-07-01T06:00", **BERLIN}}) == FlagChanges(
        schedule=FlagSchedule(None, 1_782_878_400.0)
    )
    assert flag_changes(
        {"services": ["any", "other"], "follow": "shop", "off": "off", "type": "string"}
    ) == FlagChanges(services=("any", "other"), follow="shop", off="off", type=FlagType.STRING)


def test_values_of_a_document_are_taken_as_they_are():
    given = {"a": {"x": None, "on": [Decimal("1.0"), 1, "yes"]}, "b": {}}
    found = flag_changes({"variants": given}).variants
    assert found == {"a": {"x": None, "on": [1.0, 1, "yes"]}, "b": {}}
    assert [type(item) for item in found["a"]["on"]] == [float, int, str]
    assert flag_changes({"variants": {"a": "1", "b": ""}}).variants == {"a": "1", "b": ""}


def test_null_takes_away_what_can_be_taken_away():
    names = ("when", "services", "follow", "schedule", "owner", "expires", "description")
    assert flag_changes(dict.fromkeys(names)) == FlagChanges(
        when=When(), services=(), follow="", schedule=FlagSchedule(), owner="", expires="", description=""
    )
    assert flag_changes({"expires": ""}).expires == ""


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"percnt": 5}, "percnt"),
        ({"percent": None}, "percent"),
        ({"percent": "many"}, "percent"),
        ({"split": {"a b": 1}}, 'split."a b"'),
        ({"variants": {"a b": 1}}, 'variants."a b"'),
        ({"variants": []}, "variants"),
        ({"variants": {}}, "variants"),
        ({"schedule": {"on": "2026-12-01T06:00"}}, "schedule.on"),
        ({"when": {"path": "x"}}, "when.path"),
        ({"owner": "${HOME}\n"}, "owner"),
    ],
)
def test_a_mistake_of_a_document_has_its_path_in_it(document, path):
    with pytest.raises(ConfigError) as caught:
        flag_changes(document)
    assert [problem.path for problem in caught.value.problems] == [path]


def test_a_document_reads_nothing_of_this_machine():
    assert flag_changes({"owner": "${HOME}", "variants": {"a": "${HOME}"}}) == FlagChanges(
        owner="${HOME}", variants={"a": "${HOME}"}
    )


def test_the_schema_of_a_document_knows_its_keys_and_what_null_means():
    schema = flag_schema()
    assert set(schema["properties"]) == set(FlagChanges.__dataclass_fields__)
    assert {"type": "null"} in schema["properties"]["owner"]["anyOf"]
    assert "required" not in schema
    assert "${" not in str(schema)
