"""Which rows wait for which link, and what is written down for them once it is known what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic

from explorer.errors import BuildError, RejectReason
from indexer.fetch.parts import FetchPart, mismatch
from indexer.fetch.shared import SharedPictures
from indexer.fetch.spool import Fetched, Spool, read
from indexer.sources.base import Link

SILENT = frozenset({RejectReason.TIMEOUT, RejectReason.CONNECTION, RejectReason.DNS})
"""What also happens to every link when this machine is cut off."""
OUTAGE_LINKS = 100
OUTAGE_SECONDS = 60.0
"""When so many links in a row, and nobody at all for so long, have given no answer, the work stops."""


@dataclass(slots=True)
class OpenShard:
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

    shard: OpenShard
    key: str
    link: Link


class Desk:
    """The open shards; for one event loop.

    Attributes:
        bytes: that the files of open shards take.
    """

    def __init__(
        self, parts: Sequence[FetchPart], folder: Path, shared: SharedPictures, heard: Callable[[], float]
    ) -> None:
        """`heard` says when a host answered last, seconds of the monotonic clock."""
        self._parts, self._folder, self._shared, self._heard = parts, folder, shared, heard
        self._waiting: dict[str, list[_Claim]] = {}
        self._held: list[tuple[str, Fetched]] = []
        self._held_since = 0.0
        self._open: dict[int, OpenShard] = {}
        self.bytes = 0

    def open(self, number: int) -> tuple[OpenShard, list[str]]:
        """Open a shard, with what an earlier run has of it; the links to ask for, which nobody waits for yet."""
        part = self._parts[number]
        shard = self._open[number] = OpenShard(number, part, Spool(part.spool(self._folder)))
        todo = {key: link for key, link in part.wanted.items() if not self._is_there(shard, key, link.url)}
        self.bytes += shard.spool.size
        shard.pending = len(todo)
        unasked = [url for url in dict.fromkeys(link.url for link in todo.values()) if url not in self._waiting]
        for key, link in todo.items():
            self._waiting.setdefault(link.url, []).append(_Claim(shard, key, link))
        return shard, unasked

    def close(self, number: int) -> None:
        """Forget a shard whose files are gone."""
        shard = self._open.pop(number)
        self.bytes -= shard.spool.size

    def abandon(self) -> None:
        """Close every file as it is."""
        for shard in self._open.values():
            shard.spool.close()

    def is_for(self, link: str, number: int) -> bool:
        """Whether a row of this shard, or of one before it, waits for a link."""
        return any(claim.shard.number <= number for claim in self._waiting[link])

    def reader(self, link: str, data: bytes | None) -> Callable[[], bytes] | None:
        """What will read a picture once it is written down, `OSError` when it is gone; None where no row takes it."""
        claims = self._waiting[link]
        if data is None or all(mismatch(data, each.link) for each in claims):
            return None
        return partial(self._read, claims[0].shard.spool, claims[0].key)

    def settle(self, link: str, fetched: Fetched) -> list[OpenShard]:
        """Take in what became of a link; the shards that are whole now.

        A link that got no answer is written down once somebody else has answered, or nothing else is on its way: it may
        be this machine that is cut off, and then its rows are to be asked for again another time.

        Raises:
            BuildError: this machine is cut off.
            OSError: the disk is full.
        """
        if fetched.reason not in SILENT:
            return self._write(link, fetched) + self._release()
        if not self._held:
            self._held_since = monotonic()
        self._held.append((link, fetched))
        return self._release()

    def _release(self) -> list[OpenShard]:
        """Write down what is held, if it may be believed by now."""
        silent = monotonic() - self._heard()
        if self._heard() < self._held_since and len(self._held) >= OUTAGE_LINKS and silent > OUTAGE_SECONDS:
            raise BuildError(
                f"none of {len(self._held):,} links in a row has answered, and nobody for {silent:.0f} s; expected "
                "a network: mend the connection and run the same command again: what is fetched is kept"
            )
        if self._heard() < self._held_since and len(self._held) < len(self._waiting):
            return []
        held, self._held = self._held, []
        return [shard for each in held for shard in self._write(*each)]

    def _write(self, link: str, fetched: Fetched) -> list[OpenShard]:
        """Write down what became of a link, for every row that waits for it."""
        shared = self._shared.keep(link, fetched) if self._shared.has(link) else None
        finished = []
        for claim in self._waiting.pop(link):
            shard, before = claim.shard, claim.shard.spool.size
            if shared is None:
                shard.spool.append(claim.key, fetched)
            else:
                shard.spool.refer(claim.key, fetched, shared)
            self.bytes += shard.spool.size - before
            shard.pending -= 1
            if not shard.pending:
                finished.append(shard)
        return finished

    def _read(self, spool: Spool, key: str) -> bytes:
        entry = spool.entries[key]
        return self._shared.read(entry.shared) if entry.shared else read(spool.path, entry)

    def _is_there(self, shard: OpenShard, key: str, link: str) -> bool:
        """Whether it is known what became of a row."""
        known = self._shared.find(link, shard.number)
        entry = shard.spool.entries.get(key)
        if entry is not None and (entry.shared is None or known is not None):
            return True
        if known is not None:
            shard.spool.refer(key, Fetched(known.at, None, known.reason, known.detail), known.shared or "")
        return known is not None
