"""Fixtures of the system tests. Whatever a test starts through them is killed and reaped when it ends."""

import os

import pytest

from tests.system.operations import Backend, Seen, versions_of
from tests.system.programs import Gatekeeper, Nginx
from tests.system.secured import Secured, replace
from tests.system.team import BROKEN, HEALTH, Team
from tests.system.told import undocumented
from tests.system.wrk import Wrk
from tests.tls.authority import Authority, Files
from tests.tls.handshake import trusting

FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def long():
    """Whether GATEKEEPER_LONG asks for loads of full length."""
    return bool(os.environ.get("GATEKEEPER_LONG"))


@pytest.fixture
def tell(request):
    """``tell(reply_p50=1.5)`` puts a measured figure into the summary at the end of the run."""
    figures = request.config.stash.setdefault(FIGURES, [])

    def tell_(**measured):
        figures.append(f"{request.node.name}: " + ", ".join(f"{name} {value:g}" for name, value in measured.items()))

    return tell_


def pytest_terminal_summary(terminalreporter, config):
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.write_line(line)


@pytest.fixture
def nginx(tmp_path, free_ports):
    """``nginx("blue")`` starts a backend that answers as blue; ``more`` are lines for its server block."""
    started = []

    def start(name, more=""):
        server = Nginx(name, tmp_path / f"nginx-{name}", free_ports(1)[0], more)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.end()


@pytest.fixture
def serve(tmp_path, free_ports):
    """``serve({"blue": url, "green": url}, workers=1, ...)`` writes a file and starts gatekeeper with it.

    The keywords are those of ``Gatekeeper.document``. ``start=False`` leaves starting to the test.
    """
    made = []

    def start_(versions, *, start=True, **options):
        gatekeeper = Gatekeeper(tmp_path / f"gatekeeper{len(made)}", free_ports(1)[0], versions)
        made.append(gatekeeper)
        gatekeeper.write(**options)
        return gatekeeper.start() if start else gatekeeper

    yield start_
    said = ""
    for gatekeeper in made:
        gatekeeper.end()
        said += gatekeeper.said()
        assert list(undocumented(gatekeeper.folder)) == []
    # A worker that meets an error nobody expected goes on and says so; no test may pass over that.
    assert "Traceback" not in said, said


@pytest.fixture
def shop(nginx, serve):
    """``shop(workers=1, ...)`` is gatekeeper in front of two nginx; they are its ``blue`` and ``green``."""

    def start(**options):
        blue, green = nginx("blue"), nginx("green")
        gatekeeper = serve({"blue": blue.url, "green": green.url}, **options)
        gatekeeper.blue, gatekeeper.green = blue, green
        return gatekeeper

    return start


@pytest.fixture
def team(tmp_path, free_ports, nginx):
    """``team(plans={...}, service={...})``: people who release nginx ``green`` over nginx ``blue`` in service ``shop``.

    ``clocks`` are a ``Clocks``, ``like`` another team, whose versions it has; ``top`` are keys of the file's top level.
    """
    made = []

    def start(service=None, clocks=None, like=None, **top):
        if like is not None:
            sides = [like.blue, like.green]
        else:
            sides = [nginx(name, BROKEN.format(folder=tmp_path / f"nginx-{name}")) for name in ("blue", "green")]
        urls = {side.name: side.url for side in sides}
        versions = {name: {"backends": [url], "build": f"{name}-17", "health": HEALTH} for name, url in urls.items()}
        folder = tmp_path / f"gatekeeper{len(made)}"
        gatekeeper = Team(folder, free_ports(2), urls, {"versions": versions, **(service or {})}, **top)
        made.append(gatekeeper)
        gatekeeper.blue, gatekeeper.green = sides
        if clocks is not None:
            gatekeeper.program = clocks.program
        gatekeeper.write()
        return gatekeeper.start()

    yield start
    for gatekeeper in made:
        gatekeeper.end()
        assert "Traceback" not in gatekeeper.said(), gatekeeper.said()
        assert list(undocumented(gatekeeper.folder)) == []


@pytest.fixture
def site(serve, free_ports):
    """``site(blue=2, green=1, workers=1, ...)``: gatekeeper in front of so many backends of each version, whose moods a
    test sets: ``gatekeeper.blue[0].status = 503``."""
    backends = []

    def make(blue=1, green=1, *, workers=1, access="off", start=True, **service):
        made = {
            name: [Backend(name, port) for port in free_ports(count)]
            for name, count in (("blue", blue), ("green", green))
        }
        backends.extend([*made["blue"], *made["green"]])
        shop = {"versions": versions_of(**made), "sticky": {"mode": "none"}, **service}
        gatekeeper = serve(
            dict.fromkeys(made, ()), start=start, workers=workers, access=access, services={"shop": shop}
        )
        gatekeeper.blue, gatekeeper.green = made.values()
        return gatekeeper

    yield make
    for backend in backends:
        backend.stop()


@pytest.fixture
def seen(request):
    """What is seen of a row of docs/operations.md while it is tried (``operations.tries``): at the end, all it says."""
    found = Seen(request.param)
    yield found
    assert found.missing() == []


@pytest.fixture
def wrk():
    """``wrk(port, "close=50")`` is a running load of 64 connections; ``stop()`` gives its report."""
    started = []

    def start(port, *options, connections=64, warm=0.5):
        load = Wrk(port, *options, connections=connections)
        started.append(load)
        return load.start(warm)

    yield start
    for load in started:
        load.end()


# TLS


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def issued(authority):
    """Files by what they are for."""
    return {
        "shop": authority.issue("shop", "shop.test"),
        "wild": authority.issue("wild", "*.wild.test"),
        "next": authority.issue("next", "shop.test"),
        "client": authority.issue("client", "client.test", usage="clientAuth"),
        "backend": authority.issue("backend", "backend.test", "IP:127.0.0.1"),
        "stale": authority.issue("stale", "IP:127.0.0.1", days=-1),
    }


@pytest.fixture
def client(authority):
    return trusting(authority.cert)


@pytest.fixture
def shown_by(tmp_path, issued):
    """The files that gatekeeper is told of, by name; a test may replace them."""
    found = {}
    for name in ("shop", "wild"):
        found[name] = Files(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
        replace(issued[name], found[name])
    return found


@pytest.fixture
def secured(tmp_path, free_ports, nginx, shown_by):
    """``secured(tls={...}, **service)``: gatekeeper with a TLS listener before a backend whose /told tells of us."""
    made = []

    def start(tls=None, versions=None, top=None, listener=None, more=(), **service):
        ports = free_ports(3)
        pairs = [{"cert": str(files.cert), "key": str(files.key)} for files in shown_by.values()]
        pairs[0].update(tls or {})
        listen = [{"address": f"127.0.0.1:{ports[1]}", "tls": pairs, **(listener or {})}, *more]
        if versions is None:
            blue = nginx("blue", 'location = /told { return 200 "$http_x_forwarded_proto $http_x_forwarded_for"; }')
            versions = {"blue": blue.url}
        gatekeeper = Secured(tmp_path / "gatekeeper", ports, versions, **{"listen": listen, **(top or {})})
        made.append(gatekeeper)
        gatekeeper.write(**service)
        return gatekeeper.start()

    yield start
    for gatekeeper in made:
        gatekeeper.end()
        assert gatekeeper.said() == ""
