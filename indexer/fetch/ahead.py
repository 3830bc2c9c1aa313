"""The thread that fetches ahead: it opens shards in their order, as far as there is room, and hands each over.

Everything here happens in that thread's event loop, except `start`, `take`, `discard` and `stop`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from explorer.errors import BuildError
from explorer.manifest import Fetch
from indexer.fetch.client import Client
from indexer.fetch.descriptors import room_for
from indexer.fetch.journey import Journeys, Refused, Visit
from indexer.fetch.parts import FetchedShard, FetchPart
from indexer.fetch.politeness import Hosts
from indexer.fetch.shared import SharedPictures
from indexer.fetch.spool import Fetched, Spool


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


@dataclass(slots=True)
class _Open:
    """A shard on its way.

    Attributes:
        number: its place in the order.
        pending: rows whose outcome is not known.
    """

    number: int
    part: FetchPart
    spool: Spool
    pending: int = 0


@dataclass(frozen=True, slots=True)
class _Claim:
    """A row that waits for a link."""

    shard: _Open
    key: str


class RunAhead:
    """One run over the shards of a corpus."""

    def __init__(
        self, parts: Sequence[FetchPart], settings: Fetch, client: Client, refused: Refused, folder: Path, ahead: Ahead
    ) -> None:
        self._parts, self._settings, self._client, self._ahead = parts, settings, client, ahead
        self._refused, self._folder = refused, folder
        self._shared = SharedPictures(folder / "shared", [part.links.values() for part in parts])
        self._done: list[Future[FetchedShard]] = [Future() for _ in parts]
        self._open: dict[int, _Open] = {}
        self._next, self._wanted, self._rows, self._bytes = 0, 0, 0, 0
        self._waiting: dict[str, list[_Claim]] = {}
        self._parked: list[Visit] = []
        self._thread = threading.Thread(target=self._run, name="fetch", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._is_up = threading.Event()

    def start(self) -> None:
        """Begin to fetch."""
        self._thread.start()
        self._is_up.wait()

    def take(self, number: int) -> FetchedShard:
        """Wait for a shard; what went wrong in the thread comes out here."""
        self._call(self._want, number)
        return self._done[number].result()

    def discard(self, number: int) -> None:
        """Remove what was fetched for a shard, and let the thread use the room."""
        part = self._parts[number]
        part.spool(self._folder).unlink(missing_ok=True)
        self._shared.release(part.links.values(), number)
        self._call(self._discarded, number)

    def stop(self) -> None:
        """End the thread; what is fetched stays on the disk."""
        if self._main is not None:
            self._call(self._main.cancel)
        self._thread.join()
        for shard in self._open.values():
            shard.spool.close()

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        """Do something in the thread, if it still lives."""
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            pass  # the loop is closed; `_done` says why

    def _run(self) -> None:
        try:
            asyncio.run(self._fetch())
        except BaseException as error:  # whatever it is, it belongs to the thread that waits for a shard
            self._fail(_first(error))
        finally:
            self._is_up.set()

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            error = BuildError("the fetcher was stopped; run the same command again: what is fetched is kept")
        for future in self._done:
            if not future.done():
                future.set_exception(error)

    async def _fetch(self) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        self._hosts: Hosts[Visit] = Hosts(self._settings.per_host, self._settings.delay)
        self._room = asyncio.Semaphore(room_for(self._settings.in_flight))
        self._end = asyncio.Event()
        self._is_up.set()
        async with self._client:
            self._journeys = Journeys(self._settings, self._client, self._hosts, self._refused, self._folder)
            async with asyncio.TaskGroup() as self._group:
                dispatcher = self._group.create_task(self._dispatch())
                self._admit()
                await self._end.wait()
                dispatcher.cancel()

    async def _dispatch(self) -> None:
        """Start visits as their turns come, as many at a time as the settings allow."""
        while True:
            await self._room.acquire()
            self._group.create_task(self._visit(await self._hosts.take()))

    async def _visit(self, visit: Visit) -> None:
        host = visit.target.host
        try:
            if self._must_wait(visit):
                self._parked.append(visit)
                return
            result = await self._journeys.go(visit)
        finally:
            self._hosts.done(host)
            self._room.release()
        self._follow(visit.link, result)

    def _must_wait(self, visit: Visit) -> bool:
        """Whether the disk holds so much that only the shard that the reader waits for goes on."""
        if self._bytes < self._ahead.bytes:
            return False
        return all(claim.shard.number > self._wanted for claim in self._waiting[visit.link])

    def _follow(self, link: str, result: Visit | Fetched) -> None:
        if isinstance(result, Visit):
            self._hosts.put(result.target.host, result)
        else:
            self._settle(link, result)

    def _settle(self, link: str, fetched: Fetched) -> None:
        """Write down what became of a link, for every row that waits for it."""
        shared = self._shared.keep(link, fetched) if self._shared.has(link) else None
        for claim in self._waiting.pop(link):
            shard, before = claim.shard, claim.shard.spool.size
            if shared is None:
                shard.spool.append(claim.key, fetched)
            else:
                shard.spool.refer(claim.key, fetched, shared)
            self._bytes += shard.spool.size - before
            shard.pending -= 1
            if not shard.pending:
                self._group.create_task(self._finish(shard))

    async def _finish(self, shard: _Open) -> None:
        """Hand a shard over; from here on not even a power cut takes it away."""
        await asyncio.to_thread(shard.spool.finish)
        spool = shard.spool
        done = FetchedShard(shard.part, spool.path, spool.entries, self._shared, partial(self.discard, shard.number))
        self._done[shard.number].set_result(done)
        if all(future.done() for future in self._done):
            self._end.set()

    def _want(self, number: int) -> None:
        self._wanted = max(self._wanted, number)
        self._go_on()

    def _discarded(self, number: int) -> None:
        shard = self._open.pop(number, None)
        if shard is not None:
            self._bytes -= shard.spool.size
            self._rows -= len(shard.part.rows)
            self._go_on()

    def _go_on(self) -> None:
        """Take up what has waited for room."""
        parked, self._parked = self._parked, []
        for visit in parked:
            self._hosts.put(visit.target.host, visit)
        self._admit()

    def _admit(self) -> None:
        """Open shards while there is room ahead."""
        while self._next < len(self._parts):
            rows = len(self._parts[self._next].rows)
            if self._next > self._wanted and self._rows + rows > self._ahead.rows:
                return
            self._rows += rows
            self._begin(self._next)
            self._next += 1

    def _begin(self, number: int) -> None:
        """Open a shard: what an earlier run has of it is there, the rest is asked for."""
        part = self._parts[number]
        spool = Spool(part.spool(self._folder))
        shard = self._open[number] = _Open(number, part, spool)
        todo = {key: link for key, link in part.links.items() if not self._is_there(shard, key, link)}
        self._bytes += spool.size
        shard.pending = len(todo)
        if not todo:
            self._group.create_task(self._finish(shard))
        for key, link in todo.items():
            claims = self._waiting.setdefault(link, [])
            claims.append(_Claim(shard, key))
            if len(claims) == 1:
                self._follow(link, self._journeys.start(link))

    def _is_there(self, shard: _Open, key: str, link: str) -> bool:
        """Whether it is known what became of a row."""
        known = self._shared.find(link, shard.number)
        entry = shard.spool.entries.get(key)
        if entry is not None and (entry.shared is None or known is not None):
            return True
        if known is not None:
            shard.spool.refer(key, Fetched(known.at, None, known.reason, known.detail), known.shared or "")
        return known is not None


def _first(error: BaseException) -> BaseException:
    """What a group of errors began with."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
