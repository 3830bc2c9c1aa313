"""What a table's cells say of a picture: columns found by the manifest's names or by the usual ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from explorer.errors import ManifestError, RejectReason
from explorer.manifest import Manifest
from explorer.records import Split
from indexer.sources import tables
from indexer.sources.base import Fault, Link, SourceRow
from indexer.sources.parquet import ParquetTable
from indexer.sources.parquet import cells as cells_of

LANGUAGE_UNKNOWN = "und"
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_HEX = re.compile(r"[0-9a-f]+")
SPLITS = {"train": Split.TRAIN} | dict.fromkeys(("heldout", "test", "validation", "val"), Split.HELDOUT)
"""A word for a split, in lower case -> what it is here."""

MAX_KNOWN = 1000
"""Sets of columns that are remembered; a source whose every row has others of its own is only slower."""

Cells = Mapping[str, tables.Cell]

_NONE: dict[str, Any] = {}
"""What a row says that says nothing: one for all of a million rows; nobody changes it."""


@dataclass(frozen=True)
class Description:
    """Which column of a table means what.

    Attributes:
        columns: meaning -> column.
        captions: language -> column.
        split: the column that says train or heldout, if the manifest names one.
        own: columns that are the source's own business and no picture's.
    """

    columns: Mapping[str, str]
    captions: Mapping[str, str]
    split: str | None
    own: frozenset[str] = frozenset()

    @classmethod
    def of(cls, manifest: Manifest, names: Collection[str], own: Collection[str] = ()) -> Description:
        """Find the columns of a table that has these names."""
        return cls(
            columns=tables.find_columns(names, manifest.columns),
            captions={**tables.caption_columns(names), **_spelled(names, manifest.captions)},
            split=tables.find_column(names, manifest.split.column) or manifest.split.column,
            own=frozenset(own) | {*_spelled(names, {"key": manifest.columns.get("key", "")}).values()},
        )

    def row(
        self,
        key: str,
        cells: Cells,
        *,
        caption: str | None = None,
        split: Split = Split.TRAIN,
        link: Link | None = None,
    ) -> SourceRow:
        """What one row of the table says; `caption` and `split` where it says nothing of its own."""
        word = (tables.text(cells.get(self.split)) if self.split else None) or split.value
        if word.lower() not in SPLITS:
            detail = f"split.column: found {word[:40]!r} in column {self.split}; expected {', '.join(SPLITS)}"
            return SourceRow(key=key, fault=Fault(RejectReason.BAD_ROW, detail))
        found = {meaning: cells.get(column) for meaning, column in self.columns.items()}
        tags = tables.tag_list(found.get("tags"))
        return SourceRow(
            key=key,
            split=SPLITS[word.lower()],
            family=tables.text(found.get("family")),
            captions=self._captions(cells, found, caption),
            tags={LANGUAGE_UNKNOWN: tags} if tags else _NONE,
            group=tables.text(found.get("group")),
            image_url=tables.web_link(found.get("image_url")),
            page_url=tables.web_link(found.get("page_url")),
            author=tables.text(found.get("author")),
            licence=tables.text(found.get("licence")),
            licence_url=tables.web_link(found.get("licence_url")),
            aesthetic=tables.number(found.get("aesthetic")),
            punsafe=tables.number(found.get("punsafe")),
            pwatermark=tables.number(found.get("pwatermark")),
            extra=self._extra(cells),
            link=link,
        )

    def _captions(self, cells: Cells, meanings: Cells, otherwise: str | None) -> dict[str, str]:
        found = {language: tables.text(cells.get(column)) for language, column in self.captions.items()}
        if not any(found.values()):
            told = str(meanings.get("language") or "").strip().lower()
            language = told if _LANGUAGE.fullmatch(told) else LANGUAGE_UNKNOWN
            found = {language: tables.text(meanings.get("caption")) or tables.text(otherwise)}
        return {language: caption for language, caption in found.items() if caption} or _NONE

    def link(self, cells: Cells) -> Link | None:
        """Where the picture is to be fetched from, as it stands there, with the strongest hash that a column gives."""
        url = str(cells.get(self.columns.get("image_url", "")) or "").strip()
        if not url:
            return None
        for algorithm in self._digests:
            digest = str(cells.get(self.columns[algorithm]) or "").strip().lower()
            if len(digest) == tables.DIGESTS[algorithm] and _HEX.fullmatch(digest):
                return Link(url, digest, algorithm)
        return Link(url)

    @cached_property
    def _digests(self) -> tuple[str, ...]:
        return tuple(algorithm for algorithm in tables.DIGESTS if algorithm in self.columns)

    @cached_property
    def _known(self) -> frozenset[str]:
        """Columns that a record has a place for."""
        told = (column for meaning, column in self.columns.items() if meaning not in tables.ASIDE)
        return frozenset({*told, *self.captions.values(), *self.own})

    def _extra(self, cells: Cells) -> dict[str, tables.Cell]:
        found = {name: cell for name, cell in cells.items() if name not in self._known and cell is not None}
        return {
            tables.text(name) or "?": tables.text(cell) if isinstance(cell, str) else cell
            for name, cell in found.items()
        } or _NONE


def expect_columns(manifest: Manifest, names: Collection[str], where: str) -> None:
    """Make sure that a table has every column that the manifest names.

    Raises:
        ManifestError: it does not; which key names which column, and what there is.
    """
    wanted = {f"columns.{meaning}": column for meaning, column in manifest.columns.items()}
    wanted |= {f"captions.{language}": column for language, column in manifest.captions.items()}
    wanted |= {"split.column": manifest.split.column} if manifest.split.column is not None else {}
    for key, column in wanted.items():
        if tables.find_column(names, column) is None:
            listed = ", ".join(name[:40] for name in list(names)[:12]) or "nothing"
            raise ManifestError(f"{key}: found no column {column!r} in {where}; expected one of {listed}")


class Descriptions:
    """The `Description` of every set of columns that a source comes across, made once each."""

    def __init__(self, manifest: Manifest, own: Collection[str] = ()) -> None:
        self._manifest, self._own = manifest, frozenset(own)
        self._known: dict[tuple[str, ...], Description] = {}

    @property
    def columns_found(self) -> Mapping[str, str]:
        """Meaning -> column, where columns were first met that mean anything."""
        return next((known.columns for known in self._known.values() if known.columns), {})

    def row(self, key: str, cells: Cells, *, caption: str | None = None, split: Split = Split.TRAIN) -> SourceRow:
        """See `Description.row`."""
        names = tuple(cells)
        known = self._known.get(names)
        if known is None:
            known = Description.of(self._manifest, names, self._own)
            if len(self._known) < MAX_KNOWN:
                self._known[names] = known
        return known.row(key, cells, caption=caption, split=split)


@dataclass
class Keys:
    """Keys that were given so far; no two rows get the same.

    Attributes:
        counts: key -> how often it was asked for, where that was more than once.
    """

    given: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)

    def unique(self, key: str) -> str:
        """`key`, or "KEY 2", "KEY 3" … where that is taken."""
        free = key
        while free in self.given:
            self.counts[key] = self.counts.get(key, 1) + 1
            free = f"{key} {self.counts[key]}"
        self.given.add(free)
        return free


def table_rows(table: ParquetTable, names: Sequence[str] | None = None) -> Iterator[Cells]:
    """The rows of a Parquet file as cells, by default of all its columns that hold words or numbers."""
    names = tuple(name for name in table.names if name not in table.raw) if names is None else names
    for batch in table.batches(names):
        columns = [cells_of(column) for column in batch.columns]
        yield from (dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True))


def _spelled(names: Collection[str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Columns that a manifest names, as the table spells them."""
    return {meaning: tables.find_column(names, column) or column for meaning, column in chosen.items()}
