"""What a plan would catch, for whoever asks from outside the engine: documents in and out, and chance."""

from random import Random
from typing import Any

from gatekeeper.core import codec
from gatekeeper.core.judge.assumed import Traffic
from gatekeeper.core.release.plan import Plan
from gatekeeper.core.release.simulate import simulate


def simulate_plan(definition: object, *, rps: float, errors: float, latency: float) -> dict[str, Any]:
    """``simulate.Simulation`` as a document, the same each time, of a plan as ``codec.dump`` gives it.

    ``errors`` is 0..1, ``latency`` the median in seconds. Raises CodecError for what is no plan, ``Refused`` for one
    that cannot be followed.
    """
    plan: Plan = codec.load(Plan, definition)
    found = simulate(plan, Traffic(rps, errors, latency), chance=lambda seed: Random(seed).random)
    return dict(codec.dump(found))
