import fcntl
import os
import stat
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.interface import tokenfile
from gatekeeper.interface.failures import ClientError
from gatekeeper.interface.tokenfile import TokenFile

ANNA = {"name": "anna", "role": "operator", "groups": ["a", "b"], "sha256": "0" * 64}
BOB = {"name": "bob", "role": "viewer", "sha256": "1" * 64, "expires": "2030-01-01T00:00:00Z"}

FLOW_ENTRIES = f"""\
# who may

- {{name: anna, role: operator, groups: [a, b], sha256: "{"0" * 64}"}}  # her laptop
# the robots
- {{name: robot, role: viewer, sha256: "{"2" * 64}"}}
# the end
"""
BLOCK_ENTRIES = f"""\
---
  - name: anna
    role: operator
    groups:
      - a
      # one more
      - b
    sha256: "{"0" * 64}"
  # the robots
  - role: viewer   # no more than that
    name: robot
    sha256: "{"2" * 64}"
"""
LIST = f'[{{name: anna, role: operator, groups: [a, b], sha256: "{"0" * 64}"}}, {{name: robot, role: viewer}}]\n'
SPREAD = f"""\
[
  {{name: anna, role: operator, groups: [a, b], sha256: "{"0" * 64}"}},
  {{name: robot, role: viewer}},
]
"""


def accept(_):
    return []


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tokens.yaml"


def edit(path, text=None, check=accept):
    if text is not None:
        path.write_text(text)
    return TokenFile(str(path), check)


@pytest.mark.parametrize("text", [FLOW_ENTRIES, BLOCK_ENTRIES, LIST, SPREAD, FLOW_ENTRIES.rstrip("\n")])
def test_an_entry_comes_at_the_end_and_goes_again(path, text):
    file = edit(path, text)
    before = yaml.safe_load(text)
    assert file.add(BOB) is False
    assert yaml.safe_load(path.read_text()) == [*before, BOB]
    file.remove("bob")
    assert yaml.safe_load(path.read_text()) == before


@pytest.mark.parametrize("text", [FLOW_ENTRIES, BLOCK_ENTRIES])
def test_every_other_line_stays_as_it_is(path, text):
    file = edit(path, text)
    file.add(BOB)
    file.remove("bob")
    assert path.read_text() == text
    file.remove("anna")
    assert [line for line in text.splitlines() if line not in path.read_text().splitlines()] == [
        line
        for line in text.splitlines()
        if "anna" in line
        or line in {"    role: operator", "    groups:", "      - a", "      - b", "      # one more"}
        or line == f'    sha256: "{"0" * 64}"'
    ]


@pytest.mark.parametrize("text", [FLOW_ENTRIES, BLOCK_ENTRIES, LIST, SPREAD])
def test_a_file_may_become_empty_and_be_filled_again(path, text):
    file = edit(path, text)
    file.remove("anna")
    file.remove("robot")
    assert yaml.safe_load(path.read_text()) == []
    file.add(BOB)
    assert file.entries() == [BOB]


@pytest.mark.parametrize("text", ["", "# nobody yet\n", "---\n", "[]\n", "[]  # nobody\n"])
def test_a_file_without_an_entry_takes_one(path, text):
    edit(path, text).add(ANNA)
    assert yaml.safe_load(path.read_text()) == [ANNA]
    assert all(line in path.read_text() for line in text.splitlines() if line.startswith("#"))


def test_a_new_file_is_its_owner_s_alone(path):
    assert edit(path).add(ANNA) is True
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert edit(path).entries() == [ANNA]


def test_an_old_file_keeps_its_mode(path):
    file = edit(path, FLOW_ENTRIES)
    path.chmod(0o640)
    file.add(BOB)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_what_a_link_leads_to_is_replaced_and_not_the_link(path, tmp_path):
    path.write_text(FLOW_ENTRIES)
    (tmp_path / "link").symlink_to(path)
    TokenFile(str(tmp_path / "link"), accept).add(BOB)
    assert (tmp_path / "link").is_symlink()
    assert "bob" in path.read_text()


def untouched(path, text, act):
    """The mistake that ``act`` ends with, after which nothing is different."""
    with pytest.raises(ClientError) as caught:
        act()
    assert path.read_text() == text
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    return caught.value


def test_a_name_is_there_once(path):
    file = edit(path, FLOW_ENTRIES)
    error = untouched(path, FLOW_ENTRIES, lambda: file.add(ANNA))
    assert (error.exit_code, "revoke" in error.way_out) == (2, True)


def test_a_name_that_is_not_there_is_an_error_with_what_was_meant(path):
    file = edit(path, FLOW_ENTRIES)
    assert "did you mean anna?" in untouched(path, FLOW_ENTRIES, lambda: file.remove("ana")).way_out


def test_what_gatekeeper_would_refuse_is_not_written(path):
    def check(place):
        found = yaml.safe_load(Path(place).read_text())
        return [{"file": place, "path": "[2].name", "message": "bad"}] if len(found) > 2 else []

    file = edit(path, FLOW_ENTRIES, check)
    error = untouched(path, FLOW_ENTRIES, lambda: file.add(BOB))
    assert error.problems == [{"file": str(path), "path": "[2].name", "message": "bad"}]
    assert error.exit_code == 2


@pytest.mark.parametrize("text", ["{a: 1}\n", "- [\n", "\x00\n", "just text\n"])
def test_a_file_that_is_wrong_already_is_not_touched(path, text):
    file = edit(path, text, lambda place: [{"file": place, "path": "", "message": "wrong"}])
    assert "not valid" in untouched(path, text, lambda: file.add(ANNA)).what


def test_a_way_of_writing_that_cannot_be_edited_is_refused(path):
    text = "- &a {name: anna, role: viewer}\n- {<<: *a, name: robot}\n"
    file = edit(path, text)
    error = untouched(path, text, lambda: file.remove("anna"))
    assert "cannot be edited here" in error.what


def test_a_file_that_is_not_there_has_no_entries_to_show_or_revoke(path):
    for act in (edit(path).entries, lambda: edit(path).remove("anna")):
        with pytest.raises(ClientError, match="no such file"):
            act()
    assert not path.exists()


def test_a_directory_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ClientError, match="its directory"):
        TokenFile(str(tmp_path / "none" / "tokens.yaml"), accept).add(ANNA)


def test_two_editors_do_not_meet(path, monkeypatch):
    monkeypatch.setattr(tokenfile, "LOCK_FOR", 0.05)
    file = edit(path, FLOW_ENTRIES)
    other = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_SH)
        error = untouched(path, FLOW_ENTRIES, lambda: file.add(BOB))
    finally:
        os.close(other)
    assert (error.what, error.exit_code) == ("somebody else edits it", 1)
    file.add(BOB)


def test_a_disk_that_is_full_leaves_the_file_as_it_was(path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    file = edit(path, FLOW_ENTRIES)
    monkeypatch.setattr("os.fsync", full)
    assert "No space left" in untouched(path, FLOW_ENTRIES, lambda: file.add(BOB)).what


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=64)


@settings(max_examples=40, deadline=None)  # each example waits for the disk several times
@given(names=st.lists(NAMES, min_size=1, max_size=6, unique=True), data=st.data())
def test_any_names_come_and_go(tmp_path_factory, names, data):
    path = tmp_path_factory.mktemp("t") / "tokens.yaml"
    file = TokenFile(str(path), accept)
    for name in names:
        file.add({**ANNA, "name": name})
    gone = data.draw(st.permutations(names))[: data.draw(st.integers(0, len(names)))]
    for name in gone:
        file.remove(name)
    assert [entry["name"] for entry in file.entries()] == [name for name in names if name not in gone]
