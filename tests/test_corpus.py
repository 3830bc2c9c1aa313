"""The rows of a build: which are drawn, which are left out and counted, which split a family gets."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from explorer.errors import BuildError, RejectReason
from explorer.manifest import Manifest, SplitRule
from explorer.records import Split
from indexer.corpus import Corpus, Selection, by_share, read
from indexer.sources.base import LeftOut, SourceRow

MANIFEST = Manifest(kind="folder", base=Path("."), path="pictures")


@dataclass(frozen=True)
class Numbers:
    """A source of as many rows as wanted; every tenth is left out by the source itself, two at a time."""

    count: int

    def rows(self) -> Iterator[SourceRow | LeftOut]:
        for number in range(self.count):
            if number % 20 == 9:
                yield LeftOut(RejectReason.FILTERED, 2)
            elif number % 20 != 19:
                yield SourceRow(f"key {number}")


def drawn(count: int, **selection: int) -> Corpus:
    """What is read of so many rows."""
    return read(Numbers(count), MANIFEST, Selection(**selection))  # type: ignore[arg-type]


def keys(corpus: Corpus) -> list[str]:
    return [row.key for row in corpus.rows]


def test_every_row_is_drawn_left_out_or_behind_the_limit() -> None:
    """Rows and left-out ones add up to what was read; with a sample, all but the undrawn ones."""
    everything = drawn(1000)
    assert (len(everything.rows), everything.left_out, everything.read) == (900, {RejectReason.FILTERED: 100}, 1000)
    sampled = drawn(1000, sample=30)
    assert (len(sampled.rows), sampled.left_out, sampled.read) == (30, {RejectReason.FILTERED: 100}, 1000)
    limited = drawn(1000, limit=19)
    assert keys(limited) == keys(everything)[:19]
    assert limited.read == len(limited.rows) + sum(limited.left_out.values()) == 21


def test_a_sample_is_the_rows_of_the_smallest_hashes_in_the_source_s_order() -> None:
    """The same for a seed, another for another; a longer source changes it only by what it has drawn itself."""
    whole = keys(drawn(2000))

    def expected(seed: int, size: int) -> list[str]:
        chosen = sorted(whole, key=lambda key: hashlib.sha256(f"{seed}\0{key}".encode()).digest()[:8])[:size]
        return sorted(chosen, key=whole.index)

    assert keys(drawn(2000, sample=50, seed=3)) == expected(3, 50) == keys(drawn(2000, sample=50, seed=3))
    assert keys(drawn(2000, sample=50, seed=4)) == expected(4, 50) != expected(3, 50)
    assert keys(drawn(2000, sample=50, seed=3, limit=7)) == expected(3, 50)[:7]
    assert keys(drawn(2000, sample=5000)) == whole
    longer = keys(drawn(2200, sample=50, seed=3))
    assert set(longer) - set(whole) == set(longer) - set(expected(3, 50))
    assert len(set(longer) & set(expected(3, 50))) >= 40


def test_a_sample_takes_memory_for_itself_alone() -> None:
    """A hundred rows out of 200,000 need less than a megabyte."""
    tracemalloc.start()
    drawn(200_000, sample=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_refused_rows_are_counted_and_another_is_drawn() -> None:
    """What a guard refuses is left out under its reason, before the sample is drawn."""

    def refused(row: SourceRow) -> RejectReason | None:
        return RejectReason.DENIED if row.key.endswith("7") else None

    corpus = read(Numbers(1000), MANIFEST, Selection(sample=40), refused)  # type: ignore[arg-type]
    assert len(corpus.rows) == 40
    assert not any(row.key.endswith("7") for row in corpus.rows)
    assert corpus.left_out == {RejectReason.FILTERED: 100, RejectReason.DENIED: 100}


def test_nothing_to_build_from_says_why() -> None:
    """An empty source, one that is all left out, and one with a key twice are told apart."""
    with pytest.raises(BuildError, match="found no picture in pictures"):
        drawn(0)
    with pytest.raises(BuildError, match=r"all 1,000 rows of pictures are left out \(denied 900, filtered 100\)"):
        read(Numbers(1000), MANIFEST, Selection(), lambda row: RejectReason.DENIED)  # type: ignore[arg-type]

    class Twice(Numbers):
        def rows(self) -> Iterator[SourceRow | LeftOut]:
            yield from (SourceRow("a"), SourceRow("b"), SourceRow("a"))

    with pytest.raises(BuildError, match="found the key 'a' 2 times"):
        read(Twice(3), MANIFEST, Selection())  # type: ignore[arg-type]


def test_no_family_stands_on_both_sides() -> None:
    """A share is drawn by families; about that share is held out, and new rows move nobody."""
    manifest = replace(MANIFEST, split=SplitRule(share=0.3, seed=5))
    rows = [SourceRow(f"key {number}", family=f"family {number // 4}") for number in range(2000)]
    split = by_share(rows, manifest)
    sides = Counter((row.family, row.split) for row in split)
    assert len(sides) == 500
    assert 0.24 < sum(row.split is Split.HELDOUT for row in split) / 2000 < 0.36
    assert by_share(rows[400:800], manifest) == split[400:800]
    assert by_share(rows, MANIFEST) == tuple(rows)
