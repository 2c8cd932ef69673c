"""What the tests of tunnels share: upgrades that were agreed on, and close frames."""

from gatekeeper.http1.upgrade import close_frame
from gatekeeper.telemetry import block as cells
from tests.dataplane.wires import Wire
from tests.dataplane.world import SLOTS, World, request

ASK = request("GET", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: abc")
GO = b"HTTP/1.1 101 Switching\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: xyz\r\n\r\n"
ASK_OTHER = request("GET", "Connection: Upgrade", "Upgrade: letters/1")
GO_OTHER = b"HTTP/1.1 101 Switching\r\nUpgrade: letters/1\r\nConnection: Upgrade\r\n\r\n"
AWAY = b"\x88\x02\x03\xe9"
REPLY = close_frame(1001, b"mask")


def tunnel(here: World, ask: bytes = ASK, go: bytes = GO, **more) -> tuple[Wire, Wire]:
    client, backend = here.asked(ask, **more)
    backend.send(go)
    assert client.take().startswith(b"HTTP/1.1 101 ")
    backend.take()
    return client, backend


def other(here: World) -> tuple[Wire, Wire]:
    return tunnel(here, ASK_OTHER, GO_OTHER)


def cells_of(here: World, version: str = "blue") -> tuple[int, ...]:
    """(opened, closed, received, sent)"""
    found = here._block.slot_cells(SLOTS[version])
    return tuple(found[cells.TUNNELS : cells.TUNNEL_SENT + 1])


def unmasked(raw: bytes) -> bytes:
    """The payload of a short masked frame at the end of ``raw``."""
    raw = raw[-8:]
    assert raw[:2] == b"\x88\x82"
    return bytes(byte ^ key for byte, key in zip(raw[6:], raw[2:4], strict=True))
