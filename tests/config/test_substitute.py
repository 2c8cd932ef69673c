"""``${...}``: values from outside, which no message ever shows."""

import pytest

from gatekeeper.config.substitute import MAX_SECRET

SECRET = "s3cret-s3cret-s3cret"


def test_the_environment_is_read_wherever_a_value_stands(load, monkeypatch):
    monkeypatch.setenv("GK_PORT", "8081")
    monkeypatch.setenv("GK_WEIGHT", "0.5")
    monkeypatch.setenv("GK_FLAG", "true")
    monkeypatch.setenv("GK_TIME", "3s")
    definition = load(
        """\
split: {blue: "${GK_WEIGHT}", green: 1}
strip_prefix: ${GK_FLAG}
timeouts: {connect: "${GK_TIME}"}
""",
        "listen: ['127.0.0.1:${GK_PORT}']",
    )
    shop = definition.services["shop"]
    assert definition.settings.listen == ("127.0.0.1:8081",)
    assert (str(shop.split["blue"]), shop.strip_prefix, shop.timeouts.connect) == ("0.5", True, 3.0)


def test_a_file_is_read_without_its_last_line_break_and_beside_the_configuration(load, tmp_path):
    (tmp_path / "key").write_text(f"{SECRET}\r\n")
    definition = load("testers: {keys: ['${file:key}', '${file:%s}-2']}" % (tmp_path / "key"))
    assert definition.services["shop"].testers.keys == (SECRET, f"{SECRET}-2")


def test_two_dollars_stand_for_the_characters_themselves(load):
    rules = "rules: [{when: {cookie: {a: '$${x}', b: {regex: '^a$'}}}, to: blue}]"
    when = load(rules).services["shop"].rules[0].when
    assert [pattern.values for _, pattern in when.cookies] == [("${x}",), ("^a$",)]


def test_what_a_variable_holds_is_not_substituted_again(load, monkeypatch):
    monkeypatch.setenv("GK_A", "${GK_B}")
    when = load("rules: [{when: {cookie: {a: '${GK_A}'}}, to: blue}]").services["shop"].rules[0].when
    assert when.cookies[0][1].values == ("${GK_B}",)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("${GK_NOT_SET}", "the environment variable GK_NOT_SET is not set"),
        ("${file:missing}", "the file of ${file:missing} cannot be used: No such file or directory"),
        ("${file:.}", "the file of ${file:.} cannot be used: Is a directory"),
        ("${file:large}", "the file of ${file:large} cannot be used: it is longer than 64 KiB"),
        ("${file:latin1}", "the file of ${file:latin1} cannot be used: it is not UTF-8 text"),
        ("${GK_NOT_CLOSED", "${ is not closed by }"),
        ("${A:-b}", "what stands in ${...} is not a name"),
        ("${}", "what stands in ${...} is not a name"),
    ],
)
def test_what_cannot_be_substituted_is_a_problem_at_its_place(problems, tmp_path, written, message):
    (tmp_path / "large").write_bytes(b"x" * (MAX_SECRET + 1))
    (tmp_path / "latin1").write_bytes(b"caf\xe9")
    (problem,) = problems(f"testers: {{keys: ['{written}']}}")
    assert (problem.line, problem.path, problem.message) == (6, "services.shop.testers.keys[0]", message)
    assert "${NAME}" in problem.allowed


@pytest.mark.parametrize(
    "keys",
    [
        "stable: ${GK_SECRET}",
        "hosts: ['${GK_SECRET}/']",
        "timeouts: {connect: '${GK_NUMBER}'}",
        "path_prefix: ${GK_SECRET}",
        "rules: [{when: {cookie: {a: {regex: '(${GK_SECRET}'}}}, to: '${GK_SECRET}'}]",
        "rules: [{name: '${GK_SECRET}!', when: {path: '${GK_SECRET}'}, to: blue}]",
        "sticky: {mode: '${GK_SECRET}', by: ['${GK_SECRET}']}",
        "testers: {from: ['${GK_SECRET}'], header: '${GK_SECRET}:'}",
        "split: {blue: '${GK_SECRET}'}",
    ],
)
def test_no_problem_ever_shows_what_a_reference_stands_for(problems, monkeypatch, keys):
    monkeypatch.setenv("GK_SECRET", SECRET)
    monkeypatch.setenv("GK_NUMBER", "31415926")
    found = problems(keys, "listen: '${GK_SECRET}'\nlimits: {body: '${GK_SECRET}'}\nworkers: '${GK_SECRET}'")
    text = "\n".join(repr(problem) for problem in found)
    assert len(found) >= 4
    assert SECRET not in text
    assert "31415926" not in text
    assert "${GK_" in text


def test_a_key_of_passes_is_not_shown_even_as_it_is_written(problems):
    (problem,) = problems("testers: {keys: [tooshort]}")
    assert "tooshort" not in repr(problem)
