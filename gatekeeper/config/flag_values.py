"""One flag's keys to the values of ``core.flags``: from the file, and from the admin API.

Values of variants keep their types: a scalar without quotes that looks like a number, true or false is one, unless the
flag's ``type`` says otherwise. ``1.0`` stays a float.
"""

import re
from collections.abc import Mapping as Document
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gatekeeper.config import flags as models
from gatekeeper.config.analysis_checks import check_comparison
from gatekeeper.config.checks import check_when
from gatekeeper.config.matching import when_value
from gatekeeper.config.moments import wall
from gatekeeper.config.plan_checks import check_named, check_zone
from gatekeeper.config.plan_values import comparison
from gatekeeper.config.problems import ConfigError
from gatekeeper.config.schema import tidy
from gatekeeper.config.substitute import refuse_traps
from gatekeeper.config.tree import (
    KeyPath,
    Mapping,
    Node,
    Report,
    Scalar,
    Sequence,
    Source,
    entries,
    items,
    locate,
    plain,
    shown,
)
from gatekeeper.config.validate import validate
from gatekeeper.config.versions import DocumentTree, literal, within
from gatekeeper.core.flags.define import crowd, defined, is_name
from gatekeeper.core.flags.model import Flag, FlagChanges, FlagFails, FlagSchedule, FlagType
from gatekeeper.core.model import When
from gatekeeper.core.outcome import Refused

_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,18})(\.\d{1,18})?([eE][+-]?\d{1,3})?", re.ASCII)
"""As in JSON (RFC 8259 section 6); longer ones are no number that anybody wrote."""
_CLEARED: dict[str, Any] = {
    "when": When(),
    "services": (),
    "follow": "",
    "schedule": FlagSchedule(),
    "owner": "",
    "expires": "",
    "description": "",
    "analysis": False,
    "on_fail": FlagFails.KEEP,
}
"""What null means in a document: these keys can be taken away."""
_ANY_SERVICE = {"any": {"versions": {"any": {"backends": ["http://127.0.0.1:1"]}}}}


def read_flags(root: Mapping, report: Report) -> dict[str, Flag]:
    """The flags of the file that are right by themselves; what several keys do wrong is reported."""
    flags: dict[str, Flag] = {}
    for path, entry in entries(root.get("flags"), ("flags",)):
        node = entry.value
        if not isinstance(node, Mapping) or not is_name(entry.key.text):
            continue  # said by the models
        _check(node, path, root.get("services"), report)
        try:
            given = models.Flag.model_validate(plain(node))
            changes = _changes(given, _typed(node))
            flags[str(path[-1])] = defined(str(path[-1]), changes)
        except ValidationError:
            continue  # the file as a whole is validated, too
        except Refused as refused:
            _report(root, path, refused, report)
    why = crowd(flags)
    if why and not report:
        message, _, allowed = why.partition("; allowed: ")
        place = root.entries["flags"].key.place
        report.add(place, ("flags",), message, allowed=allowed)
    return flags


def flag_changes(document: Document[str, Any]) -> FlagChanges:
    """What a document (JSON values, fractions as Decimal) says of a flag, by the keys of the file; null takes away.

    Raises ConfigError with every problem, each with its path in the document.
    """
    report = Report()
    source = Source("body", Path("/"))
    cleared = {name: _CLEARED[name] for name, value in document.items() if value in (None, "") and name in _CLEARED}
    given = {name: value for name, value in document.items() if name not in cleared}
    variants = given.get("variants")
    if isinstance(variants, Document):
        # Their names are checked like any, their values are taken as they are.
        given["variants"] = dict.fromkeys(variants, "value")
    root = DocumentTree(source).mapping({"services": _ANY_SERVICE, "flags": {"flag": given}})
    refuse_traps(root, report)
    file = validate(root, report)
    flag = root.entries["flags"].value.entries["flag"].value  # type: ignore[union-attr]
    if isinstance(flag, Mapping):
        _check(flag, ("flags", "flag"), None, report)
    if file is None or report:
        raise ConfigError([within(problem, "flags.flag", "flag") for problem in report.problems(source.name)])
    typed = {name: _exact(value) for name, value in variants.items()} if isinstance(variants, Document) else None
    return replace(_changes(file.flags["flag"], typed), **cleared)


def flag_schema() -> dict[str, Any]:
    """JSON Schema of such a document, with its own ``$defs``."""
    schema: dict[str, Any] = literal(tidy(models.Flag.model_json_schema(by_alias=True, mode="validation")))
    for name, found in schema["properties"].items():
        found.pop("default", None)
        if name in _CLEARED:
            description = f"{found.pop('description')} null: none."
            schema["properties"][name] = {"anyOf": [found, {"type": "null"}], "description": description}
    return schema


def _check(flag: Mapping, path: KeyPath, services: Node | None, report: Report) -> None:
    check_when(flag.get("when"), (*path, "when"), report)
    check_comparison(flag.get("analysis"), (*path, "analysis"), report)
    schedule = flag.get("schedule")
    if isinstance(schedule, Mapping):
        check_zone(schedule, ("on", "off"), (*path, "schedule"), report, local=False)
    if services is not None:
        check_named(flag.get("follow"), (*path, "follow"), services, "service", report)
        for where, item in items(flag.get("services"), (*path, "services")):
            check_named(item, where, services, "service", report)


def _changes(given: models.Flag, variants: dict[str, Any] | None) -> FlagChanges:
    """What stands there, and nothing else."""
    said: dict[str, Any] = {
        name: getattr(given, name)
        for name in ("off", "on", "percent", "split", "services", "follow", "owner", "expires", "description")
        if name in given.model_fields_set
    }
    if given.type is not None:
        said["type"] = FlagType(given.type)
    if "when" in given.model_fields_set:
        said["when"] = when_value(given.when)
    if given.analysis is not None:
        said["analysis"] = comparison(given.analysis)
    if "on_fail" in given.model_fields_set:
        said["on_fail"] = FlagFails(given.on_fail)
    if given.schedule is not None:
        zone = given.schedule.timezone
        moments = (given.schedule.on, given.schedule.off)
        said["schedule"] = FlagSchedule(*(None if one is None else wall(one, zone) for one in moments))
    return FlagChanges(variants=variants, **said)


def _typed(flag: Mapping) -> dict[str, Any] | None:
    """The values of the variants of the file; None where it names none."""
    variants, kind = flag.get("variants"), flag.get("type")
    if not isinstance(variants, Mapping):
        return None
    wanted = kind.text if isinstance(kind, Scalar) else ""
    return {name: _value(entry.value, wanted) for name, entry in variants.entries.items()}


def _value(node: Node, wanted: str = "") -> Any:
    if isinstance(node, Sequence):
        return [_value(item) for item in node.items]
    if isinstance(node, Mapping):
        return {name: _value(entry.value) for name, entry in node.entries.items()}
    text = node.text
    # Where the type is said, quotes do not matter, as with every other key.
    if wanted == FlagType.STRING or (not node.plain and not wanted):
        return text
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return _number(text) if _NUMBER.fullmatch(text) else text


def _number(text: str) -> int | float:
    return float(text) if re.search(r"[.eE]", text) else int(text)


def _exact(value: Any) -> Any:
    """JSON values as they were meant: a fraction is a float, also 1.0."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Document):
        return {name: _exact(item) for name, item in value.items()}
    return [_exact(item) for item in value] if isinstance(value, list) else value


def _report(root: Mapping, path: KeyPath, refused: Refused, report: Report) -> None:
    """What the core does not take, at its place in the file."""
    for problem in refused.problems:
        where: KeyPath = (*path, *(problem.path.split(".", 1) if problem.path else ()))
        spot = locate(root, where)
        if report.blamed(spot.node):
            continue
        message, _, allowed = problem.message.partition("; allowed: ")
        place = spot.key.place if spot.key is not None else spot.node.place
        found = shown(spot.node) if spot.path == where else ""
        report.add(place, where, message, found=found, allowed=allowed)
