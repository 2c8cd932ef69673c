"""Whom checks look at, and what a program that is run for one is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gatekeeper.core import passes
from gatekeeper.core.model import Listener, Service, Settings, State, Version
from gatekeeper.core.networks import Networks
from gatekeeper.core.release.moving import digest

KEPT: Final = ("PATH", "HOME", "LANG")
"""What a program gets of our own environment. The rest may hold secrets: the file takes them from there."""
URL: Final = "{url}"
_PASS_SPARE: Final = 60.0
"""Seconds that a pass outlives the time its program has: a clock may be set meanwhile."""
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that is checked, with the service it is of. ``release`` is the id of the release, if it is for one."""

    service: Service
    version: Version
    settings: Settings
    release: int | None = None

    @property
    def digest(self) -> str:
        """Known by it: what was found out of one version says nothing of another."""
        return digest(self.version)


def find(state: State, service: str, version: str, release: int | None = None) -> Candidate | None:
    known = state.services.get(service)
    found = known.definition.versions.get(version) if known is not None else None
    if known is None or found is None:
        return None
    return Candidate(known.definition, found, state.settings, release)


def arguments(run: tuple[str, ...], candidate: Candidate) -> list[str]:
    url = candidate.version.backends[0].url
    return [each.replace(URL, url) for each in run]


def environment(candidate: Candidate, now: float, seconds: float, ours: Mapping[str, str]) -> dict[str, str]:
    """All that the program gets. ``now`` is wall seconds, ``seconds`` the time it has; ``ours`` our own environment."""
    version, release = candidate.version, candidate.release
    urls = [backend.url for backend in version.backends]
    # Not GATEKEEPER_URL: by that name our own command line finds the admin API.
    return {
        **{name: ours[name] for name in KEPT if name in ours},
        "GATEKEEPER_SERVICE": candidate.service.name,
        "GATEKEEPER_VERSION": version.name,
        "GATEKEEPER_BUILD": version.build or "",
        "GATEKEEPER_STABLE": candidate.service.stable,
        "GATEKEEPER_RELEASE": "" if release is None else str(release),
        "GATEKEEPER_BACKEND": urls[0],
        "GATEKEEPER_BACKENDS": " ".join(urls),
        **_forced(candidate, now, seconds),
    }


def _forced(candidate: Candidate, now: float, seconds: float) -> dict[str, str]:
    """How to reach the version as users will, through gatekeeper: by which url, host and fields.

    Nothing where it cannot be: a field that is not obeyed would show the program another version.
    """
    service, version, settings = candidate.service, candidate.version, candidate.settings
    reach = _reach(settings)
    if reach is None:
        return {}
    url, source = reach
    found = {
        "GATEKEEPER_FORCE_URL": url + service.path_prefix.rstrip("/"),
        "GATEKEEPER_FORCE_HOST": _host(service),
        "GATEKEEPER_FORCE_HEADER": f"{service.testers.header}: {version.name}",
    }
    if _near(source, service):
        return found
    if not service.testers.keys:
        return {}
    expires = now + seconds + _PASS_SPARE
    try:
        token = passes.issue(service.testers.keys[0], service.name, [version.name], expires)
    except passes.PassError:  # the name alone is too long for one
        return {}
    return {**found, "GATEKEEPER_FORCE_PASS": f"X-Gatekeeper-Pass: {token}"}


def _reach(settings: Settings) -> tuple[str, str] | None:
    """The url of a listening address, plain ones first, and the address that somebody here is seen to come from."""
    plain = Listener()
    for tls in (False, True):
        for name in settings.listen:
            listener = settings.listeners.get(name, plain)
            away = name.startswith("unix:") or name.endswith(":0") or listener.proxy_protocol
            if away or (listener.tls is not None) is not tls:
                continue
            host, _, port = name.rpartition(":")
            host = _WILDCARDS.get(host, host)
            return f"{'https' if tls else 'http'}://{host}:{port}", host.strip("[]")
    return None


def _near(source: str, service: Service) -> bool:
    """Whether the address alone lets one force a version; see ``core.tester``."""
    return ("127.0.0.1" if source == "localhost" else source) in Networks(service.testers.networks)


def _host(service: Service) -> str:
    """A host that leads to the service; empty where every host does."""
    if not service.hosts:
        return ""
    return next((host for host in service.hosts if not host.startswith("*.")), f"check{service.hosts[0][1:]}")
