"""Parts of a picture: the whole of it, its middle, and what a plain border leaves of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

PLAIN = 24
"""A border is plain where no channel of it differs more from its color, of 255: as much as JPEG 30 leaves of white."""
_LEAST = 0.25
"""A picture inside a border has at least this share of each side; less is a speck on a ground."""
_MOST = 0.97
"""What leaves less than the rest of the picture's area outside is no border."""


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, in shares of its width and height, 0-1."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Share of the picture's width."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Share of the picture's height."""
        return self.bottom - self.top

    def of(self, image: Image.Image) -> tuple[float, float, float, float]:
        """The same in pixels of a picture, as Pillow takes it."""
        wide, high = image.size
        return (self.left * wide, self.top * high, self.right * wide, self.bottom * high)

    def flipped(self) -> Box:
        """The same part of the picture after its left and right were exchanged."""
        return Box(1 - self.right, self.top, 1 - self.left, self.bottom)


WHOLE = Box(0.0, 0.0, 1.0, 1.0)
MIDDLE = Box(0.1, 0.1, 0.9, 0.9)


def extent(part: Box, box: Box) -> Box:
    """Where the edges of a whole picture lie in another, a part of which, `box`, a part of it shows."""
    wide, high = box.width / part.width, box.height / part.height
    left, top = box.left - part.left * wide, box.top - part.top * high
    return Box(left, top, left + wide, top + high)


def content(image: Image.Image) -> Box | None:
    """What lies inside a border of one color; None where there is none, or nothing but it.

    A pixel of the border that the picture has run into, as scaling leaves them, counts as border.

    Args:
        image: RGB; a hundred pixels a side are enough.
    """
    pixels = np.asarray(image)
    color = np.median(np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]), axis=0)
    low, high = (np.clip(color + by, 0, 255).astype(np.uint8) for by in (-PLAIN, PLAIN))
    red, green, blue = np.moveaxis((pixels < low) | (pixels > high), 2, 0)
    differs = red | green | blue
    columns, rows = (np.flatnonzero(differs.any(axis=axis)) for axis in (0, 1))
    if not len(columns):
        return None
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    high, wide = differs.shape
    left, top = (edge + (edge > 0) for edge in box[:2])
    right, bottom = (edge - (edge < end) for edge, end in zip(box[2:], (wide, high), strict=True))
    found = Box(float(left / wide), float(top / high), float(right / wide), float(bottom / high))
    is_large = min(found.width, found.height) >= _LEAST
    return found if is_large and found.width * found.height <= _MOST else None
