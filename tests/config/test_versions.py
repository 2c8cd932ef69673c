"""One version from the API: the file's own models decide, and every mistake has its path in the document."""

import json
from contextlib import suppress
from decimal import Decimal

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.config import ConfigError
from gatekeeper.config.versions import load_version, version_schema
from gatekeeper.core.model import Backend, BackendTls, HealthCheck, Origin, Version

LIKE = Version("blue", (Backend("https://10.0.0.1:443"),), "b1", HealthCheck("/up"), tls=BackendTls(verify=False))


def load(document, name="green", like=LIKE):
    return load_version("shop", name, document, "/nowhere", like)


def problems(document, name="green"):
    with pytest.raises(ConfigError) as caught:
        load(document, name)
    return {problem.path: problem for problem in caught.value.problems}


def test_a_version_is_what_the_file_would_make_of_it_and_comes_from_a_deploy():
    document = {
        "backends": ["HTTP://App:80", {"url": "unix:/run/app", "weight": 3}],
        "build": 17,
        "health": {"path": "/h", "status": [200, 204], "interval": "5s", "jitter": Decimal("2.5")},
    }
    version = load(document)
    assert version.backends == (Backend("http://app:80"), Backend("unix:/run/app", 3))
    assert (version.name, version.build, version.origin) == ("green", "17", Origin.DEPLOY)
    assert (version.health.status, version.health.interval, version.health.jitter) == ((200, 204), 5.0, 0.025)


def test_health_and_tls_are_those_of_before_unless_the_document_says_otherwise():
    https = {"backends": ["https://a:1"]}
    assert (load(https).health, load(https).tls, load(https).build) == (LIKE.health, LIKE.tls, None)
    assert load({**https, "health": None, "tls": None}).health is None
    assert load({**https, "health": None, "tls": None}).tls == BackendTls()
    assert load({**https, "health": {}}).health == HealthCheck()
    assert load({"backends": ["http://a:1"]}).tls == BackendTls(), "means nothing without https"
    assert load(https, like=None).health is None


def test_every_mistake_comes_with_its_path_and_without_a_line():
    found = problems({"backend": 1, "backends": ["a:1", "a:1"], "health": {"pth": "/"}, "tls": {"ca": "x"}}, "no name")
    assert set(found) == {"version", "backend", "backends[0]", "backends[1]", "health.pth", "tls", "tls.ca"}
    assert {(one.file, one.line) for one in found.values()} == {("", 0)}
    assert found["health.pth"].suggestion == "path"


def test_paths_start_at_the_files_directory_and_must_be_there(tmp_path):
    (tmp_path / "ca.pem").write_text("nonsense")
    with pytest.raises(ConfigError) as caught:
        load_version("shop", "v", {"backends": ["https://a:1"], "tls": {"ca": "ca.pem"}}, tmp_path)
    assert "cannot be read" not in caught.value.problems[0].message


@pytest.mark.parametrize("text", ["${HOME}", "${file:/etc/hostname}", "$${x}"])
def test_references_mean_nothing(text):
    assert load({"backends": ["http://a:1"], "build": text}).build == text
    assert "backends[0]" in problems({"backends": [text]})


@pytest.mark.parametrize(
    "document", [{}, {"backends": []}, {"backends": None}, {"backends": ["http://a:1"], "build": None}]
)
def test_what_is_missing_or_empty_is_named(document):
    assert problems(document)


def test_names_that_cannot_be_are_refused():
    assert "version" in problems({"backends": ["http://a:1"]}, "none")
    assert "version" in problems({"backends": ["http://a:1"]}, "a/b")
    assert load({"backends": ["http://a:1"]}, "1.10").name == "1.10"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["backends", "build", "health", "tls", "url", "weight", "path", "x"])


@given(st.dictionaries(KEYS, JSON, max_size=4), st.text(max_size=10))
def test_whatever_comes_is_a_version_or_a_list_of_problems(document, name):
    with suppress(ConfigError):
        assert load(document, name).backends


def test_the_schema_takes_what_is_taken_and_refuses_what_is_not():
    schema = jsonschema_rs.Draft202012Validator(version_schema())
    assert "${" not in json.dumps(version_schema())
    good = [{"backends": ["http://a:1"], "health": None}, {"backends": [{"url": "unix:/x", "weight": 2}], "build": "b"}]
    for document in good:
        schema.validate(document)
        load(document)
    for document in ({}, {"backends": ["a:1"]}, {"backends": ["http://a:1"], "x": 1}, {"backends": [], "health": {}}):
        assert not schema.is_valid(document)
        problems(document)
