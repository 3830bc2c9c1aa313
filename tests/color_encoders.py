"""Deterministic encoders without any weights, and pictures whose groups are known to them.

A picture of one color is near to pictures of that color and far from the others, in both spaces; so what a build finds
can be held against what was drawn. They load nothing, so that a build in a child process starts at once.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from explorer.records import Space

COLORS = ("crimson", "orange", "gold", "seagreen", "royalblue", "purple")
SIDE = 12
SPACES = (Space.CLIP, Space.VAE)
"""Those that every source of pictures has."""


@dataclass
class ColorEncoder:
    """Pixels through a fixed random matrix.

    Attributes:
        space: the space.
        dim: of its vectors.
        fingerprint: stands for its "weights": another one gives other vectors.
        pictures: how many it has encoded.
    """

    space: Space
    dim: int
    fingerprint: str = "one"
    pictures: int = 0

    def describe(self) -> dict[str, Any]:
        """See `indexer.encoding.encoders.Encoder`."""
        return {"reference": "colors", "revision": None, "fingerprint": self.fingerprint, "dim": self.dim, "side": SIDE}

    @property
    def side(self) -> int:
        """See `indexer.encoding.encoders.Encoder`."""
        return SIDE

    @property
    def batch(self) -> int | None:
        """See `indexer.encoding.encoders.Encoder`."""
        return 32

    def compiled(self, batch: int) -> ColorEncoder:
        """See `indexer.encoding.encoders.Encoder`."""
        del batch
        return self

    def encode(self, squares: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """See `indexer.encoding.encoders.Encoder`."""
        self.pictures += len(squares)
        pixels = squares.reshape(len(squares), -1).astype(np.float32) / 255 - 0.4
        seed = [self.dim, *self.fingerprint.encode()]
        return pixels @ np.random.default_rng(seed).normal(size=(pixels.shape[1], self.dim)).astype(np.float32)


def encoders(fingerprint: str = "one") -> tuple[ColorEncoder, ColorEncoder]:
    """One encoder a space."""
    return (
        ColorEncoder(Space.CLIP, 24, fingerprint),
        ColorEncoder(Space.VAE, 16, fingerprint),
    )


def picture(color: str, number: int, size: tuple[int, int] = (40, 32)) -> Image.Image:
    """A polygon of one color on a ground of that color, made lighter; `number` sets its corners and turn."""
    image = Image.new("RGB", size, color)
    image = Image.blend(image, Image.new("RGB", size, "white"), 0.2)
    radius = min(size) * (0.25 + 0.02 * (number % 8))
    place = (size[0] / 2, size[1] / 2, radius)
    ImageDraw.Draw(image).regular_polygon(place, 3 + number % 5, rotation=17 * number, fill=color)
    return image


def png(number: int) -> bytes:
    """The file of a small picture, another for every number."""
    data = io.BytesIO()
    picture(COLORS[number % len(COLORS)], number).save(data, "PNG")
    return data.getvalue()


def write_pictures(folder: Path, each: int, colors: Sequence[str] = COLORS) -> Path:
    """Save `each` pictures of every color as COLOR/COLOR-NUMBER.png; return `folder`."""
    for color in colors:
        (folder / color).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            picture(color, number).save(folder / color / f"{color}-{number:02d}.png")
    return folder
