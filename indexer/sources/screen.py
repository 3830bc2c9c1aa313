"""What a source's rows are held to, column by column: the manifest's filter, and the line for unsafe pictures."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from explorer.errors import ManifestError, RejectReason
from explorer.manifest import Manifest
from explorer.safety import PUNSAFE_LINE
from indexer import care
from indexer.sources import tables
from indexer.sources.parquet import as_bytes, as_numbers, cells

_BOUNDS: Mapping[str, str] = {
    **{f"{name}_min": name for name in ("aesthetic", "similarity", "width", "height")},
    "pwatermark_max": "pwatermark",
}
"""Key of `[filter]` -> the meaning whose column it bounds."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound that a column's values are held to; what is unknown does not pass, unless `unknown_passes`."""

    column: str
    limit: float
    is_least: bool
    reason: RejectReason = RejectReason.FILTERED
    unknown_passes: bool = False

    def passes(self, values: pa.Array) -> npt.NDArray[np.bool_]:
        """Which values (n,) keep to it; bool (n,)."""
        numbers = as_numbers(values)
        # A value that was the limit before it was stored as float32 keeps to it.
        limit = np.float32(self.limit) if pa.types.is_float32(values.type) else self.limit
        with np.errstate(invalid="ignore"):
            kept = numbers >= limit if self.is_least else numbers <= limit
        return np.where(np.isfinite(numbers), kept, self.unknown_passes)


@dataclass(frozen=True, slots=True)
class Screened:
    """What became of some rows.

    Attributes:
        kept: which may go on, bool (n,).
        left_out: why not -> how many of the others.
    """

    kept: npt.NDArray[np.bool_]
    left_out: Mapping[RejectReason, int]


@dataclass(frozen=True)
class Screen:
    """The bounds of one table.

    Attributes:
        bounds: on numbers.
        languages: lower case, of the column `language_column`; none are asked for where it is None.
        admitted: of the column `admitted_column`, the only values that may go on; None: all may.
    """

    bounds: tuple[Bound, ...] = ()
    languages: frozenset[str] = frozenset()
    language_column: str | None = None
    admitted: pa.Array | None = None
    admitted_column: str | None = None

    @classmethod
    def of(cls, manifest: Manifest, names: Collection[str], where: str, admitted: pa.Array | None = None) -> Screen:
        """The screen for a table.

        Args:
            manifest: of the corpus.
            names: the table's columns.
            where: the file, for messages.
            admitted: what `care.admitted` gave for the source.

        Raises:
            ManifestError: a filter asks for a column that the table lacks, or the table may not be used at all.
        """
        care.review(manifest, names, where)
        columns = tables.find_columns(names, manifest.columns)
        wanted = {key: meaning for key, meaning in _BOUNDS.items() if getattr(manifest.filter, key) is not None}
        wanted |= {"language": "language"} if manifest.filter.language else {}
        wanted |= {"punsafe_max": "punsafe"} if manifest.filter.punsafe_max is not None else {}
        for key, meaning in wanted.items():
            if meaning not in columns:
                raise ManifestError(
                    f"filter.{key}: found no column of {meaning} in {where}; name it as columns.{meaning}, or take the "
                    "filter out"
                )
        bounds = [
            Bound(columns[meaning], getattr(manifest.filter, key), key.endswith("_min"))
            for key, meaning in wanted.items()
            if key in _BOUNDS
        ]
        shared = care.shared_column(manifest, names, where) if admitted is not None else None
        languages = frozenset(each.lower() for each in manifest.filter.language)
        return cls((*_unsafe(manifest, columns), *bounds), languages, columns.get("language"), admitted, shared)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that `screen` looks at."""
        language = self.language_column if self.languages else None
        named = (*(bound.column for bound in self.bounds), language, self.admitted_column)
        return tuple(dict.fromkeys(name for name in named if name is not None))

    def screen(self, batch: pa.RecordBatch | pa.Table) -> Screened:
        """Hold rows against the bounds; the first that a row breaks is its reason."""
        kept = np.ones(batch.num_rows, dtype=np.bool_)
        left_out: dict[RejectReason, int] = {}

        def hold(passes: npt.NDArray[np.bool_], reason: RejectReason) -> None:
            lost = int((kept & ~passes).sum())
            if lost:
                left_out[reason] = left_out.get(reason, 0) + lost
            np.logical_and(kept, passes, out=kept)

        if self.admitted is not None and self.admitted_column is not None:
            listed = pc.is_in(as_bytes(batch[self.admitted_column]), value_set=self.admitted)
            hold(listed.to_numpy(zero_copy_only=False), RejectReason.WITHDRAWN)
        for bound in self.bounds:
            hold(bound.passes(batch[bound.column]), bound.reason)
        if self.languages and self.language_column is not None:
            told = (str(cell or "").strip().lower() for cell in cells(batch[self.language_column]))
            hold(np.fromiter((each in self.languages for each in told), np.bool_, len(kept)), RejectReason.FILTERED)
        return Screened(kept, left_out)


def thresholds(manifest: Manifest, columns: Mapping[str, str]) -> dict[str, float | int | str | bool]:
    """What rows were held to, for the data card: key of the manifest -> its value."""
    chosen = {f"filter.{key}": getattr(manifest.filter, key) for key in _BOUNDS}
    chosen["filter.language"] = ", ".join(manifest.filter.language) or None
    chosen["filter.punsafe_max"] = next((bound.limit for bound in _unsafe(manifest, columns)), None)
    safety = manifest.safety
    chosen |= {"safety.intersect_with": safety.intersect_with, "safety.intersect_on": safety.intersect_on}
    chosen[care.OVERRIDE] = safety.accept_pre_2024_links_without_safety_review or None
    return {key: value for key, value in chosen.items() if value is not None}


def _unsafe(manifest: Manifest, columns: Mapping[str, str]) -> tuple[Bound, ...]:
    """The line for unsafe pictures, in force wherever punsafe is known; only the override moves it up."""
    if "punsafe" not in columns:
        return ()
    is_overridden = manifest.safety.accept_pre_2024_links_without_safety_review
    chosen = manifest.filter.punsafe_max
    limit = PUNSAFE_LINE if chosen is None else chosen
    if limit > PUNSAFE_LINE and not is_overridden:
        raise ManifestError(
            f"filter.punsafe_max: found {limit:g}; expected at most {PUNSAFE_LINE:g}, the line of Re-LAION's "
            f"research-safe release; {care.OVERRIDE} = true allows more, and the atlas will say so"
        )
    return (Bound(columns["punsafe"], limit, False, RejectReason.UNSAFE, unknown_passes=is_overridden),)
