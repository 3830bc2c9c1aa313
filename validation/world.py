"""The embedded default's atlas, and what of its pictures and models every proof asks for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.atlases import CONSOLE
from explorer.atlas import Atlas
from explorer.layout import AtlasPaths
from explorer.models.loader import Models
from explorer.search import picture_vectors
from indexer.sources.base import SourceRow
from indexer.sources.openmoji import OpenMojiSource
from validation.parts import RUNS

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

_BATCH = 64


@dataclass(frozen=True, eq=False)
class World:
    """An atlas, its models, and its source.

    Attributes:
        atlas: the atlas.
        models: those it was made with.
        source: renders its pictures as the generator saw them.
    """

    atlas: Atlas
    models: Models
    source: OpenMojiSource

    @cached_property
    def entries(self) -> tuple[SourceRow, ...]:
        """What the source says of each row of the atlas, n in the atlas's order."""
        by_key = {row.key: row for row in self.source.rows()}
        return tuple(by_key[record.key] for record in self.atlas.records(self.atlas.ids))

    def vectors(self, space: str) -> Floats:
        """The atlas's vectors, float32 (n, d), unit length to the precision of float16."""
        return self.atlas.space(space).vectors.astype(np.float32)

    def picture(self, row: int) -> Image.Image:
        """A row's picture at the size that the generator learned from."""
        return self.source.open(self.entries[row])

    def embed(self, space: str, pictures: Sequence[Image.Image]) -> Floats:
        """Pictures as unit vectors of a space, float32 (m, d)."""
        blocks = [pictures[at : at + _BATCH] for at in range(0, len(pictures), _BATCH)]
        return np.concatenate([picture_vectors(self.atlas, self.models, space, list(block)) for block in blocks])

    def one_a_family(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """One row of every family among `rows`, drawn evenly; in the order of the families' codes."""
        shuffled = rng.permutation(rows)
        return shuffled[np.unique(self.atlas.families[shuffled], return_index=True)[1]]

    def drawn_families(self, rows: Rows, count: int, rng: np.random.Generator) -> Rows:
        """One row each of `count` families among `rows`, drawn evenly by family; all of them where there are fewer."""
        return rng.permutation(self.one_a_family(rows, rng))[:count]


@cache
def world() -> World:
    """The demo's world; its atlas is built in half a minute or so where there is none yet."""
    path = RUNS / "atlas"
    if not AtlasPaths(path).current.exists():
        words = ("demo", "--no-serve", "--atlas", str(path))
        subprocess.run([sys.executable, "-c", CONSOLE, *words], check=True, stdout=sys.stderr)
    atlas = Atlas.open(path)
    return World(atlas, Models(atlas), OpenMojiSource())
