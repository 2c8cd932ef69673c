"""What clients get of copies of users' requests, as models; see ``answers``."""

from typing import Annotated

from pydantic import Field

from gatekeeper.control.api.base import Answer, WallSeconds

Part = Annotated[float, Field(description="0 to 1.")]


class MirrorAnswer(Answer):
    """What is copied of the requests that ``rule`` decided; null: of all that no rule with a mirror decided."""

    rule: str | None
    to: str
    percent: float
    methods: list[str]
    noise: Annotated[bool, Field(description="Whether safe requests are also sent again to the users' version.")]


class ShadowSample(Answer):
    """What the user got, and what the candidate said; short, and without what its name calls a secret."""

    left: str
    right: str
    request: Annotated[str, Field(description="Method and path, without the query.")]


class ShadowRow(Answer):
    """A place at which answers differ: ``kind`` is status, header, json, member, body, length or answer."""

    kind: str
    path: Annotated[str, Field(description="A header field or a JSON path, or empty.")]
    requests: Annotated[int, Field(description="In which the candidate differed, and stable did not from itself.")]
    noise: Annotated[int, Field(description="In which the users' version differed from itself.")]
    samples: list[ShadowSample]


class ShadowSeconds(Answer):
    """Times to the head of an answer, in seconds; null: nothing was compared, or it took longer than 7.5 s."""

    p50: float | None
    p95: float | None
    p99: float | None


class ShadowRun(Answer):
    """``asked`` requests are known to be answered alike, otherwise or not at all; ``different`` are the last two."""

    version: str
    build: str | None
    check: Annotated[bool, Field(description="A plan's check, and no mirror of the file.")]
    active: bool
    since: WallSeconds
    at: Annotated[WallSeconds | None, Field(description="Of the last news; null: none yet.")]
    mirrored: int
    answered: int
    compared: int
    failed: Annotated[int, Field(description="Copies that got no answer: refused, broken, timeout.")]
    asked: int
    different: int
    share: Annotated[float | None, Field(description="Different of asked, 0 to 1; null: nothing was asked.")]
    low: Annotated[float, Field(description="Lower end of Wilson's 95 % interval of the share.")]
    high: float
    twice: Annotated[int, Field(description="Comparisons with a second answer of the users' version.")]
    differences: Annotated[list[ShadowRow], Field(description="The most frequent first.")]
    noise: Annotated[list[ShadowRow], Field(description="Places that do not count: stable differs from itself there.")]
    user: ShadowSeconds
    candidate: ShadowSeconds
    outcomes: Annotated[dict[str, int], Field(description="What became of requests and copies.")]


class Shadow(Answer):
    revision: int
    service: str
    mirrors: list[MirrorAnswer]
    runs: Annotated[list[ShadowRun], Field(description="Those that go on first.")]


class ShadowReset(Answer):
    revision: int
    service: str
    runs: Annotated[int, Field(description="How many began anew or were forgotten.")]
