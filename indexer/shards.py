"""The shards of a build: what is done is loaded; the rest is fetched, encoded and saved, each whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.decoding import Workers
from explorer.models.device import use_one_thread
from explorer.progress import Progress
from explorer.records import Space
from indexer.encoding import encode
from indexer.encoding.encode import Outcome, Shard
from indexer.encoding.encoders import ModelSet
from indexer.encoding.given import given
from indexer.encoding.headstart import HeadStart
from indexer.encoding.prepared import Prepared
from indexer.encoding.reading import PictureReader, SourceReader, Work
from indexer.encoding.timings import Timings
from indexer.guard import Guard, GuardedReader
from indexer.plan import Plan, PlannedShard
from indexer.sources.base import Source, SourceRow, VectorSource
from indexer.stages import StageStore

if TYPE_CHECKING:
    from indexer.fetch.parts import FetchedShard

STAGE = "encode"


@dataclass(frozen=True)
class ShardMaker:
    """What shards are made with.

    Attributes:
        spool: the folder for what is fetched and not yet encoded.
        guard: whom every link and every file has to pass.
    """

    plan: Plan
    store: StageStore
    spool: Path
    source: Source | VectorSource
    models: ModelSet
    guard: Guard
    progress: Progress

    def shards(self) -> list[Shard]:
        """Every shard of the plan, in its order.

        Raises:
            explorer.errors.ManifestError: there is something to fetch, and nobody says who fetches.
            explorer.errors.ModelError: a model cannot be loaded.
        """
        todo = [shard for shard in self.plan.shards if not self._is_done(shard)]
        timings = Timings()
        fetched: dict[str, FetchedShard] = {}
        with ExitStack() as stack:
            made = (
                self._given(self.source, todo, timings, stack)
                if isinstance(self.source, VectorSource)
                else self._encoded(self.source, todo, timings, fetched, stack)
            )
            total = sum(len(shard.rows) for shard in todo)
            # Closed at once whatever happens, so that a fault is told below the bar and not above it.
            outcomes = stack.enter_context(closing(self.progress.track(made, stage=STAGE, total=total)))
            shards = [self._shard(shard, outcomes, timings, fetched) for shard in self.plan.shards]
            if todo:
                next(outcomes, None)  # there is none left; asking lets the progress reach its end
            return shards

    def _given(
        self, source: VectorSource, todo: Sequence[PlannedShard], timings: Timings, stack: ExitStack
    ) -> Iterator[Outcome]:
        """What becomes of rows that bring their vectors."""
        workers = stack.enter_context(Workers(preload=("indexer.encoding.prepared",)))
        rows = (row for shard in todo for row in shard.rows)
        thumbnail = self.plan.options.encode.thumbnail
        return given(source, rows, self.guard, thumbnail=thumbnail, workers=workers, timings=timings)

    def _encoded(
        self,
        source: Source,
        todo: Sequence[PlannedShard],
        timings: Timings,
        fetched: dict[str, FetchedShard],
        stack: ExitStack,
    ) -> Iterator[Outcome]:
        """What becomes of rows whose pictures the models have to see."""
        head: HeadStart[Prepared] = HeadStart(self.guard.data)
        arriving = self._arriving(todo, head, stack)
        encoders = self.models.load() if todo else ()
        if self.plan.options.reproducible and todo:
            use_one_thread()
        workers = stack.enter_context(Workers(preload=("indexer.encoding.prepared", source.decoder.__module__)))
        return encode.encode(
            self._works(source, todo, arriving, fetched),
            source.decoder,
            encoders,
            self.plan.options.encode,
            workers=workers,
            timings=timings,
            expected=sum(len(shard.rows) for shard in todo),
            head=head,
        )

    def _arriving(
        self, todo: Sequence[PlannedShard], head: HeadStart[Prepared], stack: ExitStack
    ) -> Iterator[FetchedShard]:
        """Shard after shard what their links led to, fetched ahead of whoever asks."""
        linked = [(self._name(shard), rows) for shard in todo if (rows := _linked(shard))]
        if not linked:
            return iter(())
        # The web's libraries are loaded only where something is to be fetched.
        from indexer.fetch.addresses import AddressPolicy
        from indexer.fetch.fetcher import Fetcher
        from indexer.fetch.parts import FetchPart

        settings = self.plan.manifest.fetch
        policy = AddressPolicy.of(settings.allow_networks, settings.allow_ports)
        fetcher = stack.enter_context(
            Fetcher(settings, policy, self.spool, refused=self.guard.url, arrived=head.arrived)
        )
        return fetcher.shards([FetchPart(name, rows) for name, rows in linked])

    def _works(
        self,
        source: Source,
        todo: Sequence[PlannedShard],
        arriving: Iterator[FetchedShard],
        fetched: dict[str, FetchedShard],
    ) -> Iterator[Work]:
        """The rows to encode, each shard's as soon as its pictures are there."""
        for shard in todo:
            reader: PictureReader = SourceReader(source)
            if _linked(shard):
                arrived = fetched[self._name(shard)] = next(arriving)
                reader = _LinkedReader(reader, arrived)
            yield Work(shard.rows, GuardedReader(reader, self.guard))

    def _shard(
        self,
        shard: PlannedShard,
        outcomes: Iterator[Outcome],
        timings: Timings,
        fetched: Mapping[str, FetchedShard],
    ) -> Shard:
        """One shard; what was fetched for it is given up once its result is on the disk."""
        spaces = [Space(name) for name in self.plan.models]

        def make(folder: Path) -> None:
            encode.save(folder, islice(outcomes, len(shard.rows)), spaces, timings)

        made = encode.load(self.store.result(STAGE, shard.inputs, make))
        if arrived := fetched.get(self._name(shard)):
            arrived.discard()
        return made

    def _is_done(self, shard: PlannedShard) -> bool:
        """Whether a shard lies there whole; one with a picture that was taken down since is done again without it."""
        folder = self.store.find(STAGE, shard.inputs)
        if folder is None:
            return False
        if not any(self.guard.denies(outcome.sha256) for outcome in encode.load(folder).outcomes):
            return True
        self.store.remove(STAGE, shard.inputs)
        return False

    def _name(self, shard: PlannedShard) -> str:
        return self.store.name(STAGE, shard.inputs)


def _linked(shard: PlannedShard) -> list[SourceRow]:
    """The rows whose pictures have to be fetched."""
    return [row for row in shard.rows if row.link is not None and row.fault is None]


@dataclass(frozen=True, slots=True)
class _LinkedReader:
    """Rows with a link are read from what was fetched, the others from their source."""

    source: PictureReader
    fetched: PictureReader

    def read(self, row: SourceRow) -> bytes:
        """See `PictureReader`."""
        return self._of(row).read(row)

    def fetched_at(self, row: SourceRow) -> str | None:
        """See `PictureReader`."""
        return self._of(row).fetched_at(row)

    def _of(self, row: SourceRow) -> PictureReader:
        return self.source if row.link is None else self.fetched
