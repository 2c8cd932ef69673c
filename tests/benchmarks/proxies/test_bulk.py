"""Large bodies: the load and its backends, one against the other."""

import threading

import pytest

from benchmarks.proxies import bulk, bulk_backend


@pytest.fixture
def port(free_port):
    threading.Thread(target=bulk_backend.listen, args=("blue", free_port), daemon=True).start()
    return free_port


def carry(port, way, size, connections=2):
    for _ in range(100):
        found = bulk.carry(port, way, size, connections, 0)
        if "ConnectionRefused" not in found.error:
            return found
        threading.Event().wait(0.02)
    return found


@pytest.mark.parametrize("way", ["down", "up", "down-chunked", "up-chunked"])
@pytest.mark.parametrize("size", [1, 16_384, 1_000_003])
def test_bodies_arrive_whole(port, way, size):
    found = carry(port, way, size)
    assert (found.bodies, found.size, found.error) == (2, 2 * size, "")


def test_a_body_that_is_cut_is_an_error(port, monkeypatch):
    def cut(connection, *_args, **_options):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort")
        raise OSError

    monkeypatch.setattr(bulk_backend, "give", cut)
    found = carry(port, "down", 1000, 1)
    assert found.bodies == 0
    assert "are missing" in found.error


def test_the_last_chunk_does_not_stand_in_what_is_sent():
    """The reader of a chunked body looks for it at the end of what came."""
    assert bulk_backend.LAST not in bulk_backend.FULL * 2
    assert bulk_backend.LAST not in bulk_backend.FULL[: bulk_backend.CHUNK] + b"\r\n4000\r\n" + bulk_backend.FULL
