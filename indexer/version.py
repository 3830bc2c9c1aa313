"""What a version holds, brought together out of the stages' results and written into its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.layout import (
    CLUSTERS_SCHEMA,
    RECORDS_SCHEMA,
    SPACE_ARRAYS,
    VersionPaths,
    write_atomic,
    write_batches,
    write_table,
)
from explorer.manifest import Manifest
from explorer.rows import record_batches
from indexer import datacard
from indexer.corpus import record
from indexer.editing.contents import REJECTED, write_hashes
from indexer.encoding.encoded import Encoded, Rejected
from indexer.encoding.thumbnails import link, publish_packs
from indexer.guard import UNLISTED
from indexer.ids import Ledger
from indexer.mapping.spaces import SpaceStages

_REJECTED_SCHEMA = pa.schema([(name, pa.string()) for name in ("key", "reason", "detail", "image_url")])


def write_version(
    version: VersionPaths,
    manifest: Manifest,
    meta: Mapping[str, Any],
    encoded: Encoded,
    spaces: Sequence[SpaceStages],
    ledger: Ledger,
) -> None:
    """Fill the folder of a version with all but its `atlas.json`.

    Args:
        version: an empty folder.
        manifest: the corpus.
        meta: what `atlas.json` will say.
        encoded: its rows.
        spaces: the spaces, all their stages done.
        ledger: the ids of the version before; new keys get theirs here.
    """
    keys = [row.key for row in encoded.rows]
    ledger = ledger.with_keys(manifest.kind, keys)
    ledger.write(version)
    ids = ledger.of(manifest.kind, keys)
    records = (
        record(row, outcome, identity, manifest)
        for row, outcome, identity in zip(encoded.rows, encoded.outcomes, ids.tolist(), strict=True)
    )
    write_batches(version.records, record_batches(records), RECORDS_SCHEMA)
    rejected = [row for each in encoded.rejected for row in rejected_rows(each)]
    write_table(version.root / REJECTED, pa.Table.from_pylist(rejected, schema=_REJECTED_SCHEMA))
    publish_packs(version, (shard.thumbnails for shard in encoded.shards), ids)
    write_hashes(version, encoded.hashes())
    for space in spaces:
        for name in SPACE_ARRAYS:
            link(space.array(name), version.array(space.space.value, name))
    clusters = [row for space in spaces for row in _cluster_rows(space, ids)]
    write_table(version.clusters, pa.Table.from_pylist(clusters, schema=CLUSTERS_SCHEMA))
    told = pq.read_table(version.records, columns=list(datacard.COLUMNS))
    write_atomic(version.card, datacard.text(meta, told).encode())


def rejected_rows(each: Rejected) -> Iterator[dict[str, str | None]]:
    """A rejected row as it is listed; of some nothing but their number is kept."""
    outcome = each.outcome
    if outcome.reason not in UNLISTED:
        yield {
            "key": each.row.key,
            "reason": str(outcome.reason),
            "detail": outcome.detail,
            "image_url": each.row.image_url,
        }


def _cluster_rows(space: SpaceStages, ids: npt.NDArray[np.int64]) -> Iterator[dict[str, Any]]:
    for each in space.row_clusters():
        yield {
            "space": space.space.value,
            "level": each.level,
            "cluster": each.cluster,
            "label": each.label,
            "size": each.size,
            "exemplars": ids[list(each.exemplars)].tolist(),
            "parent": each.parent,
        }
