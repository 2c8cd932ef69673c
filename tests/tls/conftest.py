"""An authority for the tests of this folder, made once."""

import pytest

from tests.tls.authority import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def foreign(tmp_path_factory):
    """Another authority, that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("foreign"), "Foreign Authority")
