"""The bounds and the manners of reading YAML."""

import time

import pytest
import yaml

from gatekeeper.config import ConfigError, load_text
from gatekeeper.config.reader import MAX_BYTES

GOOD = "services: {s: {versions: {v: {backends: 'http://h'}}}}\n"


@pytest.fixture(params=["libyaml", "python"], autouse=True)
def parser(request, monkeypatch):
    """Both parsers of PyYAML: which one is there depends on how it was built."""
    if request.param == "python":
        monkeypatch.setattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return request.param


@pytest.fixture
def refused(tmp_path):
    def refused(text):
        with pytest.raises(ConfigError) as caught:
            load_text(text, "gk.yaml", tmp_path)
        return caught.value.problems

    return refused


def test_broken_yaml_is_one_problem_with_its_line(refused):
    (problem,) = refused("services:\n  s: [1, 2\n  t: 3\n")
    assert problem.line == 3
    assert problem.message.startswith("this is not YAML: ")


def test_a_tab_in_the_indentation_is_named_with_its_line(refused):
    (problem,) = refused("services:\n\ts: 1\n")
    assert (problem.line, "not YAML" in problem.message) == (2, True)


def test_a_duplicate_key_names_the_line_of_the_first(refused):
    (problem,) = refused(GOOD + "workers: 1\n# between\nworkers: 2\n")
    assert (problem.line, problem.column, problem.path) == (4, 1, "workers")
    assert problem.allowed == "once; first in line 2"


def test_a_key_that_is_no_text_is_refused(refused):
    assert [problem.message for problem in refused(GOOD + "? [a, b]\n: 1\n")] == ["a key must be a text"]


def test_a_second_document_is_refused(refused):
    assert [(p.line, p.message) for p in refused(GOOD + "---\nworkers: 1\n")] == [(2, "a second document begins here")]


def test_a_file_that_is_too_large_is_refused_before_it_is_parsed(refused):
    (problem,) = refused("#" * (MAX_BYTES + 1))
    assert problem.message == "the file is too large"


def test_what_is_not_utf8_is_named_with_its_line(refused):
    (problem,) = refused(GOOD.encode() + b"state: /caf\xe9\n")
    assert (problem.line, problem.message, problem.found) == (2, "the file is not UTF-8", "byte 0xe9")


def test_a_control_character_is_named_with_its_place(refused):
    (problem,) = refused(GOOD + "state: a\x00b\n")
    assert (problem.line, problem.column, problem.found) == (2, 9, "U+0000")


@pytest.mark.parametrize("text", ["[" * 5000, "a: " + "{a: " * 100, "\n".join(" " * n + "a:" for n in range(100))])
def test_deep_nesting_is_refused(refused, text):
    assert "nested too deeply" in refused(text)[0].message


def test_aliases_of_aliases_are_refused_at_once(refused):
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    start = time.monotonic()
    (problem,) = refused("\n".join(rows))
    assert problem.message == "too many values"
    assert time.monotonic() - start < 2


def test_aliases_cannot_nest_deeper_than_values(refused):
    rows = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 60)]
    assert refused("\n".join(rows))[0].message == "aliases nest too deeply"


def test_an_alias_of_itself_or_of_nothing_is_refused(refused):
    for text in ("a: &a [*a]", "a: *b"):
        assert "anchor" in refused(text)[0].message


def test_a_mistake_under_an_anchor_is_reported_once(refused):
    text = "services:\n  s: &s {hosts: a, versions: {v: {backends: 'http://h:x'}}}\n  t: {<<: *s, hosts: b}\n"
    assert [(problem.line, problem.path) for problem in refused(text)] == [(2, "services.s.versions.v.backends")]


def test_a_merge_of_something_else_is_refused(refused):
    assert [p.path for p in refused(GOOD + "limits: {<<: 3}\n")] == ['limits."<<"']


def test_half_a_surrogate_pair_is_refused(refused):
    assert len(refused('{"services": {"s": {"versions": {"v": {"backends": "http://h", "build": "\\ud83d"}}}}}')) == 1
