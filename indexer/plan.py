"""What a build is to be made from: settings, rows in their shards, models, and the keys that stand for all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from explorer import manifest as manifests
from explorer.errors import RejectReason
from explorer.layout import SCHEMA
from explorer.manifest import Manifest
from indexer import corpus
from indexer.corpus import Selection
from indexer.encoding import encode
from indexer.encoding.encode import EncodeOptions
from indexer.families import FamilyOptions
from indexer.guard import Guard
from indexer.mapping.spaces import SpaceOptions
from indexer.sources.base import Source, SourceRow, VectorSource
from indexer.stages import digest, digest_each, libraries

REVISION = 2
"""Raised when the same results of the stages would be published otherwise; part of a version's key."""
_MODEL_LIBRARIES = ("torch", "diffusers", "open-clip-torch", "pillow", "numpy")
_MAP_LIBRARIES = ("faiss-cpu", "faiss-gpu", "umap-learn", "numba", "fast-plscan", "scikit-learn", "scipy")
LIBRARIES = (*_MODEL_LIBRARIES, *_MAP_LIBRARIES, "pyarrow")
_DECISIVE = ("fingerprint", "dim", "side")


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """All settings of a build; they stand in `atlas.json`.

    Attributes:
        reproducible: the same input and seed give the same bytes; see `indexer.reproducible`.
    """

    selection: Selection = field(default_factory=Selection)
    encode: EncodeOptions = field(default_factory=EncodeOptions)
    families: FamilyOptions = field(default_factory=FamilyOptions)
    spaces: SpaceOptions = field(default_factory=SpaceOptions)
    device: str = "auto"
    reproducible: bool = False


@dataclass(frozen=True)
class PlannedShard:
    """Rows that are encoded together, and all that what becomes of them depends on."""

    rows: tuple[SourceRow, ...]
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """All that an atlas is to be made from; nothing is decoded or encoded to know it.

    Attributes:
        manifest: the corpus.
        options: the settings.
        models: space -> what `atlas.json` says of its model.
        rows: of the corpus, in order.
        left_out: why rows are not among them -> how many.
        read: rows that the source read, those not drawn too.
        shards: the same rows.
        guard: stands for the lists that rows and pictures are held against.
    """

    manifest: Manifest
    options: BuildOptions
    models: Mapping[str, Mapping[str, Any]]
    rows: tuple[SourceRow, ...]
    left_out: Mapping[RejectReason, int]
    read: int
    shards: tuple[PlannedShard, ...]
    guard: str

    @classmethod
    def of(
        cls,
        source: Source | VectorSource,
        manifest: Manifest,
        options: BuildOptions,
        models: Mapping[str, Mapping[str, Any]],
        guard: Guard,
        known: Callable[[SourceRow], bool] = lambda row: False,
    ) -> Plan:
        """Read the corpus; rows that are `known` are drawn and then left alone.

        Raises:
            BuildError: it has no rows, or one twice.
            ManifestError: the source is not what the manifest says.
        """
        drawn = corpus.read(source, manifest, options.selection, guard.row)
        rows = tuple(row for row in drawn.rows if not known(row))
        are_vectors = isinstance(source, VectorSource)
        parts = (rows[part] for part in encode.cut(rows, options.encode, are_vectors=are_vectors))
        common = {
            "source": manifest.kind,
            "models": {space: {name: told.get(name) for name in _DECISIVE} for space, told in models.items()},
            "batch": options.encode.batch,
            "thumbnail": options.encode.thumbnail,
            "device": options.device,
            "revision": encode.REVISION,
            "libraries": libraries(*_MODEL_LIBRARIES),
            "blocklist": guard.blocklist,
            "reproducible": options.reproducible,
        }
        shards = tuple(
            PlannedShard(part, {**common, "rows": digest_each([row.key, source.signature(row)] for row in part)})
            for part in parts
        )
        return cls(manifest, options, models, rows, drawn.left_out, drawn.read, shards, guard.key)

    @cached_property
    def pictures_key(self) -> str:
        """Stands for all that the vectors depend on."""
        return digest([shard.inputs for shard in self.shards])

    @cached_property
    def rows_key(self) -> str:
        """Stands for all that the source says of the rows."""
        return digest_each(self.rows)

    @cached_property
    def key(self) -> str:
        """Stands for all that a version depends on."""
        return digest(
            {
                "schema": SCHEMA,
                "revision": REVISION,
                "manifest": manifests.to_dict(self.manifest),
                "rows": self.rows_key,
                "left_out": self.left_out,
                "guard": self.guard,
                "pictures": self.pictures_key,
                "models": self.models,
                "options": self.options,
                "libraries": libraries(*LIBRARIES),
            }
        )
