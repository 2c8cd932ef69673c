"""Which mirrors are in force for a service, found by the rule that decided a request."""

from collections.abc import Mapping

from gatekeeper.core.model import Service
from gatekeeper.core.shadow.model import Run, run_id


def runs(service: Service) -> Mapping[str | None, Run] | None:
    """By rule, and under None for the requests that no rule decided; None where nothing is copied.

    A rule without a mirror of its own has the service's. Mirrors to the same version are one run: whoever reads the
    report asks about the version.
    """
    wanted = {None: service.mirror} | {rule.name: rule.mirror or service.mirror for rule in service.rules}
    own = {
        place: mirror
        for place, mirror in wanted.items()
        # A version that was retired gets no copies; nothing else depends on them, so nobody is kept from retiring it.
        if mirror is not None and mirror.percent > 0 and mirror.to in service.versions
    }
    if not own:
        return None
    ids: dict[str, str] = {}
    for mirror in own.values():
        if mirror.to not in ids:
            alike = tuple(each for each in own.values() if each.to == mirror.to)
            version = service.versions[mirror.to]
            ids[mirror.to] = run_id(alike, (version.build, tuple(backend.url for backend in version.backends)))
    return {place: Run(ids[mirror.to], mirror) for place, mirror in own.items()}
