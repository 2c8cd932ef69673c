"""A program that is run for a check is told of the candidate all it needs, and nothing else."""

from dataclasses import replace

import pytest

from gatekeeper.control.releases.candidate import Candidate, arguments, environment, find
from gatekeeper.core import passes
from gatekeeper.core.model import (
    Backend,
    KeyPair,
    Listener,
    ListenerTls,
    Service,
    Settings,
    State,
    Version,
)
from gatekeeper.core.model import (
    Testers as Trusted,
)
from tests.control.kept import service as kept_service

KEY = "k" * 32
GREEN = Version("green", (Backend("http://10.0.0.1:9001"), Backend("http://[::1]:9002")), build="2026-11-23.1")
SHOP = Service("shop", {"blue": Version("blue", (Backend("unix:/run/blue"),)), "green": GREEN}, "blue", {})
TLS = Listener(tls=ListenerTls((KeyPair("a", "b"),)))


def told(service=SHOP, version=GREEN, ours=None, **settings):
    candidate = Candidate(service, version, Settings(**settings), 12)
    found = environment(candidate, 1000.0, 120.0, ours or {})
    return {name.removeprefix("GATEKEEPER_"): value for name, value in found.items()}


def reach(service=SHOP, listen=("127.0.0.1:8080",), **settings):
    found = told(service, listen=listen, **settings)
    return [found.get(f"FORCE_{name}") for name in ("URL", "HOST", "HEADER", "PASS")]


def test_it_is_told_of_the_candidate():
    assert told(listen=()) == {
        "SERVICE": "shop",
        "VERSION": "green",
        "BUILD": "2026-11-23.1",
        "STABLE": "blue",
        "RELEASE": "12",
        "BACKEND": "http://10.0.0.1:9001",
        "BACKENDS": "http://10.0.0.1:9001 http://[::1]:9002",
    }
    assert told(version=replace(GREEN, build=None))["BUILD"] == ""


def test_of_our_environment_it_gets_what_finds_programs_and_no_secret():
    ours = {"PATH": "/bin", "HOME": "/root", "LANG": "C", "SECRET": "x", "GATEKEEPER_TOKEN": "y", "GATEKEEPER_URL": "z"}
    found = environment(Candidate(SHOP, GREEN, Settings()), 0.0, 1.0, ours)
    assert {name: found[name] for name in ("PATH", "HOME", "LANG")} == {"PATH": "/bin", "HOME": "/root", "LANG": "C"}
    assert not {"SECRET", "GATEKEEPER_TOKEN", "GATEKEEPER_URL"} & found.keys()
    assert found["GATEKEEPER_RELEASE"] == ""


def test_it_is_told_how_to_reach_the_candidate_through_gatekeeper():
    assert reach() == ["http://127.0.0.1:8080", "", "X-Gatekeeper-Version: green", None]
    named = replace(SHOP, hosts=("shop.example",), path_prefix="/shop/", testers=Trusted(header="X-Try"))
    assert reach(named) == ["http://127.0.0.1:8080/shop", "shop.example", "X-Try: green", None]
    assert reach(replace(SHOP, hosts=("*.shop.example", "shop.example")))[1] == "shop.example"
    assert reach(replace(SHOP, hosts=("*.shop.example",)))[1] == "check.shop.example"


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:80", "http://[::1]:80"),
        ("[::1]:80", "http://[::1]:80"),
        ("localhost:80", "http://localhost:80"),
        ("unix:/run/a", None),
        ("127.0.0.1:0", None),
        ("10.0.0.9:80", None),  # from there nobody may force
    ],
)
def test_it_comes_from_where_testers_may_come_from(listen, url):
    assert reach(listen=(listen,))[0] == url


def test_of_several_addresses_it_is_the_simplest_that_takes_plain_connections():
    listen = ("unix:/run/a", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")
    proxied = Listener(proxy_protocol=True)
    assert reach(listen=listen)[0] == "http://127.0.0.1:1"
    assert reach(listen=listen, listeners={listen[1]: TLS, listen[2]: proxied})[0] == "http://127.0.0.1:3"
    everything = {listen[1]: proxied, listen[2]: TLS, listen[3]: TLS}
    assert reach(listen=listen, listeners=everything)[0] == "https://127.0.0.1:2"


def test_where_its_address_does_not_do_it_gets_a_pass_that_outlives_it():
    strict = replace(SHOP, testers=Trusted(networks=("10.0.0.0/8",), keys=(KEY,)))
    field, _, token = reach(strict)[3].partition(": ")
    assert field == "X-Gatekeeper-Pass"
    assert passes.verify(token, [KEY], "shop", 1000 + 120) == {"green"}
    assert passes.verify(token, [KEY], "shop", 1000 + 181) is None


def test_where_it_could_not_force_the_candidate_it_is_told_no_way_that_would_show_it_another():
    assert reach(replace(SHOP, testers=Trusted(networks=()))) == [None] * 4
    long = replace(GREEN, name="".join(f"{each * 7919:x}" for each in range(999)))
    strict = replace(SHOP, testers=Trusted(networks=(), keys=(KEY,)))
    assert "FORCE_HEADER" not in told(strict, long, listen=("127.0.0.1:80",))


def test_the_url_of_the_first_backend_stands_in_its_arguments():
    candidate = Candidate(SHOP, GREEN, Settings())
    url = "http://10.0.0.1:9001"
    run = ("{url}/smoke", "--url={url}", "{url} {url}", "{build}")
    assert arguments(run, candidate) == [f"{url}/smoke", f"--url={url}", f"{url} {url}", "{build}"]


def test_a_candidate_is_found_by_its_names_and_known_by_all_it_is():
    known = kept_service("shop")
    state = State(1, Settings(workers=3), {"shop": known})
    found = find(state, "shop", "green", 7)
    assert (found.version, found.settings.workers, found.release) == (known.definition.versions["green"], 3, 7)
    assert find(state, "shop", "red") is None
    assert find(state, "cart", "green") is None
    other = replace(found, version=replace(found.version, backends=(Backend("http://10.0.0.1:1"),)))
    assert other.digest != found.digest == find(state, "shop", "green").digest
