"""One run over a manifest's rows, whether they make an atlas or join one: what it stands on, and its shards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from explorer.layout import AtlasPaths
from explorer.manifest import Manifest
from explorer.progress import Progress
from indexer.encoding.encode import Shard
from indexer.encoding.encoders import Encoder, ModelSet
from indexer.encoding.given import models_of
from indexer.guard import Guard
from indexer.plan import BuildOptions, Plan
from indexer.shards import ShardMaker
from indexer.sources import open_source
from indexer.sources.base import Source, SourceRow, VectorSource
from indexer.stages import StageStore


@dataclass(frozen=True, slots=True)
class Run:
    """What a run stands on; nothing is decoded or encoded yet.

    Attributes:
        paths: the atlas.
        store: the results of its stages.
        source: where the rows come from.
        models: what makes vectors of them.
        guard: whom every row, link and file has to pass.
        plan: the rows, and all that what becomes of them depends on.
        progress: what to report to.
    """

    paths: AtlasPaths
    store: StageStore
    source: Source | VectorSource
    models: ModelSet
    guard: Guard
    plan: Plan
    progress: Progress

    @classmethod
    def of(
        cls,
        paths: AtlasPaths,
        manifest: Manifest,
        options: BuildOptions,
        *,
        encoders: Sequence[Encoder] | None,
        progress: Progress,
        fitting: Callable[[ModelSet], ModelSet] = lambda models: models,
        known: Callable[[SourceRow], bool] = lambda row: False,
    ) -> Run:
        """Open the source and read its rows, for an atlas that is ours to write.

        Args:
            paths: the atlas.
            manifest: the corpus.
            options: which rows, and how to encode them.
            encoders: models to use in place of the manifest's.
            progress: what to report to.
            fitting: those of the models that the run may use; raises where they are others than the atlas's.
            known: which rows are there already.

        Raises:
            BuildError: the corpus has no rows, or one twice.
            ManifestError: the source is not what the manifest says.
            ModelError: a model cannot be loaded.
        """
        store, source = StageStore(paths.build), open_source(manifest)
        models = fitting(models_of(source, manifest, options.device, paths.build / "models.json", encoders))
        guard = Guard.of(paths, manifest)
        plan = Plan.of(source, manifest, options, models.describe(), guard, known)
        return cls(paths, store, source, models, guard, plan, progress)

    def shards(self) -> list[Shard]:
        """Every shard of the plan, those that are done and those that are made now; see `ShardMaker.shards`."""
        maker = ShardMaker(
            plan=self.plan,
            store=self.store,
            spool=self.paths.build / "fetch",
            source=self.source,
            models=self.models,
            guard=self.guard,
            progress=self.progress,
        )
        return maker.shards()
