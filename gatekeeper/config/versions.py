"""One version's configuration from the admin API, checked by the very models and checks of the file.

The document is put where it would stand in a file with nothing else in it, so there is one truth about what a version
may be. ``${...}`` means nothing here: who deploys from afar must not read this machine's environment and files.
"""

from collections.abc import Mapping as Document
from dataclasses import replace
from pathlib import Path
from typing import Any

from gatekeeper.config import models
from gatekeeper.config.certificates import check_certificates
from gatekeeper.config.checks import check
from gatekeeper.config.convert import definition
from gatekeeper.config.problems import ConfigError, Problem
from gatekeeper.config.schema import tidy
from gatekeeper.config.substitute import refuse_traps, resolve_paths
from gatekeeper.config.tree import Entry, Mapping, Node, Place, Report, Scalar, Sequence, Source, render
from gatekeeper.config.validate import validate
from gatekeeper.config.values import ANY_SUBSTITUTION
from gatekeeper.core.model import BackendTls, Origin, Version

_INHERITED = ("health", "tls")


def load_version(
    service: str, name: str, document: Document[str, Any], base_dir: str | Path, like: Version | None = None
) -> Version:
    """The version ``name`` that ``document`` (JSON values, fractions as Decimal) describes.

    ``health`` and ``tls`` that are left out are those of ``like``, null stands for none. Relative paths start at
    ``base_dir``. Raises ConfigError with every problem, each with its path in the document.
    """
    report = Report()
    source = Source("body", Path(base_dir).absolute())
    given = {key: value for key, value in document.items() if value is not None or key not in _INHERITED}
    root = DocumentTree(source).mapping({"services": {service: {"versions": {name: given}}}})
    refuse_traps(root, report)
    resolve_paths(root)
    file = validate(root, report)
    check(root, report)
    check_certificates(root, report, None)
    if file is None or report:
        top = render(("services", service, "versions", name))
        raise ConfigError([within(problem, top, "version") for problem in report.problems(source.name)])
    version = replace(definition(file, {}).services[service].versions[name], origin=Origin.DEPLOY)
    return _completed(version, document, like)


def _completed(version: Version, document: Document[str, Any], like: Version | None) -> Version:
    if like is None:
        return version
    if "health" not in document:
        version = replace(version, health=like.health)
    if "tls" not in document and any(backend.url.startswith("https:") for backend in version.backends):
        version = replace(version, tls=like.tls)
    return version if any(b.url.startswith("https:") for b in version.backends) else replace(version, tls=BackendTls())


class DocumentTree:
    """JSON values as the tree of a file. There are no lines; places only tell the order of things."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._nodes = 0

    def mapping(self, value: dict[str, Any]) -> Mapping:
        place = self._place()
        return Mapping(place, {key: Entry(self._scalar(key), self._node(one)) for key, one in value.items()})

    def _node(self, value: object) -> Node:
        if isinstance(value, dict):
            return self.mapping(value)
        if isinstance(value, list):
            return Sequence(self._place(), [self._node(one) for one in value])
        if value is None:
            return Scalar(self._place(), "null", "null", plain=True)
        return self._scalar(str(value).lower() if isinstance(value, bool) else str(value))

    def _scalar(self, text: str) -> Scalar:
        return Scalar(self._place(), text, text, plain=False)

    def _place(self) -> Place:
        self._nodes += 1
        return Place(self._source, self._nodes, 1)


def within(problem: Problem, top: str, name: str) -> Problem:
    """The same with its path in the document, and no line; what is wrong beside it stands under ``name``."""
    path = problem.path.removeprefix(top).removeprefix(".") if problem.path.startswith(top) else ""
    return replace(problem, file="", line=0, column=0, path=path or name)


def version_schema() -> dict[str, Any]:
    """JSON Schema of such a document, with its own ``$defs``."""
    schema: dict[str, Any] = literal(tidy(models.Version.model_json_schema(by_alias=True, mode="validation")))
    for key in _INHERITED:
        found = schema["properties"][key]
        found.pop("default", None)
        description = f"{found.pop('description')} Left out: those it had, or stable's; null: none."
        schema["properties"][key] = {"anyOf": [found, {"type": "null"}], "description": description}
    return schema


def literal(node: Any) -> Any:
    """A schema without the ways to write ``${...}``."""
    if isinstance(node, list):
        return [literal(item) for item in node if item != {"type": "string", "pattern": ANY_SUBSTITUTION}]
    if not isinstance(node, dict):
        return node
    made = {key: literal(value) for key, value in node.items()}
    if isinstance(made.get("pattern"), str):
        made["pattern"] = made["pattern"].removesuffix(f"|{ANY_SUBSTITUTION}")
    if len(made.get("anyOf", ())) == 1:
        made |= made.pop("anyOf")[0]
    return made
