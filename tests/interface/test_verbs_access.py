import hashlib
import json

import pytest
import yaml

CONFIG = "admin: {http: '127.0.0.1:9900', tokens: %s}\nservices: {shop: {versions: {blue: {backends: ['http://127.0.0.1:9001']}}}}\n"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tokens.yaml"


def test_a_token_stands_alone_on_standard_output_and_only_its_hash_in_the_file(gatekeeper, file):
    code, out, err = gatekeeper(
        *("token", "add", "anna", "--role", "operator", "--group", "product", "--group", "ops", "--file", str(file))
    )
    made = out.strip()
    assert code == 0
    assert out == made + "\n"
    assert made.startswith("gk_")
    assert len(made) > 40
    digest = hashlib.sha256(made.encode()).hexdigest()
    entry = {"name": "anna", "role": "operator", "groups": ["product", "ops"], "sha256": digest}
    assert yaml.safe_load(file.read_text()) == [entry]
    assert made not in err
    assert "within 2 s" in err
    assert "readable by its owner alone" in err


def test_two_tokens_are_never_the_same(gatekeeper, file):
    first = gatekeeper("token", "add", "anna", "--file", str(file))[1]
    second = gatekeeper("token", "add", "bob", "--file", str(file))[1]
    assert first != second
    assert [entry["role"] for entry in yaml.safe_load(file.read_text())] == ["viewer", "viewer"]


def test_the_configuration_may_say_where_the_file_is(gatekeeper, file, tmp_path):
    (tmp_path / "gk.yaml").write_text(CONFIG % "tokens.yaml")
    code, out, _ = gatekeeper("token", "add", "anna", "--config", str(tmp_path / "gk.yaml"), "--json")
    assert code == 0
    assert json.loads(out)["file"] == str(file)
    assert len(yaml.safe_load(file.read_text())) == 1


@pytest.mark.parametrize("where", [(), ("--file", "a", "--config", "b")])
def test_which_file_must_be_said_once(gatekeeper, where):
    code, _, err = gatekeeper("token", "list", *where)
    assert code == 2
    assert "--file" in err


def test_a_configuration_that_names_no_token_file_or_is_wrong_is_wrong_usage(gatekeeper, tmp_path):
    (tmp_path / "gk.yaml").write_text("services: {shop: {versions: {blue: {backends: ['http://127.0.0.1:9001']}}}}")
    code, _, err = gatekeeper("token", "list", "--config", str(tmp_path / "gk.yaml"))
    assert (code, "admin.tokens" in err) == (2, True)
    (tmp_path / "gk.yaml").write_text("servces: {}")
    code, _, err = gatekeeper("token", "list", "--config", str(tmp_path / "gk.yaml"))
    assert (code, "servces" in err) == (2, True)


@pytest.mark.parametrize("when", ["2999-12-31", "2999-12-31T18:00:00Z"])
def test_a_token_may_end_at_a_date_or_a_moment(gatekeeper, file, when):
    assert gatekeeper("token", "add", "anna", "--expires", when, "--file", str(file))[0] == 0
    assert yaml.safe_load(file.read_text())[0]["expires"] == when


def test_a_moment_elsewhere_is_written_in_utc(gatekeeper, file):
    gatekeeper("token", "add", "anna", "--expires", "2999-12-31T18:00:00+02:00", "--file", str(file))
    assert yaml.safe_load(file.read_text())[0]["expires"] == "2999-12-31T16:00:00Z"


def test_a_token_may_end_after_a_time(gatekeeper, file):
    from datetime import UTC, datetime, timedelta

    gatekeeper("token", "add", "anna", "--expires", "90d", "--file", str(file))
    found = datetime.fromisoformat(yaml.safe_load(file.read_text())[0]["expires"])
    assert abs(found - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "when",
    ["soon", "2020-01-01", "2999-13-01", "2999-12-31T18:00:00", "0s", "-1d", "99999999d", "2020-01-01T00:00:00Z"],
)
def test_an_end_that_is_none_or_over_is_wrong_usage(gatekeeper, file, when):
    assert gatekeeper("token", "add", "anna", f"--expires={when}", "--file", str(file))[0] == 2
    assert not file.exists()


@pytest.mark.parametrize("name", ["", "x" * 65, "a\tb"])
def test_a_name_that_gatekeeper_would_refuse_is_not_written(gatekeeper, file, name):
    code, out, err = gatekeeper("token", "add", name, "--file", str(file))
    assert (code, out) == (2, "")
    assert f"{file}: [0].name" in err
    assert not file.exists()


def test_a_file_with_a_mistake_is_named_and_left_alone(gatekeeper, file):
    file.write_text("- {name: anna, role: boss}\n")
    for verb in (("add", "bob"), ("revoke", "anna"), ("list",)):
        code, out, err = gatekeeper("token", *verb, "--file", str(file))
        assert (code, out) == (2, "")
        assert f"{file}: [0].role" in err
    assert file.read_text() == "- {name: anna, role: boss}\n"


def test_a_revoked_token_is_not_in_the_file_any_more(gatekeeper, file):
    gatekeeper("token", "add", "anna", "--file", str(file))
    gatekeeper("token", "add", "bob", "--file", str(file))
    code, out, _ = gatekeeper("token", "revoke", "anna", "--file", str(file))
    assert code == 0
    assert "within 2 s" in out
    assert [entry["name"] for entry in yaml.safe_load(file.read_text())] == ["bob"]
    assert gatekeeper("token", "revoke", "anna", "--file", str(file))[0] == 2


def test_the_list_shows_who_may_and_until_when_and_no_hash(gatekeeper, file):
    file.write_text(
        f"- {{name: anna, role: admin, groups: [a, b], sha256: '{'0' * 64}', expires: 2999-01-01}}\n"
        f"- {{name: old, role: viewer, sha256: '{'1' * 64}', expires: 2020-01-01}}\n"
    )
    code, out, _ = gatekeeper("token", "list", "--file", str(file))
    lines = out.splitlines()
    assert code == 0
    assert lines[1].split() == ["anna", "admin", "a,", "b", "2999-01-01"]
    assert lines[2].split() == ["old", "viewer", "2020-01-01", "(over)"]
    assert "000" not in out
    found = json.loads(gatekeeper("token", "list", "--file", str(file), "--json")[1])
    assert [one["expired"] for one in found] == [False, True]


@pytest.mark.parametrize("option", [("--socket", "a"), ("--url", "http://a"), ("--yes",)])
def test_options_of_a_running_gatekeeper_mean_nothing_to_a_file(gatekeeper, file, option):
    assert gatekeeper("token", "list", "--file", str(file), *option)[0] == 2


def test_a_pass_stands_alone_on_standard_output(admin, gatekeeper):
    admin.answer("POST", "/v1/services/shop/passes", {"pass": "abc.def", "expires": 1_800_000_000})
    code, out, err = gatekeeper("pass", "issue", "shop", "green", "blue", "--ttl", "2h")
    assert (code, out) == (0, "abc.def\n")
    assert "X-Gatekeeper-Version: green" in err
    assert admin.asked[0].json == {"versions": ["green", "blue"], "ttl": 7200}


@pytest.mark.parametrize("ttl", ["0h", "8", "h", "-1h", "1w", "1.5h"])
def test_a_time_to_live_that_is_no_duration_is_wrong_usage(admin, gatekeeper, ttl):
    assert gatekeeper("pass", "issue", "shop", "green", f"--ttl={ttl}")[0] == 2
