"""Errors, and the one table that turns a failed exchange into a response.

A ``Fault`` says who caused it (``source``, the label of ``gatekeeper_errors_total``), what the client is told
(``status``, ``detail``), and the error type of RFC 9209 section 2.3 for the ``Proxy-Status`` field. Details never
name addresses, files or other internals.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum


class GatekeeperError(Exception):
    """Base of all errors raised on purpose."""


class Source(IntEnum):
    """Who caused a failure. The values are positions in a metrics block: append only, never reorder."""

    CLIENT = 0
    UPSTREAM_CONNECT = 1
    UPSTREAM_TIMEOUT = 2
    UPSTREAM_RESET = 3
    UPSTREAM_PROTOCOL = 4
    UPSTREAM_UNAVAILABLE = 5
    GATEKEEPER = 6

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class FaultInfo:
    status: int
    source: Source
    proxy_error: str
    detail: str


class Fault(Enum):
    """Every way an exchange can fail before its response has begun."""

    BAD_REQUEST = FaultInfo(400, Source.CLIENT, "http_request_error", "The request is malformed.")
    HEAD_TIMEOUT = FaultInfo(408, Source.CLIENT, "http_request_error", "The request did not arrive in time.")
    BODY_TIMEOUT = FaultInfo(408, Source.CLIENT, "http_request_error", "The request body did not arrive in time.")
    BODY_TOO_LARGE = FaultInfo(413, Source.CLIENT, "http_request_error", "The request body is too large.")
    TARGET_TOO_LONG = FaultInfo(414, Source.CLIENT, "http_request_error", "The request target is too long.")
    EXPECTATION = FaultInfo(417, Source.CLIENT, "http_request_error", "The expectation cannot be met.")
    HEAD_TOO_LARGE = FaultInfo(431, Source.CLIENT, "http_request_error", "The request head is too large.")
    NOT_IMPLEMENTED = FaultInfo(501, Source.CLIENT, "http_request_error", "The request uses an unsupported feature.")
    BAD_VERSION = FaultInfo(505, Source.CLIENT, "http_request_error", "The HTTP version is not supported.")
    NO_SERVICE = FaultInfo(404, Source.CLIENT, "destination_not_found", "No service answers to this host and path.")
    UNAVAILABLE = FaultInfo(503, Source.UPSTREAM_UNAVAILABLE, "destination_unavailable", "No backend is ready.")
    FORCED_UNAVAILABLE = FaultInfo(
        503,
        Source.UPSTREAM_UNAVAILABLE,
        "destination_unavailable",
        "The forced version has no ready backend. A forced request never fails over.",
    )
    WITHDRAWN = FaultInfo(
        503, Source.GATEKEEPER, "destination_unavailable", "The version was taken out of service before it answered."
    )
    CONNECTION_LIMIT = FaultInfo(503, Source.GATEKEEPER, "connection_limit_reached", "Too many connections.")
    CONNECT_REFUSED = FaultInfo(502, Source.UPSTREAM_CONNECT, "connection_refused", "The backend cannot be reached.")
    BACKEND_TLS = FaultInfo(502, Source.UPSTREAM_CONNECT, "tls_protocol_error", "No TLS with the backend.")
    BACKEND_CERTIFICATE = FaultInfo(
        502, Source.UPSTREAM_CONNECT, "tls_certificate_error", "The backend's certificate is not accepted."
    )
    CONNECT_TIMEOUT = FaultInfo(504, Source.UPSTREAM_CONNECT, "connection_timeout", "The backend did not accept.")
    RESPONSE_TIMEOUT = FaultInfo(504, Source.UPSTREAM_TIMEOUT, "http_response_timeout", "The backend did not answer.")
    RESET = FaultInfo(502, Source.UPSTREAM_RESET, "connection_terminated", "The backend closed before it answered.")
    BAD_RESPONSE = FaultInfo(502, Source.UPSTREAM_PROTOCOL, "http_protocol_error", "The backend's answer is invalid.")
    INTERNAL = FaultInfo(500, Source.GATEKEEPER, "proxy_internal_error", "The proxy failed.")
