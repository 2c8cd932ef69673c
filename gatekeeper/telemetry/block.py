"""The counters of one worker slot, in memory that outlives the worker.

The supervisor creates one block per worker slot and hands its descriptor down; the worker that takes the slot counts
into it (``recorder``), the supervisor reads it (``exposition``, ``window``) without asking the worker. When a worker
dies, its successor goes on in the same block: counters never go back.

A block is a row of cells of 8 bytes: a header, then one range of STRIDE cells per *slot*. A slot is a (service,
version) pair, see ``slots``. Rules that make this safe without a lock:

* **One writer.** Only the worker that holds the block counts in it. The supervisor writes at two moments: between a
  worker's death and its successor's start (``settle``), and in a slot that no routing table names (``clear_slot``).
* **Cells are atomic, groups are not.** A cell is aligned and stored by one machine store, so it is never read half
  written; two cells may be read at different moments. So nothing is stored twice: what could disagree is derived.
  The count of a histogram is the sum of its buckets, requests in flight are those begun less those finished.
* **A worker may die between two stores.** Then one request is in its code counter and not in its histogram. That is
  the whole damage: one observation, and no cell is invalid.

The sum of a histogram may lag its buckets by the one observation being written; it never runs away from them.
"""

import contextlib
import fcntl
import mmap
import os
import tempfile
from array import array
from enum import IntEnum
from typing import Final, Self

from gatekeeper.errors import GatekeeperError, Source

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds in seconds, inclusive; one more bucket, without a bound, follows. Part of the block's layout."""
BUCKET_COUNT: Final = len(BUCKETS) + 1

NO_SERVICE: Final = 0
"""The slot of requests that reached no service: 404 and malformed requests. Its labels are empty."""
OVERFLOW: Final = 1
"""Where versions count whose number is beyond the block, see ``slots``."""
FIRST_SLOT: Final = 2

MAX_SLOTS: Final = 65_536
"""Bounds what a garbled header can make us map: 65,536 slots are 532 MiB, far beyond any number of versions."""


class Refusal(IntEnum):
    """Why a connection was turned away. The values are positions in the header: append only, never reorder."""

    CONNECTION_LIMIT = 0
    DRAINING = 1
    DESCRIPTORS = 2
    """The process has no file descriptor left to accept with."""
    HEAD_TIMEOUT = 3
    """No complete request head came within ``timeouts.request_head``."""
    TLS = 4
    """The TLS handshake failed, or was not done within ``timeouts.request_head``."""
    PROXY_PROTOCOL = 5
    """No PROXY header where one must be, or from a peer that is not in ``trusted_proxies``."""

    @property
    def label(self) -> str:
        return self.name.lower()


# The header. Cells 3-7 and from 16+REFUSALS on are spare.
HEADER: Final = 64
MAGIC, SLOTS, LAYOUT = 0, 1, 2
ACCEPTED, CLOSED, LOG_DROPPED, REVISION, LAG, SPANS_DROPPED = 8, 9, 10, 11, 12, 13
REFUSED: Final = 16
REFUSALS: Final = 16

# One slot. SUM, UPSTREAM_SUM (and LAG above) are doubles, all other cells unsigned integers.
BEGUN, FAILOVERS, RETRIES = 0, 1, 2
DURATION: Final = 3
SUM: Final = DURATION + BUCKET_COUNT
UPSTREAM: Final = SUM + 1
UPSTREAM_SUM: Final = UPSTREAM + BUCKET_COUNT
ERRORS: Final = UPSTREAM_SUM + 1
SOURCES: Final = 16
CODES: Final = ERRORS + SOURCES
"""Answers by code: first any code outside 100..599, then 100, 101, ... 599."""
CODE_COUNT: Final = 501
FORCED: Final = CODES + CODE_COUNT
"""The same for forced requests."""
TUNNELS: Final = FORCED + CODE_COUNT
"""Tunnels opened, tunnels closed, bytes received from clients through tunnels, bytes sent to clients."""
TUNNELS_CLOSED: Final = TUNNELS + 1
TUNNEL_RECEIVED: Final = TUNNELS + 2
TUNNEL_SENT: Final = TUNNELS + 3
STRIDE: Final = (TUNNELS + 4 + 7) // 8 * 8
"""Whole cache lines of 64 bytes, so that two slots share none."""

_CELL: Final = 8
_MAGIC: Final = 0x6761_7465_6B65_6570  # "gatekeep"
_LAYOUT: Final = 1 << 32 | STRIDE
"""Grows whenever a cell changes its meaning: an attached block is read by this layout or not at all."""

if len(Source) > SOURCES or len(Refusal) > REFUSALS:
    raise AssertionError("telemetry/block.py: an enum has outgrown its cells; enlarge SOURCES or REFUSALS")


class BlockError(GatekeeperError):
    """The descriptor holds no block of this program."""


class Block:
    """One worker slot's cells: ``capacity`` slots of them. ``integers`` and ``doubles`` show the same memory."""

    __slots__ = ("_map", "capacity", "doubles", "fd", "integers")

    def __init__(self, fd: int, capacity: int) -> None:
        """Map ``fd``, which the block then owns. Use ``create`` or ``attach``."""
        self.fd = fd
        self.capacity = capacity
        self._map = mmap.mmap(fd, _size(capacity))
        self.integers = memoryview(self._map).cast("Q")
        self.doubles = memoryview(self._map).cast("d")

    @classmethod
    def create(cls, slots: int) -> Self:
        """A zeroed block for ``slots`` slots, 2..MAX_SLOTS. Costs memory only where something was counted.

        Raises OSError when the system has neither memfd nor a writable temporary directory, ValueError for ``slots``.
        """
        if not FIRST_SLOT <= slots <= MAX_SLOTS:
            raise ValueError(f"a block has {FIRST_SLOT}..{MAX_SLOTS} slots, not {slots}")
        fd = _memory(_size(slots))
        try:
            block = cls(fd, slots)
        except BaseException:
            os.close(fd)
            raise
        block.integers[SLOTS] = slots
        block.integers[LAYOUT] = _LAYOUT
        block.integers[MAGIC] = _MAGIC
        return block

    @classmethod
    def attach(cls, fd: int) -> Self:
        """The block behind an inherited descriptor. Raises BlockError when it is none, or of another layout."""
        try:
            head = os.pread(fd, 3 * _CELL, 0)
            size = os.fstat(fd).st_size
        except OSError as error:
            raise BlockError(f"descriptor {fd} is no metrics block: {error.strerror}") from error
        magic, slots, layout = array("Q", head) if len(head) == 3 * _CELL else (0, 0, 0)
        if magic != _MAGIC:
            raise BlockError(f"descriptor {fd} is no metrics block; pass the one that Block.create returned as .fd")
        if layout != _LAYOUT or not FIRST_SLOT <= slots <= MAX_SLOTS or size != _size(slots):
            raise BlockError(
                f"descriptor {fd} is a metrics block of another layout ({layout:#x}, {slots} slots, {size} bytes; "
                f"this program's is {_LAYOUT:#x}); create a new one and start the worker with it"
            )
        return cls(fd, slots)

    def close(self) -> None:
        """Unmap and close the descriptor. The cells live on while another process holds them."""
        self.integers.release()
        self.doubles.release()
        self._map.close()
        os.close(self.fd)

    def slot_cells(self, slot: int) -> "array[int]":
        """A copy of one slot's STRIDE cells, as integers. Raises IndexError for a slot the block does not have."""
        if not 0 <= slot < self.capacity:
            raise IndexError(f"slot {slot} of a block of {self.capacity}")
        start = (HEADER + slot * STRIDE) * _CELL
        return array("Q", self._map[start : start + STRIDE * _CELL])

    def used(self, slot: int) -> bool:
        """Whether anything was counted in the slot since it was last cleared."""
        base = HEADER + slot * STRIDE
        integers = self.integers
        return any(integers[base + BEGUN : base + DURATION]) or any(integers[base + ERRORS : base + CODES])

    def settle(self) -> tuple[int, int]:
        """Zero the gauges after the worker's death: nothing is open, nothing in flight, no revision is current.

        To be called before a successor starts. Returns the (connections, requests) that died with the worker.
        """
        integers = self.integers
        connections = max(0, integers[ACCEPTED] - integers[CLOSED])
        integers[CLOSED] = integers[ACCEPTED]
        integers[REVISION] = 0
        self.doubles[LAG] = 0.0
        requests = 0
        for slot in range(self.capacity):
            base = HEADER + slot * STRIDE
            if integers[base + BEGUN]:
                finished = sum(integers[base + CODES : base + FORCED + CODE_COUNT])
                requests += max(0, integers[base + BEGUN] - finished)
                integers[base + BEGUN] = finished
                integers[base + TUNNELS_CLOSED] = integers[base + TUNNELS]
        return connections, requests

    def clear_slot(self, slot: int) -> None:
        """Forget what one slot counted, so that another version can take it. No routing table may name the slot."""
        if not 0 <= slot < self.capacity:
            raise IndexError(f"slot {slot} of a block of {self.capacity}")
        start = (HEADER + slot * STRIDE) * _CELL
        self._map[start : start + STRIDE * _CELL] = bytes(STRIDE * _CELL)


def _size(slots: int) -> int:
    return (HEADER + slots * STRIDE) * _CELL


def _memory(size: int) -> int:
    """A descriptor of ``size`` zeroed bytes without a name: memfd, or an unlinked file where there is no memfd."""
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):  # a kernel or sandbox without it
            fd = os.memfd_create("gatekeeper-metrics", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            try:
                os.ftruncate(fd, size)
                # Nobody who inherits it can shrink it: touching a page beyond the end would kill every holder (SIGBUS).
                fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            except BaseException:
                os.close(fd)
                raise
            return fd
    with tempfile.TemporaryFile(prefix="gatekeeper-metrics-") as file:
        os.ftruncate(file.fileno(), size)
        return os.dup(file.fileno())
