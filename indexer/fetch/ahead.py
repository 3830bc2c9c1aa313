"""The thread that fetches ahead: it opens shards in their order, as far as there is room, and hands each over.

`start`, `take`, `discard` and `stop` are the reader's; all else happens in the thread's event loop.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from explorer.errors import BuildError
from explorer.manifest import Fetch
from indexer.fetch.client import Client
from indexer.fetch.descriptors import room_for
from indexer.fetch.desk import Desk, OpenShard
from indexer.fetch.journey import Journeys, Refused, Visit
from indexer.fetch.parts import FetchedShard, FetchPart
from indexer.fetch.politeness import Hosts
from indexer.fetch.shared import SharedPictures
from indexer.fetch.spool import Fetched

if sys.platform == "win32":
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop


_ABREAST = 16
"""Visits that start together: those before them go on, so that the first pictures come long before the last request."""

Arrived = Callable[[bytes, Callable[[], bytes]], None]
"""Who is told of a picture's file that some row will have, and what reads it again."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """How far to run ahead of the reader.

    Attributes:
        rows: in shards that are open, or fetched and not yet discarded.
        bytes: of pictures that are fetched and not yet discarded; beyond them, only the shard that the reader waits for
            goes on.
    """

    rows: int = 20_000
    bytes: int = 2_000_000_000


class RunAhead:
    """One run over the shards of a corpus."""

    def __init__(
        self,
        parts: Sequence[FetchPart],
        settings: Fetch,
        client: Client,
        refused: Refused,
        arrived: Arrived,
        folder: Path,
        ahead: Ahead,
    ) -> None:
        self._parts, self._settings, self._client, self._ahead = parts, settings, client, ahead
        self._refused, self._arrived, self._folder = refused, arrived, folder
        self._shared = SharedPictures(folder / "shared", [part.links.values() for part in parts])
        self._desk = Desk(parts, folder, self._shared, lambda: client.heard)
        self._done: list[Future[FetchedShard]] = [Future() for _ in parts]
        self._wanted, self._discards = 0, deque[int]()
        self._next, self._rows, self._handed = 0, 0, 0
        self._parked: list[Visit] = []
        self._thread = threading.Thread(target=self._run, name="fetch", daemon=True)
        self._is_up = threading.Event()

    def start(self) -> None:
        """Begin to fetch."""
        self._thread.start()
        self._is_up.wait()

    def take(self, number: int) -> FetchedShard:
        """Wait for a shard; what went wrong in the thread comes out here."""
        self._wanted = max(self._wanted, number)
        self._tell()
        return self._done[number].result()

    def discard(self, number: int) -> None:
        """Remove what was fetched for a shard, and let the thread use the room."""
        part = self._parts[number]
        part.spool(self._folder).unlink(missing_ok=True)
        self._shared.release(part.links.values(), number)
        self._discards.append(number)
        self._tell()

    def stop(self) -> None:
        """End the thread; what is fetched stays on the disk."""
        with suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join()

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the thread has ended; `_done` says why
            self._loop.call_soon_threadsafe(self._news.set)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            self._loop = runner.get_loop()
            self._news = asyncio.Event()
            self._main = self._loop.create_task(self._fetch())
            self._is_up.set()
            try:
                self._loop.run_until_complete(self._main)
            except BaseException as error:  # whatever it is, it belongs to the thread that waits for a shard
                self._fail(_first(error))
            finally:
                self._desk.abandon()

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            error = BuildError("the fetcher was stopped; run the same command again: what is fetched is kept")
        for future in self._done:
            if not future.done():
                future.set_exception(error)

    async def _fetch(self) -> None:
        self._hosts: Hosts[Visit] = Hosts(self._settings.per_host, self._settings.delay)
        self._room = asyncio.Semaphore(room_for(self._settings.in_flight))
        async with self._client:
            self._journeys = Journeys(self._settings, self._client, self._hosts, self._refused, self._folder)
            async with asyncio.TaskGroup() as self._group:
                dispatcher = self._group.create_task(self._dispatch())
                while self._handed < len(self._parts):
                    await self._go_on()
                    await self._news.wait()
                    self._news.clear()
                dispatcher.cancel()

    async def _dispatch(self) -> None:
        """Start visits as their turns come, as many at a time as the settings allow."""
        while True:
            for _ in range(_ABREAST):
                await self._room.acquire()
                self._group.create_task(self._visit(await self._hosts.take()))
            await asyncio.sleep(0)

    async def _visit(self, visit: Visit) -> None:
        try:
            if self._desk.bytes >= self._ahead.bytes and not self._desk.is_for(visit.link, self._wanted):
                self._parked.append(visit)
                return
            result = await self._journeys.go(visit)
        finally:
            self._hosts.done(visit.target.host)
            self._room.release()
        self._follow(visit.link, result)

    def _follow(self, link: str, result: Visit | Fetched) -> None:
        if isinstance(result, Visit):
            self._hosts.put(result.target.host, result, result.order)
            return
        again = self._desk.reader(link, result.data)
        for shard in self._desk.settle(link, result):
            self._group.create_task(self._hand_over(shard))
        if result.data is not None and again is not None:
            self._arrived(result.data, again)

    async def _hand_over(self, shard: OpenShard) -> None:
        """Let the reader have a shard; from here on not even a power cut takes it away."""
        spool = shard.spool
        await asyncio.to_thread(spool.finish)
        done = FetchedShard(shard.part, spool.path, spool.entries, self._shared, partial(self.discard, shard.number))
        self._done[shard.number].set_result(done)
        self._handed += 1
        self._news.set()

    async def _go_on(self) -> None:
        """Take up what has waited for room, and open shards as far as there is some."""
        while self._discards:
            number = self._discards.popleft()
            self._rows -= len(self._parts[number].rows)
            self._desk.close(number)
        parked, self._parked = self._parked, []
        for visit in parked:
            self._hosts.put(visit.target.host, visit, visit.order)
        while self._next < len(self._parts):
            rows = len(self._parts[self._next].rows)
            if self._next > self._wanted and self._rows + rows > self._ahead.rows:
                break
            self._rows += rows
            self._open(self._next)
            self._next += 1
            await asyncio.sleep(0)

    def _open(self, number: int) -> None:
        shard, links = self._desk.open(number)
        if not shard.pending:
            self._group.create_task(self._hand_over(shard))
        for link in links:
            self._follow(link, self._journeys.start(link))


def _first(error: BaseException) -> BaseException:
    """What a group of errors began with."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
