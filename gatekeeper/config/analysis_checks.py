"""Checks of a plan's ``analysis`` that need more than one key. Like ``checks`` they read the tree."""

from gatekeeper.config.analysis import PromoteWithin, Tolerate, read_bound, read_margin
from gatekeeper.config.base import Model
from gatekeeper.config.tree import Entry, KeyPath, Mapping, Node, Report, Scalar, Sequence, items, shown, value_of
from gatekeeper.config.values import duration, read_share

_TIME = duration(0, 30 * 86_400)


def check_analysis(plan: Mapping, path: KeyPath, report: Report) -> None:
    """Report what contradicts itself in the ``analysis`` of a plan, or can do nothing."""
    entry = plan.entries.get("analysis")
    if entry is None or not isinstance(entry.value, Mapping):
        return
    analysis, path = entry.value, (*path, "analysis")
    _compares(plan.get("steps"), entry, path, report)
    _deadline(plan, analysis, path, report)
    check_comparison(analysis, path, report)
    for where, metric in items(analysis.get("metrics"), (*path, "metrics")):
        if isinstance(metric, Mapping):
            _metric(metric, where, report)


def check_comparison(analysis: Node | None, path: KeyPath, report: Report) -> None:
    """The same of what plans and flags have in common; ``path`` is the place of ``analysis``."""
    if not isinstance(analysis, Mapping):
        return
    _margins(analysis, path, report)
    _times(analysis, path, report)
    guard = analysis.get("guard")
    if isinstance(guard, Mapping) and not {"errors", "p99"} & set(guard.entries):
        report.add(guard.place, (*path, "guard"), "says no bound", allowed="errors, p99 or both")


def _compares(steps: Node | None, entry: Entry, path: KeyPath, report: Report) -> None:
    """There is a step in which both versions have users."""
    if not isinstance(steps, Sequence):
        return
    nodes = [step.get("weight") if isinstance(step, Mapping) else None for _, step in items(steps, path)]
    weights = [value_of(read_share, node, report) for node in nodes]
    if weights and all(weight == 100 for weight in weights):
        message = "has nothing to compare: no step leaves users with stable"
        report.add(entry.key.place, path, message, allowed="a step below 100 before the last one, or no analysis")


def _deadline(plan: Mapping, analysis: Mapping, path: KeyPath, report: Report) -> None:
    """A verdict that comes after the pause helps nobody."""
    node, most = analysis.get("deadline"), plan.get("max_hold")
    late, longest = value_of(_TIME.parse, node, report), value_of(_TIME.parse, most, report)
    limit = 86_400.0 if most is None else longest
    if node is not None and late is not None and limit is not None and late > limit:
        allowed = f"at most {shown(most) if most is not None else '24h'}, or a longer max_hold"
        report.add(node.place, (*path, "deadline"), "is longer than max_hold", found=shown(node), allowed=allowed)


def _margins(analysis: Mapping, path: KeyPath, report: Report) -> None:
    """What is tolerated for ever must not be too much to be promoted."""
    tolerate, promote = (_errors(analysis, name) for name in ("tolerate", "promote_within"))
    tolerated, within = _margin(tolerate, Tolerate, report), _margin(promote, PromoteWithin, report)
    if tolerated is None or within is None or (within[0] >= tolerated[0] and within[1] >= tolerated[1]):
        return
    if promote is not None:
        place, where, message = promote, "promote_within", "is less than what is tolerated"
        allowed = f"at least tolerate.errors in both, ratio and points: {_shown(tolerate, Tolerate)}"
    elif tolerate is not None:
        place, where, message = tolerate, "tolerate", "is more than what the promotion must prove"
        allowed = f"at most {_shown(None, PromoteWithin)}, or a wider promote_within.errors"
    else:
        return
    report.add(place.place, (*path, where, "errors"), message, found=shown(place), allowed=allowed)


def _times(analysis: Mapping, path: KeyPath, report: Report) -> None:
    """Without times there is nothing to tolerate of them, or to prove."""
    latency = analysis.get("latency")
    if not isinstance(latency, Scalar) or latency.text.lower() != "false":
        return
    for name, keys in (("tolerate", ("latency",)), ("promote_within", ("p95", "p99"))):
        within = analysis.get(name)
        for one in keys:
            entry = within.entries.get(one) if isinstance(within, Mapping) else None
            if entry is not None:
                message = "means nothing with latency: false"
                report.add(entry.key.place, (*path, name, one), message, allowed="one of the two")


def _metric(metric: Mapping, path: KeyPath, report: Report) -> None:
    if not {"max", "min"} & set(metric.entries):
        report.add(metric.place, path, "says no bound", allowed="max, min or both")
    node = metric.get("min")
    low, high = (value_of(read_bound, metric.get(name), report) for name in ("min", "max"))
    if node is not None and low is not None and high is not None and low > high:
        report.add(node.place, (*path, "min"), "is more than max", found=shown(node), allowed="at most max")


def _errors(analysis: Mapping, name: str) -> Node | None:
    within = analysis.get(name)
    return within.get("errors") if isinstance(within, Mapping) else None


def _margin(node: Node | None, model: type[Model], report: Report) -> tuple[float, float] | None:
    return read_margin(_shown(None, model)) if node is None else value_of(read_margin, node, report)


def _shown(node: Node | None, model: type[Model]) -> str:
    """As it is written or, where nothing is, the default."""
    return str(model.model_fields["errors"].default) if node is None else shown(node)
