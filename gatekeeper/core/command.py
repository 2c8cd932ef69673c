"""Commands and what they make of a state. Pure: time, salts and secrets are arguments.

Every change of what decides routing goes through ``apply``: a command, by an actor, becomes one new revision, or it is
refused and nothing changed. A command that asks for what already is gives back the very state it was given.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches

from gatekeeper.core.model import Running, ServiceState, State, Undo, Weights
from gatekeeper.core.outcome import Change, Command, Outcome, Problem, Refused, plain
from gatekeeper.core.reload import Reload, initial_state, reload
from gatekeeper.core.running import UNDO_DEPTH, complete, decide, go_back

__all__ = [
    "MAX_WEIGHT",
    "UNDO_DEPTH",
    "WEIGHT_DECIMALS",
    "Change",
    "Command",
    "Outcome",
    "Problem",
    "Refused",
    "Reload",
    "Rollback",
    "SetSplit",
    "apply",
    "initial_state",
]

MAX_WEIGHT = Decimal(10**9)
"""With six decimals a weight has 15 digits: as many as a JSON number carries exactly (RFC 8259 section 6)."""
WEIGHT_DECIMALS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSplit(Command):
    """Give the versions of ``service`` these weights; a version not named gets 0.

    ``salt`` is a fresh hexadecimal text of at least 32 digits, used if one version held everything until now.
    """

    service: str
    weights: Weights
    salt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback(Command):
    """Take back the last change of the split, or return to the ``weights`` that held at ``to_revision``."""

    service: str
    to_revision: int | None = None
    weights: Weights | None = None


def apply(state: State, command: Command, now: float) -> Outcome:
    """The outcome of ``command`` at ``now`` (wall seconds). Raises ``Refused``."""
    if command.expected_revision is not None and command.expected_revision != state.revision:
        raise Refused(
            412,
            "revision_moved",
            f"the revision is {state.revision}, the command expected {command.expected_revision}",
            f"look at what changed and repeat with revision {state.revision}",
        )
    match command:
        case SetSplit():
            return _set_split(state, command, now)
        case Rollback():
            return _rollback(state, command, now)
        case Reload():
            return reload(state, command, now)
    raise TypeError(f"{type(command).__name__} is not a command that can be applied")


def _set_split(state: State, command: SetSplit, now: float) -> Outcome:
    service = _service(state, command.service)
    weights = _checked_weights(service, command.weights)
    if weights == dict(service.running.split.weights):
        return Outcome(state)
    running = decide(service.running, weights, salt=command.salt, revision=state.revision + 1, now=now)
    return _changed(state, command, running, {"kind": "split"})


def _rollback(state: State, command: Rollback, now: float) -> Outcome:
    service = _service(state, command.service)
    if command.to_revision is None:
        weights, undo = _last_undo(service)
    else:
        weights, undo = _of_revision(state, service, command.to_revision, command.weights)
    if weights == dict(service.running.split.weights):
        return Outcome(state)
    running = go_back(service.running, weights, undo, revision=state.revision + 1, now=now)
    return _changed(state, command, running, {"kind": "rollback", "to_revision": command.to_revision})


def _changed(state: State, command: SetSplit | Rollback, running: Running, event: dict[str, object]) -> Outcome:
    before = state.services[command.service]
    after = State(
        running.revision, state.settings, {**state.services, command.service: replace(before, running=running)}
    )
    change = Change(
        f"services.{command.service}.split", plain(before.running.split.weights), plain(running.split.weights)
    )
    event |= {
        "revision": running.revision,
        "at": running.changed_at,
        "actor": command.actor,
        "note": command.note,
        "service": command.service,
        "before": change.before,
        "after": change.after,
    }
    return Outcome(after, [change], [event])


def _last_undo(service: ServiceState) -> tuple[dict[str, Decimal], tuple[Undo, ...]]:
    undo = service.running.undo
    while undo:
        *rest, last = undo
        undo = tuple(rest)
        weights = _still_there(service, last.weights, f"the split before revision {last.revision}")
        # A change that a reload already took back (its version is gone) is no step back: go on to the one before.
        if weights != dict(service.running.split.weights):
            return weights, undo
    raise Refused(
        409,
        "nothing_to_undo",
        f"service {service.definition.name} has no earlier split to go back to",
        "a rollback to a named revision (--to REVISION), or a new split",
    )


def _of_revision(
    state: State, service: ServiceState, revision: int, weights: Weights | None
) -> tuple[dict[str, Decimal], tuple[Undo, ...]]:
    name = service.definition.name
    if weights is None:
        raise Refused(
            404,
            "unknown_revision",
            f"the history has no split of service {name} at revision {revision}",
            f"a revision in which {name} existed, at most {state.revision}",
        )
    running = service.running
    # Going back takes the changes since then off the stack, so that the next rollback goes further back and not forward
    # again. Going forward to a split that was undone is a change like any other, and can itself be undone.
    undo = tuple(item for item in running.undo if item.revision <= revision)
    if len(undo) == len(running.undo):
        undo = (*undo, Undo(state.revision + 1, running.split.weights))
    return _still_there(service, weights, f"the split of revision {revision}"), undo


def _still_there(service: ServiceState, weights: Weights, what: str) -> dict[str, Decimal]:
    result = complete(service.definition, weights)
    if not any(result.values()):
        gone = ", ".join(name for name, weight in weights.items() if weight > 0)
        raise Refused(
            409,
            "nothing_left",
            f"{what} gave everything to {gone}, which no longer exists",
            f"a rollback to a revision in which one of {', '.join(result)} held weight, or a new split",
        )
    return result


def _service(state: State, name: str) -> ServiceState:
    service = state.services.get(name)
    if service is None:
        raise Refused(
            404,
            "unknown_service",
            f"there is no service {name}{_did_you_mean(name, state.services)}",
            ", ".join(state.services) or "nothing: there are no services",
        )
    return service


def _checked_weights(service: ServiceState, wanted: Weights) -> dict[str, Decimal]:
    """The wanted weights, complete and in canonical form; ``Refused`` (422) with every mistake."""
    versions = service.definition.versions
    problems = [
        Problem(name, f"there is no such version{_did_you_mean(name, versions)}; allowed: {', '.join(versions)}")
        for name in wanted
        if name not in versions
    ]
    for name, weight in wanted.items():
        wrong = _wrong_weight(weight)
        if wrong:
            problems.append(Problem(name, wrong))
    if not problems and not any(wanted.values()):
        problems.append(Problem("", "the weights add up to 0; at least one must be above 0"))
    if problems:
        raise Refused(
            422,
            "invalid_weights",
            f"the split of service {service.definition.name} was not changed",
            f"weights from 0 to {MAX_WEIGHT} with at most {WEIGHT_DECIMALS} decimals for {', '.join(versions)}",
            problems,
        )
    return complete(service.definition, {name: _canonical(weight) for name, weight in wanted.items()})


def _wrong_weight(weight: Decimal) -> str | None:
    if not weight.is_finite():
        return f"found {weight}; allowed: a number"
    if weight < 0:
        return f"found {weight}; allowed: 0 or more"
    if weight > MAX_WEIGHT:
        return f"found {weight}; allowed: at most {MAX_WEIGHT}"
    if weight and _decimals(weight) > WEIGHT_DECIMALS:
        return f"found {weight}; allowed: at most {WEIGHT_DECIMALS} decimals"
    return None


def _decimals(weight: Decimal) -> int:
    """Decimals without trailing zeros. Reads the digits: arithmetic would round a long fraction away."""
    _, digits, exponent = weight.as_tuple()
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return -(int(exponent) + zeros)


def _canonical(weight: Decimal) -> Decimal:
    """One way to write each weight, so that equal states are written the same: 100, 0.5, 0."""
    return Decimal(int(weight)) if weight == weight.to_integral_value() else weight.normalize()


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
