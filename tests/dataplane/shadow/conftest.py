"""``mirrored(...)`` makes a Mirrored (see there) that is left, and its books checked, when the test has passed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.dataplane.shadow.mirrored import Mirrored


@pytest.fixture
def mirrored() -> Iterator[Callable[..., Mirrored]]:
    with ExitStack() as worlds:
        yield lambda *args, **options: worlds.enter_context(Mirrored(*args, **options))
