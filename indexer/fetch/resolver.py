"""From a host's name to its addresses: asked once, kept for a while, judged by whoever opens them.

Names are looked up by the operating system, so that its hosts file and its private zones hold here as well; each
look-up has a thread of its own that nobody has to wait for when the work is stopped.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from explorer.errors import PictureError, RejectReason
from indexer.fetch.addresses import Address
from indexer.fetch.links import Target

Lookup = Callable[[str], Awaitable[tuple[str, ...]]]
"""A host's name -> its addresses; raises OSError."""

KEPT = 300.0
KEPT_FAILURE = 60.0
"""Seconds that an answer is kept; the system's own look-up does not say for how long it holds."""
_MOST = 50_000
_THREADS = 256


@dataclass(frozen=True, slots=True)
class _Answer:
    addresses: tuple[Address, ...]
    expires: float


class Resolver:
    """Answers that are asked for at the same time, or soon after each other, are asked for once."""

    def __init__(self, lookup: Lookup | None = None) -> None:
        self._lookup = lookup or SystemLookup()
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._asking: dict[str, asyncio.Task[_Answer]] = {}

    async def addresses(self, target: Target) -> tuple[Address, ...]:
        """Every address of a target's host, the one to try first in front.

        Raises:
            PictureError: DNS: the name has none.
        """
        if target.address is not None:
            return (target.address,)
        answer = self._answers.get(target.host)
        if answer is None or answer.expires < time.monotonic():
            answer = await self._ask(target.host)
        if not answer.addresses:
            raise PictureError(RejectReason.DNS, f"{target.host} has no address")
        return answer.addresses

    async def _ask(self, host: str) -> _Answer:
        task = self._asking.get(host)
        if task is None:
            task = self._asking[host] = asyncio.create_task(self._look_up(host))
            task.add_done_callback(lambda _: self._asking.pop(host))
        return await asyncio.shield(task)  # who runs out of time takes nothing from the others who wait

    async def _look_up(self, host: str) -> _Answer:
        try:
            found = tuple(dict.fromkeys(ip_address(text) for text in await self._lookup(host)))
        except (OSError, UnicodeError):
            found = ()
        answer = _Answer(found, time.monotonic() + (KEPT if found else KEPT_FAILURE))
        self._answers[host] = answer
        self._answers.move_to_end(host)
        if len(self._answers) > _MOST:
            self._answers.popitem(last=False)
        return answer


class SystemLookup:
    """`getaddrinfo`, each call in a daemon thread: a name server that never answers holds up no shutdown."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(_THREADS)

    async def __call__(self, host: str) -> tuple[str, ...]:
        """The addresses in the order that the system prefers."""
        async with self._room:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[tuple[str, ...]] = loop.create_future()
            threading.Thread(target=_look_up, args=(host, loop, future), name="dns", daemon=True).start()
            return await future


def _look_up(host: str, loop: asyncio.AbstractEventLoop, future: asyncio.Future[tuple[str, ...]]) -> None:
    found: tuple[str, ...] = ()
    error: Exception | None = None
    try:
        found = tuple(str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as caught:
        error = caught

    def settle() -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(found)
        else:
            future.set_exception(error)

    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(settle)
