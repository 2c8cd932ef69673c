"""What an earlier revision was, as far as the store keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gatekeeper.core.flags.model import PastFlag
from gatekeeper.core.model import Deployed, Promoted, Releasing, Service, Settings, Version, Weights


@dataclass(frozen=True, slots=True)
class PastService:
    """A service as it was. ``definition`` is what was in force then, overlays included; None = not kept, weights only.

    ``deployed``, ``retired`` and ``promoted`` are those of ``Running`` at that revision.
    """

    definition: Service | None
    weights: Weights
    deployed: Mapping[str, Deployed] = field(default_factory=dict)
    retired: Mapping[str, Version] = field(default_factory=dict)
    promoted: Promoted | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier revision. A service that is not among ``services`` did not exist.

    ``settings``, ``releasing`` and ``flags`` None = not kept.
    """

    settings: Settings | None
    services: Mapping[str, PastService]
    releasing: Releasing | None = None
    flags: Mapping[str, PastFlag] | None = None
