"""Weights as operators give them: what may be one, and the one way each is written."""

from decimal import Decimal

from gatekeeper.core.lookup import did_you_mean
from gatekeeper.core.model import ServiceState, Weights
from gatekeeper.core.outcome import Problem, Refused
from gatekeeper.core.running import canonical, complete

MAX_WEIGHT = Decimal(10**9)
"""With six decimals a weight has 15 digits: as many as a JSON number carries exactly (RFC 8259 section 6)."""
WEIGHT_DECIMALS = 6


def checked_weights(service: ServiceState, wanted: Weights) -> dict[str, Decimal]:
    """The wanted weights, complete and in canonical form; ``Refused`` (422) with every mistake."""
    versions = service.definition.versions
    problems = [
        Problem(name, f"there is no such version{did_you_mean(name, versions)}; allowed: {', '.join(versions)}")
        for name in wanted
        if name not in versions
    ]
    for name, weight in wanted.items():
        wrong = wrong_weight(weight)
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
    return complete(service.definition, {name: canonical(weight) for name, weight in wanted.items()})


def still_there(service: ServiceState, weights: Weights, what: str) -> dict[str, Decimal]:
    """Earlier weights for the versions that are left; ``Refused`` (409) where those held none. ``what`` names them."""
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


def refuse_tripped(service: ServiceState, weights: Weights) -> None:
    """``Refused`` (409) if these weights give a version something that the trip-wire took out."""
    tripped = service.running.tripped
    problems = [
        Problem(name, f"tripped: {tripped[name].reason}")
        for name, weight in weights.items()
        if weight and name in tripped
    ]
    if problems:
        names = ", ".join(problem.path for problem in problems)
        raise Refused(
            409,
            "tripped",
            f"the trip-wire took the weight of {names} in service {service.definition.name}",
            f"weight for {names} after a reset (`gatekeeper reset {service.definition.name}`), or a split without",
            problems,
        )


def wrong_weight(weight: Decimal) -> str | None:
    """What is wrong with a weight; None if nothing is."""
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
