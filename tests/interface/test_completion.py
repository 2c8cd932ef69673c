import pytest

PLANS = {"revision": 17, "plans": [{"name": "careful"}, {"name": "quick"}], "groups": {"storefront": {}}}
STATUS = {
    "revision": 17,
    "pending": [{"revision": 16, "deadline": 0, "actor": "a", "services": ["shop"]}],
    "services": [
        {
            "name": "shop",
            "versions": {
                "blue": {"backends": [{"url": "http://a:1"}]},
                "green": {"backends": [{"url": "http://b:1"}, {"url": "http://b:2"}]},
            },
        },
        {"name": "api", "versions": {"v1": {"backends": []}}},
    ],
}


@pytest.fixture
def tab(gatekeeper, monkeypatch, capsys):
    """Press TAB at the end of a line; returns what is offered."""

    def press(line):
        monkeypatch.setenv("_GATEKEEPER_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        with pytest.raises(SystemExit):
            gatekeeper()
        return [one.removeprefix("plain,") for one in capsys.readouterr().out.split()]

    return press


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("gatekeeper rollback s", ["shop"]),
        ("gatekeeper split shop ", ["blue=", "green="]),
        ("gatekeeper split shop blue=9 g", ["green="]),
        ("gatekeeper split shop blue=9 ", ["green="]),
        ("gatekeeper deploy shop ", ["blue", "green"]),
        ("gatekeeper deploy shop green ", ["http://b:1", "http://b:2", "http://a:1"]),
        ("gatekeeper deploy shop green http://b:1 ", ["http://b:2", "http://a:1"]),
        ("gatekeeper retire api ", ["v1"]),
        ("gatekeeper drain shop g", ["green"]),
        ("gatekeeper reset shop green ", ["blue"]),
        ("gatekeeper pass issue shop ", ["blue", "green"]),
        ("gatekeeper confirm ", ["16"]),
        ("gatekeeper restore 3 --service ", ["shop", "api"]),
        ("gatekeeper status a", ["api"]),
        ("gatekeeper history ", ["prune", "show", "shop", "api"]),
        ("gatekeeper history --json p", ["prune"]),
        ("gatekeeper retire nope ", []),
        ("gatekeeper release start s", ["shop", "storefront"]),
        ("gatekeeper release start shop --to ", ["blue", "green"]),
        ("gatekeeper release start shop --to green --plan ", ["careful", "quick"]),
        ("gatekeeper release start shop --with ", ["api="]),
        ("gatekeeper release start shop --with api=", ["api=v1"]),
        ("gatekeeper release show shop ", ["41", "40"]),
        ("gatekeeper release approve shop 4", ["41", "40"]),
        ("gatekeeper release list a", ["api"]),
        ("gatekeeper verify shop g", ["green"]),
        ("gatekeeper verify shop green --plan c", ["careful"]),
        ("gatekeeper plans q", ["quick"]),
        ("gatekeeper simulate ", ["careful", "quick"]),
        ("gatekeeper flag off n", ["new-checkout"]),
        ("gatekeeper flag set ", ["new-checkout", "theme"]),
        ("gatekeeper flag set theme --service a", ["api"]),
    ],
)
def test_names_are_offered_where_an_argument_is_one(admin, tab, line, offered):
    admin.answer("GET", "/v1/status", STATUS)
    admin.answer("GET", "/v1/plans", PLANS)
    admin.answer("GET", "/v1/flags", {"revision": 17, "flags": [{"name": "new-checkout"}, {"name": "theme"}]})
    admin.answer("GET", "/v1/services/shop/releases", {"revision": 17, "releases": [{"id": 41}, {"id": 40}]})
    assert tab(line) == offered


def test_names_in_a_token_file_are_offered(tab, tmp_path):
    file = tmp_path / "tokens.yaml"
    file.write_text(f"- {{name: anna, role: viewer, sha256: '{'0' * 64}'}}\n")
    assert tab(f"gatekeeper token revoke --file {file} ") == ["anna"]


@pytest.mark.parametrize("line", ["gatekeeper rollback ", "gatekeeper split shop ", "gatekeeper confirm "])
def test_where_nobody_answers_nothing_is_offered(tab, monkeypatch, tmp_path, line):
    monkeypatch.setenv("GATEKEEPER_SOCKET", str(tmp_path / "nobody"))
    assert tab(line) == []


def test_an_answer_of_somebody_else_offers_nothing(admin, tab):
    admin.answer("GET", "/v1/status", {"revision": 1, "services": "none", "pending": None})
    assert tab("gatekeeper rollback ") == []
