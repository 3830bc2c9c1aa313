"""Pictures that look like photographs to a hash: colored blobs and edges at all scales, another for every number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def painted(number: int, size: tuple[int, int] = (160, 160)) -> Image.Image:
    """An RGB picture without any border."""
    rng = np.random.default_rng([7, number])
    coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(coarse)
    for _ in range(9):
        place = (*(rng.uniform(0, 1, 2) * size), rng.uniform(0.05, 0.2) * min(size))
        color = tuple(rng.integers(0, 256, 3).tolist())
        draw.regular_polygon(place, int(rng.integers(3, 9)), rotation=int(rng.integers(0, 90)), fill=color)
    return coarse.filter(ImageFilter.GaussianBlur(0.7))


def drawn(number: int, side: int = 160) -> Image.Image:
    """A picture on white, with a margin around it."""
    ground = Image.new("RGB", (side, side), "white")
    inside = painted(number, (side * 6 // 10, side * 7 // 10))
    ground.paste(inside, (side * 2 // 10, side * 15 // 100))
    return ground


def write(folder: Path, count: int) -> Path:
    """Save `count` pictures as NN.png, every third one on white; return `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (drawn(number) if number % 3 == 2 else painted(number)).save(folder / f"{number:02d}.png")
    return folder
