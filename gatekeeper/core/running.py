"""What runs of one service, and how it follows a change of weights or of the definition.

Nobody is moved without need: weights that stay keep every unit, and only what an operator asks for starts a new salt.

Three ways for a version to lose its weight, and who may keep it afterwards:

* ``decide``, ``ramp``: superseded. Pages that are open may keep it (``core.skew``).
* ``go_back``: withdrawn. Nobody keeps it, and who had another version before has that one again.
* ``withdraw``: withdrawn, too, and its share goes to stable, so that nobody else moves.

A version that is tripped or draining holds no weight, neither in the split nor in the split of a rule: there its share
is stable's for as long as the mark is on it. What the definition says of the rule stays, so that the share is back
when the mark is gone. Whoever gives a draining version weight takes it out of the drain; a tripped one gets none.
Stable is never marked: the shares of the others go there.
"""

import hashlib
from collections.abc import Container, Iterable
from dataclasses import replace
from decimal import Decimal

from gatekeeper.core import split as splits
from gatekeeper.core.model import Running, Service, Split, Undo, Weights

UNDO_DEPTH = 50
"""Splits a rollback can go back through: more than the steps of any release, and a few KB in the store."""

STABLE_WEIGHT = Decimal(100)
"""What stable gets where nobody holds weight any more."""


def begin(service: Service, entropy: str, *, revision: int, now: float, weights: Weights | None = None) -> Running:
    """The start of a service that has no past: the file's split, or these ``weights``. ``entropy`` is a secret text of
    this command.
    """
    weights = _held(service, service.split if weights is None else weights)
    fresh = Running(
        split=splits.initial(weights, derive(entropy, service.name, "salt")),
        since={name: revision for name, weight in weights.items() if weight > 0},
        secret=derive(entropy, service.name, "secret"),
        revision=revision,
        changed_at=now,
    )
    return replace(fresh, rules=_rule_splits(service, fresh, entropy, fresh_salts=True))


def carry(
    service: Service,
    running: Running,
    entropy: str,
    *,
    revision: int,
    now: float,
    reset_split: bool = False,
    old: Service | None = None,
) -> Running:
    """What runs once ``service`` is the definition (and no longer ``old``): the same weights for the versions left.

    The share of versions that are gone falls to the others in proportion, or to stable where no weight is left. With
    ``reset_split`` the weights are the file's. The very ``running`` comes back if nothing of it changes.
    """
    result = unmarked(running, redeployed(old, service))
    weights = _held(service, service.split if reset_split else running.split.weights)
    if reset_split:
        weights = withdrawn(weights, result.tripped, service.stable)
    if reset_split and weights != dict(running.split.weights):
        salt = derive(entropy, service.name, "salt")
        result = decide(result, weights, salt=salt, revision=revision, now=now)
    elif not _same(weights, running.split.weights):
        since = _since(running, weights, revision)
        result = replace(result, split=splits.move(running.split, weights), since=since)
    result = settled(service, result, entropy, fresh_salts=True)
    return result if result is running else replace(result, revision=revision, changed_at=now)


def decide(running: Running, weights: Weights, *, salt: str, revision: int, now: float) -> Running:
    """What runs after an operator chose ``weights``: the ones of before can be undone, and the versions that lost
    everything are superseded since ``now``. Where one version held everything, ``salt`` replaces the one of before.
    """
    undo = (*running.undo, Undo(revision, running.split.weights))
    return ramp(running, weights, undo, salt=salt, revision=revision, now=now)


def ramp(
    running: Running, weights: Weights, undo: tuple[Undo, ...], *, salt: str | None, revision: int, now: float
) -> Running:
    """As ``decide``, with ``undo`` to go back through; without a ``salt`` the one of before stays in any case."""
    before = running.split.weights
    superseded = {name: at for name, at in running.superseded.items() if not weights.get(name)}
    superseded |= {name: now for name, weight in before.items() if weight > 0 and weights.get(name) == 0}
    return replace(
        running,
        split=splits.move(running.split, weights) if salt is None else move_fresh(running.split, weights, salt),
        undo=undo[-UNDO_DEPTH:],
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


def withdraw(
    running: Running, version: str, stable: str, undo: tuple[Undo, ...], *, revision: int, now: float
) -> Running:
    """What runs once the share of ``version`` is stable's: those who had it move there, and nobody else moves."""
    weights = withdrawn(running.split.weights, {version}, stable)
    result = go_back(running, weights, undo, revision=revision, now=now)
    return replace(result, superseded={name: at for name, at in result.superseded.items() if name != version})


def withdrawn(weights: Weights, versions: Container[str], stable: str) -> dict[str, Decimal]:
    """The weights with the share of these versions given to stable; the total stays, so the other shares do, too."""
    taken = sum((weight for name, weight in weights.items() if name in versions and name != stable), Decimal(0))
    result = {name: Decimal(0) if name in versions and name != stable else weight for name, weight in weights.items()}
    if taken:
        result[stable] = canonical(result.get(stable, Decimal(0)) + taken)
    return result


def canonical(weight: Decimal) -> Decimal:
    """One way to write each weight, so that equal states are written the same: 100, 0.5, 0."""
    return Decimal(int(weight)) if weight == weight.to_integral_value() else weight.normalize()


def undo_without(undo: Iterable[Undo], version: str, stable: str) -> tuple[Undo, ...]:
    """The stack as if the share of ``version`` had been stable's all the time: no rollback goes back to it."""
    return tuple(
        replace(
            item,
            weights=withdrawn(item.weights, {version}, stable),
            stable="" if item.stable == version else item.stable,
        )
        for item in undo
    )


def unmarked(running: Running, versions: Container[str]) -> Running:
    """Without the marks tripped and draining on these versions; the very ``running`` where there are none."""
    tripped = {name: mark for name, mark in running.tripped.items() if name not in versions}
    draining = {name: until for name, until in running.draining.items() if name not in versions}
    if len(tripped) == len(running.tripped) and len(draining) == len(running.draining):
        return running
    return replace(running, tripped=tripped, draining=draining)


def settled(service: Service, running: Running, entropy: str | None = None, *, fresh_salts: bool = False) -> Running:
    """What every change ends with: marks and times of versions that are gone fall away, marks of stable and the drain
    of whoever holds weight, too, and the splits of rules follow. The very ``running`` where nothing is to be done.

    ``entropy`` (None: no rule can be new) and ``fresh_salts`` are for the splits of rules, see ``carry``.
    """
    weights = running.split.weights
    gone = {name for name in (*running.tripped, *running.draining) if name not in service.versions}
    released = {name for name in running.draining if weights.get(name)}
    result = unmarked(running, gone | released | {service.stable})
    rules = _rule_splits(service, result, entropy or running.secret, fresh_salts=fresh_salts)
    if rules != dict(running.rules):
        result = replace(result, rules=rules)
    superseded = {name: at for name, at in result.superseded.items() if weights.get(name) == 0}
    if len(superseded) != len(result.superseded):
        result = replace(result, superseded=superseded)
    return result


def redeployed(old: Service | None, new: Service) -> set[str]:
    """Versions with other backends or another build than in ``old``: what was said of the old ones holds no more."""
    if old is None or old is new:
        return set()
    return {
        name
        for name, version in new.versions.items()
        if (before := old.versions.get(name)) is not None
        and (before.backends, before.build) != (version.backends, version.build)
    }


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


def move_fresh(split: Split, weights: Weights, salt: str) -> Split:
    """Move, with a new salt where one version holds everything and no longer will: not the same people first again."""
    holder = splits.holder(split)
    others = any(weight > 0 for name, weight in weights.items() if name != holder)
    return splits.move(splits.renew(split, salt) if holder is not None and others else split, weights)


def _rule_splits(service: Service, running: Running, entropy: str, *, fresh_salts: bool) -> dict[str, Split]:
    result: dict[str, Split] = {}
    marked = {*running.tripped, *running.draining}
    for rule in service.rules:
        if rule.split is None:
            continue
        weights = _rule_weights(service, rule.split, marked)
        before = running.rules.get(rule.name)
        if before is not None and _same(weights, before.weights):
            result[rule.name] = before
        elif before is not None and not fresh_salts:
            result[rule.name] = splits.move(before, weights)
        else:
            salt = derive(entropy, service.name, "rule", rule.name)
            result[rule.name] = splits.initial(weights, salt) if before is None else move_fresh(before, weights, salt)
    return result


def _rule_weights(service: Service, split: Weights, marked: Container[str]) -> dict[str, Decimal]:
    weights = withdrawn(split, marked, service.stable)
    return {name: weights[name] for name in service.versions if name in weights}
