"""Copies of a picture as people make them, to be found again."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageEnhance, ImageOps


def recoded(picture: Image.Image, kind: str, quality: int, scale: float = 1) -> Image.Image:
    """The picture as somebody else saved it."""
    data = io.BytesIO()
    size = (round(picture.width * scale), round(picture.height * scale))
    picture.resize(size, Image.Resampling.BICUBIC).save(data, kind, quality=quality)
    return Image.open(data).convert("RGB")


def trimmed(picture: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """The picture without some shares of its sides."""
    wide, high = picture.size
    return picture.crop((round(wide * left), round(high * top), round(wide * (1 - right)), round(high * (1 - bottom))))


def warmer(picture: Image.Image) -> Image.Image:
    """The picture with more red and less blue."""
    values = np.asarray(picture) * np.array([1.08, 1.0, 0.85])
    return Image.fromarray(np.minimum(values, 255).astype(np.uint8))


def turned(picture: Image.Image, degrees: float) -> Image.Image:
    """The picture with its hues moved around the color circle."""
    hue, saturation, value = picture.convert("HSV").split()
    by = round(degrees / 360 * 256)
    moved = Image.fromarray(np.asarray(hue) + np.uint8(by))  # uint8 goes round by itself
    return Image.merge("HSV", (moved, saturation, value)).convert("RGB")


def framed(picture: Image.Image, share: float, color: tuple[int, int, int]) -> Image.Image:
    """The picture with a border of one color around it."""
    return ImageOps.expand(picture, round(share * picture.width), color)


PLANTS: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "itself": lambda picture: picture,
    "JPEG, quality 30": lambda picture: recoded(picture, "JPEG", 30),
    "half the size, WebP 50": lambda picture: recoded(picture, "WEBP", 50, 0.5),
    "5 % cut off each edge": lambda picture: trimmed(picture, 0.05, 0.05, 0.05, 0.05),
    "10 % cut off each edge": lambda picture: trimmed(picture, 0.1, 0.1, 0.1, 0.1),
    "10 % cut off one side": lambda picture: trimmed(picture, 0.1, 0, 0, 0),
    "10 % cut off two sides": lambda picture: trimmed(picture, 0, 0, 0.1, 0.1),
    "flipped": ImageOps.mirror,
    "warmer": warmer,
    "hues turned by 20 degrees": lambda picture: turned(picture, 20),
    "a fifth darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.8),
    "half the saturation": lambda picture: ImageEnhance.Color(picture).enhance(0.5),
    "framed in black": lambda picture: framed(picture, 0.08, (0, 0, 0)),
    "framed in brown": lambda picture: framed(picture, 0.05, (120, 70, 30)),
    "flipped, 5 % cut off, JPEG 50": lambda picture: recoded(
        trimmed(ImageOps.mirror(picture), 0.05, 0.05, 0.05, 0.05), "JPEG", 50
    ),
}
"""What was done to a picture -> how."""
