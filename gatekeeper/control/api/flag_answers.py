"""What clients get of flags, as models."""

from typing import Annotated, Any, Literal

from pydantic import Field

from gatekeeper.control.api.base import Answer, Changed, WallSeconds
from gatekeeper.control.api.verdict_answers import Odds, VerdictKind

Shares = Annotated[dict[str, float], Field(description="Weights by variant.")]


class Scheduled(Answer):
    """``next`` is the moment that is still to come; null: all is done."""

    on: WallSeconds | None
    off: WallSeconds | None
    next: WallSeconds | None


class Sides(Answer):
    """Of those whom the split gave the variant `off`, and of those who got another one."""

    off: int
    others: int


class FlagVerdict(Answer):
    """What the judge says of a flag: whether those who have it fare worse."""

    kind: VerdictKind
    cause: Annotated[str, Field(description="Why, for programs; empty: nothing in particular.")]
    sentence: str
    notes: list[str]
    odds: Odds
    bar: Annotated[float, Field(description="Odds at which it is proven to make things worse.")]
    at: WallSeconds
    seconds: Annotated[int, Field(description="Of the comparison.")]
    requests: Annotated[Sides, Field(description="Those that are compared.")]
    errors: Annotated[Sides, Field(description="Failures that were bet on.")]
    unkeyed: Annotated[int, Field(description="Requests without a unit, where variants stick to units.")]


class FlagBrief(Answer):
    name: str
    type: Literal["boolean", "string", "number", "object"]
    description: str
    state: Annotated[
        Literal["on", "off", "killed", "candidate"],
        Field(description="candidate: on for the requests that get the candidate of the release it follows."),
    ]
    on: bool
    killed: Annotated[bool, Field(description="Off until somebody revives it.")]
    percent: Annotated[float | None, Field(description="Of a boolean flag without variants of its own.")]
    split: Shares
    variants: Annotated[dict[str, Any], Field(description="Values by variant.")]
    off: Annotated[str, Field(description="The variant that is served while the flag is off.")]
    services: Annotated[list[str], Field(description="Those whose requests it concerns; empty: all.")]
    when: Annotated[dict[str, Any] | None, Field(description="Its condition; null: every request.")]
    owner: str
    expires: Annotated[str | None, Field(description="The day after which it is overdue, by UTC.")]
    overdue: bool
    schedule: Scheduled | None
    follow: Annotated[str | None, Field(description="The service whose releases it follows.")]
    following: Annotated[str | None, Field(description="The candidate whose requests alone have it on.")]
    on_fail: Annotated[
        Literal["off", "keep"] | None,
        Field(description="What becomes of it when it is proven to make things worse; null: it is not judged."),
    ]
    verdict: Annotated[FlagVerdict | None, Field(description="Null: nobody judges it now.")]
    origin: Literal["file", "command"]
    differs_from_file: Annotated[bool, Field(description="A command defined it otherwise than the file does.")]
    changed: Changed


class FlagUndone(Answer):
    """What a rollback returns to."""

    revision: int
    on: bool
    split: Shares
    defines: Annotated[bool, Field(description="It brings back another definition, too.")]


class Flag(FlagBrief):
    revision: int
    undo: Annotated[list[FlagUndone], Field(description="The next first.")]


class Flags(Answer):
    revision: int
    flags: Annotated[list[FlagBrief], Field(description="In the order of their names.")]


class Held(Answer):
    """What a revision made of a flag."""

    on: bool
    killed: bool
    split: Shares


class OverdueFlag(Answer):
    name: str
    owner: str
    expires: str


class FlagsInShort(Answer):
    """``killed`` are their names."""

    total: int
    on: int
    killed: list[str]
    overdue: list[OverdueFlag]
