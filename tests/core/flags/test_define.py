"""What may be a flag, and what is said of what may not."""

import pytest

from gatekeeper.core.flags.define import crowd, defined
from gatekeeper.core.flags.header import LONGEST_LINE
from gatekeeper.core.flags.model import FlagChanges, FlagSchedule, FlagType
from gatekeeper.core.outcome import Refused
from tests.core.flags.states import THEME, D, said


def wrong(name="new", base=None, **changes):
    """The path and the text of every problem."""
    with pytest.raises(Refused) as caught:
        defined(name, FlagChanges(**changes), base)
    assert (caught.value.status, caught.value.code) == (422, "invalid_flag")
    return [(problem.path, problem.message) for problem in caught.value.problems]


def test_a_flag_needs_nothing_but_its_name():
    flag = said()
    assert (flag.type, flag.variants, flag.off) == (FlagType.BOOLEAN, {"on": True, "off": False}, "off")
    assert (flag.split, flag.on, flag.services) == ({"on": D(100), "off": D(0)}, False, ())


def test_percent_is_the_part_that_gets_true():
    assert said(percent=D("12.5")).split == {"on": D("12.5"), "off": D("87.5")}
    assert said(percent=D(0)).split == {"on": D(0), "off": D(100)}


@pytest.mark.parametrize("value", [D(-1), D("100.1"), D("0.0000001"), D("NaN")])
def test_percent_is_from_0_to_100(value):
    assert [path for path, _ in wrong(percent=value)] == ["percent"]


def test_percent_is_not_for_variants_of_its_own_nor_beside_split():
    assert "split over a, b" in wrong(variants={"a": True, "b": False}, percent=D(1))[0][1]
    assert "one of the two" in wrong(percent=D(1), split={"on": D(1)})[0][1]
    assert wrong(base=said(**THEME), percent=D(1))[0][0] == "percent"
    assert defined("new", FlagChanges(percent=D(3)), said()).split["on"] == 3


@pytest.mark.parametrize(
    ("variants", "kind"),
    [
        ({"a": True, "b": False}, FlagType.BOOLEAN),
        ({"a": "x", "b": ""}, FlagType.STRING),
        ({"a": 1, "b": 2}, FlagType.NUMBER),
        ({"a": {}, "b": [1]}, FlagType.OBJECT),
    ],
)
def test_the_type_is_that_of_the_values(variants, kind):
    flag = said(variants=variants, off="b")
    assert (flag.type, flag.variants) == (kind, variants)


def test_one_fraction_makes_all_variants_fractions():
    flag = said(variants={"slow": 1, "fast": 2.5}, off="slow")
    assert flag.variants == {"slow": 1.0, "fast": 2.5}
    assert [type(value) for value in flag.variants.values()] == [float, float]
    assert type(said(variants={"a": 1}, off="a").variants["a"]) is int


def test_values_of_another_type_are_named():
    assert wrong(variants={"a": 1, "b": "1", "c": True}, off="a") == [
        ("variants.b", "is no number; allowed: values of one type in all variants"),
        ("variants.c", "is no number; allowed: values of one type in all variants"),
    ]
    assert wrong(type=FlagType.STRING, variants={"a": 1}, off="a")[0][0] == "variants.a"


def test_only_a_boolean_flag_is_without_variants():
    assert wrong(type=FlagType.OBJECT) == [("variants", "a flag of type object needs them; allowed: names and values")]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x" * 4095, "has 4097 bytes as JSON; allowed: 4096"),
        ({"a": float("nan")}, "cannot be written as JSON"),
        (float("inf"), "cannot be written as JSON"),
        (None, "is no value of a flag"),
        ("\ud800", "cannot be written as JSON"),
        (2**53 + 1, "is too large for every reader"),
    ],
)
def test_a_value_is_json_of_bounded_length(value, message):
    problems = wrong(variants={"a": value}, off="a")
    assert problems[0][0] == "variants.a"
    assert problems[0][1].startswith(message)


def test_values_up_to_the_bounds_may_be():
    assert said(variants={"a": "x" * 4094}, off="a")
    assert said(variants={"a": 2**53}, off="a")
    assert said(variants={f"v{number}": "x" * 1000 for number in range(16)}, off="v0")


def test_there_are_at_most_16_variants_and_16_kib_of_them():
    many = {f"v{number}": number for number in range(17)}
    assert wrong(variants=many, off="v0") == [("variants", "found 17; allowed: 1 to 16")]
    long = {f"v{number}": "x" * 4094 for number in range(5)}
    assert wrong(variants=long, off="v0") == [("variants", "have 20480 bytes as JSON; allowed: 16384 in all")]


@pytest.mark.parametrize("name", ["", "New", "1st", "a b", "a/b", "a" * 65, "shop.version", "café", "a\n"])
def test_a_name_is_a_key_of_a_dictionary_that_can_stand_in_a_path(name):
    assert "cannot be the name of a flag" in wrong(name)[0][1]


@pytest.mark.parametrize("name", ["a", "new-checkout", "a_b.c-9", "a" * 64, "version"])
def test_such_a_name_may_be(name):
    assert said(name).name == name


@pytest.mark.parametrize("name", ["", "a b", "-a", "ä", "a" * 33, "a.b"])
def test_variants_have_names_that_are_tokens(name):
    assert wrong(variants={name: 1, "ok": 2}, off="ok")[0][0] == f"variants.{name}"


def test_off_is_the_first_that_is_false_or_the_one_of_that_name():
    assert said(variants={"yes": True, "no": False, "never": False}).off == "no"
    assert said(variants={"big": 1, "off": 0}).off == "off"
    assert wrong(variants={"big": 1, "small": 0}) == [
        ("off", "which variant is served while it is off; allowed: big, small")
    ]
    assert wrong(variants={"big": 1, "small": 0}, off="smal")[0] == (
        "off", "there is no variant smal (did you mean small?); allowed: big, small"
    )  # fmt: skip


def test_without_a_split_the_first_that_is_not_off_has_all():
    assert said(**THEME).split == {"light": D(0), "dark": D(100)}
    assert said(variants={"only": "x"}, off="only").split == {"only": D(100)}


def test_a_split_is_over_the_variants_and_complete():
    assert said(**THEME, split={"dark": D(3)}).split == {"light": D(0), "dark": D(3)}
    assert wrong(**THEME, split={"drak": D(1), "light": D(-1)}) == [
        ("split.drak", "no such variant (did you mean dark?); allowed: light, dark"),
        ("split.light", "found -1; allowed: 0 or more"),
    ]
    assert wrong(**THEME, split={"dark": D(0)})[0][0] == "split"


def test_a_flag_that_follows_concerns_that_service_alone():
    assert said(follow="shop").services == ("shop",)
    assert said(follow="shop", services=("shop",)).services == ("shop",)
    assert wrong(follow="shop", services=("shop", "cart"))[0][0] == "services"
    assert wrong(follow="shop", services=())[0][0] == "services"
    assert wrong(base=said(follow="shop"), services=("cart",))[0][0] == "services"


def test_two_moments_of_a_schedule_differ():
    assert wrong(schedule=FlagSchedule(5.0, 5.0))[0][0] == "schedule"
    assert said(schedule=FlagSchedule(5.0, 4.0)).schedule.moments == (4.0, 5.0)


def test_what_is_not_said_stays_as_it_is():
    base = said(**THEME, owner="anna", expires="2027-01-31", services=("shop",), on=True)
    flag = defined("new", FlagChanges(description="d"), base)
    assert (flag.owner, flag.expires, flag.services, flag.variants) == ("anna", "2027-01-31", ("shop",), base.variants)
    assert (flag.description, flag.on, flag.split) == ("d", True, base.split)
    cleared = defined("new", FlagChanges(owner="", expires="", services=()), base)
    assert (cleared.owner, cleared.expires, cleared.services) == ("", None, ())


def test_a_variant_that_is_gone_gives_its_part_to_the_others():
    base = said(variants={"a": "1", "b": "2", "c": "3"}, off="c", split={"a": D(10), "b": D(90)})
    assert defined("new", FlagChanges(variants={"a": "1", "c": "3"}), base).split == {"a": D(10), "c": D(0)}
    only = said(variants={"a": "1", "c": "3"}, off="c", split={"a": D(10)})
    assert defined("new", FlagChanges(variants={"b": "2", "c": "3"}), only).split == {"b": D(100), "c": D(0)}


def test_there_are_at_most_256_flags():
    flags = {f"f{number}": said(f"f{number}", services=(f"s{number % 16}",)) for number in range(257)}
    assert "257 flags are too many" in crowd(flags)
    del flags["f0"]
    assert crowd(flags) == ""


def test_the_flags_of_a_service_fit_into_one_line_with_those_of_all():
    long = "x" * 2000
    one = said("one", variants={"a": long, "b": "b"}, off="b", services=("shop",))
    two = said("two", variants={"a": long, "b": "b"}, off="b", services=("cart",))
    assert crowd({"one": one, "two": two}) == ""
    everywhere = said("two", variants={"a": long, "b": "b"}, off="b")
    assert crowd({"one": one, "two": everywhere}) == ""
    third = said("three", variants={"a": "y" * 200, "b": "b"}, off="b")
    why = crowd({"one": one, "two": everywhere, "three": third})
    assert "the flags of service shop" in why
    assert f"allowed: {LONGEST_LINE}" in why
    four = said("four", variants={"a": long, "b": "b"}, off="b")
    assert "the flags of every service" in crowd({"two": everywhere, "three": third, "four": four})


def test_flags_for_all_services_have_to_fit_where_no_service_has_its_own():
    name, rest = "f", LONGEST_LINE - len(b"X-Gatekeeper-Flags: f=\r\n")
    fits = said(name, variants={"a": "x" * rest, "b": "b"}, off="b")
    assert crowd({name: fits}) == ""
    assert crowd({name: said(name, variants={"a": "x" * (rest + 1), "b": "b"}, off="b")})
