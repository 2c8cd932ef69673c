"""The tables of docs/operations.md on failures around gatekeeper (backends, clients, the machine): each row, tried as
written."""

import contextlib
import os
import re
import shutil
import socket

import pytest

from tests.system.clocked import Clocks
from tests.system.operations import amend, tries, wait_for
from tests.system.programs import answers, until
from tests.system.secured import replace
from tests.tls.authority import Files

pytestmark = pytest.mark.system

TRIP = {"errors": "50%", "within": "1s", "min": 5}


def statuses(gatekeeper, times):
    return [gatekeeper.get().status for _ in range(times)]


def shown(gatekeeper, version="blue"):
    """The states of a version's backends."""
    (service,) = gatekeeper.status()["services"]
    return [backend["state"] for backend in service["versions"][version]["backends"]]


# Backends


@tries("A backend is down")
def test_a_backend_that_is_down_gets_nothing_until_it_is_back(site, seen):
    gatekeeper = seen.of(site(blue=2))
    gatekeeper.blue[1].well = False
    wait_for(gatekeeper, "backend_ejected")
    seen.look(gatekeeper)
    assert re.search(f"blue {gatekeeper.blue[1].url} ejected: .*answered 500", seen.text)
    assert set(statuses(gatekeeper, 10)) == {200}
    gatekeeper.blue[1].well = True
    until(lambda: shown(gatekeeper) == ["ready", "ready"])


@tries("A backend fails users while its check passes", "A backend flaps")
def test_a_backend_that_fails_users_is_out_for_longer_each_time(site, seen):
    gatekeeper = seen.of(site(blue=2, ejection={"failures": 3, "for": "1s", "most": "1m"}))
    gatekeeper.blue[1].status = 503
    for count in (1, 2):
        until(lambda count=count: statuses(gatekeeper, 5) and len(gatekeeper.events("backend_ejected")) >= count)
        if count == 1:
            until(lambda: shown(gatekeeper) == ["ready", "ready"])
    seen.look(gatekeeper)
    first, second = (each["reason"].partition("back in ")[2] for each in gatekeeper.events("backend_ejected")[:2])
    assert (first, second) == ("1 s at the earliest", "2 s at the earliest")


@tries("The last backend of a version fails users")
def test_the_last_backend_stays(site, seen):
    gatekeeper = seen.of(site(blue=1, ejection={"failures": 3}))
    gatekeeper.blue[0].status = 503
    until(lambda: statuses(gatekeeper, 3) and gatekeeper.events("backend_kept"))
    assert shown(gatekeeper) == ["ready"]


@tries("All backends of a candidate are down")
def test_a_candidate_without_a_backend_loses_its_weight_until_it_is_reset(site, seen):
    gatekeeper = seen.of(site())
    gatekeeper.split(blue=50, green=50)
    gatekeeper.green[0].well = False
    wait_for(gatekeeper, "tripped")
    seen.look(gatekeeper)
    assert {gatekeeper.get().version for _ in range(10)} == {"blue"}
    assert "tripped" in seen.run(gatekeeper, "split", "shop", "blue=1", "green=1", code=4)
    gatekeeper.green[0].well = True
    until(lambda: shown(gatekeeper, "green") == ["ready"])
    seen.run(gatekeeper, "reset", "shop")
    seen.run(gatekeeper, "split", "shop", "blue=1", "green=1")


@tries("A candidate answers with errors")
def test_a_candidate_that_answers_with_errors_loses_its_weight(site, seen):
    gatekeeper = seen.of(site(trip=TRIP))
    gatekeeper.split(blue=50, green=50)
    gatekeeper.green[0].status = 500
    until(lambda: statuses(gatekeeper, 20) and gatekeeper.events("tripped"))
    assert gatekeeper.status()["services"][0]["split"] == {"blue": 100, "green": 0}


@tries("All backends of stable are down")
def test_users_of_a_stable_version_without_backends_go_to_another_and_come_back(site, seen):
    gatekeeper = seen.of(site())
    gatekeeper.split(blue=100, green=1)
    gatekeeper.blue[0].well = False
    until(lambda: shown(gatekeeper) == ["ejected"])
    assert {gatekeeper.get().version for _ in range(20)} == {"green"}
    seen.look(gatekeeper)
    assert gatekeeper.metrics()['gatekeeper_failovers_total{service="shop",version="blue"}'] > 10
    gatekeeper.blue[0].well = True
    until(lambda: shown(gatekeeper) == ["ready"])
    assert "blue" in {gatekeeper.get().version for _ in range(5)}


@tries("All backends of a service are down")
def test_an_outage_of_all_is_answered_at_once_and_is_not_the_candidates_fault(site, seen):
    gatekeeper = seen.of(site())
    gatekeeper.split(blue=50, green=50)
    for backend in (gatekeeper.blue[0], gatekeeper.green[0]):
        backend.stop()
    until(lambda: {*shown(gatekeeper), *shown(gatekeeper, "green")} == {"ejected"})
    # One of the two was out a moment earlier, and may have been tripped for it.
    gatekeeper.call("POST", "/v1/services/shop/trip/reset", {})
    gatekeeper.split(blue=50, green=51)
    answer = gatekeeper.get()
    assert answer.status == 503
    seen.add(answer.body.decode())
    seen.look(gatekeeper)
    gatekeeper.blue[0].start()
    until(lambda: shown(gatekeeper) == ["ready"])
    gatekeeper.green[0].start()
    until(lambda: shown(gatekeeper, "green") == ["ready"])
    assert gatekeeper.status()["services"][0]["split"] == {"blue": 50, "green": 51}


@tries("A host name cannot be looked up")
def test_a_name_that_cannot_be_looked_up_keeps_its_addresses(site, seen, tmp_path):
    unshare = shutil.which("unshare")
    if os.geteuid() or unshare is None:
        seen.skip("a name server that fails needs a name space of its own")
    hosts, servers = tmp_path / "hosts", tmp_path / "resolv.conf"
    hosts.write_text("127.0.0.1 backend.test\n")
    servers.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    gatekeeper = seen.of(site(start=False))
    url = gatekeeper.green[0].url.replace("127.0.0.1", "backend.test")
    blue = {"backends": [gatekeeper.blue[0].url]}
    amend(
        gatekeeper,
        dns={"refresh": "200ms"},
        services={"shop": {"versions": {"blue": blue, "green": {"backends": [url]}}}},
    )
    mounts = f"mount --bind {hosts} /etc/hosts && mount --bind {servers} /etc/resolv.conf"
    gatekeeper.program = [unshare, "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh", *gatekeeper.program]
    gatekeeper.start()
    gatekeeper.split(green=1)
    hosts.write_text("")
    wait_for(gatekeeper, "dns_failed")
    seen.look(gatekeeper)
    assert {gatekeeper.get().version for _ in range(3)} == {"green"}
    hosts.write_text("127.0.0.1 backend.test\n")
    wait_for(gatekeeper, "dns_recovered")
    assert gatekeeper.status()["problems"] == []


# Around it


@tries("A port is in use")
def test_a_port_in_use_is_named(site, seen):
    gatekeeper = seen.of(site(start=False))
    with contextlib.closing(socket.create_server(("127.0.0.1", gatekeeper.port))):
        assert f"127.0.0.1:{gatekeeper.port}" in seen.start_fails(gatekeeper)
    gatekeeper.start()


@tries("The clock jumps")
def test_a_clock_that_jumps_undoes_nothing_early_and_loses_no_request(site, seen, tmp_path):
    gatekeeper = seen.of(site(start=False))
    clocks = Clocks(tmp_path / "clocks")
    gatekeeper.program = clocks.program
    gatekeeper.start()
    status, _ = gatekeeper.call("PUT", "/v1/services/shop/split?confirm_within=5m", {"green": 1})
    assert status == 200
    for wall in (clocks.wall() - 3600, clocks.wall() + 86400):
        clocks.set_wall(wall)
        assert set(statuses(gatekeeper, 5)) == {200}
    until(lambda: gatekeeper.status()["pending"])
    assert gatekeeper.events("undone") == []
    clocks.pass_(301)
    wait_for(gatekeeper, "undone")


def crowd(gatekeeper, count):
    """So many clients at once; the statuses that they got."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            connection = stack.enter_context(contextlib.closing(gatekeeper.connect()))
            found.append(gatekeeper.get(connection=connection).status)
        return found


@tries("Too many files are open")
def test_clients_get_half_of_the_files(site, seen):
    gatekeeper = seen.of(site(start=False))
    command = gatekeeper.program
    gatekeeper.program = ["sh", "-c", 'ulimit -n 22 && exec "$@"', "sh", *command]
    seen.start_fails(gatekeeper)
    gatekeeper.program = ["sh", "-c", 'ulimit -n 284 && exec "$@"', "sh", *command]
    gatekeeper.start()
    found = crowd(gatekeeper, 40)
    assert found == [200] * 30 + [503] * 10, "half of what is left of 284 without 224"
    seen.look(gatekeeper)
    assert gatekeeper.metrics()['gatekeeper_refused_total{reason="descriptors"}'] == 10


@tries("Too many clients")
def test_clients_above_the_limit_are_told_so(site, seen):
    gatekeeper = seen.of(site(start=False))
    amend(gatekeeper, limits={"connections": 5})
    gatekeeper.start()
    assert crowd(gatekeeper, 8) == [200] * 5 + [503] * 3
    seen.look(gatekeeper)


@pytest.fixture
def pair(tmp_path, issued):
    """The files of a certificate that gatekeeper is told of; ``put`` replaces them."""
    files = Files(tmp_path / "cert.pem", tmp_path / "cert.key")
    replace(issued["shop"], files)
    return files


def serve_tls(gatekeeper, pair, port):
    tls = {"cert": str(pair.cert), "key": str(pair.key)}
    amend(gatekeeper, listen=[f"127.0.0.1:{gatekeeper.port}", {"address": f"127.0.0.1:{port}", "tls": tls}])


@tries("A certificate ends")
def test_a_certificate_that_ends_is_served_and_told_of(site, seen, pair, authority, free_port, tmp_path):
    replace(authority.issue("ending", "shop.test", days=30), pair)
    gatekeeper = seen.of(site(start=False))
    serve_tls(gatekeeper, pair, free_port)
    gatekeeper.program = (clocks := Clocks(tmp_path / "clocks")).program
    gatekeeper.start()
    clocks.pass_(28 * 86400)
    wait_for(gatekeeper, "certificate_expiring")
    clocks.pass_(3 * 86400)
    wait_for(gatekeeper, "certificate_expired")
    seen.look(gatekeeper)
    assert f"{pair.cert} and {pair.key}: the certificate has expired" in seen.text
    assert answers(free_port)


@tries("A new certificate cannot be used")
def test_a_new_certificate_that_cannot_be_used_is_not(site, seen, pair, issued, free_port):
    gatekeeper = seen.of(site(start=False))
    serve_tls(gatekeeper, pair, free_port)
    gatekeeper.start()
    shutil.copy(issued["next"].key, pair.key)
    wait_for(gatekeeper, "certificate_refused")
    seen.look(gatekeeper)
    replace(issued["next"], pair)
    wait_for(gatekeeper, "certificate_renewed")
    assert gatekeeper.status()["problems"] == []


@tries("Nobody reads the log")
def test_a_log_that_nobody_reads_costs_lines_and_no_request(site, seen):
    """Standard output is a pipe here that gatekeeper holds both ends of."""
    gatekeeper = site(access="json", hosts=["shop.test"], start=False)
    unread = "import os, sys; r, w = os.pipe(); os.dup2(w, 1); os.set_inheritable(r, True); "
    unread += "os.execv(sys.argv[1], sys.argv[1:])"
    gatekeeper.program = [gatekeeper.program[0], "-c", unread, *gatekeeper.program]
    gatekeeper.launch()
    until(lambda: gatekeeper.socket.exists() and answers(gatekeeper.port))
    with contextlib.closing(gatekeeper.connect()) as connection:
        for _ in range(3000):  # 9 MB of lines; 4 MiB may wait
            assert gatekeeper.get("/" + "x" * 3000, connection=connection).status == 404
    until(lambda: gatekeeper.metrics()["gatekeeper_access_log_dropped_total"])
    seen.look(gatekeeper)
