"""What sources of links have in common: their pictures are fetched, and never read from here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from explorer.errors import PictureError, RejectReason
from indexer.sources.base import Decoder, SourceRow, plain
from indexer.sources.described import Keys

_MADE_UP = re.compile(r".* \d+|row \d+ of .*", re.DOTALL)
"""Names that look like the keys that are made here."""


class LinkedPictures:
    """The half of `indexer.sources.base.Source` that is the same wherever rows have links."""

    @property
    def decoder(self) -> Decoder:
        """See `Source`."""
        return plain

    def signature(self, row: SourceRow) -> str:
        """The link, and the hash that the picture is to have."""
        return f"{row.link.url} {row.link.digest}" if row.link is not None else "none"

    def read(self, row: SourceRow) -> bytes:
        """Nothing lies here: the picture has to be fetched."""
        raise PictureError(RejectReason.MISSING, f"{row.key}: it has to be fetched from its link")


@dataclass(frozen=True)
class LongKeys:
    """Keys of a source of millions of rows, each given once; of those that come once, 8 bytes are remembered in all.

    Attributes:
        repeated: Python's hashes of the names that come more than once.
    """

    repeated: frozenset[int]
    _given: Keys = field(default_factory=Keys)

    @classmethod
    def of(cls, names: Iterable[Iterable[str | None]]) -> LongKeys:
        """Find what comes more than once; `names` are those of all rows, in pieces."""
        parts = [np.fromiter(map(hash, _known(part)), np.int64) for part in names]
        hashes = np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.int64)
        return cls(frozenset(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]).tolist()))

    def unique(self, name: str) -> str:
        """`name` the first time, "NAME 2" the second, and so on; also where that is another row's own name."""
        if hash(name) in self.repeated or (" " in name and _MADE_UP.fullmatch(name)):
            return self._given.unique(name)
        return name


def _known(names: Iterable[str | None]) -> Iterator[str]:
    return (name for name in names if name is not None)
