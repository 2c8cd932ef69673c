"""OpenSSL contexts, for clients and for backends, from model values and the texts they name.

What is sane in 2026: TLS 1.2 and 1.3; in 1.2 only forward secrecy with AEAD ciphers; no compression, no renegotiation;
HTTP/1.1 as the only application protocol (RFC 7301).
"""

import ssl
from collections.abc import Sequence
from typing import Any, Final

from gatekeeper.core.model import BackendTls, ListenerTls
from gatekeeper.tls.pem import Pair, examine, load_authorities, load_pair

# RFC 9325 section 4.2: ephemeral ECDH, AES-GCM or ChaCha20. TLS 1.3 has only such ciphers, and its own list.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_PROTOCOLS: Final = ["http/1.1"]
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_AUTH: Final = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class Names:
    """Which certificate a client gets by the name it asks for: the exact one, a wildcard's, else the first."""

    def __init__(self, offers: Sequence[tuple[Sequence[str], ssl.SSLContext]]) -> None:
        """``offers`` are names, such as ``a.example`` and ``*.a.example``, with their context; earlier ones win."""
        self.default = offers[0][1]
        self._contexts: dict[str, ssl.SSLContext] = {}
        for names, context in offers:
            for name in names:
                self._contexts.setdefault(name, context)

    def find(self, name: str | None) -> ssl.SSLContext:
        if not name:
            return self.default
        name = name.lower().removesuffix(".")
        found = self._contexts.get(name)
        if found is None:
            # RFC 6125 section 6.4.3: a wildcard stands for exactly one label, the leftmost.
            found = self._contexts.get(f"*.{name.partition('.')[2]}")
        return found or self.default


def server_context(tls: ListenerTls, pairs: Sequence[Pair], authorities: str | None) -> ssl.SSLContext:
    """The context to accept with; it chooses among the others by name. Raises PemError.

    ``pairs`` are the texts of ``tls.pairs``, ``authorities`` that of ``tls.client_ca``.
    """
    offers = [(examine(pair).names, _server(tls, pair, authorities)) for pair in pairs]
    names = Names(offers)

    def choose(link: Any, name: str | None, _: ssl.SSLContext) -> None:
        link.context = names.find(name)

    if len(offers) > 1:
        names.default.sni_callback = choose
    return names.default


def _server(tls: ListenerTls, pair: Pair, authorities: str | None) -> ssl.SSLContext:
    # All contexts of a listener are alike but for the certificate: a change of context keeps the rest as it began.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.set_ciphers(_CIPHERS)
    load_pair(context, pair)
    if authorities is not None:
        load_authorities(context, authorities)
    context.verify_mode = _AUTH[tls.client_auth]
    return context


def client_context(tls: BackendTls, pair: Pair | None, authorities: str | None) -> ssl.SSLContext:
    """The context to connect to backends with. Raises PemError.

    ``pair`` and ``authorities`` are the texts of ``tls.pair`` and ``tls.ca``. Without the latter the system's
    authorities are trusted, as OpenSSL finds them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif authorities is not None:
        load_authorities(context, authorities)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if pair is not None:
        load_pair(context, pair)
    return context


def check_authorities(text: str) -> None:
    """Raises PemError where a text holds no certificates to trust."""
    load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), text)


def _harden(context: ssl.SSLContext) -> None:
    # Renegotiation is a lever for denial of service, and would make a write wait for a read (RFC 9325 section 3.5).
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(_PROTOCOLS)
