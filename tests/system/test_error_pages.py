"""Error pages of a service, as browsers and programs get them."""

import json

import pytest

pytestmark = [pytest.mark.system, pytest.mark.outside("openssl", "nginx")]


def test_errors_of_gatekeeper_show_the_services_pages_to_browsers(secured, free_port, tmp_path):
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "5xx.html").write_text("<h1>größer</h1>", encoding="utf-8")
    (tmp_path / "gone.html").write_text("<h1>gone</h1>")
    gatekeeper = secured(
        versions={"blue": f"http://127.0.0.1:{free_port}"},
        error_pages={"dir": str(pages), "503": str(tmp_path / "gone.html")},
    )
    browser = gatekeeper.get("/", {"Accept": "text/html,*/*"})
    assert (browser.status, browser.body.decode()) == (502, "<h1>größer</h1>")
    assert browser.fields["Content-Type"] == "text/html; charset=utf-8"
    program = gatekeeper.get("/", {"Accept": "application/json"})
    assert json.loads(program.body)["status"] == 502
    (pages / "5xx.html").write_text("<h1>other</h1>")
    assert gatekeeper.get("/", {"Accept": "text/html"}).body.decode() == "<h1>größer</h1>"
    done = gatekeeper.cli("reload")
    assert done.returncode == 0
    assert "<h1>" not in done.stdout
    assert gatekeeper.get("/", {"Accept": "text/html"}).body == b"<h1>other</h1>"
    shown = gatekeeper.call("GET", "/v1/services/shop")[1]["definition"]["error_pages"]
    assert shown["503"].startswith("13 bytes, ")


def test_an_answer_of_a_backend_is_never_replaced_by_a_page(secured, nginx, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("ours")
    blue = nginx("blue", 'location = /broken { return 502 "theirs"; }')
    gatekeeper = secured(versions={"blue": blue.url}, error_pages={"5xx": str(page)})
    answer = gatekeeper.get("/broken", {"Accept": "text/html"})
    assert (answer.status, answer.body) == (502, b"theirs")
