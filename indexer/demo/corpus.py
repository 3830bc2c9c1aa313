"""The demo's corpus in memory: every OpenMoji picture with its texts, and batches balanced by family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from explorer.records import Split
from indexer.sources.base import SourceRow
from indexer.sources.openmoji import OpenMojiSource

LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class DemoCorpus:
    """Rows and their pictures, in the source's order.

    Attributes:
        rows: n rows.
        pictures: uint8 (n, 64, 64, 3), sRGB on white.
    """

    rows: tuple[SourceRow, ...]
    pictures: np.ndarray

    @classmethod
    def load(cls, source: OpenMojiSource | None = None) -> DemoCorpus:
        """Render every picture of the source; some six seconds."""
        source = source or OpenMojiSource()
        rows = tuple(source.rows())
        return cls(rows, np.stack([np.asarray(source.open(row)) for row in rows]))

    def only(self, split: Split) -> DemoCorpus:
        """The rows of one split."""
        keep = [index for index, row in enumerate(self.rows) if row.split is split]
        return DemoCorpus(tuple(self.rows[index] for index in keep), self.pictures[keep])

    @cached_property
    def families(self) -> np.ndarray:
        """int32 (n,): the number of each row's family, 0 to the number of families less one."""
        numbers: dict[str | None, int] = {}
        return np.array([numbers.setdefault(row.family, len(numbers)) for row in self.rows], np.int32)

    @cached_property
    def members(self) -> tuple[np.ndarray, ...]:
        """The row numbers of each family, int64."""
        order = np.argsort(self.families, kind="stable")
        return tuple(np.split(order, np.cumsum(np.bincount(self.families))[:-1]))

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Row numbers, int64 (size,): one picture each of `size` families, none twice before all came once."""
        count = len(self.members)
        chosen = np.concatenate([rng.permutation(count) for _ in range(-(-size // count))])[:size]
        return np.array([rng.choice(self.members[family]) for family in chosen])


def caption(row: SourceRow, language: str) -> str:
    """The row's caption in a language; in English where there is none in that language."""
    return row.captions.get(language) or row.captions["en"]


def some_tags(row: SourceRow, language: str, count: int, rng: np.random.Generator) -> tuple[str, ...]:
    """At most `count` of the row's tags in a language, drawn without repetition."""
    tags: Sequence[str] = row.tags.get(language, ())
    if not tags:
        return ()
    picked = rng.permutation(len(tags))[:count]
    return tuple(tags[index] for index in picked)
