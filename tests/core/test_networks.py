import pytest

from gatekeeper.core import networks
from gatekeeper.core.networks import Networks


@pytest.mark.parametrize("address", ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "fe80::1%eth0"])
def test_an_address_in_any_of_the_networks_is_in_the_list(address):
    assert address in Networks(["10.0.0.0/8", "127.0.0.0/8", "::1/128", "fe80::/10"])


@pytest.mark.parametrize("address", ["128.0.0.1", "::2", "::ffff:10.0.0.1", "", "unix", "127.0.0.1:80", "127.1"])
def test_another_address_or_no_address_is_not_in_the_list(address):
    assert address not in Networks(["127.0.0.0/8", "::1/128"])


def test_a_single_address_is_a_network_and_so_is_one_with_host_bits():
    assert "10.1.2.3" in Networks(["10.1.2.3"])
    assert "10.1.9.9" in Networks(["10.1.2.3/16"])


def test_an_empty_list_holds_nobody():
    assert "127.0.0.1" not in Networks([])


def test_the_answer_is_the_same_the_second_time_and_the_memo_stays_bounded(monkeypatch):
    monkeypatch.setattr(networks, "MEMO_SIZE", 8)
    listed = Networks(["10.0.0.0/24"])
    for _ in range(2):
        for last in range(100):
            assert f"10.0.0.{last}" in listed
            assert f"10.0.1.{last}" not in listed
    assert len(listed._memo) <= 8


def test_a_text_that_is_no_network_is_refused():
    with pytest.raises(ValueError, match="nonsense"):
        Networks(["nonsense"])
