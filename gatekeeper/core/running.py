"""What runs of one service, and how it follows a change of weights or of the definition.

Nobody is moved without need: weights that stay keep every unit, and only what an operator asks for starts a new salt.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from gatekeeper.core import split as splits
from gatekeeper.core.model import Running, Service, Split, Undo, Weights

UNDO_DEPTH = 50
"""Splits a rollback can go back through: more than the steps of any release, and a few KB in the store."""

STABLE_WEIGHT = Decimal(100)
"""What stable gets where nobody holds weight any more."""


def begin(service: Service, entropy: str, *, revision: int, now: float) -> Running:
    """The start of a service that has no past: the file's split. ``entropy`` is a secret text of this command."""
    weights = _held(service, service.split)
    return Running(
        split=splits.initial(weights, derive(entropy, service.name, "salt")),
        since={name: revision for name, weight in weights.items() if weight > 0},
        secret=derive(entropy, service.name, "secret"),
        rules=_rule_splits(service, {}, entropy),
        revision=revision,
        changed_at=now,
    )


def carry(
    service: Service, running: Running, entropy: str, *, revision: int, now: float, reset_split: bool = False
) -> Running:
    """What runs once ``service`` is the definition: the same weights for the versions that are left.

    The share of versions that are gone falls to the others in proportion, or to stable where no weight is left. With
    ``reset_split`` the weights are the file's. The very ``running`` comes back if nothing of it changes.
    """
    weights = _held(service, service.split if reset_split else running.split.weights)
    result = running
    if reset_split and weights != dict(running.split.weights):
        salt = derive(entropy, service.name, "salt")
        result = decide(result, weights, salt=salt, revision=revision, now=now)
    elif not _same(weights, running.split.weights):
        since = _since(running, weights, revision)
        result = replace(result, split=splits.move(running.split, weights), since=since)
    rules = _rule_splits(service, running.rules, entropy)
    if rules != dict(running.rules):
        result = replace(result, rules=rules)
    superseded = {name: at for name, at in result.superseded.items() if weights.get(name) == 0}
    if len(superseded) != len(result.superseded):
        result = replace(result, superseded=superseded)
    return result if result is running else replace(result, revision=revision, changed_at=now)


def decide(running: Running, weights: Weights, *, salt: str, revision: int, now: float) -> Running:
    """What runs after an operator chose ``weights``: the ones of before can be undone, and the versions that lost
    everything are superseded since ``now``. Where one version held everything, ``salt`` replaces the one of before.
    """
    before = running.split.weights
    superseded = {name: at for name, at in running.superseded.items() if not weights.get(name)}
    superseded |= {name: now for name, weight in before.items() if weight > 0 and weights.get(name) == 0}
    return replace(
        running,
        split=_move_fresh(running.split, weights, salt),
        undo=(*running.undo, Undo(revision, before))[-UNDO_DEPTH:],
        superseded=superseded,
        since=_since(running, weights, revision),
        revision=revision,
        changed_at=now,
    )


def go_back(running: Running, weights: Weights, undo: tuple[Undo, ...], *, revision: int, now: float) -> Running:
    """What runs after a rollback to ``weights``: ``undo`` is left to go back through.

    The salt stays, so that everybody returns to the version they had; a version that loses everything is not
    superseded but withdrawn: no open page may keep it.
    """
    lost = {name for name, weight in running.split.weights.items() if weight > 0 and weights.get(name, 0) == 0}
    return replace(
        running,
        split=splits.move(running.split, weights),
        undo=undo[-UNDO_DEPTH:],
        superseded={name: at for name, at in running.superseded.items() if name not in lost and not weights.get(name)},
        since=_since(running, weights, revision),
        revision=revision,
        changed_at=now,
    )


def complete(service: Service, weights: Weights) -> dict[str, Decimal]:
    """The weights of exactly the service's versions, in the order they are defined."""
    return {name: weights.get(name, Decimal(0)) for name in service.versions}


def derive(entropy: str, *names: str) -> str:
    """A secret of its own for each use of one ``entropy``: 32 bytes, hexadecimal (keyed blake2b, RFC 7693)."""
    key = hashlib.sha256(entropy.encode()).digest()
    return hashlib.blake2b("\0".join(names).encode(), key=key, digest_size=32).hexdigest()


def _held(service: Service, weights: Weights) -> dict[str, Decimal]:
    held = complete(service, weights)
    if not any(held.values()):
        held[service.stable] = STABLE_WEIGHT
    return held


def _since(running: Running, weights: Weights, revision: int) -> dict[str, int]:
    """When each version's weight last rose from 0; a version that is gone and comes back starts anew."""
    before = running.split.weights
    risen = {name: revision for name, weight in weights.items() if weight > 0 and not before.get(name)}
    return {name: at for name, at in running.since.items() if name in weights} | risen


def _same(new: Weights, old: Weights) -> bool:
    # The order counts: versions give and take in it.
    return list(new.items()) == list(old.items())


def _move_fresh(split: Split, weights: Weights, salt: str) -> Split:
    """Move, with a new salt where one version holds everything and no longer will: not the same people first again."""
    holder = splits.holder(split)
    others = any(weight > 0 for name, weight in weights.items() if name != holder)
    return splits.move(splits.renew(split, salt) if holder is not None and others else split, weights)


def _rule_splits(service: Service, old: Mapping[str, Split], entropy: str) -> dict[str, Split]:
    result: dict[str, Split] = {}
    for rule in service.rules:
        if rule.split is None:
            continue
        weights = {name: rule.split[name] for name in service.versions if name in rule.split}
        salt = derive(entropy, service.name, "rule", rule.name)
        before = old.get(rule.name)
        if before is None:
            result[rule.name] = splits.initial(weights, salt)
        elif _same(weights, before.weights):
            result[rule.name] = before
        else:
            result[rule.name] = _move_fresh(before, weights, salt)
    return result
