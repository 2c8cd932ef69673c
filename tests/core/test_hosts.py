import pytest

from tests.core.routes import Asker, Request, service, table


def found(definitions, host, path=b"/"):
    decision = Asker(table(*definitions)).maybe(Request(host=host, path=path))
    return None if decision is None else decision.service.name


FRONTS = [
    service("anybody"),
    service("near", hosts=("*.a.example.com",)),
    service("far", hosts=("*.example.com",)),
    service("exact", hosts=("x.a.example.com", "example.com")),
]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"x.a.example.com", "exact"),
        (b"example.com", "exact"),
        (b"y.a.example.com", "near"),
        (b"z.y.x.a.example.com", "near"),
        (b"a.example.com", "far"),
        (b"z.b.example.com", "far"),
        (b"notexample.com", "anybody"),
        (b"com", "anybody"),
        (b"", "anybody"),
        (b"[::1]", "anybody"),
        (b"x.a.example.com.", "exact"),
        (b"y.a.example.com.", "near"),
        (b"other.", "anybody"),
    ],
)
@pytest.mark.parametrize("turn", range(4))
def test_exact_beats_the_longest_wildcard_beats_none_in_whatever_order_they_stand(host, name, turn):
    assert found(FRONTS[turn:] + FRONTS[:turn], host) == name


def test_without_a_service_for_the_host_there_is_no_decision():
    assert found([service(hosts=("shop.example.com", "*.shop.example.com"))], b"other.example.com") is None
    assert found([service(hosts=("shop.example.com",))], b"") is None
    assert found([], b"shop.example.com") is None


def test_a_wildcard_does_not_hold_the_bare_domain():
    assert found([service(hosts=("*.example.com",))], b"example.com") is None


def test_a_host_longer_than_any_name_is_nobodys_wildcard():
    """A host of thousands of labels must not cost thousands of lookups."""
    wild = [service(hosts=("*.example.com",))]
    assert found(wild, b"a." * 100 + b"example.com") == "shop"
    assert found(wild, b"a." * 1000 + b"example.com") is None


PATHS = [
    service("root"),
    service("api", path_prefix="/api"),
    service("v2", path_prefix="/api/v2/"),
]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/", "root"),
        (b"*", "root"),
        (b"/apis", "root"),
        (b"/api", "api"),
        (b"/api/", "api"),
        (b"/api/v1", "api"),
        (b"/api/v20", "api"),
        (b"/api/v2", "v2"),
        (b"/api/v2/x", "v2"),
    ],
)
@pytest.mark.parametrize("turn", range(3))
def test_the_longest_path_prefix_by_segment_wins(path, name, turn):
    assert found(PATHS[turn:] + PATHS[:turn], b"h", path) == name


def test_the_host_is_settled_before_the_path():
    """A catch-all service does not answer for a host that is named, be its prefix ever so long."""
    services = [service("named", hosts=("a.com",), path_prefix="/x"), service("anybody", path_prefix="/y/z")]
    assert found(services, b"a.com", b"/y/z") is None
    assert found(services, b"a.com", b"/x/1") == "named"
    assert found(services, b"b.com", b"/y/z") == "anybody"
    assert found(services, b"b.com", b"/") is None


def test_of_two_services_with_the_same_host_and_prefix_the_first_answers():
    assert found([service("one"), service("two")], b"h") == "one"


def test_one_service_answers_to_all_its_hosts():
    services = [service(hosts=("a.com", "b.com", "*.c.com"))]
    assert [found(services, host) for host in (b"a.com", b"b.com", b"x.c.com")] == ["shop"] * 3
