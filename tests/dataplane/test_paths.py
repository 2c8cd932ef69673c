"""Routes: which there are, and under which a path is."""

import pytest

from gatekeeper.dataplane import paths
from gatekeeper.dataplane.paths import MAX_ROUTE, Prefixes, route_of


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("*", "/"),
        ("/checkout", "/checkout"),
        ("/checkout/", "/checkout"),
        ("/api/users/17/orders", "/api/users"),
        ("/users/17/orders", "/users"),
        ("/17", "/"),
        ("/a/deadbeef", "/a"),
        ("/a/decade", "/a/decade"),
        ("/a/0b8f7c1e-33aa-4c1e-9d52-0123456789ab", "/a"),
        ("//evil", "/"),
        ("/a/b/c", "/a/b"),
        ("/a/" + "x" * MAX_ROUTE, "/a"),
    ],
)
def test_a_route_is_the_first_two_segments_up_to_what_looks_like_an_id(path, route):
    assert route_of(path.encode()) == route


def test_a_path_is_under_the_longest_route_that_ends_at_a_segment():
    routes = Prefixes(["/a", "/a/b", "/shop/"])
    found = {path: routes[path.encode()] for path in ("/a", "/a/", "/a/b", "/a/b/c", "/a/bc", "/ab", "/", "/shop/x")}
    assert found == {
        "/a": "/a", "/a/": "/a", "/a/b": "/a/b", "/a/b/c": "/a/b", "/a/bc": "/a", "/ab": None, "/": None,
        "/shop/x": "/shop/",
    }  # fmt: skip
    assert Prefixes(["/"])[b"/anything"] == "/"


def test_what_is_remembered_of_paths_is_bounded(monkeypatch):
    monkeypatch.setattr(paths, "_KNOWN_PATHS", 8)
    routes = Prefixes(["/a"])
    for number in range(100):
        assert routes[b"/a/%d" % number] == "/a"
        assert len(routes) <= 8
    assert routes[b"/a/" + b"x" * 10_000] == "/a"
    assert all(len(path) < 1000 for path in routes)
