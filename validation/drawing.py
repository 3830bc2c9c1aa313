"""Pictures that the generator draws from captions of the corpus, kept block by block, so that a stopped run goes on."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from explorer.exact import normalized
from explorer.layout import write_atomic
from explorer.models.batch import clean_latents
from explorer.models.generator import GeneratorModel
from explorer.records import Recipe, Space
from validation.world import Floats, Rows, World

BLOCK = 15
"""Pictures that are drawn together, and that a stopped run loses at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What is to be drawn.

    Attributes:
        rows: int64 (m,), rows of the atlas.
        prompts: m, their captions.
        seeds: int64 (m,), of the noise.
    """

    rows: Rows
    prompts: tuple[str, ...]
    seeds: Rows

    @classmethod
    def of(cls, world: World, rows: Rows) -> Self:
        """A picture for the English caption of each row; the seed is its place, so that no two share their noise."""
        return cls(rows, tuple(world.entries[row].captions["en"] for row in rows), np.arange(len(rows)))

    def block(self, start: int) -> Asked:
        """`BLOCK` of them from `start` on."""
        part = slice(start, start + BLOCK)
        return Asked(self.rows[part], self.prompts[part], self.seeds[part])


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What a generator drew.

    Attributes:
        rows: int64 (m,), rows of the atlas whose captions were the prompts.
        pictures: uint8 (m, side, side, 3), sRGB.
        latents: float32 (m, d), as `vae` has them, neither centered nor normalized.
    """

    rows: Rows
    pictures: npt.NDArray[np.uint8]
    latents: Floats

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `write` wrote."""
        with np.load(path, allow_pickle=False) as told:
            return cls(**{each.name: told[each.name] for each in fields(cls)})

    @classmethod
    def joined(cls, blocks: Sequence[Self]) -> Self:
        """Several, one after the other."""
        return cls(*(np.concatenate([getattr(block, each.name) for block in blocks]) for each in fields(cls)))

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        data = io.BytesIO()
        np.savez_compressed(data, **{each.name: getattr(self, each.name) for each in fields(self)})
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data.getvalue())

    def __len__(self) -> int:
        return len(self.rows)

    def images(self) -> list[Image.Image]:
        """The pictures, RGB."""
        return [Image.fromarray(each) for each in self.pictures]

    def vectors(self, world: World, space: str) -> Floats:
        """Unit vectors float32 (m, d), as the app locates its own generator's pictures: in `vae` by their latents."""
        if space == Space.VAE:
            return normalized(self.latents - world.atlas.space(space).mean)
        return world.embed(space, self.images())


def draw(model: GeneratorModel, asked: Asked, folder: Path) -> Drawn:
    """Draw pictures; what `folder` has of an earlier call that was stopped is not drawn again.

    Args:
        model: draws, with its own steps and guidance.
        asked: what.
        folder: keeps the blocks; the caller removes it once the pictures are safe.
    """
    blocks = []
    for start in range(0, len(asked.rows), BLOCK):
        path = folder / f"{start:05d}.npz"
        if not path.is_file():
            _block(model, asked.block(start)).write(path)
        blocks.append(Drawn.read(path))
    return Drawn.joined(blocks)


def drawn_to(model: GeneratorModel, asked: Asked, path: Path) -> Drawn:
    """Draw pictures into one file, in place of an earlier one; see `draw`."""
    folder = path.with_suffix("")
    found = draw(model, asked, folder)
    found.write(path)
    shutil.rmtree(folder)
    return found


def _block(model: GeneratorModel, asked: Asked) -> Drawn:
    side, defaults = model.defaults.side, model.defaults
    recipes = [
        Recipe(prompt, seed=int(seed), steps=defaults.steps, guidance=defaults.guidance, width=side, height=side)
        for prompt, seed in zip(asked.prompts, asked.seeds, strict=True)
    ]
    latents = clean_latents(model, recipes)
    pictures = np.stack([np.asarray(picture) for picture in model.vae.decode(latents)])
    return Drawn(asked.rows, pictures, model.vae.pool_latents(latents))
