"""Two pictures laid over each other: which part of the one the other shows, and how well they agree there.

The part is found from a first guess by Gauss-Newton steps on its four edges, from coarse to fine, the brightness of the
one being free up to a factor and an offset, since copies are made lighter or darker.
Source: B. Lucas, T. Kanade, An Iterative Image Registration Technique with an Application to Stereo Vision, 1981.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from explorer.framing import WHOLE, Box, extent

_LEVELS: Mapping[int, int] = {16: 2, 32: 2, 64: 1}
"""Pixels a side of what is compared -> steps that are taken there."""
_HOPELESS: Mapping[int, float] = {16: 0.6, 32: 0.85, 64: 0.9}
"""The same -> the correlation with which it is not worth beginning; copies begin with 0.72, 0.88 and 0.94 at least."""
_UNLIKE, _UNLIKE_CELL = 0.95, 0.6
"""What correlation and worst cell (see `Overlap`) must be with half the finest pixels, for those to be looked at.

Of 412 copies of 28 pictures all have at least 0.99 and at most 0.33 there; most drawings that are none stay below.
"""
_FINEST = 64
_LONGEST = 0.1
"""An edge moves by at most this share of the part a step."""
_LEAST = 0.3
"""A part has at least this share of each side."""
_CELLS = 8
_QUARTER, _HALF = np.float32(0.25), np.float32(0.5)
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_TINT = 0.2
"""The strongest tint, in shares of full brightness."""
_PALE = 0.03
"""A picture whose color is weaker, root mean square, is taken for grey."""
_DAMPING = 1e-3

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A picture, made ready to be laid over others.

    Attributes:
        colors: RGB, its short side about twice the finest level's.
        greys: pixels a side of a level -> the picture in grey, about twice as large.
    """

    colors: Image.Image
    greys: Mapping[int, Image.Image]

    @classmethod
    def of(cls, picture: Image.Image) -> Self:
        """Make a picture, RGB, ready."""
        times = min(picture.size) // (2 * _FINEST)
        colors = picture.reduce(times) if times > 1 else picture
        grey = colors.convert("L")
        return cls(colors, {side: grey.reduce(_FINEST // side) for side in _LEVELS})

    def flipped(self) -> Sheet:
        """The same with left and right exchanged."""
        return Sheet.of(self.colors.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


@dataclass(frozen=True, slots=True)
class Overlap:
    """How a picture lies over a part of another.

    Attributes:
        part: of the picture.
        box: the part of the other that it shows.
        correlation: of its grey values with what the other's colors explain of them there, 0-1.
        worst: the largest difference that is left in any of 8 x 8 cells, root mean square, in standard deviations of
            the picture; a detail that only one of the two has is local, what coding leaves lies everywhere.
        color: how much of the picture's color, of two opponent channels, the other's does not explain, 0-1. Saturation
            and a tint of the light are free, so it is the sine of the angle by which hues are turned; 0 where the
            picture has no color.
    """

    part: Box
    box: Box
    correlation: float
    worst: float
    color: float

    @property
    def extent(self) -> Box:
        """Where the edges of the whole picture lie in the other; outside 0-1 where it shows more than the other."""
        return extent(self.part, self.box)


NOTHING = Overlap(WHOLE, WHOLE, 0.0, np.inf, np.inf)


def register(picture: Sheet, part: Box, original: Sheet, start: Box) -> Overlap:
    """Find the part of an original that a part of a picture shows.

    Args:
        picture: what may be a copy.
        part: of it.
        original: what it may be a copy of.
        start: about where in the original the part lies.

    Returns:
        the best that was found; `NOTHING` where it was hopeless.
    """
    box = start
    for side, steps in _LEVELS.items():
        seen, there = _patch(picture.greys[side], part, side), _patch(original.greys[side], box, side)
        best, moved = correlation(seen, there), box
        if best < _HOPELESS[side] or (side == _FINEST and _is_unlike(picture, part, original, box)):
            return NOTHING
        for _ in range(steps):
            moved = _moved(moved, _step(seen, there))
            there = _patch(original.greys[side], moved, side)
            if (near := correlation(seen, there)) > best:
                best, box = near, moved
    side = _shown(picture, original)
    explained = _explained(_patch(picture.colors, part, side), _patch(original.colors, box, side))
    return Overlap(part, box, *explained, _color(picture.colors, part, original.colors, box))


def _shown(*sheets: Sheet) -> int:
    """Pixels a side in which all of them show detail; in finer ones only what coding did to a small one differs."""
    least = min(min(sheet.colors.size) for sheet in sheets)
    return max((side for side in _LEVELS if side <= least), default=min(_LEVELS))


def _is_unlike(picture: Sheet, part: Box, original: Sheet, box: Box) -> bool:
    """Whether two parts differ so much in half the finest level's pixels that the finest would show no copy."""
    agreed, worst = _explained(
        *(_patch(*each, _FINEST // 2) for each in ((picture.colors, part), (original.colors, box)))
    )
    return agreed < _UNLIKE or worst > _UNLIKE_CELL


def correlation(one: Values, other: Values) -> float:
    """Of the values of two patches, -1 to 1; 0 where one of them is plain."""
    a, b = one - one.mean(), other - other.mean()
    length = float(np.sqrt(np.vdot(a, a) * np.vdot(b, b)))
    return float(np.vdot(a, b)) / length if length > 0 else 0.0


def _patch(image: Image.Image, box: Box, side: int) -> Values:
    """A part of a picture, float32 (side, side) or (side, side, 3), 0-1."""
    values = image.resize((side, side), Image.Resampling.BILINEAR, box=box.of(image))
    return np.asarray(values, dtype=np.float32) / np.float32(255)


def _step(seen: Values, there: Values) -> npt.NDArray[np.float64]:
    """How far the left, top, right and bottom edge should move, in shares of the part, float64 (4,).

    `seen` is taken for gain * there(moved) + offset, and there(moved) for there + its gradients * what moved.
    """
    across, (down, right) = _across(len(there)), _gradients(there)
    moves = (right * (1 - across), down * (1 - across)[:, None], right * across, down * across[:, None])
    terms = np.stack([there, np.ones_like(there), *moves]).reshape(6, -1).astype(np.float64)
    normal = terms @ terms.T
    edges = np.arange(2, 6)
    normal[edges, edges] += _DAMPING * normal[edges, edges].mean()
    normal += 1e-9 * np.eye(6)
    solved = np.linalg.solve(normal, terms @ seen.ravel())
    gain = solved[0] if abs(solved[0]) > _LEAST else 1.0
    moved: npt.NDArray[np.float64] = np.clip(solved[2:] / gain, -_LONGEST, _LONGEST)
    return moved


@cache
def _across(side: int) -> Values:
    """Where the middles of so many pixels lie, 0-1, float32 (side,)."""
    return ((np.arange(side) + 0.5) / side).astype(np.float32)


def _gradients(values: Values) -> tuple[Values, Values]:
    """How values (side, side) change down and to the right, by a whole side; see `np.gradient`."""
    found = np.empty((2, *values.shape), np.float32)
    for gradient, along in ((found[0], values), (found[1].T, values.T)):
        gradient[1:-1] = (along[2:] - along[:-2]) / 2
        gradient[0], gradient[-1] = along[1] - along[0], along[-1] - along[-2]
    found *= len(values)
    return found[0], found[1]


def _moved(box: Box, by: npt.NDArray[np.float64]) -> Box:
    """A part with its edges moved, inside the picture, not smaller than a part may be."""
    left = min(max(box.left + by[0] * box.width, 0.0), 1 - _LEAST)
    top = min(max(box.top + by[1] * box.height, 0.0), 1 - _LEAST)
    right = max(min(box.right + by[2] * box.width, 1.0), left + _LEAST)
    bottom = max(min(box.bottom + by[3] * box.height, 1.0), top + _LEAST)
    return Box(float(left), float(top), float(right), float(bottom))


def _explained(seen: Values, there: Values) -> tuple[float, float]:
    """See `Overlap.correlation` and `Overlap.worst`; of two patches in RGB."""
    grey = _smooth(seen @ _LUMA)
    colors = [_smooth(there[..., channel]) for channel in range(3)]
    terms = np.stack([np.ones_like(grey), *colors]).reshape(4, -1).astype(np.float64)
    normal = terms @ terms.T + 1e-6 * grey.size * np.eye(4)
    rest = grey.ravel() - np.linalg.solve(normal, terms @ grey.ravel()) @ terms
    contrast = max(float(grey.std()), 1e-6)
    cell = len(grey) // _CELLS
    cells = np.square(rest).reshape(_CELLS, cell, _CELLS, cell).mean(axis=(1, 3))
    share = float(np.square(rest).mean()) / contrast**2
    return float(np.sqrt(max(1 - share, 0.0))), float(np.sqrt(cells.max())) / contrast


def _smooth(values: Values) -> Values:
    """Weighted 1-2-1 both ways: a quarter of a pixel's shift is no difference."""
    wide: Values = np.pad(values, 1, mode="edge")
    rows = _QUARTER * wide[:-2] + _HALF * wide[1:-1] + _QUARTER * wide[2:]
    smooth: Values = _QUARTER * rows[:, :-2] + _HALF * rows[:, 1:-1] + _QUARTER * rows[:, 2:]
    return smooth


def _color(picture: Image.Image, part: Box, original: Image.Image, box: Box) -> float:
    """See `Overlap.color`."""
    seen, there = (_patch(*each, 32) for each in ((picture, part), (original, box)))
    grey = there @ _LUMA
    grey = (grey - grey.mean()).ravel()
    found, known = _opponent(seen), _opponent(there)
    found = found - np.outer(_tint(found, known, grey), grey)
    amount = float(np.sqrt(np.square(found).mean()))
    if amount < _PALE:
        return 0.0
    gain = max(float(np.vdot(found, known)), 0.0) / max(float(np.vdot(known, known)), 1e-12)
    return float(np.sqrt(np.square(found - np.float32(gain) * known).mean())) / amount


def _tint(found: Values, known: Values, grey: Values) -> Values:
    """What light of another color adds to each channel in proportion to brightness, float32 (2,).

    Found together with the gain of the original's colors, by least squares; a strong one would be another color.
    """
    normal = np.diag([float(np.vdot(known, known)), *[float(np.vdot(grey, grey))] * 2]) + 1e-6 * np.eye(3)
    normal[0, 1:] = normal[1:, 0] = known @ grey
    solved = np.linalg.solve(normal, [float(np.vdot(found, known)), *(found @ grey).tolist()])
    tint: Values = np.clip(solved[1:], -_TINT, _TINT).astype(np.float32)
    return tint


def _opponent(colors: Values) -> Values:
    """Red against green and blue against yellow, float32 (2, side * side), of a patch in RGB; their means are off."""
    red, green, blue = np.moveaxis(colors, 2, 0).reshape(3, -1)
    channels: Values = np.stack([red - green, blue - (red + green) / 2])
    channels -= channels.mean(axis=1, keepdims=True)
    return channels
