"""From a manifest to a published atlas: source -> encode -> neighbors -> project -> cluster -> publish."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

from explorer import manifest as manifests
from explorer.decoding import Workers
from explorer.errors import BuildError
from explorer.layout import SCHEMA, AtlasPaths, VersionPaths
from explorer.manifest import Manifest
from explorer.models.loader import demo_note
from explorer.progress import SILENT, Progress
from explorer.records import Space
from explorer.verify import current, read_meta
from indexer import encode
from indexer.encode import Shard
from indexer.encoded import INDEXED, Encoded
from indexer.encoders import Encoder, ModelSet
from indexer.ids import Ledger
from indexer.lock import writing
from indexer.plan import LIBRARIES, BuildOptions, Plan
from indexer.project import Layout
from indexer.publish import live, publish, tidy
from indexer.reading import SourceReader, Work
from indexer.sources import open_source
from indexer.spaces import SpaceStages
from indexer.stages import StageStore, libraries
from indexer.timings import Timings
from indexer.version import write_version

_STAGES = ("vectors", "neighbors", "baseline", "map", "clusters")
"""The properties of `SpaceStages`, in the order of their making."""


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build did.

    Attributes:
        version: the live version's name.
        images: pictures in it.
        outcomes: outcome -> rows; they add up to the rows of the corpus.
        seconds: what this run took.
        stages: stage -> what it took when it was done, in this run or in one before; seconds.
        is_new: False where nothing had changed and the live version stayed.
        notes: what the person should know.
    """

    version: str
    images: int
    outcomes: Mapping[str, int]
    seconds: float
    stages: Mapping[str, float]
    is_new: bool
    notes: tuple[str, ...] = ()


def index(
    path: Path | str,
    manifest: Manifest,
    options: BuildOptions | None = None,
    *,
    rebuild: bool = False,
    encoders: Sequence[Encoder] | None = None,
    progress: Progress = SILENT,
) -> BuildResult:
    """Build an atlas or bring it up to date, and publish it; what is done already is not done again.

    Args:
        path: the atlas's directory.
        manifest: the corpus.
        options: how to build.
        rebuild: do everything anew.
        encoders: models to use in place of the manifest's.
        progress: what to report to.

    Raises:
        BuildError: there is nothing to index, another process is building the atlas, or it cannot be written.
        ManifestError: the source is not what the manifest says.
        ModelError: a model cannot be loaded.
    """
    started = perf_counter()
    paths = AtlasPaths(Path(path))
    with _explained(paths), writing(paths):
        build = _Build(paths, manifest, options or BuildOptions(), encoders, progress)
        known = None if rebuild else build.unchanged()
        meta = known or build.run(rebuild=rebuild)
        outcomes = meta["outcomes"]
        return BuildResult(
            version=meta["version"],
            images=outcomes[INDEXED],
            outcomes=outcomes,
            seconds=perf_counter() - started,
            stages=meta["seconds"],
            is_new=known is None,
            notes=_notes(manifest, meta),
        )


class _Build:
    """One run over an atlas that is ours to write."""

    def __init__(
        self,
        paths: AtlasPaths,
        manifest: Manifest,
        options: BuildOptions,
        encoders: Sequence[Encoder] | None,
        progress: Progress,
    ) -> None:
        started = perf_counter()
        self._paths, self._progress = paths, progress
        tidy(paths)
        self._store = StageStore(paths.build)
        self._models = ModelSet(manifest, options.device, paths.build / "models.json", encoders)
        self._source = open_source(manifest)
        self._plan = Plan.of(self._source, manifest, options, self._models.describe())
        self._source_seconds = perf_counter() - started

    def unchanged(self) -> dict[str, Any] | None:
        """What the live version's `atlas.json` says, if it was made from all that this build would be made from."""
        version = live(self._paths)
        meta = read_meta(version) if version is not None else {}
        return meta if meta.get("key") == self._plan.key else None

    def run(self, *, rebuild: bool) -> dict[str, Any]:
        """Go through the stages, publish, and return what `atlas.json` says."""
        if rebuild:
            self._store.clear()
        encoded = Encoded.of(self._plan.rows, self._encode())
        spaces = self._spaces(encoded)
        for stage in _STAGES:
            for space in self._progress.track(spaces, stage=stage):
                getattr(space, stage)
        self._progress.note(f"Publishing {len(encoded.rows):,} pictures")
        publish(self._paths, self._plan.key, lambda version: self._write(version, encoded, spaces))
        self._store.sweep()
        return read_meta(current(self._paths))

    def _encode(self) -> list[Shard]:
        """The shards, encoded now where they are not yet."""
        todo = [shard.rows for shard in self._plan.shards if not self._store.has("encode", shard.inputs)]
        encoders = self._models.load() if todo else ()
        reader, timings, shards = SourceReader(self._source), Timings(), []
        with Workers(preload=("indexer.prepared", self._source.decoder.__module__)) as workers:
            outcomes = self._progress.track(
                encode.encode(
                    [Work(rows, reader) for rows in todo],
                    self._source.decoder,
                    encoders,
                    self._plan.options.encode,
                    workers=workers,
                    timings=timings,
                ),
                stage="encode",
                total=sum(len(rows) for rows in todo),
            )
            for shard in self._plan.shards:
                size = len(shard.rows)

                def make(folder: Path, size: int = size) -> None:
                    encode.save(folder, islice(outcomes, size), encoders, timings)

                shards.append(encode.load(self._store.result("encode", shard.inputs, make)))
        return shards

    def _spaces(self, encoded: Encoded) -> list[SpaceStages]:
        pictures = encoded.pictures(self._plan.pictures_key)
        options = self._plan.options.spaces
        return [SpaceStages(Space(name), pictures, encoded.raw, options, self._store) for name in self._plan.models]

    def _write(self, version: VersionPaths, encoded: Encoded, spaces: Sequence[SpaceStages]) -> dict[str, Any]:
        """Fill a version and return what its `atlas.json` says."""
        started = perf_counter()
        plan = self._plan
        write_version(version, plan.manifest, encoded, spaces, Ledger.read(self._paths))
        seconds = {"source": self._source_seconds, **self._store.seconds(), "publish": perf_counter() - started}
        return {
            "schema": SCHEMA,
            "key": plan.key,
            "manifest": manifests.to_dict(plan.manifest),
            "settings": asdict(plan.options),
            "models": {**plan.models, "generator": {"reference": self._models.generator}},
            "libraries": libraries(*LIBRARIES),
            "outcomes": encoded.counts,
            "seconds": {stage: round(spent, 3) for stage, spent in seconds.items()},
            "spaces": {space.space.value: space.meta() for space in spaces},
        }


def _notes(manifest: Manifest, meta: Mapping[str, Any]) -> tuple[str, ...]:
    """What to say about a version beside its numbers."""
    models = manifest.models
    foreign = demo_note((models.clip, models.vae, models.generator), manifest.kind)
    is_small = any(space["layout"] == Layout.PCA for space in meta["spaces"].values())
    few = "These are too few pictures for UMAP: the maps are their principal components." if is_small else None
    return tuple(note for note in (foreign, few) if note)


@contextmanager
def _explained(paths: AtlasPaths) -> Iterator[None]:
    """Turn what the operating system says of a full or read-only disk into one line."""
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"{error.filename or paths.root}: {error.strerror or error}; make room there or name another place, and "
            "run the same command again: what is done is kept"
        ) from error
