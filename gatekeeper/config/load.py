"""The file, read and checked as a whole.

The parts, in the order they run; each but the last adds to one report, so that all mistakes come out at once:

1. ``reader`` and ``include``: text to a tree with places; syntax, duplicate keys, bounds.
2. ``elsewhere``: keys that do not stand here.
3. ``substitute``: empty values, bare yes and no, ``${...}``, relative paths.
4. ``validate``: every key by itself, by the models.
5. ``checks``, ``plan_checks`` and ``flag_values``: what needs several keys.
6. ``certificates`` and ``pages``: the files that are named, and what they hold.
7. ``convert`` and ``plan_values``: models to the values of ``core.model``.
"""

from pathlib import Path

from gatekeeper.config.afar import read_from_afar
from gatekeeper.config.certificates import check_certificates
from gatekeeper.config.checks import check
from gatekeeper.config.convert import definition
from gatekeeper.config.elsewhere import refuse_misplaced_keys
from gatekeeper.config.flag_values import read_flags
from gatekeeper.config.include import Gatherer
from gatekeeper.config.pages import read_pages
from gatekeeper.config.plan_checks import check_plans
from gatekeeper.config.problems import ConfigError
from gatekeeper.config.substitute import refuse_traps, resolve_paths, substitute
from gatekeeper.config.tree import Mapping, Node, Place, Report, Source, shown
from gatekeeper.config.validate import validate
from gatekeeper.core.model import Definition


def load_file(path: str | Path, *, now: float | None = None) -> Definition:
    """What the file at ``path`` and its includes define. Raises ConfigError with every problem.

    With ``now``, in wall seconds, a certificate that is not valid then is one of them. Who starts does without: a proxy
    that stays away for a date is worse than one whose clients complain.
    """
    report = Report()
    root = Gatherer(report).file(str(path))
    return _checked(root, Source(str(path), Path(path).absolute().parent), report, now)


def load_text(text: str | bytes, name: str, base_dir: str | Path, *, local: bool = True) -> Definition:
    """The same of a text (YAML, or JSON, which is YAML too); ``name`` stands for a file name in problems.

    Relative paths in it start at ``base_dir``. Not ``local``: it comes from afar, see ``afar``. Raises ConfigError with
    every problem.
    """
    report = Report()
    source = Source(name, Path(base_dir).absolute())
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    root = Gatherer(report).text(data, source) if local else read_from_afar(data, source, report)
    return _checked(root, source, report)


def _checked(root: Node | None, source: Source, report: Report, now: float | None = None) -> Definition:
    if root is None and not report:
        report.add(Place(source, 1, 1), (), "the file is empty", allowed="at least services with one version")
    if root is not None and not isinstance(root, Mapping):
        report.add(root.place, (), "the file is not a mapping of keys", found=shown(root))
    if isinstance(root, Mapping):
        refuse_misplaced_keys(root, report)
        refuse_traps(root, report)
        substitute(root, report)
        resolve_paths(root)
        file = validate(root, report)
        check(root, report)
        check_plans(root, report)
        check_certificates(root, report, now)
        flags = read_flags(root, report)
        pages = read_pages(root, report)
        if file is not None and not report:
            return definition(file, pages, flags)
    raise ConfigError(report.problems(source.name))
