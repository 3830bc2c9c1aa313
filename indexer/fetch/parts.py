"""A shard before its pictures are fetched, and after."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from explorer.errors import PictureError, RejectReason
from indexer.fetch.shared import SharedPictures
from indexer.fetch.spool import Entry, read
from indexer.sources.base import Link, SourceRow


@dataclass(frozen=True, slots=True)
class FetchPart:
    """The rows of a shard; those without a link are none of the fetcher's business.

    Attributes:
        name: that no other rows have; a file's name.
    """

    name: str
    rows: Sequence[SourceRow]

    @property
    def wanted(self) -> dict[str, Link]:
        """Key of each row that is to be fetched -> its link."""
        return {row.key: row.link for row in self.rows if row.link is not None and row.fault is None}

    @property
    def links(self) -> dict[str, str]:
        """Key of each row that is to be fetched -> its link's URL."""
        return {key: link.url for key, link in self.wanted.items()}

    def spool(self, folder: Path) -> Path:
        """Where its pictures lie once they are fetched."""
        return folder / f"{self.name}.spool"


class FetchedShard:
    """The pictures of a shard, on the disk until they are discarded; read from any thread."""

    def __init__(
        self,
        part: FetchPart,
        path: Path,
        entries: Mapping[str, Entry],
        shared: SharedPictures,
        discard: Callable[[], None],
    ) -> None:
        self.part = part
        self._path, self._entries, self._shared, self._discard = path, entries, shared, discard

    def read(self, row: SourceRow) -> bytes:
        """The picture's file, as it came.

        Raises:
            PictureError: there is none, or not the one whose hash the row gives.
        """
        entry = self._entries.get(row.key)
        if entry is None or row.link is None:
            raise PictureError(RejectReason.MISSING, "the row has no link")
        if entry.reason is not None:
            raise PictureError(entry.reason, entry.detail)
        data = self._shared.read(entry.shared) if entry.shared else read(self._path, entry)
        fault = mismatch(data, row.link)
        if fault is not None:
            raise PictureError(RejectReason.MISMATCH, fault)
        return data

    def fetched_at(self, row: SourceRow) -> str | None:
        """When the picture was fetched, ISO 8601, UTC."""
        entry = self._entries.get(row.key)
        return entry.at if entry is not None and entry.reason is None else None

    def discard(self) -> None:
        """Remove the pictures: the shard has been encoded."""
        self._discard()


def mismatch(data: bytes, link: Link) -> str | None:
    """How a file differs from what the source says of it; None where it does not, or the source says nothing."""
    if link.digest is None:
        return None
    found = hashlib.new(link.algorithm, data, usedforsecurity=False).hexdigest()
    if found == link.digest.strip().lower():
        return None
    return f"its {link.algorithm} is {found}, and not the {link.digest} of the source"
