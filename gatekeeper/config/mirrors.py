"""``mirror`` of a service, of a rule and of a plan's verify: copies of users' requests, as models and as values."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from gatekeeper.config.addresses import HEADER, METHOD
from gatekeeper.config.base import Many, Model, key
from gatekeeper.config.problems import WrongValueError, closest, listed
from gatekeeper.config.tree import KeyPath, Mapping, Node, Report, Scalar, items, shown
from gatekeeper.config.values import BOOLEAN, NAME, PERCENT, SHARE, Reads, choice, duration, size, whole
from gatekeeper.core.release import plan
from gatekeeper.core.shadow import model
from gatekeeper.core.shadow.paths import PathError, pattern

MOST_BYTES = 1024**2
"""Of a body that is copied. A worker holds it for as long as a copy takes."""

MOST_COMPARED = 256 * 1024
"""Of an answer. A worker does nothing else while it compares: at most 10 ms for each 64 KiB."""

_DAY = 86_400.0


def _path(text: str) -> str:
    if len(text) > 200:
        raise WrongValueError("is too long", allowed="at most 200 characters")
    try:
        pattern(text)
    except PathError as error:
        raise WrongValueError(f"is no path in a JSON value: {error}") from error
    return text


_PATH = Reads(_path, "$.name, $.items[*].id, $['two words'] or $.any.*", {"type": "string", "pattern": r"^\$|\$\{"})


class Compare(Model):
    """How two answers are compared. Their status always is."""

    body: Annotated[str, choice(*model.BodyComparison)] = key(
        "json", "exact, json (exact where it is no JSON), length or none."
    )
    headers: Annotated[tuple[Annotated[str, HEADER], ...], Many(0, 32, unique=str.lower)] = key(
        ["content-type", "location"], "Header fields whose values are compared."
    )
    ignore: Annotated[tuple[Annotated[str, _PATH], ...], Many(0, 64, unique=str)] = key(
        [], "Places in JSON that may differ, with all below them: $.time, $.items[*].id."
    )
    bytes: Annotated[int, size(1024, MOST_COMPARED)] = key(
        "64KiB", "What is read of an answer; longer ones are compared by this much."
    )
    noise: Annotated[bool, BOOLEAN] = key(
        True, "Whether the version that served the user is asked again, to see where it differs from itself."
    )


class Copies(Model):
    """What is copied, and how answers are compared."""

    methods: Annotated[tuple[Annotated[str, METHOD], ...], Many(1, 16, unique=str)] = key(
        ["GET", "HEAD"], "Methods that are copied. Others than safe ones are carried out twice."
    )
    body: Annotated[int, size(0, MOST_BYTES)] = key("64KiB", "Requests with a longer body are not copied.")
    keep: Annotated[tuple[Annotated[str, choice(*model.Keep)], ...], Many(0, 2, unique=str)] = key(
        [], "Which of cookie and authorization go along. Default: neither."
    )
    compare: Compare = key({}, "How the two answers are compared.")
    timeout: Annotated[float, duration(0.01, 600)] = key("5s", "Time the answer to a copy may take.")
    in_flight: Annotated[int, whole(1, 1024)] = key(64, "Copies under way at once, in each worker.")


class Mirror(Copies):
    """Copies of users' requests, sent to another version; nobody sees its answers."""

    to: Annotated[str, NAME] = Field(description="The version that gets them.")
    percent: Annotated[float, PERCENT] = Field(description="Part of the requests that other versions serve; 0: none.")


class MirrorCheck(Copies):
    """A part of users' requests is copied to the candidate for a while, and its answers are compared."""

    percent: Annotated[Decimal, SHARE] = key(5, "Part of the requests that other versions serve.")
    for_: Annotated[float, duration(1, _DAY)] = key("10m", "How long requests are copied.", alias="for")
    max_different: Annotated[float, PERCENT] = key("0.1", "Part of the answers that may differ, or be missing.")
    at_least: Annotated[int, whole(1, 10_000_000)] = key(100, "How many must have been compared.")


def mirror(given: Mirror | None) -> model.Mirror | None:
    return None if given is None else _copies(given, given.to, round(100 * given.percent, 9))


def mirror_check(given: MirrorCheck) -> plan.MirrorCheck:
    return plan.MirrorCheck(_copies(given, "", float(given.percent)), given.for_, given.max_different, given.at_least)


def _copies(given: Copies, to: str, percent: float) -> model.Mirror:
    how = given.compare
    return model.Mirror(
        to=to,
        percent=percent,
        methods=given.methods,
        body=given.body,
        keep=tuple(model.Keep(each) for each in given.keep),
        compare=model.Compare(
            body=model.BodyComparison(how.body),
            headers=tuple(name.lower() for name in how.headers),
            ignore=how.ignore,
            bytes=how.bytes,
            noise=how.noise,
        ),
        timeout=given.timeout,
        in_flight=given.in_flight,
    )


def check_mirrors(service: Mapping, path: KeyPath, names: Sequence[str], report: Report) -> None:
    """Report mirrors to versions that are not there, or that are the only one."""
    for node, where in _mirrors(service, path):
        to = node.get("to")
        if isinstance(to, Scalar) and not report.blamed(to) and to.text not in names:
            message, near = "there is no such version", closest(to.text, names)
            report.add(to.place, (*where, "to"), message, found=shown(to), allowed=listed([*names]), suggestion=near)


def _mirrors(service: Mapping, path: KeyPath) -> Iterator[tuple[Mapping, KeyPath]]:
    nodes: list[tuple[Node | None, KeyPath]] = [(service.get("mirror"), (*path, "mirror"))]
    for where, rule in items(service.get("rules"), (*path, "rules")):
        if isinstance(rule, Mapping):
            nodes.append((rule.get("mirror"), (*where, "mirror")))
    return ((node, where) for node, where in nodes if isinstance(node, Mapping))
