"""The way from a row to the bytes of its picture, and the rows that go that way together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from indexer.sources.base import Source, SourceRow


class PictureReader(Protocol):
    """Whoever has the bytes of pictures: a source, or what was fetched."""

    def read(self, row: SourceRow) -> bytes:
        """The file of a row.

        Raises:
            explorer.errors.PictureError: there is none.
        """
        ...

    def fetched_at(self, row: SourceRow) -> str | None:
        """When it came from the web, as ISO 8601 in UTC; None for a local file."""
        ...


@dataclass(frozen=True, slots=True)
class SourceReader:
    """A source's own files."""

    source: Source

    def read(self, row: SourceRow) -> bytes:
        """See `PictureReader`."""
        return self.source.read(row)

    def fetched_at(self, row: SourceRow) -> str | None:
        """See `PictureReader`."""
        del row
        return None


@dataclass(frozen=True, slots=True)
class Work:
    """Rows that are encoded apart from all others, a shard, and who has their pictures."""

    rows: Sequence[SourceRow]
    reader: PictureReader
