"""Pictures whose link stands in several rows: fetched once, kept until the last shard that needs them is done."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from indexer.fetch.spool import Entry, Fetched, Spool, entries, read

_KEY = "shared"


class SharedPictures:
    """One file for each such link, named by the link's hash: a spool of one record."""

    def __init__(self, folder: Path, parts: Sequence[Iterable[str]]) -> None:
        """Find the links that stand in more than one row, and what an earlier run has fetched of such links.

        What it has left of links that no row waits for any more is removed.

        Args:
            folder: where the files lie.
            parts: the links of each shard, in the order of the shards.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._last = _repeated(parts)
        self._kept = {path.name for path in folder.iterdir()}
        if self._kept:
            needed = self._kept & {_name(link) for links in parts for link in links}
            for name in self._kept - needed:
                (folder / name).unlink()
            self._kept = needed

    def has(self, link: str) -> bool:
        """Whether a link is shared: by rows of this run, or with one of an earlier run."""
        return hash(link) in self._last or _name(link) in self._kept

    def find(self, link: str, part: int) -> Entry | None:
        """What became of a link that the part of this number needs, if that is known."""
        name = _name(link)
        if name not in self._kept:
            return None
        self._last[hash(link)] = max(part, self._last.get(hash(link), part))
        entry = entries(self._folder / name).get(_KEY)
        if entry is None:  # torn by a crash
            self._kept.discard(name)
        return entry and Entry(entry.at, entry.reason, entry.detail, name, 0, entry.length)

    def keep(self, link: str, fetched: Fetched) -> str:
        """Write down what became of a link; its file's name."""
        name = _name(link)
        spool = Spool(self._folder / name)
        spool.append(_KEY, fetched)
        spool.close()
        self._kept.add(name)
        return name

    def read(self, name: str) -> bytes:
        """The picture in a file; `OSError` where it has been removed."""
        path = self._folder / name
        return read(path, entries(path)[_KEY])

    def release(self, links: Iterable[str], part: int) -> None:
        """Remove the files that no part after this one needs."""
        for link in links:
            if self._last.get(hash(link)) == part:
                del self._last[hash(link)]
                self._kept.discard(_name(link))
                (self._folder / _name(link)).unlink(missing_ok=True)


def _name(link: str) -> str:
    return hashlib.sha256(link.encode("utf-8", "surrogatepass")).hexdigest()


def _repeated(parts: Sequence[Iterable[str]]) -> dict[int, int]:
    """Hash of each link that stands in several rows -> number of the last part that has it.

    Eight bytes a row while it looks; two links of one hash are merely kept longer than they need to be.
    """
    hashes = np.fromiter((hash(link) for links in parts for link in links), np.int64)
    values, counts = np.unique(hashes, return_counts=True)
    several = set(values[counts > 1].tolist())
    return {hash(link): number for number, links in enumerate(parts) for link in links if hash(link) in several}
