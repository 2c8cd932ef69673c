"""One handshake in memory between two contexts."""

import contextlib
import ssl
from pathlib import Path


def shake(
    client: ssl.SSLContext, server: ssl.SSLContext, name: str | None = None
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends after the handshake. Raises ssl.SSLError of the side that failed first."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True)
    for _ in range(4):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return ends


def trusting(authority: Path, **options) -> ssl.SSLContext:
    """A client that trusts an authority; ``options`` are attributes of its context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority)
    for name, value in options.items():
        setattr(context, name, value)
    return context


def named(link: ssl.SSLObject) -> list[str]:
    """The DNS names of the certificate that the peer showed."""
    return [value for kind, value in link.getpeercert()["subjectAltName"] if kind == "DNS"]
