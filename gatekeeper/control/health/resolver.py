"""Host names of backends: looked up here, once for all workers, again and again; the last good answer stays.

A name is looked up once however many backends have it, never twice at a time, and never by more than CONCURRENT
threads. A thread that hangs in the system's resolver keeps its place until it is done: asking a dead name server more
often does not make it answer. What fails leaves the addresses as they were, for a name server that is down must not
take the backends with it.
"""

import asyncio
import contextlib
import ipaddress
import random
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from gatekeeper.core.model import Dns

Emit = Callable[[Mapping[str, Any]], None]
Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a name, in any order. Raises OSError or UnicodeError. It may take its time; who asks need not."""

CONCURRENT: Final = 8
"""Lookups under way at once. Each is a thread that mostly waits; a healthy name server answers in milliseconds."""
MOST: Final = 64
"""Addresses of one name: each is a backend with its checks and metrics. Larger answers are used in part."""
_URLS: Final = 16_384
"""Urls whose host names are remembered: all are looked at on every change."""
JITTER: Final = 0.1
"""Part of the time between two lookups by which one may come early or late, so that not all come at once."""


@lru_cache(_URLS)
def name_in(url: str) -> str:
    """The host name of a backend's url; empty where it has an address, or a path."""
    host = "" if url.startswith("unix:") else urlsplit(url).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return ""


def backend_id(url: str, address: str) -> str:
    """What one address of a host name is called everywhere."""
    return f"{url}#{address}"


def parts_of(backend: str) -> tuple[str, str]:
    """The url and the address of a backend's id; the address is empty where the url has no host name."""
    if backend.startswith("unix:"):
        return backend, ""
    url, _, address = backend.partition("#")
    return url, address


def missing_name(backend: str) -> str:
    """The host name that has no address yet, where a backend's id is a url with one; else empty."""
    url, address = parts_of(backend)
    return "" if address else name_in(url)


@dataclass(slots=True)
class Name:
    """What is known of one host name. ``answered`` and ``failed`` return the event to tell, if it is worth one."""

    host: str
    addresses: tuple[str, ...] = ()
    """Sorted, at most MOST."""
    trouble: str = ""
    """Why the last lookup failed; empty when it did not."""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after the first lookup, whatever came of it."""

    def answered(self, found: Iterable[str]) -> Mapping[str, Any] | None:
        every = sorted(set(found), key=_order)
        was, trouble = self.addresses, self.trouble
        self.addresses, self.trouble = tuple(every[:MOST]), ""
        if not trouble and (not self.asked.is_set() or was == self.addresses):
            return None
        return {
            "kind": "dns_recovered" if trouble else "dns_changed",
            "host": self.host,
            "addresses": list(self.addresses),
            "came": [address for address in self.addresses if address not in was],
            "left": [address for address in was if address not in self.addresses],
            "not_used": len(every) - len(self.addresses),
        }

    def failed(self, reason: str) -> Mapping[str, Any] | None:
        first, self.trouble = not self.trouble, reason
        if not first:
            return None
        return {"kind": "dns_failed", "host": self.host, "reason": reason, "kept": list(self.addresses)}


@dataclass(slots=True)
class _Followed:
    name: Name
    task: "asyncio.Task[None]"


class Resolver:
    """Looks up the names it is told to ``follow`` until ``stop``."""

    def __init__(
        self,
        emit: Emit,
        on_change: Callable[[str], None],
        *,
        lookup: Lookup | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``on_change`` gets a name whose addresses, or whose trouble, are others than before."""
        self._emit = emit
        self._on_change = on_change
        self._lookup = lookup or look_up
        self._chance = chance
        self._dns = Dns()
        self._followed: dict[str, _Followed] = {}
        self._places = asyncio.Semaphore(CONCURRENT)
        self._under_way: dict[str, asyncio.Task[Sequence[str]]] = {}

    def troubles(self) -> list[str]:
        """The names that cannot be looked up now, in words."""
        names = [each.name for _, each in sorted(self._followed.items())]
        return [
            f"{name.host} cannot be looked up ({name.trouble}); {', '.join(name.addresses) or 'none'} of before stay"
            for name in names
            if name.trouble
        ]

    def follow(self, hosts: Iterable[str], dns: Dns) -> None:
        """Look up exactly these names from now on; what is known of those that stay is kept."""
        wanted = set(hosts)
        for host in self._followed.keys() - wanted:
            self._followed.pop(host).task.cancel()
        for host in sorted(wanted):
            known = self._followed.get(host)
            if known is not None and dns == self._dns:
                continue
            if known is not None:
                known.task.cancel()  # it may sleep for as long as it was told before
            name = known.name if known is not None else Name(host)
            self._followed[host] = _Followed(name, asyncio.create_task(self._run(name, dns)))
        self._dns = dns

    async def learn(self, hosts: Iterable[str], seconds: float) -> None:
        """Look up these names, too, which are about to be needed; wait for the answers, at most ``seconds``."""
        new = set(hosts) - self._followed.keys()
        if new:
            self.follow({*self._followed, *new}, self._dns)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.first_round()

    def adopt(self, host: str, addresses: Iterable[str]) -> None:
        """Take what somebody else found for an answer, as long as there is none."""
        known = self._followed.get(host)
        if known is not None and not known.name.addresses:
            known.name.answered(addresses)
            self._on_change(host)

    def addresses(self, host: str) -> tuple[str, ...]:
        """The last good answer, sorted; empty if there was none yet."""
        known = self._followed.get(host)
        return known.name.addresses if known is not None else ()

    def trouble(self, host: str) -> str:
        """Why the last lookup failed; empty when it did not."""
        known = self._followed.get(host)
        return known.name.trouble if known is not None else ""

    async def first_round(self) -> None:
        """Wait until every name was looked up once; each lookup is bounded by ``dns.timeout``."""
        await asyncio.gather(*(known.name.asked.wait() for known in self._followed.values()))

    async def ask(self, host: str) -> tuple[str, ...]:
        """The addresses of a name that is not followed, sorted. Raises OSError with the reason in words."""
        found = Name(host)
        found.answered(await self._ask(host, self._dns.timeout))
        return found.addresses

    async def stop(self) -> None:
        tasks = [known.task for known in self._followed.values()]
        every: list[asyncio.Task[Any]] = [*tasks, *self._under_way.values()]
        self._followed.clear()
        for task in every:
            task.cancel()
        for task in every:
            with contextlib.suppress(asyncio.CancelledError, OSError, UnicodeError):
                await task

    async def _run(self, name: Name, dns: Dns) -> None:
        while True:
            before = name.addresses, name.trouble
            try:
                event = name.answered(await self._ask(name.host, dns.timeout))
            except OSError as error:
                event = name.failed(str(error))
            if event is not None:
                self._emit(event)
            if before != (name.addresses, name.trouble):
                self._on_change(name.host)
            name.asked.set()
            await asyncio.sleep(dns.refresh * (1 + JITTER * (2 * self._chance() - 1)))

    async def _ask(self, host: str, seconds: float) -> Sequence[str]:
        """Raises OSError with the reason in words."""
        try:
            async with asyncio.timeout(seconds):
                task = self._under_way.get(host)
                if task is None:
                    await self._places.acquire()
                    task = self._under_way.get(host)
                    if task is not None:
                        self._places.release()
                if task is None:
                    task = self._under_way[host] = asyncio.create_task(self._begin(host))
                    task.add_done_callback(_retrieve)
                # The thread cannot be called back: who waited too long leaves it, and the next one waits for it.
                found = await asyncio.shield(task)
        except TimeoutError:
            raise OSError(f"no answer within {seconds:g} s") from None
        except (OSError, UnicodeError) as error:
            raise OSError(in_words(error)) from error
        except Exception as error:  # a defect must not end the lookups of this name
            raise OSError(f"the lookup itself failed: {error!r}") from error
        if not found:
            raise OSError("the name has no address")
        return found

    async def _begin(self, host: str) -> Sequence[str]:
        try:
            return await self._lookup(host)
        finally:
            self._places.release()
            del self._under_way[host]


def _retrieve(task: "asyncio.Task[Sequence[str]]") -> None:
    """Whoever asked may have gone; then nobody else looks at what became of it."""
    if not task.cancelled():
        task.exception()


async def look_up(host: str) -> Sequence[str]:
    """Ask the system, as for any program: /etc/hosts, name servers. Raises OSError or UnicodeError.

    In a thread of its own that nobody waits for at the end: the loop's pool would make the program wait for a name
    server that does not answer. Of families this machine has no address of, nothing is returned (AI_ADDRCONFIG).
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Sequence[str]] = loop.create_future()

    def settle(found: Sequence[str], error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(found)
        else:
            future.set_exception(error)

    def run() -> None:
        found: Sequence[str] = ()
        failure: Exception | None = None
        try:
            every = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            found = [str(where[0]) for *_, where in every]
        except (OSError, UnicodeError) as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed; nobody waits any more
            loop.call_soon_threadsafe(settle, found, failure)

    threading.Thread(target=run, name=f"lookup of {host}", daemon=True).start()
    return await future


def in_words(error: Exception) -> str:
    """What the system says of a lookup that failed."""
    if isinstance(error, UnicodeError):
        return "it is no name that can be looked up"
    if isinstance(error, socket.gaierror):
        if error.errno in {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}:
            return "the host name is not known"
        if error.errno == socket.EAI_AGAIN:
            return "the name server does not answer"
    return str(error.args[1] if isinstance(error, OSError) and len(error.args) > 1 else error).lower()


def _order(address: str) -> tuple[int, int, str]:
    """By family, then by number; texts with a zone after those without."""
    parsed = ipaddress.ip_address(address)
    return parsed.version, int(parsed), address
