"""Error pages: read with the file, each mistake at its place."""

import pytest

from gatekeeper.config import ConfigError, load_text
from gatekeeper.config.pages import MAX_PAGE

TEXT = "services: {s: {versions: {v: {backends: 'http://h'}}, error_pages: %s}}"


@pytest.fixture
def folder(tmp_path):
    pages = tmp_path / "pages"
    pages.mkdir()
    for name in ("502", "5xx", "404"):
        (pages / f"{name}.html").write_text(f"<p>größe {name}</p>", encoding="utf-8")
    (pages / "style.css").write_bytes(b"\xff")
    (pages / "600.html").write_text("no status of an error")
    (tmp_path / "own.html").write_text("<p>own</p>")
    (tmp_path / "latin").write_bytes(b"\xff")
    (tmp_path / "long").write_bytes(b"x" * (MAX_PAGE + 1))
    (tmp_path / "full").write_bytes(b"x" * MAX_PAGE)
    (tmp_path / "blank").write_text(" \n")
    (tmp_path / "empty").mkdir()
    return tmp_path


def pages(folder, value):
    return load_text(TEXT % value, "gk.yaml", folder).services["s"].error_pages


def test_a_directory_gives_the_pages_in_it(folder):
    found = pages(folder, "{dir: pages/}")
    assert found == {name: f"<p>größe {name}</p>" for name in ("404", "502", "5xx")}


def test_a_page_that_is_named_goes_before_the_one_in_the_directory(folder):
    for value in ("{dir: pages, 502: own.html}", "{502: own.html, dir: pages}"):
        assert pages(folder, value)["502"] == "<p>own</p>"
        assert pages(folder, value)["5xx"] == "<p>größe 5xx</p>"


def test_pages_may_be_named_one_by_one(folder):
    assert pages(folder, f"{{503: own.html, 4xx: {folder}/own.html}}") == {"503": "<p>own</p>", "4xx": "<p>own</p>"}


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ("{}", "", "is empty"),
        ("pages/", "", "takes a mapping"),
        ("{200: own.html}", ".200", "is no status of an error"),
        ("{5x: own.html}", ".5x", "is no status of an error"),
        ("{502: none.html}", ".502", "none.html cannot be read: no such file or directory"),
        ("{502: latin}", ".502", "latin is not UTF-8"),
        ("{502: long}", ".502", "long is too long"),
        ("{502: blank}", ".502", "blank is empty"),
        ("{502: pages}", ".502", "pages cannot be read: is a directory"),
        ("{dir: own.html}", ".dir", "is no directory that can be read: not a directory"),
        ("{dir: empty}", ".dir", "holds no page"),
        ("{500: full, 501: full, 502: full, 503: full, 504: full}", "", "the pages are too long together"),
    ],
)
def test_a_mistake_is_told_where_it_stands(folder, value, path, message):
    with pytest.raises(ConfigError) as caught:
        pages(folder, value)
    assert [(one.path, one.message) for one in caught.value.problems] == [(f"services.s.error_pages{path}", message)]
