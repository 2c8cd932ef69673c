"""A gatekeeper with listeners of every kind, and clients that speak TLS to it."""

import contextlib
import http.client
import shutil
import socket
import ssl

from tests.system import programs
from tests.system.programs import PATIENCE, Answer


class Secured(programs.Gatekeeper):
    """``top`` are keys of the file's top level; ``listen`` in it are listeners besides the plain one."""

    def __init__(self, folder, ports, versions, **top):
        self.tls_port, *_ = ports[1:]
        self.ports = ports
        self.top = top
        super().__init__(folder, ports[0], versions)

    def document(self, **service):
        found = super().document(**service)
        more = {name: value for name, value in self.top.items() if name != "listen"}
        return {**found, **more, "listen": [*found["listen"], *self.top.get("listen", [])]}

    def secure(self, context, name="shop.test", port=None, *, before=b"", session=None):
        """A TLS connection; ``before`` is sent in front of it."""
        raw = socket.create_connection(("127.0.0.1", port or self.tls_port), PATIENCE)
        try:
            raw.sendall(before)
            return context.wrap_socket(raw, server_hostname=name, session=session)
        except BaseException:
            raw.close()
            raise

    def fetch(self, context, path="/", fields=None, **how):
        """One GET by TLS on a connection of its own."""
        with contextlib.closing(self.secure(context, **how)) as link:
            return ask(link, path, fields)

    def refused(self, reason):
        return self.metrics().get(f'gatekeeper_refused_total{{reason="{reason}"}}', 0)

    def errors(self, source):
        metrics = self.metrics()
        return sum(
            count
            for name, count in metrics.items()
            if name.startswith("gatekeeper_errors_total{") and f'source="{source}"' in name
        )


def ask(link, path="/", fields=None, method="GET", body=None):
    """One request on a connected socket, which stays open."""
    connection = http.client.HTTPConnection("any.test", timeout=PATIENCE)
    connection.sock = link
    connection.request(method, path, body=body, headers=fields or {})
    response = connection.getresponse()
    answer = Answer(response.status, dict(response.getheaders()), response.read())
    connection.sock = None
    return answer


def shown(link):
    """The serial number of the certificate that was shown."""
    return link.getpeercert()["serialNumber"]


def replace(files, target):
    """Put files in the place of others, the key first, each in one step."""
    for source, place in ((files.key, target.key), (files.cert, target.cert)):
        fresh = place.with_name(place.name + ".new")
        shutil.copy(source, fresh)
        fresh.rename(place)


class SlowStart:
    """A client that sends the beginning of a handshake and then nothing."""

    def __init__(self, port, context, name="shop.test", sends=100):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        link = context.wrap_bio(incoming, outgoing, server_hostname=name)
        with contextlib.suppress(ssl.SSLWantReadError):
            link.do_handshake()
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.sock.sendall(outgoing.read()[:sends])

    def ended(self):
        """Waits for the end of the connection."""
        with contextlib.closing(self.sock), contextlib.suppress(ConnectionResetError):
            return self.sock.recv(1) == b""
        return True
