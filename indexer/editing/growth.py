"""A version with more pictures: the rows that are there, then the new ones, in every file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from explorer.atlas import family_codes
from explorer.layout import LEVELS, SPACE_ARRAYS, write_array
from explorer.records import Space, Split
from indexer.editing import extension
from indexer.editing.contents import Arrays, Contents
from indexer.editing.extension import Rows, extended
from indexer.editing.joining import join, records_of
from indexer.encoding.encoded import Encoded
from indexer.ids import Ledger
from indexer.mapping.cluster import ClusterOptions
from indexer.plan import Plan
from indexer.stages import StageStore, digest, libraries

STAGE = "append"


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """What new pictures make of a version.

    Attributes:
        contents: of the longer version; its rejections are still the old ones.
        ledger: with ids for the new keys.
    """

    contents: Contents
    ledger: Ledger

    @classmethod
    def of(
        cls,
        contents: Contents,
        meta: Mapping[str, Any],
        plan: Plan,
        encoded: Encoded,
        ledger: Ledger,
        store: StageStore,
    ) -> Growth:
        """Put new pictures behind the old ones.

        Args:
            contents: of the version that is live.
            meta: what its `atlas.json` says.
            plan: of the new rows.
            encoded: what became of them; some are encoded.
            ledger: the ids that are given.
            store: where a space that is done is kept.
        """
        keys = [row.key for row in encoded.rows]
        ledger = ledger.with_keys(plan.manifest.kind, keys)
        ids = ledger.of(plan.manifest.kind, keys)
        name, arrays = next(iter(contents.spaces.items()))
        added = encoded.framed(Space(name), np.asarray(arrays["mean"]))
        joined = join(contents, encoded.rows, encoded.outcomes, added, plan.manifest, plan.options.families)
        records = records_of(joined, encoded.outcomes, ids, plan.manifest)
        longer = _Longer(contents, meta, encoded, encoded.key(plan.pictures_key), _rows(records, contents), store)
        thumbnails, packs = _thumbnails(contents, encoded, ids)
        spaces = {space: longer.space(space) for space in contents.spaces}
        grown = replace(
            contents,
            records=records,
            hashes=np.concatenate([contents.hashes, encoded.hashes()]),
            spaces=spaces,
            clusters=_sized(contents.clusters, spaces),
            thumbnails=thumbnails,
            packs=packs,
        )
        return cls(grown, ledger)


@dataclass(frozen=True, slots=True, eq=False)
class _Longer:
    """The spaces of the longer version, each a stage of its own; `key` stands for the new vectors."""

    contents: Contents
    meta: Mapping[str, Any]
    encoded: Encoded
    key: str
    rows: Rows
    store: StageStore

    def space(self, name: str) -> Arrays:
        """The arrays of one space, made now or by a run that was killed after it."""
        told = self.meta["spaces"][name]
        settings = self.meta.get("settings", {}).get("spaces", {}).get("cluster", {})
        joining = settings.get("joining", ClusterOptions().joining)

        def make(folder: Path) -> None:
            arrays = self.contents.spaces[name]
            added = self.encoded.framed(Space(name), np.asarray(arrays["mean"]))
            made = extended(arrays, added, self.rows, told, joining)
            for array, values in made.items():
                write_array(folder / f"{array}.npy", values)

        files = {file: entry["sha256"] for file, entry in self.meta["files"].items() if file.startswith(f"{name}/")}
        inputs = {
            "space": name,
            "files": files,
            "encoded": self.key,
            "rows": digest([self.rows.train, self.rows.families, self.rows.makers]),
            "joining": joining,
            "revision": extension.REVISION,
            "libraries": libraries("faiss-cpu", "faiss-gpu", "numpy", "scipy"),
        }
        folder = self.store.result(STAGE, inputs, make)
        return {array: np.load(folder / f"{array}.npy", mmap_mode="r", allow_pickle=False) for array in SPACE_ARRAYS}


def _rows(records: pa.Table, contents: Contents) -> Rows:
    train = pc.equal(records["split"], Split.TRAIN.value).to_numpy()
    placed = contents.records["placed"].to_numpy(zero_copy_only=False).astype(np.bool_)
    return Rows(np.asarray(train), family_codes(records["family"]), contents.train & ~placed)


def _sized(clusters: pa.Table, spaces: Mapping[str, Arrays]) -> pa.Table:
    """Clusters with the sizes that they have now; label and exemplars stay."""
    levels = {(space, level): arrays[LEVELS[level]] for space, arrays in spaces.items() for level in range(len(LEVELS))}
    counts = {level: np.bincount(codes[codes >= 0]) for level, codes in levels.items()}
    rows = [row | {"size": int(counts[row["space"], row["level"]][row["cluster"]])} for row in clusters.to_pylist()]
    return pa.Table.from_pylist(rows, schema=clusters.schema)


def _thumbnails(contents: Contents, encoded: Encoded, ids: npt.NDArray[np.int64]) -> tuple[pa.Table, dict[int, Path]]:
    """Where every thumbnail lies, the new ones in packs behind the old; and the packs."""
    packs, rows, identities = dict(contents.packs), [], iter(ids.tolist())
    for number, shard in enumerate(encoded.shards, start=max(packs, default=-1) + 1):
        packs[number], offset = shard.thumbnails.path, 0
        for length in shard.thumbnails.lengths:
            rows.append({"id": next(identities), "pack": number, "offset": offset, "length": length})
            offset += length
    new = pa.Table.from_pylist([row for row in rows if row["length"]], schema=contents.thumbnails.schema)
    return pa.concat_tables([contents.thumbnails, new]), packs
