"""What all proxies are asked to do in a case, in the same words for each of them."""

from dataclasses import dataclass
from typing import NamedTuple

BODY_BYTES = 800
CONNECTIONS = 64
COMMON_RULES = 10
"""Rules of a service whose owner uses them."""


@dataclass(frozen=True, slots=True)
class Job:
    """A split over blue and green by cookie, and what else a case adds.

    ``flags``: feature flags of each service, which gatekeeper alone has.
    ``share``: percent of the users for green. ``judged``: gatekeeper holds a release there and records for its judge;
    nobody else has such a thing. ``connections``: clients at a time, for those who size pools by it. ``large``: bodies
    are, and buffers may be.
    """

    services: int = 1
    rules: int = 0
    share: int = 50
    tls: bool = False
    access_log: bool = False
    workers: int = 1
    judged: bool = False
    flags: int = 0
    connections: int = CONNECTIONS
    large: bool = False


class Rule(NamedTuple):
    """``kind`` is header (X-Partner), path (a prefix), cookie (staff) or query (preview). It gives green."""

    kind: str
    value: str


KINDS = ("header", "path", "cookie", "query")


def rules(count: int) -> list[Rule]:
    """All kinds in turn. No request of the load matches any, so all of them have to be looked at."""
    values = {"header": "partner-{}", "path": "/campaign-{}", "cookie": "staff-{}", "query": "{}"}
    return [Rule(kind, values[kind].format(place)) for place in range(count) for kind in (KINDS[place % len(KINDS)],)]


def matching(rule: Rule) -> tuple[str, dict[str, str]]:
    """Path and fields of a request that meets it."""
    return {
        "header": ("/", {"X-Partner": rule.value}),
        "path": (f"{rule.value}/today", {}),
        "cookie": ("/", {"Cookie": f"theme=dark; staff={rule.value}"}),
        "query": (f"/?preview={rule.value}", {}),
    }[rule.kind]


USERS = 64
"""Returning users of the load."""


def of_user(user: int, job: Job) -> int:
    """The service that a user goes to: they are spread evenly."""
    return user * job.services // USERS % job.services


def visited(job: Job) -> set[int]:
    return {of_user(user, job) for user in range(USERS)}


def service(number: int) -> str:
    return f"shop-{number}" if number else "shop"


def host(number: int) -> str:
    return f"{service(number)}.example.com"
