"""What a release does to a service: the weights of a step, the way back, a new stable. Values in, values out."""

import json
from dataclasses import replace
from decimal import Decimal
from hashlib import blake2b
from typing import Final

from gatekeeper.core import split as splits
from gatekeeper.core.codec import dump
from gatekeeper.core.model import Running, ServiceState, Split, Undo, Version, Weights
from gatekeeper.core.overlay import with_stable
from gatekeeper.core.release.model import Move
from gatekeeper.core.running import canonical, complete, derive, go_back, ramp, settled, withdrawn

WHOLE: Final = Decimal(100)
_EXACT: Final = Decimal("0.000001")
"""Decimals of a weight. A share that needs more is off by less than a hundredth of a millionth."""


def digest(version: Version) -> str:
    """Equal for equal versions: what was verified is known by it."""
    return blake2b(json.dumps(dump(version)).encode(), digest_size=16).hexdigest()


def base(service: ServiceState, move: Move) -> dict[str, Decimal]:
    """The weights to go back to, for the versions there are now.

    The share of those that went, tripped or drain since goes to what was stable. Until the release has set a weight it
    is what there is.
    """
    running, definition = service.running, service.definition
    if not move.first:
        return dict(running.split.weights)
    stable = move.stable if move.stable in definition.versions else definition.stable
    gone = {name for name in move.weights if name not in definition.versions}
    return complete(definition, withdrawn(move.weights, {*gone, *running.tripped, *running.draining}, stable))


def shares(weights: Weights, to: str, percent: Decimal) -> dict[str, Decimal]:
    """Weights that add up to 100 in which ``to`` has ``percent``, and the others what is left as they shared before.

    Raises ZeroDivisionError where no other version has weight.
    """
    others = sum(weight for name, weight in weights.items() if name != to)
    rest = WHOLE - percent
    result = {name: canonical((weight * rest / others).quantize(_EXACT)) for name, weight in weights.items()}
    return {**result, to: canonical(percent)}


def stepped(
    service: ServiceState, move: Move, percent: Decimal, *, release: int, revision: int, now: float
) -> tuple[ServiceState, Move]:
    """The service with ``percent`` for the candidate. The first time what is undone by a rollback is noted.

    Then, too, a new salt decides who comes first, where one version held everything.
    """
    running = service.running
    weights = shares(base(service, move), move.to, percent)
    if weights == dict(running.split.weights):
        return service, move
    undo, salt = running.undo, None
    if not move.first:
        undo = (*undo, Undo(revision, running.split.weights))
        salt = derive(running.secret, move.service, "release", str(release))
        move = replace(move, first=revision, weights=running.split.weights, stacks=running.split.stacks)
    running = ramp(running, weights, undo, salt=salt, revision=revision, now=now)
    return replace(service, running=settled(service.definition, running)), move


def put_back(service: ServiceState, move: Move, *, revision: int, now: float) -> ServiceState:
    """The service with stable and weights as they were before the release; the very same if it changed neither."""
    if not move.first:
        return service
    after = with_stable(service, move.stable) if move.stable in service.definition.versions else service
    weights = base(after, move)
    running = after.running
    undo = tuple(item for item in running.undo if item.revision < move.first)
    running = go_back(running, weights, undo, revision=revision, now=now)
    superseded = {name: at for name, at in running.superseded.items() if name != move.to}
    running = replace(running, split=_split_back(running, move, weights), superseded=superseded)
    return replace(after, running=settled(after.definition, running))


def _split_back(running: Running, move: Move, weights: Weights) -> Split:
    """The split of before the release; the salt stays, it was renewed only where one version had everybody."""
    return splits.move(Split(move.weights, move.stacks, running.split.salt), weights)


def _positive(weights: Weights) -> dict[str, Decimal]:
    return {name: weight for name, weight in weights.items() if weight}


def rebased(service: ServiceState, move: Move) -> Move:
    """With what there is to go back to now, see ``base``."""
    weights = base(service, move)
    if not move.first or _positive(weights) == _positive(move.weights):
        return move
    return replace(move, weights=weights, stacks=_split_back(service.running, move, weights).stacks)


def made_stable(service: ServiceState, move: Move, *, revision: int, now: float) -> ServiceState:
    """The service with the candidate, which holds all the weight, as stable. A rollback takes that back, too."""
    after = with_stable(service, move.to)
    undo = tuple(
        replace(item, stable=move.stable) if item.revision == move.first else item for item in after.running.undo
    )
    running = replace(after.running, undo=undo, revision=revision, changed_at=now)
    return replace(after, running=settled(after.definition, running))
