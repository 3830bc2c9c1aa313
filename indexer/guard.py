"""What may not be looked at: what was taken down from this atlas, and what a blocklist names.

Rows are held against both before anything is fetched, links again on every hop, bytes before they are decoded. What is
found is counted; it is never shown, listed or logged.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from explorer import denylist
from explorer.denylist import DenyKind, Denylist
from explorer.errors import PictureError, RejectReason
from explorer.layout import AtlasPaths
from explorer.manifest import Manifest
from explorer.verify import checksum
from indexer.encoding.reading import PictureReader
from indexer.sources.base import SourceRow
from indexer.stages import digest

if TYPE_CHECKING:
    from indexer.blocklist import Blocklist

UNLISTED = frozenset(
    {RejectReason.BLOCKED, RejectReason.DENIED, RejectReason.UNSAFE, RejectReason.FILTERED, RejectReason.WITHDRAWN}
)
"""Reasons whose rows are counted and never listed."""


@dataclass(frozen=True)
class Guard:
    """The two lists.

    Attributes:
        denied: takedowns from this atlas.
        blocked: the manifest's blocklist, if it names one.
        blocklist: stands for it: what has passed another one has not passed this one.
    """

    denied: Denylist
    blocked: Blocklist | None = None
    blocklist: str | None = None

    @classmethod
    def of(cls, paths: AtlasPaths, manifest: Manifest) -> Guard:
        """Read the lists of an atlas and of its manifest.

        Raises:
            explorer.errors.AtlasError: the denylist cannot be read.
            explorer.errors.ManifestError: the blocklist cannot be read.
        """
        denied = denylist.read(paths.denylist)
        if manifest.safety.blocklist is None:
            return cls(denied)
        from indexer.blocklist import Blocklist

        path = manifest.resolve(manifest.safety.blocklist)
        return cls(denied, Blocklist.load(path), checksum(path))

    @property
    def key(self) -> str:
        """Stands for both lists."""
        return digest([self.blocklist, {kind.value: sorted(values) for kind, values in self.denied.items()}])

    def row(self, row: SourceRow) -> RejectReason | None:
        """Why a row may not be looked at, if so."""
        if not self.denied and self.blocked is None:
            return None
        if denylist.denies(self.denied, DenyKind.KEY, row.key):
            return RejectReason.DENIED
        promised = row.link.digest if row.link is not None else None
        if self.denies(promised):
            return RejectReason.DENIED
        if promised is not None and self.blocked is not None and self.blocked.blocks_digest(promised):
            return RejectReason.BLOCKED
        links = (row.link.url if row.link else None, row.image_url, row.page_url)
        return next(filter(None, (self.url(link) for link in links if link)), None)

    def url(self, url: str) -> RejectReason | None:
        """Why a link may not be followed, if so."""
        if denylist.denies_link(self.denied, url):
            return RejectReason.DENIED
        return RejectReason.BLOCKED if self.blocked is not None and self.blocked.blocks_url(url) else None

    def data(self, data: bytes) -> None:
        """Let a file's bytes pass, or not.

        Raises:
            PictureError: one of the lists names them.
        """
        if self.denies(hashlib.sha256(data).hexdigest()):
            raise PictureError(RejectReason.DENIED, "it was taken down from this atlas")
        if self.blocked is not None and self.blocked.blocks_bytes(data):
            raise PictureError(RejectReason.BLOCKED, "the blocklist names it")

    def denies(self, sha256: str | None) -> bool:
        """Whether a file of this sha256 was taken down."""
        return denylist.denies(self.denied, DenyKind.SHA256, sha256)


@dataclass(frozen=True, slots=True)
class GuardedReader:
    """A `PictureReader` whose files have passed the guard."""

    reader: PictureReader
    guard: Guard

    def read(self, row: SourceRow) -> bytes:
        """See `PictureReader`."""
        data = self.reader.read(row)
        self.guard.data(data)
        return data

    def fetched_at(self, row: SourceRow) -> str | None:
        """See `PictureReader`."""
        return self.reader.fetched_at(row)
