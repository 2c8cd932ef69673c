import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from gatekeeper import __version__
from gatekeeper.interface import cli

STATUS = {
    "version": "0.1.0",
    "pid": 7,
    "started": 0,
    "revision": 17,
    "workers": [{"pid": 8, "revision": 17, "state": "ready"}],
    "services": [],
}


def test_the_version_is_printed(gatekeeper):
    assert gatekeeper("--version") == (0, f"gatekeeper {__version__}\n", "")


def test_a_verb_that_does_not_exist_is_wrong_usage(gatekeeper):
    code, out, err = gatekeeper("splt")
    assert (code, out) == (2, "")
    assert "splt" in err


def test_options_of_the_connection_may_stand_on_either_side_of_the_verb(admin, gatekeeper, monkeypatch):
    monkeypatch.delenv("GATEKEEPER_SOCKET")
    admin.answer("GET", "/v1/status", STATUS)
    before = gatekeeper("--json", "--socket", admin.socket, "status")
    after = gatekeeper("status", "--json", "--socket", admin.socket)
    assert before == after
    assert json.loads(before[1]) == STATUS


def test_the_option_after_the_verb_wins(admin, gatekeeper, tmp_path):
    admin.answer("GET", "/v1/status", STATUS)
    assert gatekeeper("--socket", str(tmp_path / "nobody"), "status", "--socket", admin.socket)[0] == 0


def test_the_url_of_the_environment_gives_way_to_a_socket_on_the_command_line(admin, gatekeeper, monkeypatch):
    monkeypatch.setenv("GATEKEEPER_URL", "http://127.0.0.1:1")
    admin.answer("GET", "/v1/status", STATUS)
    assert gatekeeper("status", "--socket", admin.socket)[0] == 0
    assert gatekeeper("status")[0] == 3


def test_two_places_at_once_are_wrong_usage(gatekeeper):
    assert gatekeeper("status", "--socket", "/a", "--url", "http://b")[0] == 2


def test_an_address_that_is_no_url_is_wrong_usage(gatekeeper):
    code, _, err = gatekeeper("status", "--url", "localhost:9900")
    assert code == 2
    assert "http://127.0.0.1:9900" in err


def test_nobody_there_is_exit_3_with_the_place_and_the_way_out(gatekeeper, tmp_path):
    code, out, err = gatekeeper("status", "--socket", str(tmp_path / "nobody.sock"))
    assert (code, out) == (3, "")
    assert "cannot reach gatekeeper" in err
    assert str(tmp_path / "nobody.sock") in err
    assert "gatekeeper serve" in err


def test_a_refusal_is_exit_4_and_says_what_would_be_allowed(admin, gatekeeper):
    admin.problem("POST", "/v1/services/shop/rollback", 409, detail="nothing to undo", allowed="a new split")
    code, out, err = gatekeeper("rollback", "shop")
    assert (code, out) == (4, "")
    assert "nothing to undo" in err
    assert "allowed: a new split" in err


def test_every_problem_of_a_refusal_has_a_line_of_its_own(admin, gatekeeper):
    problems = [{"path": "a", "message": "one"}, {"path": "b", "message": "two", "allowed": "0 to 9"}]
    admin.problem("POST", "/v1/reload", 422, detail="two mistakes", problems=problems)
    code, _, err = gatekeeper("reload")
    assert code == 2
    assert err.splitlines()[1:3] == ["  a: one", "  b: two (allowed: 0 to 9)"]


def test_a_single_problem_is_said_once(admin, gatekeeper):
    problems = [{"path": "path", "message": "must begin with /", "found": "x"}]
    admin.problem("POST", "/v1/explain", 422, detail="path: must begin with /", problems=problems)
    code, _, err = gatekeeper("explain", "shop", "x")
    assert code == 2
    assert err.splitlines()[0] == "gatekeeper: path: must begin with / (found x)"
    assert err.count("must begin") == 1


FILE = "services: {shop: {versions: {blue: {backends: ['http://127.0.0.1:9001']}}%s}}\n"


def test_check_names_the_mistakes_of_the_token_file_too(gatekeeper, tmp_path):
    (tmp_path / "tokens.yaml").write_text("[{name: anna, role: boss}]")
    (tmp_path / "gk.yaml").write_text("admin: {http: '127.0.0.1:9900', tokens: tokens.yaml}\n" + FILE % "")
    code, out, err = gatekeeper("check", str(tmp_path / "gk.yaml"))
    assert (code, out) == (2, "")
    assert [line.partition("tokens.yaml: ")[2].split(":")[0] for line in err.splitlines()] == ["[0].role", "[0].sha256"]


def test_check_gives_each_problem_in_its_parts_as_json(gatekeeper, tmp_path):
    (tmp_path / "gk.yaml").write_text(FILE % ", stable: bleu")
    code, out, _ = gatekeeper("check", str(tmp_path / "gk.yaml"), "--json")
    (problem,) = json.loads(out)["problems"]
    assert code == 2
    assert (problem["line"], problem["path"], problem["suggestion"]) == (1, "services.shop.stable", "blue")


def test_a_refusal_is_json_when_json_is_asked_for(admin, gatekeeper):
    admin.problem("POST", "/v1/services/shop/rollback", 409, detail="nothing to undo", code="nothing_to_undo")
    code, out, err = gatekeeper("--json", "rollback", "shop")
    assert (code, out) == (4, "")
    assert json.loads(err)["code"] == "nothing_to_undo"


@pytest.mark.parametrize(
    ("words", "where", "named"),
    [
        (("split", "shop", "--bogus", "--json"), "gatekeeper split", "--bogus"),
        (("--json", "splt"), "gatekeeper", "splt"),
        (("deploy", "--json"), "gatekeeper deploy", "SERVICE"),
        (("history", "prune", "--json"), "gatekeeper history prune", "--before"),
        (("status", "--json", "--socket", "/a", "--url", "http://b"), "gatekeeper status", "--url"),
    ],
)
def test_wrong_usage_is_json_when_json_is_asked_for(gatekeeper, words, where, named):
    code, out, err = gatekeeper(*words)
    found = json.loads(err)
    assert (code, out) == (2, "")
    assert set(found) == {"title", "where", "way_out"}
    assert named in found["title"]
    assert (found["where"], found["way_out"]) == (where, f"{where} --help")


def test_what_stands_after_two_dashes_asks_for_nothing(gatekeeper):
    code, _, err = gatekeeper("split", "shop", "--", "--json")
    assert code == 2
    assert err.startswith("Usage:")


def test_a_server_that_fails_is_exit_1(admin, gatekeeper):
    admin.problem("GET", "/v1/status", 500, detail="gatekeeper failed")
    assert gatekeeper("status")[0] == 1


def test_the_token_file_of_the_environment_is_used(admin, gatekeeper, monkeypatch, tmp_path):
    (tmp_path / "token").write_text("secret\n")
    monkeypatch.setenv("GATEKEEPER_TOKEN_FILE", str(tmp_path / "token"))
    admin.answer("GET", "/v1/status", STATUS)
    gatekeeper("status")
    assert admin.asked[0].headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize("verb", [("serve", "--config", "x"), ("check", "x"), ("schema",), ("demo",)])
def test_options_that_mean_nothing_to_a_verb_are_refused_not_ignored(gatekeeper, verb):
    code, _, err = gatekeeper("--socket", "/a", *verb)
    assert code == 2
    assert "--socket has no meaning here" in err


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_completion_script_is_printed(gatekeeper, shell):
    code, out, _ = gatekeeper("completion", shell)
    assert code == 0
    assert "_GATEKEEPER_COMPLETE" in out


def test_a_reader_that_leaves_early_gets_no_traceback(admin):
    admin.answer("GET", "/v1/status", {**STATUS, "filler": "x" * 1_000_000})
    command = [sys.executable, "-m", "gatekeeper", "status", "--json"]
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False, timeout=20)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_every_verb_is_in_the_documentation():
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    commands = cli.gatekeeper.all()
    verbs = [name for name, command in commands.items() if not isinstance(command, click.Group)]
    for name in set(commands) - set(verbs):
        verbs += [f"{name} {verb}" for verb in commands[name].commands if (name, verb) != ("history", "show")]
    assert [verb for verb in verbs if f"gatekeeper {verb}" not in text] == []


def test_every_verb_is_where_the_command_looks_for_it_and_no_module_has_another_one():
    """The table is what lets a verb start without the modules of all others."""
    modules = {room: import_module(f"gatekeeper.interface.{room}") for room in cli.ROOMS}
    found = {room: tuple(verb.name for verb in module.VERBS) for room, module in modules.items()}
    assert found == dict(cli.ROOMS)


def test_a_rollback_loads_no_other_verbs_modules():
    """Who wants users back at once waits for what that needs."""
    code = (
        "import sys; from gatekeeper.interface.cli import run; run(['rollback', '--help']);"
        "sys.stderr.write(' '.join(name for name in sys.modules if 'verbs_' in name))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "gatekeeper.interface.verbs_change"
