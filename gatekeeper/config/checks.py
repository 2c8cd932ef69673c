"""Checks that need more than one key. They read the tree, so that they speak even when other keys are wrong."""

from decimal import Decimal

from gatekeeper.config.addresses import read_host, read_listen, read_prefix, read_tcp_address, read_unit
from gatekeeper.config.mirrors import check_mirrors
from gatekeeper.config.problems import closest, listed
from gatekeeper.config.tree import Entry, KeyPath, Mapping, Node, Report, Scalar, entries, items, shown, value_of
from gatekeeper.config.values import duration, read_name, read_weight, written
from gatekeeper.core.model import Ejection, Settings

_TIME = duration(0, 86_400)

RESERVED_VERSION = "none"
"""``?gatekeeper-version=none`` ends a forced session, so no version can have that name."""


def check(root: Mapping, report: Report) -> None:
    """Report what contradicts itself across keys."""
    _listeners(root, report)
    fronts: dict[tuple[str, str], tuple[str, Scalar]] = {}
    for path, entry in entries(root.get("services"), ("services",)):
        if isinstance(entry.value, Mapping):
            _service(entry.value, path, report)
            _front(entry, path, fronts, report)


def _listeners(root: Mapping, report: Report) -> None:
    """The admin address may not be one that users connect to."""
    admin = root.get("admin")
    http = admin.get("http") if isinstance(admin, Mapping) else None
    address = value_of(read_tcp_address, http, report)
    if http is None or address is None:
        return
    texts = [item.get("address") if isinstance(item, Mapping) else item for _, item in items(root.get("listen"), ())]
    given = [value_of(read_listen, item, report) for item in texts]
    for listener in given if "listen" in root.entries else Settings().listen:
        if listener and _same_port(listener, address):
            allowed = f"a port other than that of {listener}, which users connect to"
            report.add(http.place, ("admin", "http"), "is an address of listen", found=shown(http), allowed=allowed)
            return


def _same_port(one: str, other: str) -> bool:
    """Whether two addresses cannot both be listened on: equal, or one of them is every address of its family."""
    (host, _, port), (second, _, other_port) = one.rpartition(":"), other.rpartition(":")
    every = "[::]" if host.startswith("[") else "0.0.0.0"
    family = host.startswith("[") == second.startswith("[")
    return port == other_port and family and (host == second or every in {host, second})


def _service(service: Mapping, path: KeyPath, report: Report) -> None:
    versions = service.get("versions")
    names = list(versions.entries) if isinstance(versions, Mapping) else None
    if isinstance(versions, Mapping) and RESERVED_VERSION in versions.entries:
        where = (*path, "versions", RESERVED_VERSION)
        place = versions.entries[RESERVED_VERSION].key.place
        report.add(
            place, where, "this name is reserved: it ends a forced session", found='"none"', allowed="another name"
        )
    if names:
        _version(service.get("stable"), (*path, "stable"), names, report)
        check_mirrors(service, path, names, report)
    _split(service.get("split"), (*path, "split"), names, report)
    _rules(service, path, names, report)
    _sticky(service.get("sticky"), (*path, "sticky"), report)
    _ejection(service.get("ejection"), (*path, "ejection"), report)


def _version(node: Node | None, path: KeyPath, names: list[str], report: Report) -> None:
    if isinstance(node, Scalar) and not report.blamed(node) and node.text not in names:
        near = closest(node.text, names)
        report.add(
            node.place, path, "there is no such version", found=shown(node), allowed=listed(names), suggestion=near
        )


def _split(node: Node | None, path: KeyPath, names: list[str] | None, report: Report) -> None:
    if not isinstance(node, Mapping) or not node.entries:
        return
    weights = []
    for where, entry in entries(node, path):
        if names:
            _version(entry.key, where, names, report)
        weights.append(value_of(read_weight, entry.value, report))
    if all(weight == Decimal(0) for weight in weights):
        found = ", ".join(f"{name}: {shown(entry.value)}" for name, entry in list(node.entries.items())[:8])
        place = next(iter(node.entries.values())).key.place
        report.add(place, path, "the weights add up to 0", found=found, allowed="at least one weight above 0")


def _rules(service: Mapping, path: KeyPath, names: list[str] | None, report: Report) -> None:
    taken: dict[str, int] = {}
    rules = service.get("rules")
    for position, (where, rule) in enumerate(items(rules, (*path, "rules")), 1):
        if not isinstance(rule, Mapping):
            continue
        targets = [name for name in ("to", "split") if name in rule.entries]
        if len(targets) != 1:
            message = "has both to and split" if targets else "has neither to nor split"
            report.add(rule.place, where, message, allowed="exactly one of to (a version) and split (weights)")
        if names:
            _version(rule.get("to"), (*where, "to"), names, report)
        _split(rule.get("split"), (*where, "split"), names, report)
        check_when(rule.get("when"), (*where, "when"), report)
        named = rule.get("name")
        name = value_of(read_name, named, report) if named else f"rule-{position}"
        if name and taken.setdefault(name, position) != position:
            place, found = (named.place, shown(named)) if named else (rule.place, f'"{name}", which it has by default')
            message = f"rule {taken[name]} of this service has the same name"
            report.add(place, (*where, "name"), message, found=found, allowed="a name of its own")


def check_when(when: Node | None, path: KeyPath, report: Report) -> None:
    """Report what contradicts itself in a condition."""
    if isinstance(when, Mapping):
        _same_header_twice(when.get("header"), (*path, "header"), report)
        _path_pattern(when.get("path"), (*path, "path"), report)


def _same_header_twice(header: Node | None, path: KeyPath, report: Report) -> None:
    seen: set[str] = set()
    for where, entry in entries(header, path):
        name = entry.key.text.lower()
        if name in seen:
            message = "this header is here twice; names of headers ignore case"
            report.add(entry.key.place, where, message, found=shown(entry.key), allowed="one pattern per header")
        seen.add(name)


def _path_pattern(node: Node | None, path: KeyPath, report: Report) -> None:
    """Every path begins with a slash: a pattern that does not would never match, in silence."""
    texts = list(items(node, path))
    for kind in ("exact", "prefix", "one_of"):
        texts += items(node.get(kind), (*path, kind)) if isinstance(node, Mapping) else ()
    for where, text in texts:
        if isinstance(text, Scalar) and not report.blamed(text) and not text.text.startswith("/"):
            near = f"/{text.written}"
            report.add(text.place, where, "never matches a path", found=shown(text), allowed="/...", suggestion=near)


def _sticky(node: Node | None, path: KeyPath, report: Report) -> None:
    if not isinstance(node, Mapping):
        return
    mode, by = node.get("mode"), node.get("by")
    if not isinstance(mode, Scalar) or mode.text != "pin" or by is None:
        return
    units = [value_of(read_unit, item, report) for _, item in items(by, path)]
    if None not in units and ("cookie", "") not in units:
        allowed = "cookie in by: the assignment is kept in gatekeeper's own cookie"
        report.add(
            mode.place, (*path, "mode"), "pin needs a place to keep the assignment", found=shown(mode), allowed=allowed
        )


def _ejection(node: Node | None, path: KeyPath, report: Report) -> None:
    """The longest time out cannot be shorter than the first."""
    if not isinstance(node, Mapping):
        return
    least = value_of(_TIME.parse, node.get("for"), report) if "for" in node.entries else Ejection().out
    most = value_of(_TIME.parse, node.get("most"), report) if "most" in node.entries else Ejection().most
    if least is not None and most is not None and most < least:
        blamed = "most" if "most" in node.entries else "for"
        value = node.entries[blamed].value
        allowed = f"most of at least {written(least)}" if blamed == "most" else f"for of at most {written(most)}"
        report.add(value.place, (*path, blamed), "most is less than for", found=shown(value), allowed=allowed)


def _front(entry: Entry, path: KeyPath, fronts: dict[tuple[str, str], tuple[str, Scalar]], report: Report) -> None:
    """No two services may answer to the same host and path prefix: which one would be a matter of chance."""
    service = entry.value
    if not isinstance(service, Mapping):
        return
    given = service.get("path_prefix")
    prefix = value_of(read_prefix, given, report) if given else "/"
    hosts = [("", path)] if service.get("hosts") is None else []
    for where, item in items(service.get("hosts"), (*path, "hosts")):
        host = value_of(read_host, item, report)
        if host:
            hosts.append((host, where))
    for host, where in hosts if prefix else ():
        name, key = fronts.setdefault((host, prefix or ""), (entry.key.text, entry.key))
        if key is entry.key:
            continue
        at = f"{key.place.source.name}:{key.place.line}"
        what = "this host" if host else "every host"
        message = f"the service {name} ({at}) answers to {what} with the same path_prefix"
        node = next((item for at, item in items(service.get("hosts"), (*path, "hosts")) if at == where), entry.key)
        report.add(node.place, where, message, found=shown(node), allowed="another host or path_prefix")
