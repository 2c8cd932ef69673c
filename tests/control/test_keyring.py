"""The keyring: a good pair is taken up as a pair, a bad one is refused and the old one stays."""

import asyncio
import json
import shutil
import time
from dataclasses import replace

import pytest

from gatekeeper.clock import ManualClock
from gatekeeper.control.keyring import Keyring, KeyringError
from gatekeeper.core.codec import dump
from gatekeeper.core.model import Backend, BackendTls, KeyPair, Listener, ListenerTls, Settings
from tests.core.routes import service, state
from tests.tls.authority import Authority

pytestmark = pytest.mark.outside("openssl")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


class Bench:
    """A keyring whose files are ``cert`` and ``key`` in a folder of its own."""

    def __init__(self, folder, authority):
        self.folder, self.authority = folder, authority
        self.events, self.sent = [], []
        self.clock = ManualClock(wall=time.time() + 60)
        self.keyring = Keyring(self.events.append, self.send, self.clock)
        self.paths = KeyPair(str(folder / "cert"), str(folder / "key"))
        self.state = self.naming(self.paths)

    async def send(self, material):
        self.sent.append(material)

    @staticmethod
    def naming(*pairs, **more):
        listeners = {f"a:{at}": Listener(ListenerTls((pair,), **more)) for at, pair in enumerate(pairs)}
        return replace(state([service("shop")]), settings=Settings(listeners=listeners))

    def put(self, files, *names):
        for name in names or ("cert", "key"):
            # Beside and then over it, as whoever renews certificates does.
            fresh = self.folder / f"{name}.new"
            shutil.copy(getattr(files, name), fresh)
            fresh.rename(self.folder / name)

    def kinds(self):
        return [event["kind"] for event in self.events]

    def cert(self):
        return self.keyring.material.pairs[self.paths].cert

    async def look(self, times=1):
        for _ in range(times):
            await self.keyring._look()


@pytest.fixture
def bench(tmp_path, authority):
    made = Bench(tmp_path, authority)
    made.old = authority.issue("old", "shop.test", days=20)
    made.new = authority.issue("new", "shop.test", days=40)
    made.put(made.old)
    return made


async def test_what_a_state_names_is_read_before_it_is_taken_up(bench):
    await bench.keyring.open(bench.state)
    assert bench.cert() == bench.old.cert.read_text()
    assert await bench.keyring.follow(bench.state) is None
    assert (bench.events, bench.sent) == ([], [])


async def test_a_new_state_gets_what_is_new_together_with_what_the_old_one_names(bench, authority):
    """A worker routes by the old one until it has the new one."""
    await bench.keyring.open(bench.state)
    other = KeyPair(*map(str, bench.new))
    both = await bench.keyring.follow(bench.naming(other, client_ca=str(authority.cert), client_auth="required"))
    assert set(both.pairs) == {bench.paths, other}
    assert both.authorities == {str(authority.cert): authority.cert.read_text()}


async def test_a_file_that_cannot_be_used_stops_the_state_that_names_it(bench):
    with pytest.raises(KeyringError, match=r"none.pem and .*: cert cannot be read: no such file"):
        await bench.keyring.open(bench.naming(KeyPair("/none.pem", "/none.key")))
    assert bench.keyring.material.pairs == {}


async def test_a_renewed_pair_is_taken_up_and_sent(bench):
    await bench.keyring.open(bench.state)
    await bench.look(2)
    assert bench.sent == []
    bench.put(bench.new)
    await bench.look()
    assert bench.cert() == bench.new.cert.read_text()
    assert bench.sent == [bench.keyring.material]
    assert bench.kinds() == ["certificate_renewed"]
    assert bench.events[0]["files"] == [bench.paths.cert, bench.paths.key]
    assert bench.events[0]["names"] == ["shop.test"]
    await bench.look(3)
    assert len(bench.sent) == 1


async def test_a_pair_is_taken_up_as_a_pair_however_its_files_are_written(bench):
    """Between the two the old pair serves, and nobody is told of a mistake that is none."""
    await bench.keyring.open(bench.state)
    bench.put(bench.new, "cert")
    await bench.look()
    assert bench.cert() == bench.old.cert.read_text()
    bench.put(bench.new, "key")
    await bench.look()
    assert bench.cert() == bench.new.cert.read_text()
    assert bench.kinds() == ["certificate_renewed"]


async def test_a_broken_pair_is_refused_once_and_the_old_one_stays(bench):
    await bench.keyring.open(bench.state)
    bench.put(bench.new, "cert")
    await bench.look(5)
    assert bench.kinds() == ["certificate_refused"]
    assert bench.events[0]["reason"] == "key is not the key of this certificate"
    assert bench.cert() == bench.old.cert.read_text()
    assert bench.sent == []
    files = f"{bench.paths.cert} and {bench.paths.key}"
    why = "key is not the key of this certificate"
    assert bench.keyring.troubles() == [f"{files} cannot be used, what was in force before stays: {why}"]
    bench.put(bench.new)
    await bench.look()
    assert bench.kinds() == ["certificate_refused", "certificate_renewed"]
    assert bench.keyring.troubles() == []


@pytest.mark.parametrize("what", ["gone", "empty", "garbage"])
async def test_files_that_vanish_or_are_spoilt_change_nothing(bench, what):
    await bench.keyring.open(bench.state)
    path = bench.folder / "key"
    path.unlink()
    if what != "gone":
        path.write_text("" if what == "empty" else "-----BEGIN PRIVATE KEY-----")
    await bench.look(3)
    assert bench.kinds() == ["certificate_refused"]
    assert bench.cert() == bench.old.cert.read_text()


async def test_a_new_pair_that_has_expired_is_refused(bench):
    await bench.keyring.open(bench.state)
    bench.put(bench.authority.issue("expired", "shop.test", days=-1))
    await bench.look(2)
    assert bench.kinds() == ["certificate_refused"]
    assert bench.events[0]["reason"].startswith("the certificate has expired")
    assert bench.cert() == bench.old.cert.read_text()


async def test_a_new_pair_that_is_too_early_is_taken_up_when_its_time_has_come(bench):
    """Seconds matter: the clock of whoever signs may be ahead of ours."""
    await bench.keyring.open(bench.state)
    bench.put(bench.new)
    bench.clock.jump_wall(-3600)
    await bench.look(3)
    assert bench.kinds() == ["certificate_refused"]
    assert "is not valid yet" in bench.events[0]["reason"]
    bench.clock.jump_wall(3600)
    await bench.look(2)
    assert bench.kinds() == ["certificate_refused", "certificate_renewed"]
    assert bench.cert() == bench.new.cert.read_text()


async def test_touching_a_file_is_no_renewal(bench):
    await bench.keyring.open(bench.state)
    bench.put(bench.old)
    await bench.look(3)
    assert (bench.events, bench.sent) == ([], [])


async def test_an_operators_reload_takes_up_at_once_and_says_what(bench):
    await bench.keyring.open(bench.state)
    assert await bench.keyring.renew("ann") == []
    bench.put(bench.new)
    shown = await bench.keyring.renew("ann", dry_run=True)
    assert (bench.cert(), bench.sent, bench.events) == (bench.old.cert.read_text(), [], [])
    done = await bench.keyring.renew("ann")
    assert shown == done
    assert done[0].path == bench.paths.cert
    assert (done[0].before[:12], done[0].after[:12]) == ("valid until ", "valid until ")
    assert done[0].before != done[0].after
    assert bench.cert() == bench.new.cert.read_text()
    assert bench.events[0]["actor"] == "ann"


async def test_an_operators_reload_says_what_it_refused(bench):
    await bench.keyring.open(bench.state)
    bench.put(bench.new, "key")
    done = await bench.keyring.renew("ann")
    assert done[0].after.startswith("refused, the old one stays: key is not the key")
    assert bench.kinds() == ["certificate_refused"]
    await bench.look(3)
    assert bench.kinds() == ["certificate_refused"]


async def test_renewed_authorities_are_taken_up_too(bench, tmp_path):
    ca = tmp_path / "ca.pem"
    shutil.copy(bench.authority.cert, ca)
    await bench.keyring.open(bench.naming(bench.paths, client_ca=str(ca), client_auth="required"))
    ca.write_text(bench.authority.cert.read_text() * 2)
    await bench.look()
    assert bench.keyring.material.authorities[str(ca)] == ca.read_text()
    ca.write_text("hello")
    await bench.look(2)
    assert bench.kinds() == ["certificate_renewed", "certificate_refused"]


async def test_what_no_state_names_any_more_is_forgotten_with_the_next_renewal(bench):
    await bench.keyring.open(bench.naming(bench.paths, KeyPair(*map(str, bench.new))))
    bench.keyring.settle(bench.state)
    bench.put(bench.new)
    await bench.look()
    assert set(bench.keyring.material.pairs) == {bench.paths}


async def test_a_certificate_that_ends_soon_and_one_that_has_ended_are_told_of_once(bench):
    await bench.keyring.open(bench.state)
    assert bench.events == []
    bench.clock.jump_wall(14 * 86400)
    for _ in range(3):
        bench.keyring._warn()
    assert bench.kinds() == ["certificate_expiring"]
    bench.clock.jump_wall(7 * 86400)
    for _ in range(3):
        bench.keyring._warn()
    assert bench.kinds() == ["certificate_expiring", "certificate_expired"]


async def test_one_that_has_ended_before_the_start_serves_and_is_told_of(bench):
    bench.put(bench.authority.issue("dead", "shop.test", days=-1))
    await bench.keyring.open(bench.state)
    assert bench.kinds() == ["certificate_expired"]
    assert bench.keyring.material.pairs
    (trouble,) = bench.keyring.troubles()
    assert trouble.startswith(f"{bench.paths.cert} and {bench.paths.key}: the certificate has expired, on ")


async def test_a_clients_pair_is_examined_as_one(bench):
    files = bench.authority.issue("client", "client.test", usage="clientAuth")
    pair = KeyPair(*map(str, files))
    made = service("shop")
    versions = {
        name: replace(version, backends=(Backend("https://h:443"),), tls=BackendTls(pair=pair))
        for name, version in made.versions.items()
    }
    await bench.keyring.open(state([replace(made, versions=versions)]))
    assert set(bench.keyring.material.pairs) == {pair}


async def test_no_key_is_in_an_event_or_a_change(bench):
    await bench.keyring.open(bench.state)
    bench.put(bench.new)
    changes = await bench.keyring.renew("ann")
    assert "PRIVATE" not in json.dumps([bench.events, dump(changes)])


async def test_looking_goes_on_after_a_failure(bench, monkeypatch, caplog):
    monkeypatch.setattr("gatekeeper.control.keyring.LOOK_SECONDS", 0.01)
    await bench.keyring.open(bench.state)
    failures = []

    async def until(condition):
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - the files' change is seen at the next look
                await asyncio.sleep(0.01)

    async def fail(material):
        failures.append(material)
        raise OSError("no")

    monkeypatch.setattr(bench.keyring, "_send", fail)
    watch = asyncio.create_task(bench.keyring.watch())
    bench.put(bench.new)
    await until(lambda: len(failures) == 1)
    bench.put(bench.old)
    await until(lambda: len(failures) == 2)
    watch.cancel()
    assert "looking at certificates failed" in caplog.text
