"""Pictures that are never used: a list held against links before fetching, and against bytes before decoding.

Whoever keeps such a list must not spread it. So an entry is nowhere written, logged or shown, a link is kept as its
hash alone, and a fault in the file is told by its line number.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from explorer.denylist import DenyKind, hashed
from explorer.errors import ManifestError

ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256"}
"""Length of a hash in hex -> what made it."""
_HEX = re.compile(r"[0-9a-f]+")
_COLUMNS = frozenset({*ALGORITHMS.values(), "hash", "url", "image_url"})
"""Where one of these stands in the first line, the file is CSV, and these are the columns that count."""


@dataclass(frozen=True, slots=True, repr=False)
class Blocklist:
    """What is blocked: hashes of files, and sha256 of links in their normal form; all as bytes."""

    files: frozenset[bytes] = field(default_factory=frozenset)
    links: frozenset[bytes] = field(default_factory=frozenset)
    algorithms: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Blocklist:
        """Read a list of md5, sha1, sha256 and links.

        One a line, where lines that begin with # are left aside; or CSV with columns named md5, sha1, sha256, hash or
        url.

        Raises:
            ManifestError: the file cannot be read, or a line holds none of these; which, is told by its number alone.
        """
        files: set[bytes] = set()
        links: set[bytes] = set()
        for number, entry in _entries(path):
            word = entry.lower()
            if len(word) in ALGORITHMS and _HEX.fullmatch(word):
                files.add(bytes.fromhex(word))
            elif word.startswith(("http://", "https://")):
                links.add(_link_hash(entry))
            else:
                raise ManifestError(
                    f"safety.blocklist: {path}, line {number}: found neither a link nor an md5, sha1 or sha256 in hex; "
                    "mend the line or begin it with #"
                )
        sizes = {2 * len(each) for each in files}
        return cls(frozenset(files), frozenset(links), tuple(ALGORITHMS[size] for size in sorted(sizes)))

    def __len__(self) -> int:
        return len(self.files) + len(self.links)

    def blocks_url(self, url: str) -> bool:
        """Whether a link is on the list."""
        return bool(self.links) and _link_hash(url) in self.links

    def blocks_digest(self, digest: str) -> bool:
        """Whether a file is on the list, going by the hash that a source gives for it."""
        word = digest.strip().lower()
        return len(word) in ALGORITHMS and bool(_HEX.fullmatch(word)) and bytes.fromhex(word) in self.files

    def blocks_bytes(self, data: bytes) -> bool:
        """Whether a file is on the list."""
        return any(_file_hash(algorithm, data) in self.files for algorithm in self.algorithms)


def _file_hash(algorithm: str, data: bytes) -> bytes:
    return hashlib.new(algorithm, data, usedforsecurity=False).digest()


def _link_hash(url: str) -> bytes:
    return bytes.fromhex(hashed(DenyKind.URL, url))


def _entries(path: Path) -> Iterator[tuple[int, str]]:
    """Line number and content of every entry."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            head = {word.strip().lower() for word in next(csv.reader(handle), [])}
            handle.seek(0)
            yield from _table(handle) if head & _COLUMNS else _lines(handle)
    except (UnicodeDecodeError, csv.Error):  # neither is told further: both may quote what stands there
        raise ManifestError(f"safety.blocklist: {path} is neither lines nor CSV in UTF-8; save it as such") from None
    except OSError as error:
        raise ManifestError(
            f"safety.blocklist: {path} cannot be read ({error.strerror}); name a file of hashes and links"
        ) from error


def _lines(handle: Iterable[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(handle, 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def _table(handle: Iterable[str]) -> Iterator[tuple[int, str]]:
    reader = csv.DictReader(handle)
    for row in reader:
        for name, cell in row.items():
            if isinstance(name, str) and name.strip().lower() in _COLUMNS and cell and cell.strip():
                yield reader.line_num, cell.strip()
