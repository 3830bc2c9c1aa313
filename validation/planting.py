"""Copies of a picture as somebody else would pass it on: what the verdict `copy` must find."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageOps

CROP = 0.1
FRAME = 0.1
SHIFT = (30, -20, 10)
"""Added to red, green and blue, of 255."""


def saved(picture: Image.Image, quality: int) -> Image.Image:
    """The picture as JPEG of a quality leaves it."""
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def cropped(picture: Image.Image) -> Image.Image:
    """A tenth of either side cut off, half of it at each edge."""
    return ImageOps.crop(picture, round(min(picture.size) * CROP / 2))


def framed(picture: Image.Image) -> Image.Image:
    """The picture in a black frame, a tenth of its side wide."""
    return ImageOps.expand(picture, round(min(picture.size) * FRAME), "black")


def shifted(picture: Image.Image) -> Image.Image:
    """Every color moved."""
    moved = np.asarray(picture).astype(np.int16) + np.array(SHIFT, np.int16)
    return Image.fromarray(np.clip(moved, 0, 255).astype(np.uint8))


CHANGES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "itself": lambda picture: picture,
    "JPEG of quality 30": lambda picture: saved(picture, 30),
    "10 % cut off": cropped,
    "flipped": ImageOps.mirror,
    "colors shifted": shifted,
    "framed": framed,
}
