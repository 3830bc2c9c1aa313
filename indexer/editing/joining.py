"""Whom new rows belong with: their families and splits among the rows that are there, and their records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from explorer.manifest import Manifest
from explorer.records import Split
from explorer.rows import records_table
from indexer import corpus, families
from indexer.editing.contents import Contents
from indexer.encoding.encode import Outcome
from indexer.families import FamilyOptions
from indexer.sources.base import SourceRow


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Old and new rows, brought together.

    Attributes:
        records: the old rows', n, some of them in another family than before; else as they were.
        rows: the new ones, m, with their families and splits.
    """

    records: pa.Table
    rows: tuple[SourceRow, ...]


def join(
    contents: Contents,
    rows: Sequence[SourceRow],
    outcomes: Sequence[Outcome],
    added: npt.NDArray[np.float16],
    manifest: Manifest,
    options: FamilyOptions,
) -> Joined:
    """Give new rows their families and splits, those that a build of all would give them.

    Families that were found grow, or grow together; those that a source gave stay. No family may stand in both splits,
    so old members decide; where they stand in both already, what joins them is held out.

    Args:
        contents: the n old rows.
        rows: m new ones.
        outcomes: theirs.
        added: float16 (m, d), their vectors in the first space.
        manifest: whose rule may hold new families out.
        options: what counts as the same picture.
    """
    records = contents.records
    old = np.asarray(next(iter(contents.spaces.values()))["vectors"])
    first = families.find(
        [*records["sha256"].to_pylist(), *(outcome.sha256 for outcome in outcomes)],
        [*records["phash"].to_pylist(), *(outcome.phash for outcome in outcomes)],
        np.concatenate([old, added]),
        options,
    )
    touched = np.flatnonzero(np.isin(first, first[len(records) :]))
    known = touched[touched < len(records)]
    before = (*_plain_rows(records.take(pa.array(known))), *rows)
    after = families.joined(before, np.searchsorted(touched, first[touched]).astype(np.int32))
    names = records["family"].to_pylist()
    for place, row in zip(known.tolist(), after, strict=False):
        names[place] = row.family
    column = records.schema.get_field_index("family")
    told = records.set_column(column, records.schema.field(column), pa.array(names, pa.string()))
    new = _as_their_families(corpus.by_share(after[len(known) :], manifest), told)
    return Joined(told, new)


def records_of(joined: Joined, outcomes: Sequence[Outcome], ids: npt.NDArray[np.int64], manifest: Manifest) -> pa.Table:
    """The records of old and new rows; the new ones are marked as placed.

    Args:
        joined: both.
        outcomes: of the m new rows.
        ids: int64 (m,), theirs.
        manifest: where they come from.
    """
    new = records_table(
        replace(corpus.record(row, outcome, identity, manifest), placed=True)
        for row, outcome, identity in zip(joined.rows, outcomes, ids.tolist(), strict=True)
    )
    return pa.concat_tables([joined.records, new], promote_options="default")


def _plain_rows(records: pa.Table) -> list[SourceRow]:
    """Old rows, without the families that were found: with more rows they may be larger ones."""
    columns = (records[name].to_pylist() for name in ("key", "split", "family"))
    return [
        SourceRow(key, Split(split), None if families.is_found(family) else family)
        for key, split, family in zip(*columns, strict=True)
    ]


def _as_their_families(rows: Sequence[SourceRow], records: pa.Table) -> tuple[SourceRow, ...]:
    """New rows in the split of their family's old members, where it has some."""
    wanted = pa.array({row.family for row in rows if row.family is not None}, pa.string())
    members = records.filter(pc.is_in(records["family"], wanted))
    splits: dict[str, Split] = {}
    for family, split in zip(members["family"].to_pylist(), map(Split, members["split"].to_pylist()), strict=True):
        if splits.get(family) is not Split.HELDOUT:
            splits[family] = split
    return tuple(replace(row, split=splits.get(row.family or "", row.split)) for row in rows)
