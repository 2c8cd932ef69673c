"""Membership of an address in a list of networks, remembered per address."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

MEMO_SIZE = 4096
"""Addresses remembered per list: about 0.5 MB at most. When full the memo starts afresh, which costs a few
microseconds per address once; an attacker with many addresses cannot grow it."""


class Networks:
    """A list of CIDR texts. ``address in networks`` is False for a text that is no address (unix sockets)."""

    __slots__ = ("_memo", "_v4", "_v6")

    def __init__(self, texts: Iterable[str]) -> None:
        """Raises ValueError for a text that is no network."""
        networks = [ip_network(text, strict=False) for text in texts]
        self._v4 = tuple((int(net.network_address), int(net.netmask)) for net in networks if net.version == 4)
        self._v6 = tuple((int(net.network_address), int(net.netmask)) for net in networks if net.version == 6)
        self._memo: dict[str, bool] = {}

    def __contains__(self, address: str) -> bool:
        known = self._memo.get(address)
        if known is None:
            if len(self._memo) >= MEMO_SIZE:
                self._memo.clear()
            known = self._memo[address] = self._search(address)
        return known

    def _search(self, text: str) -> bool:
        try:
            address: IPv4Address | IPv6Address = ip_address(text)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            # A dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d; the operator wrote a.b.c.d.
            address = address.ipv4_mapped
        number = int(address)
        networks = self._v4 if address.version == 4 else self._v6
        return any(number & mask == base for base, mask in networks)
