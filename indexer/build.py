"""From a manifest to a published atlas: source -> fetch -> encode -> neighbors -> project -> cluster -> publish."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from explorer import denylist, nearest
from explorer.layout import AtlasPaths, VersionPaths, write_array
from explorer.manifest import Manifest
from explorer.progress import SILENT, Progress
from explorer.records import Space
from explorer.verify import current, read_meta
from indexer import corpus, facts, families, reproducible, unfinished
from indexer.encoding.encoded import INDEXED, Encoded
from indexer.encoding.encoders import Encoder
from indexer.ids import Ledger
from indexer.lock import explained, writing
from indexer.mapping.spaces import SpaceStages
from indexer.plan import BuildOptions
from indexer.publish import live, publish, tidy
from indexer.run import Run
from indexer.stages import libraries
from indexer.version import write_version

_STAGES = ("vectors", "neighbors", "search", "baseline", "map", "overlap", "clusters")
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
        timings: of the stage encode: `reading`, `decoding`, `model`, `writing` -> `wall` and `cpu`, seconds.
        is_new: False where nothing had changed and the live version stayed.
        notes: what the person should know.
    """

    version: str
    images: int
    outcomes: Mapping[str, int]
    seconds: float
    stages: Mapping[str, float]
    is_new: bool
    timings: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, meta: Mapping[str, Any], started: float, *, is_new: bool, notes: Iterable[str]) -> BuildResult:
        """What a run ends with: `meta` is the live version's `atlas.json`, `started` the `perf_counter` before it."""
        return cls(
            version=meta["version"],
            images=meta["outcomes"][INDEXED],
            outcomes=meta["outcomes"],
            seconds=perf_counter() - started,
            stages=meta.get("seconds", {}),
            is_new=is_new,
            timings=meta.get("timings", {}),
            notes=tuple(notes),
        )


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
        BuildError: there is nothing to index, another process is building the atlas, an unfinished build was begun
            otherwise, or the disk cannot be written.
        ManifestError: the source is not what the manifest says.
        ModelError: a model cannot be loaded.
    """
    started = perf_counter()
    paths, options = AtlasPaths(Path(path)), reproducible.settled(options or BuildOptions())
    with explained(paths), writing(paths), reproducible.in_order(options):
        tidy(paths)
        build = _Build(Run.of(paths, manifest, options, encoders=encoders, progress=progress), started)
        known = None if rebuild else build.unchanged()
        meta = known or build.run(rebuild=rebuild)
        return BuildResult.of(meta, started, is_new=known is None, notes=facts.notes(manifest, meta))


class _Build:
    """A run whose rows are all that the atlas is made of."""

    def __init__(self, run: Run, started: float) -> None:
        self._run, self._plan, self._store = run, run.plan, run.store
        self._paths, self._progress = run.paths, run.progress
        self._source_seconds = perf_counter() - started

    def unchanged(self) -> dict[str, Any] | None:
        """What the live version's `atlas.json` says, if it was made from all that this build would be made from."""
        meta = self._live()
        return meta if meta.get("key") == self._plan.key else None

    def run(self, *, rebuild: bool) -> dict[str, Any]:
        """Go through the stages, publish, and return what `atlas.json` says."""
        if rebuild:
            self._paths.unfinished.unlink(missing_ok=True)
            self._store.clear()
        else:
            facts.refuse_appended(self._live())
        with unfinished.build(self._paths, self._plan):
            encoded = Encoded.of(self._plan.rows, self._plan.left_out, self._run.shards())
            encoded = self._grouped(encoded.undated() if self._plan.options.reproducible else encoded)
            spaces = self._spaces(encoded)
            for stage in _STAGES:
                for space in self._progress.track(spaces, stage=stage):
                    getattr(space, stage)
            self._progress.note(f"Publishing {len(encoded.rows):,} pictures")
            created = reproducible.now(self._plan.manifest, self._plan.options)
            publish(self._paths, self._plan.key, lambda version: self._write(version, encoded, spaces), created)
            self._keep_indexes(spaces)
        self._store.sweep()
        return read_meta(current(self._paths))

    def _keep_indexes(self, spaces: Sequence[SpaceStages]) -> None:
        """Move the chosen indexes into the cache, so that nobody need build them again."""
        for space in spaces:
            nearest.adopt(space.search / "index.faiss", self._paths, space.space.value)

    def _live(self) -> dict[str, Any]:
        version = live(self._paths)
        return read_meta(version) if version is not None else {}

    def _grouped(self, encoded: Encoded) -> Encoded:
        """The rows with near-duplicates in common families, and with the splits that those families leave."""
        plan, space = self._plan, Space(next(iter(self._plan.models)))

        def make(folder: Path) -> None:
            sums = [outcome.sha256 for outcome in encoded.outcomes]
            hashes = [outcome.phash for outcome in encoded.outcomes]
            first = families.find(sums, hashes, encoded.framed(space), plan.options.families)
            write_array(folder / "first.npy", first)

        inputs = {
            "encoded": encoded.key(plan.pictures_key),
            "space": space.value,
            "options": plan.options.families,
            "revision": families.REVISION,
            "libraries": libraries("numpy", "scipy"),
        }
        first = np.load(self._store.result("families", inputs, make) / "first.npy", allow_pickle=False)
        return encoded.with_rows(corpus.by_share(families.joined(encoded.rows, first), plan.manifest))

    def _spaces(self, encoded: Encoded) -> list[SpaceStages]:
        words = reproducible.words(self._run.models, self._plan.options)
        pictures = encoded.pictures(encoded.key(self._plan.pictures_key), words)
        options, spaces = self._plan.options.spaces, list[SpaceStages]()
        for name in self._plan.models:
            onto = spaces[0] if spaces else None
            spaces.append(SpaceStages(Space(name), pictures, encoded.blocks, options, self._store, onto))
        return spaces

    def _write(self, version: VersionPaths, encoded: Encoded, spaces: Sequence[SpaceStages]) -> dict[str, Any]:
        """Fill a version and return what its `atlas.json` says."""
        started = perf_counter()
        told = facts.told(self._plan, encoded, spaces, self._run.models.generator, self._run.source)
        meta = {**told, "denylist": denylist.state(self._run.guard.denied)}
        write_version(version, self._plan.manifest, meta, encoded, spaces, Ledger.read(self._paths))
        if self._plan.options.reproducible:
            return meta
        seconds = {"source": self._source_seconds, **self._store.seconds(), "publish": perf_counter() - started}
        spent = {stage: round(seconds[stage], 3) for stage in seconds}
        return {**meta, "seconds": spent, "timings": encoded.timings.to_dict()}
