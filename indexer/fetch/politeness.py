"""Whose turn it is: work waits in a queue for each host, and a host is asked by few at a time and not too often.

Of all whose host may be asked, the first in the order of the links is next: so the first shard is done first.
Nothing that waits for its turn takes up one of the requests in flight.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Generic, TypeVar

from explorer.errors import RejectReason
from indexer.sources.base import Fault

Job = TypeVar("Job")

LONGEST_WAIT = 60.0
"""Seconds that a host is waited for; one that asks for more is not asked again in this run."""
UNSAID_WAIT = 2.0
"""Seconds to stay away from a host that is overloaded and does not say for how long."""
PATIENCE = 5
"""Requests in a row that get no answer before a host is given up."""


@dataclass(slots=True)
class _Host(Generic[Job]):
    jobs: list[tuple[int, int, Job]] = field(default_factory=list)
    active: int = 0
    not_before: float = 0.0
    is_listed: bool = False


class Hosts(Generic[Job]):
    """The queues of all hosts; for one event loop."""

    def __init__(self, per_host: int, delay: float) -> None:
        """Let each host have `per_host` requests at a time, `delay` seconds from the start of one to the next."""
        self._per_host, self._delay = per_host, delay
        self._hosts: dict[str, _Host[Job]] = {}
        self._unanswered: dict[str, int] = {}
        self._closed: dict[str, Fault] = {}
        self._put = count()
        self._ready: list[tuple[int, str]] = []
        self._later: list[tuple[float, str]] = []
        self._news = asyncio.Event()

    def put(self, name: str, job: Job, order: int) -> None:
        """Let a job wait for its host; of those that wait, the one of the lowest order is next."""
        host = self._hosts.setdefault(name, _Host())
        heapq.heappush(host.jobs, (order, next(self._put), job))
        self._list(name, host)

    async def take(self) -> Job:
        """The next job whose turn it is; it holds its host until `done`."""
        while True:
            wait = self._wake()
            if self._ready:
                return self._start(heapq.heappop(self._ready)[1])
            self._news.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def turn(self, name: str, delay: float = 0.0) -> None:
        """Wait until a job that holds its host may ask it: the delay lies between any two requests."""
        host, now = self._hosts.setdefault(name, _Host()), time.monotonic()
        at = max(now, host.not_before)
        host.not_before = at + max(self._delay, delay)
        if at > now:
            await asyncio.sleep(at - now)

    def done(self, name: str) -> None:
        """Give back the host that a job has held."""
        host = self._hosts[name]
        host.active -= 1
        if host.jobs:
            self._list(name, host)
        elif not host.active and host.not_before <= time.monotonic():
            del self._hosts[name]

    def answered(self, name: str) -> None:
        """Note that a host is there."""
        self._unanswered.pop(name, None)

    def unanswered(self, name: str, fault: Fault) -> None:
        """Note that a host gave no answer; after a few in a row it is given up."""
        self._unanswered[name] = self._unanswered.get(name, 0) + 1
        if self._unanswered[name] >= PATIENCE:
            self._closed[name] = Fault(fault.reason, f"{name} has not answered {PATIENCE} times in a row")

    def stay_away(self, name: str, seconds: float) -> bool:
        """Do as a host asks that wants to be left alone for a while; False where that is too long to wait for."""
        host = self._hosts[name]
        if seconds > LONGEST_WAIT:
            self._closed[name] = Fault(RejectReason.STATUS, f"{name} asks to come back in {seconds:,.0f} s")
            return False
        host.not_before = max(host.not_before, time.monotonic() + seconds)
        return True

    def closed(self, name: str) -> Fault | None:
        """Why a host is not asked any more."""
        return self._closed.get(name)

    def _list(self, name: str, host: _Host[Job]) -> None:
        """Put a host in line, once, if a job of it may start."""
        if host.is_listed or not host.jobs or host.active >= self._per_host:
            return
        host.is_listed = True
        if host.not_before > time.monotonic() and name not in self._closed:
            heapq.heappush(self._later, (host.not_before, name))
        else:
            heapq.heappush(self._ready, (host.jobs[0][0], name))
        self._news.set()

    def _wake(self) -> float | None:
        """Bring hosts whose time has come into line; seconds to the next, None where there is none."""
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            _, name = heapq.heappop(self._later)
            self._hosts[name].is_listed = False
            self._list(name, self._hosts[name])
        return self._later[0][0] - now if self._later else None

    def _start(self, name: str) -> Job:
        host = self._hosts[name]
        host.is_listed = False
        host.active += 1
        *_, job = heapq.heappop(host.jobs)
        self._list(name, host)
        return job


def retry_after(header: str | None) -> float:
    """The seconds that a `Retry-After` asks for, given as seconds or as a date; `UNSAID_WAIT` where it says nothing."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 10 else math.inf
    try:
        at = parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return UNSAID_WAIT
    return max(0.0, at - time.time())
