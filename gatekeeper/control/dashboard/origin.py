"""Where a request comes from: the browser's page, the person's address, and whether TLS was on the way.

The admin server speaks plain HTTP; TLS ends at a proxy in front of it. What that proxy says is believed if it is one of
``trusted_proxies``, by the same rules as for traffic.

A browser sends a cookie, and reaches a socket that somebody forwarded to his machine, whoever's page makes the request.
So where nothing but the browser itself vouches for the person, the page has to be ours: ``Sec-Fetch-Site`` and
``Origin`` are set by the browser and no page can forge them. Programs send neither.
"""

from functools import lru_cache
from typing import Final

from aiohttp import web

from gatekeeper.control.api.wire import ProblemError
from gatekeeper.core.networks import Networks

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PORTS: Final = {"http": ":80", "https": ":443"}
_HOPS: Final = 32
"""Of ``X-Forwarded-For`` that are looked at; a longer chain is not one of proxies."""


class Origin:
    """``address`` is the person's as far as is known, "" if not at all; ``secure`` says that he came by TLS."""

    def __init__(self, request: web.Request, trusted_proxies: tuple[str, ...]) -> None:
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        self.secure = False
        self._request = request
        self._hosts = [request.headers.get("Host", "").lower()]
        trusted = _networks(trusted_proxies)
        if self.address in trusted:
            self.secure = request.headers.get("X-Forwarded-Proto", "").strip().lower() == "https"
            self.address = _client(request, trusted, self.address)
            if host := request.headers.get("X-Forwarded-Host", ""):
                self._hosts.append(host.strip().lower())

    def refuse_foreign(self) -> None:
        """Raises ProblemError (403) for a request that another site's page made, or that may have been."""
        request = self._request
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        # ``none``: typed by the person, or from a bookmark. Nobody types a request that changes something.
        if site != "same-origin" and not (site == "none" and request.method in SAFE):
            raise _foreign(f"the request was made by a page of another site (Sec-Fetch-Site: {site[:40]})")
        origin = request.headers.get("Origin")
        if origin is not None and not self._ours(origin.strip().lower()):
            raise _foreign(f"the request was made by a page of {origin[:200]!r}, and came to {self._hosts[0][:200]!r}")

    def _ours(self, origin: str) -> bool:
        scheme, _, host = origin.partition("://")
        if not host or scheme not in _PORTS or (self.secure and scheme != "https"):
            return False
        return any(_plain(scheme, host) == _plain(scheme, one) for one in self._hosts if one)


def _plain(scheme: str, host: str) -> str:
    return host.removesuffix(_PORTS[scheme])


def _client(request: web.Request, trusted: Networks, peer: str) -> str:
    """The last address of ``X-Forwarded-For`` that no trusted proxy has, else the first of all."""
    found = peer
    chain = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
    for member in [*reversed(chain)][:_HOPS]:
        if not (address := member.strip()):
            continue
        found = address
        if address not in trusted:
            break
    return found


@lru_cache(maxsize=8)
def _networks(texts: tuple[str, ...]) -> Networks:
    return Networks(texts)


def _foreign(detail: str) -> ProblemError:
    return ProblemError(
        403,
        "csrf",
        detail,
        allowed="the dashboard's own page; behind a proxy that changes Host also `trusted_proxies` and its "
        "X-Forwarded-Host; programs send a bearer token",
    )
