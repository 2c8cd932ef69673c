"""A gatekeeper whose releases are decided by several people: each comes over TCP with a token of his own."""

import contextlib
import hashlib
import http.client
import json
import time

from tests.system import programs
from tests.system.programs import PATIENCE, until

PEOPLE = {
    "ann": ("operator", ["engineering"]),
    "ben": ("operator", ["engineering"]),
    "max": ("operator", ["engineering", "product"]),
    "pia": ("viewer", ["product"]),
}
"""Name -> role and groups. Ann is the author of the releases unless a test says otherwise."""
HEALTH = {"path": "/healthz", "interval": "100ms", "timeout": "5s", "rise": 1, "fall": 2}
BROKEN = """\
set $broken 0;
if (-f {folder}/broken) {{ set $broken 1; }}
if ($request_uri = /healthz) {{ set $broken 0; }}
if ($broken) {{ return 500 "broken"; }}
"""
"""Lines for an nginx: it fails as long as there is a file of that name, and its health check does not see it."""


class Team(programs.Gatekeeper):
    """``top`` are keys of the file's top level, such as ``plans``; ``service`` those of the service ``shop``."""

    def __init__(self, folder, ports, versions, service=None, **top):
        self.http, self.service, self.top = ports[1], service or {}, top
        super().__init__(folder, ports[0], versions)
        digests = {name: hashlib.sha256(self.token(name).encode()).hexdigest() for name in PEOPLE}
        tokens = [
            {"name": name, "role": role, "groups": groups, "sha256": digests[name]}
            for name, (role, groups) in PEOPLE.items()
        ]
        (folder / "tokens.yaml").write_text(json.dumps(tokens))

    def document(self, **changed):
        found = super().document(**{**self.service, **changed})
        admin = {**found["admin"], "http": f"127.0.0.1:{self.http}", "tokens": str(self.folder / "tokens.yaml")}
        return {**found, **self.top, "admin": admin}

    def reload(self, service=None, **top):
        """Write the file with other keys and let it be taken up; the reply."""
        self.service, self.top = {**self.service, **(service or {})}, {**self.top, **top}
        self.write()
        status, reply = self.call("POST", "/v1/reload", {})
        assert status == 200, reply
        return reply

    # People

    @staticmethod
    def token(name):
        return f"the-token-of-{name}-which-nobody-guesses"

    def ask(self, who, method, path, body=None, fields=None):
        """What somebody asks over TCP: status and document."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.http, timeout=PATIENCE)) as connection:
            content = None if body is None else json.dumps(body)
            head = {"Authorization": f"Bearer {self.token(who)}", **(fields or {})}
            connection.request(method, path, body=content, headers=head)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def begin(self, service="shop", to="green", who="ann", **body):
        """Start a release; its document."""
        status, reply = self.ask(who, "POST", f"/v1/services/{service}/releases", {"to": to, **body})
        assert status == 200, reply
        return reply["release"]

    def act(self, who, verb, reason=None, service="shop", release="last", **body):
        """What somebody does to a release: status and document."""
        content = body if reason is None else {"reason": reason, **body}
        return self.ask(who, "POST", f"/v1/services/{service}/releases/{release}/{verb}", content)

    def do(self, who, verb, reason=None, **how):
        """The same, which must be granted; the release."""
        status, reply = self.act(who, verb, reason, **how)
        assert status == 200, reply
        return reply["release"]

    def rollback(self, service="shop"):
        status, reply = self.call("POST", f"/v1/services/{service}/rollback", {})
        assert status == 200, reply
        return reply

    # Looking

    def release(self, service="shop", release="last"):
        status, document = self.call("GET", f"/v1/services/{service}/releases/{release}")
        assert status == 200, document
        return document

    def comes_to(self, state, step=None, *, seconds=PATIENCE, waits=None, **how):
        """The release once it is in that state (at that step, waiting for a thing of that kind)."""

        def there():
            found = self.release(**how)
            kinds = [item["kind"] for item in found["waiting"]]
            fits = found["state"] == state and step in (None, found["step"]) and (waits is None or waits in kinds)
            assert fits or found["active"], found
            return found if fits else None

        end = time.monotonic() + seconds
        while (found := there()) is None:
            assert time.monotonic() < end, self.release(**how)
            time.sleep(0.02)
        return found

    def split_of(self, service="shop"):
        return self.call("GET", f"/v1/services/{service}")[1]["split"]

    def stable(self, service="shop"):
        return self.call("GET", f"/v1/services/{service}")[1]["stable"]

    def until_ready(self, version="green", service="shop"):
        """Wait until all backends of a version are ready."""

        def ready():
            found = self.call("GET", f"/v1/services/{service}")[1]["versions"][version]["backends"]
            return all(backend["state"] == "ready" for backend in found)

        until(ready, what=f"{version}'s backends")

    def kill(self):
        """kill -9 of everything at once."""
        self.end()


def words(release):
    """The events of its log, in order."""
    return [entry["event"] for entry in release["log"]]


def entry(release, event, number=0):
    """The entry of its log of that kind; the first one, or another by its number."""
    return [item for item in release["log"] if item["event"] == event][number]
