import io
import json

import pytest

from gatekeeper.interface import verbs_change

SHOP = {"name": "shop", "revision": 17, "stable": "blue", "split": {"blue": 90, "green": 10}, "versions": {}}
CHANGED = {
    "revision": 18,
    "split": {"blue": 50, "green": 50},
    "workers": {"acknowledged": 2, "total": 2},
    "ms": 12.34,
    "changes": [
        {"path": "services.shop.split", "before": {"blue": 90, "green": 10}, "after": {"blue": 50, "green": 50}}
    ],
}


MOVED = {"revision": 19, "actor": "ann", "action": "split", "note": "hotfix", "splits": {"shop": {"blue": 5}}}


@pytest.fixture
def shop(admin):
    admin.answer("GET", "/v1/services/shop", SHOP, etag=17)
    admin.answer("PUT", "/v1/services/shop/split", CHANGED, etag=18)
    return admin


def test_a_split_sends_the_weights_and_says_what_became_of_them(shop, gatekeeper):
    code, out, err = gatekeeper("split", "shop", "blue=50", "green=50", "--expect", "17", "--note", "half")
    assert (code, err) == (0, "")
    assert out == (
        "shop: blue=50 green=50 (was blue=90 green=10); revision 18, taken up by 2 of 2 workers in 12.3 ms\n"
    )
    asked = shop.asked[-1]
    assert (asked.method, asked.json, asked.query) == ("PUT", {"blue": 50, "green": 50}, {"note": "half"})
    assert asked.headers["If-Match"] == '"17"'


def test_a_dry_run_says_that_nothing_was_changed(shop, gatekeeper):
    _, out, _ = gatekeeper("split", "shop", "blue=50", "green=50", "--dry-run")
    assert "nothing was changed" in out
    assert shop.asked[-1].query == {"dry_run": "1"}


def test_decimal_weights_arrive_exactly(shop, gatekeeper):
    gatekeeper("split", "shop", "blue=99.999999", "green=0.000001")
    assert shop.asked[-1].body == b'{"blue": 99.999999, "green": 1e-06}'


@pytest.mark.parametrize("pair", ["blue", "blue=", "=5", "blue=-1", "blue=5%", "blue=1e3", "blue=٣", "blue=0.1234567"])
def test_what_is_no_weight_is_wrong_usage_and_reaches_nobody(shop, gatekeeper, pair):
    code, _, err = gatekeeper("split", "shop", "green=5", "--", pair)
    assert code == 2
    assert "VERSION=WEIGHT" in err
    assert shop.asked == []


def test_a_version_named_twice_is_wrong_usage(shop, gatekeeper):
    assert gatekeeper("split", "shop", "blue=1", "blue=2")[0] == 2
    assert shop.asked == []


def test_a_revision_that_moved_is_exit_4(shop, gatekeeper):
    shop.answers["PUT", "/v1/services/shop/split"].clear()
    shop.problem("PUT", "/v1/services/shop/split", 412, detail="the revision is 19", changed=[MOVED])
    code, _, err = gatekeeper("split", "shop", "blue=1", "green=1", "--expect", "17")
    assert code == 4
    assert "the revision is 19" in err
    assert "since then: revision 19, ann, split shop: blue=5 (hotfix)" in err


def test_a_script_may_leave_versions_out(shop, gatekeeper):
    assert gatekeeper("split", "shop", "green=100")[0] == 0
    assert shop.asked[-1].json == {"green": 100}


def test_a_person_is_asked_before_a_version_that_is_not_named_loses_its_weight(shop, gatekeeper, terminal):
    terminal.append(False)
    code, out, err = gatekeeper("split", "shop", "green=100")
    assert (code, out) == (4, "")
    assert "nothing was changed" in err
    assert [asked.method for asked in shop.asked] == ["GET"]


def test_what_a_person_agreed_to_is_bound_to_the_revision_that_was_shown(shop, gatekeeper, terminal):
    terminal.append(True)
    assert gatekeeper("split", "shop", "green=100")[0] == 0
    assert shop.asked[-1].headers["If-Match"] == '"17"'


def test_yes_never_asks(shop, gatekeeper, terminal):
    assert gatekeeper("split", "shop", "green=100", "--yes")[0] == 0


def test_a_rollback_is_one_request_and_never_asks(admin, gatekeeper, terminal):
    admin.answer("POST", "/v1/services/shop/rollback", CHANGED)
    code, out, _ = gatekeeper("rollback", "shop")
    assert (code, len(admin.asked), admin.asked[0].json) == (0, 1, {})
    assert out.startswith("shop: blue=50 green=50; revision 18")


def test_a_rollback_may_name_its_revision(admin, gatekeeper):
    admin.answer("POST", "/v1/services/shop/rollback", CHANGED)
    gatekeeper("rollback", "shop", "--to", "5", "--note", "bad", "--dry-run")
    assert admin.asked[0].json == {"to": 5}
    assert admin.asked[0].query == {"dry_run": "1", "note": "bad"}


RELOADED = {
    "revision": 18,
    "changes": [
        {"path": "services.shop.versions.green", "before": None, "after": {"backends": ["http://127.0.0.1:2"]}},
        {"path": "services.shop.versions.old", "before": "x", "after": None},
        {"path": "services.shop.split", "before": {"blue": 1}, "after": {"blue": 2}},
    ],
}


def test_a_reload_shows_every_difference(admin, gatekeeper):
    admin.answer("POST", "/v1/reload", RELOADED, etag=18)
    code, out, _ = gatekeeper("reload", "--reset-split")
    assert code == 0
    assert out.splitlines() == [
        "revision 18",
        '  services.shop.versions.green: added {"backends":["http://127.0.0.1:2"]}',
        "  services.shop.versions.old: removed (was x)",
        "  services.shop.split: blue=1 -> blue=2",
    ]
    assert admin.asked[0].json == {"reset_split": True}


def test_a_person_sees_the_difference_before_it_is_applied(admin, gatekeeper, terminal):
    admin.answer("POST", "/v1/reload", RELOADED)
    terminal.append(False)
    code, out, err = gatekeeper("reload")
    assert (code, out) == (4, "")
    assert "services.shop.versions.old: removed" in err
    assert [asked.query for asked in admin.asked] == [{"dry_run": "1"}]


def test_a_reload_can_send_a_file(admin, gatekeeper, tmp_path):
    admin.answer("PUT", "/v1/config", {**RELOADED, "note": "the file was not written"})
    (tmp_path / "new.yaml").write_text("services: {}\n")
    code, out, _ = gatekeeper("reload", "--file", str(tmp_path / "new.yaml"), "--dry-run", "--note", "new")
    assert code == 0
    assert out.endswith("the file was not written\n")
    asked = admin.asked[0]
    assert (asked.body, asked.query) == (b"services: {}\n", {"dry_run": "1", "note": "new"})
    assert asked.headers["Content-Type"] == "application/yaml"


def test_a_reload_reads_standard_input(admin, gatekeeper, monkeypatch):
    admin.answer("PUT", "/v1/config", RELOADED)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"services: {}")))
    assert gatekeeper("reload", "--file", "-", "--yes")[0] == 0
    assert admin.asked[0].body == b"services: {}"


def test_a_file_that_cannot_be_read_is_wrong_usage(admin, gatekeeper, tmp_path):
    code, _, err = gatekeeper("reload", "--file", str(tmp_path / "none.yaml"))
    assert code == 2
    assert "none.yaml" in err


def test_a_file_beyond_the_limit_is_not_sent(admin, gatekeeper, tmp_path, monkeypatch):
    monkeypatch.setattr(verbs_change, "MAX_FILE", 10)
    (tmp_path / "big").write_bytes(b"x" * 11)
    assert gatekeeper("reload", "--file", str(tmp_path / "big"))[0] == 2
    assert admin.asked == []


def test_json_is_the_reply_as_it_came(admin, gatekeeper):
    admin.answer("POST", "/v1/services/shop/rollback", CHANGED)
    assert json.loads(gatekeeper("rollback", "shop", "--json")[1]) == CHANGED


def test_a_change_that_changes_nothing_says_so(admin, gatekeeper):
    admin.answer("POST", "/v1/reload", {"revision": 18, "base": 18, "changes": []})
    assert gatekeeper("reload") == (0, "nothing to change at revision 18\n", "")
    assert gatekeeper("reload", "--dry-run") == (0, "nothing to change at revision 18\n", "")


def test_mistakes_in_a_file_that_was_sent_are_named_with_its_own_name(admin, gatekeeper, tmp_path):
    problem = {"file": "body", "line": 8, "column": 1, "path": "workers", "message": "is not a whole number"}
    admin.problem("PUT", "/v1/config", 422, detail="1 problem; nothing was changed", problems=[problem])
    (tmp_path / "new.yaml").write_text("workers: x")
    code, _, err = gatekeeper("reload", "--file", str(tmp_path / "new.yaml"))
    assert code == 2
    assert f"{tmp_path}/new.yaml:8: workers: is not a whole number" in err


def test_a_rollback_says_what_became_of_the_release(admin, gatekeeper):
    changes = [
        {"path": "services.shop.stable", "before": "green", "after": "blue"},
        {"path": "releases.41.state", "before": "promoted", "after": "rolled_back"},
        {"path": "releases.41.reason", "before": "", "after": "by ann\x1b"},
        {"path": "releases.41.retained_until", "before": 1795457492.4, "after": None},
    ]
    admin.answer(
        "POST", "/v1/services/shop/rollback", {"service": "shop", "revision": 9, "base": 8, "changes": changes}
    )
    _, out, _ = gatekeeper("rollback", "shop")
    assert out.splitlines()[1:] == [
        "  services.shop.stable: green -> blue",
        "  release 41: promoted -> rolled back (by ann\ufffd)",
    ]


def test_a_difference_names_a_release_that_was_started(admin, gatekeeper):
    after = {"moves": {"shop": "green", "cart": "v2"}, "plan": "careful", "state": "planned"}
    changes = [{"path": "releases.41", "before": None, "after": after}]
    admin.answer("GET", "/v1/revisions/9", {"revision": 9, "diff": 4, "changes": changes})
    assert gatekeeper("diff", "4", "9")[1] == "release 41: started, shop to green, cart to v2, plan careful\n"
