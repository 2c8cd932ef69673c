"""One service that is right, for tests that make one thing wrong."""

import pytest

from gatekeeper.config import ConfigError, load_text
from gatekeeper.config.problems import Problem

SHOP = """\
services:
  shop:
    versions:
      blue: {backends: ["http://127.0.0.1:9001"]}
      green: {backends: ["http://127.0.0.1:9002"]}
"""


@pytest.fixture
def load(tmp_path):
    """A function from the keys of the shop (indented) and top-level keys to its definition."""

    def load(service: str = "", top: str = ""):
        return load_text(f"{SHOP}{indented(service)}{top}", "gk.yaml", tmp_path)

    return load


@pytest.fixture
def problems(load):
    """The same function, returning the problems instead."""

    def problems(service: str = "", top: str = "") -> list[Problem]:
        with pytest.raises(ConfigError) as caught:
            load(service, top)
        return list(caught.value.problems)

    return problems


def indented(service: str) -> str:
    return "".join(f"    {line}\n" for line in service.splitlines())
