"""``mirrored(...)`` makes a Mirrored (see there) that is left, and its books checked, when the test has passed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from gatekeeper.dataplane.shadow import shadow
from tests.dataplane.shadow.mirrored import Mirrored


@pytest.fixture(autouse=True)
def _at_once(request, monkeypatch):
    """Copies go when the original is on its way: when they may go is looked at by ``test_patience``, the others look at
    what they are.
    """
    if "patient" not in request.fixturenames:
        monkeypatch.setattr(shadow, "PATIENCE", 0.0)


@pytest.fixture
def patient() -> None:
    """Copies wait for the end of the user's answer, as they do."""


@pytest.fixture
def mirrored() -> Iterator[Callable[..., Mirrored]]:
    with ExitStack() as worlds:
        yield lambda *args, **options: worlds.enter_context(Mirrored(*args, **options))
