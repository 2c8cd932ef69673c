"""Every case of the bench, around one real gatekeeper: what both ends saw is the one reading that it wants."""

import asyncio

import pytest

from tests.wire.bench import Bench
from tests.wire.cases import PARAGRAPHS
from tests.wire.judge import verdict
from tests.wire.proxies import PROXIES, running

pytestmark = pytest.mark.system

CASES = [pytest.param(case, id=f"{paragraph}-{case.name}") for paragraph, cases in PARAGRAPHS.items() for case in cases]


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    """A function that plays a case against the one gatekeeper of this module."""
    with asyncio.Runner() as runner:
        bench = Bench()
        with running("gatekeeper", tmp_path_factory.mktemp("wire"), bench.port) as port:
            bench.proxy = port
            runner.run(bench.start())
            yield lambda case: runner.run(bench.run(case))
            runner.run(bench.stop())


@pytest.mark.parametrize("case", CASES)
def test_one_reading_or_none(play, case):
    assert verdict(case, play(case), PROXIES["gatekeeper"].manner, lenient=False) == [], case.cites


def test_every_case_has_its_own_name_and_says_where_it_comes_from():
    for paragraph, cases in PARAGRAPHS.items():
        names = [case.name for case in cases]
        assert len(names) == len(set(names)), paragraph
        assert all(case.cites for case in cases), paragraph
