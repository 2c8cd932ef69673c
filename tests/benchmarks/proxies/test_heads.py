"""The requests of the load."""

from benchmarks.processes import Ports
from benchmarks.proxies import heads
from benchmarks.proxies.heads import COUNTER, Shape
from benchmarks.proxies.job import Job

PORTS = Ports(20001, 20002, 20003)


def test_returning_users_have_heads_of_eleven_fields_that_stay_the_same():
    found = heads.requests(PORTS, Job(), Shape())
    assert len(set(found)) == 64
    assert found == heads.requests(PORTS, Job(), Shape())
    for each in found:
        assert each.endswith(b"\r\n\r\n")
        assert each.count(b"\r\n") == 13


def test_every_proxy_finds_its_own_cookie_and_all_name_the_same_version():
    green = [each for each in heads.requests(PORTS, Job(), Shape()) if b"server=green" in each]
    assert len(green) == 32
    for each in green:
        assert heads.envoys(PORTS.green).encode() in each
        assert heads.caddys(PORTS.green).encode() in each
        assert b"gatekeeper-shop=" in each
        assert b"uid=" in each


def test_at_ten_percent_about_a_tenth_of_the_users_are_with_the_candidate():
    found = heads.requests(PORTS, Job(share=10), Shape(users=100))
    assert sum(b"server=green" in each for each in found) == 10


def test_users_are_spread_over_all_services():
    found = heads.requests(PORTS, Job(services=10_000), Shape())
    hosts = [each.partition(b"Host: ")[2].split(b"\r\n")[0] for each in found]
    assert len(set(hosts)) == 64
    assert hosts[0] == b"shop.example.com"
    assert hosts[-1] == b"shop-9843.example.com"


def test_what_never_repeats_has_places_for_a_number():
    assert all(each.count(COUNTER.encode()) == 2 for each in heads.requests(PORTS, Job(), Shape(fresh=True)))
    assert not any(COUNTER.encode() in each for each in heads.requests(PORTS, Job(), Shape()))


def test_a_body_has_the_length_that_its_head_tells():
    each = heads.requests(PORTS, Job(), Shape(users=1, body=10_000))[0]
    head, _, body = each.partition(b"\r\n\r\n")
    assert head.startswith(b"POST ")
    assert b"Content-Length: 10000" in head
    assert len(body) == 10_000


def test_a_file_of_requests_reads_as_it_was_written(tmp_path):
    found = heads.requests(PORTS, Job(), Shape(body=10))
    assert heads.read(heads.write(tmp_path, found)) == found
