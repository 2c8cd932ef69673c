import os
from pathlib import Path

import pytest

from gatekeeper import places

PRIVATE = f"/tmp/gatekeeper-{os.geteuid()}/admin.sock"  # noqa: S108 - the place is what is tested


def test_the_runtime_directory_of_the_user_comes_before_the_temporary_one(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert places.default_socket_candidates() == [
        "/run/gatekeeper/admin.sock",
        "/run/user/7/gatekeeper/admin.sock",
        PRIVATE,
    ]


def test_a_relative_runtime_directory_is_ignored(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "run")
    assert len(places.default_socket_candidates()) == 2


def test_the_first_writable_place_is_taken_and_nothing_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "SYSTEM_RUN", Path("/dev/null/gatekeeper"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert places.default_socket() == str(tmp_path / "gatekeeper" / "admin.sock")
    assert not any(tmp_path.iterdir())


def test_the_private_place_is_the_last_resort(monkeypatch):
    monkeypatch.setattr(places, "SYSTEM_RUN", Path("/dev/null/gatekeeper"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert places.default_socket() == PRIVATE


def test_the_state_goes_to_the_user_when_the_system_s_place_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "_usable", lambda directory: directory.is_relative_to(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert places.default_state() == str(tmp_path / "gatekeeper" / "state.db")


def test_preparing_makes_a_directory_for_this_user_alone(tmp_path):
    places.prepare(str(tmp_path / "new" / "admin.sock"))
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_the_directory_under_run_lets_the_group_reach_the_socket(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "SYSTEM_RUN", tmp_path / "gatekeeper")
    places.prepare(str(tmp_path / "gatekeeper" / "admin.sock"))
    assert (tmp_path / "gatekeeper").stat().st_mode & 0o777 == 0o755


def test_a_link_in_the_private_place_is_not_followed(tmp_path, monkeypatch):
    (tmp_path / "private").symlink_to(tmp_path)
    monkeypatch.setattr(places, "_private", lambda: tmp_path / "private")
    path = str(tmp_path / "private" / "admin.sock")
    assert not places.trusted(path)
    with pytest.raises(PermissionError, match="another user"):
        places.prepare(path)
