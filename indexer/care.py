"""Duty of care: whether a table of links may be used, and which of its rows, settled before anything is fetched.

In December 2023 LAION-5B was found to lead to abuse material, and was withdrawn. Re-LAION-5B (30 August 2024) took
these links out; its part `research-safe` keeps rows with punsafe of at most 0.45. So a table that looks like LAION's
needs both, a release from after the withdrawal and punsafe, or else a list of the rows that Re-LAION kept. No threshold
is a filter for unlawful material: that is what blocklists are for.
Sources: laion.ai/notes/laion-maintenance (19 December 2023), laion.ai/blog/relaion-5b (30 August 2024).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from explorer.errors import ManifestError
from explorer.manifest import Manifest
from indexer.sources import tables
from indexer.sources.parquet import ParquetTable, as_bytes
from indexer.sources.paths import named_files

RELEASE = "2024-08-30"
"""Of Re-LAION-5B."""
OVERRIDE = "safety.accept_pre_2024_links_without_safety_review"

_FIRST_YEAR = "2024"
_MARKS = frozenset({"similarity", "pwatermark", "p_watermark", "aesthetic", "aesthetic_score"})
_OWN_MARKS = frozenset({"punsafe", "p_unsafe", "nsfw", "sample_id"})
_NAME = re.compile(r"laion", re.IGNORECASE)
_WITHDRAWN = re.compile(r"improved_aesthetics|(?<!re)(?<!re-)laion[-_ ]?(?:5b|2b|1b|400m|art|aesthetic|high)", re.I)
_LINES = 65_536


def review(manifest: Manifest, names: Collection[str], where: str) -> None:
    """Let a table of links pass, unless it looks like LAION's and nobody has vetted its rows.

    Args:
        manifest: of the corpus.
        names: the table's columns.
        where: the file, for the message.

    Raises:
        ManifestError: it does not pass; with the ways on.
    """
    safety = manifest.safety
    if not is_laion_shaped(manifest, names) or safety.intersect_with is not None:
        return
    if safety.accept_pre_2024_links_without_safety_review:
        return
    fault = _fault(manifest, names, Path(where).name)
    if fault is not None:
        raise ManifestError(
            f"{where}: found links of LAION's schema {fault}; LAION withdrew those of before {_FIRST_YEAR} since some "
            f"lead to abuse material. Use Re-LAION's research-safe release (date = {RELEASE}), or name a list of its "
            f"rows as safety.intersect_with; {OVERRIDE} = true goes on without either, and the atlas will say so"
        )


def is_laion_shaped(manifest: Manifest, names: Collection[str]) -> bool:
    """Whether a table has links and the columns that LAION's pipeline gives them, or is called LAION's."""
    lower = {name.lower() for name in names}
    if "image_url" not in tables.find_columns(names, manifest.columns):
        return False
    called = (manifest.path, manifest.name, manifest.title, manifest.homepage)
    return (
        bool(lower & _OWN_MARKS)
        or len(lower & _MARKS) > 1
        or {"URL", "TEXT"} <= set(names)
        or any(_NAME.search(each or "") for each in called)
    )


def admitted(manifest: Manifest, column: Iterable[pa.Array]) -> pa.Array | None:
    """Those values of a source's column that stand in the list of `safety.intersect_with`; large_binary (n,).

    Memory grows with the source's column, and not with the list, which may hold billions of rows.

    Returns:
        None where the manifest names no list.

    Raises:
        ManifestError: the list cannot be read, or does not have the column.
    """
    if manifest.safety.intersect_with is None:
        return None
    ours = pc.unique(pa.chunked_array([as_bytes(part) for part in column], pa.large_binary())).drop_null()
    is_listed = np.zeros(len(ours), dtype=np.bool_)
    for part in _listed(manifest, manifest.resolve(manifest.safety.intersect_with)):
        found = pc.index_in(as_bytes(part), value_set=ours).drop_null()
        is_listed[found.to_numpy(zero_copy_only=False)] = True
    return ours.filter(pa.array(is_listed))


def _fault(manifest: Manifest, names: Collection[str], file: str) -> str | None:
    """What is missing for a table of LAION's shape to pass."""
    if manifest.date is None:
        return "whose release is not told (the manifest has no date)"
    if manifest.date < _FIRST_YEAR:
        return f"of {manifest.date}"
    if any(_WITHDRAWN.search(each or "") for each in (manifest.path, manifest.name, file)):
        return f"under the name of a release that was withdrawn ({file[:60]})"
    if "punsafe" not in tables.find_columns(names, manifest.columns):
        return "without punsafe"
    return None


def _listed(manifest: Manifest, path: Path) -> Iterator[pa.Array]:
    """The list, in pieces: a column of Parquet files, or the lines of a text file."""
    if path.suffix.lower() in (".txt", ".csv", ".tsv", ".list"):
        yield from _lines(path)
        return
    for file in named_files(path, ".parquet"):
        table = ParquetTable(file.path)
        yield from table.column(shared_column(manifest, table.names, str(file.path)))


def shared_column(manifest: Manifest, names: Collection[str], where: str) -> str:
    """The column of a table that the source and the list of `safety.intersect_with` share: of one or of the other.

    Raises:
        ManifestError: the table has no such column.
    """
    wanted = manifest.safety.intersect_on
    if wanted is None:
        named = (tables.find_columns(names, chosen).get("image_url") for chosen in (manifest.columns, {}))
        found = next(filter(None, named), None)
    else:
        found = tables.find_column(names, wanted)
    if found is None:
        listed = ", ".join(list(names)[:8])
        raise ManifestError(
            f"safety.intersect_with: found no column {wanted or 'of links'} in {where} (there are {listed}); name one "
            "that the source and the list share as safety.intersect_on"
        )
    return found


def _lines(path: Path) -> Iterator[pa.Array]:
    try:
        with path.open("rb") as handle:
            while lines := [line.strip() for line in islice(handle, _LINES)]:
                yield pa.array(lines, pa.large_binary())
    except OSError as error:
        raise ManifestError(
            f"safety.intersect_with: {path} cannot be read ({error.strerror}); name Parquet or a file of lines"
        ) from error
