"""Applications that ask for flags with OpenFeature's own SDKs, and users whose requests have them."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import openfeature.api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

HERE = Path(__file__).parent
VENDORED = HERE.parent / "vendor" / "javascript"
"""Packages of JavaScript as they were published."""


class Asked(NamedTuple):
    """What an application asks for; ``context`` as it goes over the wire."""

    type: str
    key: str
    default: Any
    context: Mapping[str, Any] = MappingProxyType({})


class Told(NamedTuple):
    """What an SDK made of the answer."""

    value: Any
    variant: str | None
    reason: str
    error: str | None = None
    metadata: Mapping[str, Any] = MappingProxyType({})
    message: str | None = None


def python(url: str, token: str, asked: list[Asked]) -> list[Told]:
    """OpenFeature's SDK for Python with its OFREP provider, in this process."""
    provider = OFREPProvider(url, headers_factory=lambda: {"Authorization": f"Bearer {token}"})
    openfeature.api.set_provider(provider, "tests")
    client = openfeature.api.get_client("tests")
    try:
        found = []
        for each in asked:
            attributes = dict(each.context)
            context = EvaluationContext(attributes.pop("targetingKey", None), attributes)
            told = getattr(client, f"get_{each.type}_details")(each.key, each.default, context)
            reason, error = str(told.reason), told.error_code and told.error_code.value
            found.append(Told(told.value, told.variant, reason, error, dict(told.flag_metadata), told.error_message))
        return found
    finally:
        openfeature.api.clear_providers()
        provider.session.close()


def javascript(url: str, token: str, asked: list[Asked]) -> list[Told]:
    """OpenFeature's SDK for JavaScript on servers with its OFREP provider."""
    done = subprocess.run(
        ["node", str(HERE / "ofrep.cjs"), url, token, json.dumps([[*each[:3], dict(each.context)] for each in asked])],
        env={**os.environ, "NODE_PATH": str(VENDORED)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [
        Told(
            told["value"],
            told.get("variant"),
            told["reason"],
            told.get("errorCode"),
            told.get("flagMetadata") or {},
            told.get("errorMessage"),
        )
        for told in json.loads(done.stdout)
    ]


SDKS = {"python": python, "javascript": javascript}
