"""New rows join an atlas without a new fit: encoded by the same models, placed on the maps that are there.

Rows that are in the atlas already are not encoded again. An atlas may grow from its own manifest, when its folder has
grown, and from others; what each of these others brought stands in `atlas.json` under `appended`. A process that dies
on the way leaves the live version as it was; the same command again goes on with what is done.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from explorer import denylist
from explorer.atlas import Atlas
from explorer.errors import BuildError
from explorer.layout import AtlasPaths, VersionPaths, write_atomic
from explorer.manifest import Manifest
from explorer.progress import SILENT, Progress
from explorer.verify import current, read_meta
from indexer import datacard, families, unfinished
from indexer.build import BuildResult
from indexer.editing import figures
from indexer.editing.contents import Contents
from indexer.editing.growth import STAGE, Growth
from indexer.editing.tally import Tally
from indexer.encoding.encoded import INDEXED, Encoded
from indexer.encoding.encoders import Encoder, ModelSet
from indexer.ids import Ledger, key_hash
from indexer.lock import explained, writing
from indexer.plan import BuildOptions
from indexer.publish import carried, publish, tidy
from indexer.run import Run
from indexer.sources.base import SourceRow
from indexer.stages import digest


def append(
    path: Path | str,
    manifest: Manifest,
    options: BuildOptions | None = None,
    *,
    encoders: Sequence[Encoder] | None = None,
    progress: Progress = SILENT,
) -> BuildResult:
    """Let the rows of a manifest join an atlas.

    Args:
        path: the atlas's directory.
        manifest: the rows' own; it may be of another kind than the atlas's, and must name the same models.
        options: which rows, how to encode them, what counts as the same picture; no map is made, so nothing else.
        encoders: models to use in place of the manifest's.
        progress: what to report to.

    Raises:
        BuildError: there is no atlas to join, its models are others, another process is building it, an unfinished
            build was begun otherwise, or the disk cannot be written.
        ManifestError: the source is not what the manifest says.
        ModelError: a model cannot be loaded.
    """
    started = perf_counter()
    paths = AtlasPaths(Path(path))
    if not paths.current.exists():
        raise BuildError(f"{paths.root}: found no atlas to append to; index it first, without --append")
    with explained(paths), writing(paths):
        tidy(paths)
        atlas, options = Atlas.open(paths.root), options or BuildOptions()
        known = Known(manifest.kind, Ledger.read(paths), frozenset(atlas.ids.tolist()))
        run = Run.of(
            paths,
            manifest,
            options,
            encoders=encoders,
            progress=progress,
            fitting=lambda models: _same_models(models, manifest, options, paths, atlas.meta),
            known=known,
        )
        growing = _Append(run, atlas, known)
        meta = growing.run()
        told = {**meta, "timings": {}}  # those that stand there are of the build
        return BuildResult.of(told, started, is_new=meta["version"] != atlas.version, notes=growing.notes())


@dataclass
class Known:
    """Says of a row whether it is in the atlas, and counts those that are."""

    kind: str
    ledger: Ledger
    ids: frozenset[int]
    count: int = 0

    def __call__(self, row: SourceRow) -> bool:
        """Whether this row's key has an id that the atlas shows."""
        is_known = self.ledger.ids.get(key_hash(self.kind, row.key)) in self.ids
        self.count += is_known
        return is_known


class _Append:
    """A run whose rows join those of an atlas.

    Attributes:
        known: who was there already.
        joined: how many pictures are new, once they are.
    """

    def __init__(self, run: Run, atlas: Atlas, known: Known) -> None:
        self._run, self._plan, self._paths = run, run.plan, run.paths
        self._before, self._meta = atlas.version, atlas.meta
        self.known, self.joined = known, 0
        # Asked after the guard has read the list: what it denies is then in no old row either.
        self._denylist = None if atlas.denied.any() else denylist.state(run.guard.denied)

    def run(self) -> dict[str, Any]:
        """Encode, join, publish; return what the live version's `atlas.json` says then."""
        with unfinished.build(self._paths, self._plan):
            encoded = Encoded.of(self._plan.rows, self._plan.left_out, self._run.shards(), may_be_none=True)
        # The note of an unfinished run goes before its rows are known: after that another run would find no such rows.
        self.joined = len(encoded.rows)
        tally = Tally(self._meta, self._plan, self._run.source, encoded)
        if encoded.rows or tally.told["outcomes"] != self._meta["outcomes"]:
            self._run.progress.note(f"Publishing {tally.told['outcomes'][INDEXED]:,} pictures")
            self._publish(encoded, tally)
        for folder in self._paths.build.glob(f"{STAGE}-*"):
            shutil.rmtree(folder)
        return read_meta(current(self._paths))

    def notes(self) -> Iterator[str]:
        """What the person should know after it."""
        yield f"{self.joined:,} pictures joined; {self.known.count:,} were there already."
        if self.known.count and not Tally.has_met(self._meta, self._plan.manifest):
            yield (
                "This manifest is new to the atlas, and yet some of its keys are not: if these are other pictures, "
                "name a column of other keys in its [columns], or put its folder into another and name that."
            )

    def _publish(self, encoded: Encoded, tally: Tally) -> None:
        """Let the longer version be the live one."""
        version = self._paths.version(self._before)
        contents, ledger = Contents.read(version, self._meta), self.known.ledger
        contents = replace(contents, rejected=tally.rejected(contents.rejected))
        key = digest([self._meta.get("key"), self._plan.key])
        meta = {**carried(self._meta), **tally.told, "key": key, "denylist": self._denylist}
        if encoded.rows:
            growth = Growth.of(contents, self._meta, self._plan, encoded, ledger, self._run.store)
            contents, ledger = growth.contents, growth.ledger
            origins = tally.origins(contents.origins, contents.ids[-len(encoded.rows) :])
            contents = replace(contents, origins=origins)
            meta["spaces"] = figures.spaces_of(contents, self._meta, self._paths.build)
            meta["near_duplicates"] = families.counted(contents.records["family"].to_pylist())

        def write(folder: VersionPaths) -> dict[str, Any]:
            contents.write(folder)
            ledger.write(folder)
            if version.card.exists():
                write_atomic(folder.card, datacard.text(meta, contents.records).encode())
            return meta

        publish(self._paths, key, write)


def _same_models(
    models: ModelSet, manifest: Manifest, options: BuildOptions, paths: AtlasPaths, meta: Mapping[str, Any]
) -> ModelSet:
    """The models of the atlas's spaces, no others.

    Raises:
        BuildError: one is not the model that the atlas was made with.
    """
    told = models.describe()
    for space in meta["spaces"]:
        made, named = meta["models"].get(space) or {}, told.get(space) or {}
        decisive = (
            ("fingerprint", "dim") if made.get("fingerprint") and named.get("fingerprint") else ("reference", "dim")
        )
        if any(made.get(name) != named.get(name) for name in decisive):
            raise BuildError(
                f"the space {space} of this atlas was made with {_named(made)}, the manifest to append names "
                f"{_named(named)}; name the same model under [models], or index anew without --append"
            )
    if set(told) == set(meta["spaces"]):
        return models
    kept = [encoder for encoder in models.load() if encoder.space in meta["spaces"]]
    return ModelSet(manifest, options.device, paths.build / "models.json", kept)


def _named(model: Mapping[str, Any]) -> str:
    """A model in words, its weights by the first digits of their fingerprint."""
    weights = f" (weights {model['fingerprint'][:12]})" if model.get("fingerprint") else ""
    return f"{model.get('reference') or 'no model'}{weights}"
