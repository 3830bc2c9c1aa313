"""Near-duplicates: the same picture under two keys, sent on in another size, format or quality.

They get a common family, so that no copy stands for its original where an original is left out, and no list shows one
picture ten times. The same bytes are the same picture. Other bytes are taken for the same picture where the perceptual
hashes differ in few bits and the vectors agree as well: either of them alone also joins pictures that merely resemble
each other. docs/reliability.md has the figures behind the two thresholds. Of ready-made vectors no file is known: there
equal vectors are the same picture.

Vectors are compared as an atlas keeps them, so that rows which are appended find the families that they would have
found in a build of all.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from explorer.pictures import phash_bits
from indexer.sources.base import SourceRow

REVISION = 2
"""Raised when the same pictures would get other families; part of the stage's key."""
_REACH = 256
"""How many hashes that share the bytes looked up are compared with each, the nearest in value first."""
_LEADERS = 64
"""Pictures of one hash, unlike each other by their vectors, that others are compared with."""
_CHUNK = 16_384
_FOUND = re.compile(r"near-[0-9a-f]{16}")

Vectors = npt.NDArray[np.floating[Any]]
"""(n, d), float16 as an atlas keeps them or wider, of any length but zero."""
Pairs = npt.NDArray[np.int64]
"""(p, 2): rows, or places in a list of hashes, that belong together."""


@dataclass(frozen=True, slots=True)
class FamilyOptions:
    """What counts as the same picture.

    Attributes:
        bits: perceptual hashes may differ in so many of their 64 bits, 0-7.
        similarity: cosine of the vectors, at least.
    """

    bits: int = 4
    similarity: float = 0.97


def find(
    checksums: Sequence[str | None],
    hashes: Sequence[str | None],
    vectors: Vectors,
    options: FamilyOptions,
) -> npt.NDArray[np.int32]:
    """Find near-duplicates without comparing every picture with every other.

    Args:
        checksums: sha256 of the n files; None = unknown.
        hashes: their perceptual hashes, 16 hex digits; None = unknown.
        vectors: (n, d), theirs.
        options: what counts as the same picture.

    Returns:
        int32 (n,): the first row of each row's group; its own number where it is alone.
    """
    count = len(checksums)
    every, same = np.arange(count), _equal(checksums, hashes, vectors)
    edges = [np.column_stack([every, same])]
    known = np.array([row for row, text in enumerate(hashes) if text is not None and same[row] == row], np.int64)
    if len(known):
        bits, place = np.unique(phash_bits([hashes[row] or "" for row in known]), return_inverse=True)
        order = np.argsort(place, kind="stable")
        led = _led(known[order], place[order], vectors, options.similarity)
        heads = _Heads.of(known[order], place[order], led)
        edges += [led, *_alike(heads.crossed(near_pairs(bits, options.bits)), vectors, options.similarity)]
    left, right = np.concatenate(edges).T
    graph = coo_array((np.ones(len(left), np.bool_), (left, right)), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    first = np.full(labels.max(initial=-1) + 1, count, np.int32)
    np.minimum.at(first, labels, np.arange(count, dtype=np.int32))
    return first[labels]


def near_pairs(hashes: npt.NDArray[np.uint64], bits: int) -> Pairs:
    """Pairs of hashes that differ in at most `bits` bits, each pair once.

    Of eight bytes at least `8 - bits` are then equal: sorting by each choice of so many bytes brings the two together.
    Source: the pigeonhole look-up of M. Norouzi, A. Punjani, D. Fleet, Fast Exact Search in Hamming Space with
    Multi-Index Hashing, 2014 (arXiv 1307.2982). Where thousands share the chosen bytes, only `_REACH` are compared.

    Args:
        hashes: uint64 (m,), ascending, each once.
        bits: 0-7.
    """
    found = [np.empty((0, 2), np.int64)]
    for chosen in combinations(range(8), 8 - bits):
        mask = np.uint64(sum(0xFF << 8 * byte for byte in chosen))
        order = np.argsort(hashes & mask, kind="stable")
        keys = hashes[order] & mask
        at = np.arange(len(keys) - 1)
        for step in range(1, _REACH):
            at = at[at + step < len(keys)]
            at = at[keys[at] == keys[at + step]]
            if not len(at):
                break
            pairs = np.column_stack([order[at], order[at + step]])
            found.append(pairs[np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]) <= bits])
    return np.unique(np.concatenate(found), axis=0)


def joined(rows: Sequence[SourceRow], first: npt.NDArray[np.int32]) -> tuple[SourceRow, ...]:
    """Rows with a family for each group of near-duplicates; a family that a row has already stays.

    Args:
        rows: n rows.
        first: int32 (n,), see `find`.
    """
    sizes = np.bincount(first, minlength=len(rows))
    given: dict[int, str] = {}
    for row, group in zip(rows, first.tolist(), strict=True):
        if row.family is not None:
            given.setdefault(group, row.family)
    return tuple(
        replace(row, family=given.get(group) or _name(rows[group].key))
        if row.family is None and sizes[group] > 1
        else row
        for row, group in zip(rows, first.tolist(), strict=True)
    )


def is_found(family: str | None) -> bool:
    """Whether a family was found here, and not given by the source."""
    return family is not None and _FOUND.fullmatch(family) is not None


def counted(families: Iterable[str | None]) -> dict[str, int]:
    """How many `families` of several rows were found here, and how many `pictures` they have, of all rows' families."""
    sizes = [size for family, size in Counter(families).items() if is_found(family) and size > 1]
    return {"families": len(sizes), "pictures": sum(sizes)}


def _name(key: str) -> str:
    """A family's name, as `_FOUND` knows it.

    The key itself would outlive the picture in its siblings' records when it is taken down.
    """
    return f"near-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _equal(checksums: Sequence[str | None], hashes: Sequence[str | None], vectors: Vectors) -> npt.NDArray[np.int64]:
    """The first row of the same bytes as each row, int64 (n,); of rows of which nothing else is known, of its vector.

    A row whose bytes nobody knows is the first of its own.
    """
    sums = np.zeros(len(checksums), "S32")
    for row, (checksum, phash) in enumerate(zip(checksums, hashes, strict=True)):
        if checksum is not None:
            sums[row] = hashlib.sha256(checksum.encode()).digest()
        elif phash is None:
            # Zeros of either sign are equal: the sum has but one of them.
            sums[row] = hashlib.sha256(vectors[row] + vectors.dtype.type(0)).digest()
    first = np.arange(len(sums))
    known = np.flatnonzero(sums)
    _, firsts, group = np.unique(sums[known], return_index=True, return_inverse=True)
    first[known] = known[firsts][group]
    return first


def _led(rows: npt.NDArray[np.int64], place: npt.NDArray[np.int64], vectors: Vectors, similarity: float) -> Pairs:
    """Each row with the first row of its hash that is like it, (n, 2) in the order given.

    After `_LEADERS` rows of one hash that are unlike each other, every further row is its own.

    Args:
        rows: int64 (n,).
        place: int64 (n,), ascending, equal where two rows have one hash.
        vectors: see `find`.
        similarity: see `FamilyOptions`.
    """
    leader = rows.copy()
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    ends = np.append(starts[1:], len(rows))
    for start, end in zip(starts[ends - starts > 1].tolist(), ends[ends - starts > 1].tolist(), strict=True):
        left = np.arange(start, end)
        for _ in range(_LEADERS):
            near = _cosines(vectors, rows[left], np.full(len(left), rows[left[0]])) >= similarity
            near[0] = True
            leader[left[near]] = rows[left[0]]
            left = left[~near]
            if not len(left):
                break
    return np.column_stack([rows, leader])


@dataclass(frozen=True, slots=True, eq=False)
class _Heads:
    """The rows of each hash that lead others or stand alone.

    Attributes:
        rows: int64 (h,), hash after hash.
        starts: int64 (m,), where those of a hash begin.
        counts: int64 (m,), how many they are, at most `_LEADERS`.
    """

    rows: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, rows: npt.NDArray[np.int64], place: npt.NDArray[np.int64], led: Pairs) -> _Heads:
        leads = led[:, 1] == rows
        counts = np.bincount(place[leads])
        return cls(rows[leads], np.cumsum(counts) - counts, np.minimum(counts, _LEADERS))

    def crossed(self, pairs: Pairs) -> Iterator[Pairs]:
        """For pairs of hashes every pair of their heads, in chunks."""
        total = np.cumsum(self.counts[pairs[:, 0]] * self.counts[pairs[:, 1]])
        for chunk in np.split(pairs, np.flatnonzero(np.diff(total // _CHUNK)) + 1):
            left, right = chunk.T
            sizes = self.counts[left] * self.counts[right]
            pair = np.repeat(np.arange(len(left)), sizes)
            within = np.arange(len(pair)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            one, other = np.divmod(within, self.counts[right][pair])
            yield np.column_stack(
                [self.rows[self.starts[left][pair] + one], self.rows[self.starts[right][pair] + other]]
            )


def _alike(pairs: Iterator[Pairs], vectors: Vectors, similarity: float) -> Iterator[Pairs]:
    """Of pairs of rows those whose vectors agree."""
    for chunk in pairs:
        yield chunk[_cosines(vectors, chunk[:, 0], chunk[:, 1]) >= similarity]


def _cosines(vectors: Vectors, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Cosine of each pair of rows, float32 (p,)."""
    found = np.empty(len(left), np.float32)
    for at in range(0, len(left), _CHUNK):
        one, other = (vectors[rows[at : at + _CHUNK]].astype(np.float32) for rows in (left, right))
        lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        found[at : at + _CHUNK] = np.einsum("ij,ij->i", one, other) / lengths
    return found
