"""What a picture is known again by: perceptual hashes of three views of it, and which of them a copy would share.

A copy that was saved again, scaled or recolored has the original's hash of the whole, a cropped one looks like the
original's middle, and a picture that somebody framed, or whose empty margin somebody cut off, has the same content
inside its border. Flipping it turns the sign of every second cosine, so a flipped copy needs no hash of its own.
Source of the hash: see `explorer.pictures.perceptual_hash`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import product

import numpy as np
import numpy.typing as npt
from PIL import Image

from explorer.framing import MIDDLE, WHOLE, Box, content
from explorer.pictures import HASHED_SIDE, low_frequencies

UNKNOWN = np.uint64(0)
"""The hash of a view that is not known, or that shows nothing."""
BITS = 64
_FAINT = 256.0
"""A view without a frequency of this weight, one grey level of 255 up and down, shows nothing to be known again by."""
_CUT = 0.07
"""The share of two sides that is taken to be cut off: found are one side of 10 % as well as two of 5 to 10 %."""
_EDGES = (MIDDLE.left, MIDDLE.top, MIDDLE.right, MIDDLE.bottom)
_BLOCK = 1 << 15
_FLIP = np.where(np.arange(8) % 2, -1.0, 1.0)

Hashes = npt.NDArray[np.uint64]


class View(IntEnum):
    """The parts of an original that are hashed; the columns of `hashes.npy`."""

    WHOLE = 0
    CONTENT = 1
    MIDDLE = 2


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """Rows whose hashes come near to one.

    Attributes:
        rows: int64 (m,), ascending.
        bits: uint8 (m,), in which each differs.
    """

    rows: npt.NDArray[np.int64]
    bits: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Question:
    """A hash of some part of a picture, and the view of an original that it would be equal to.

    Attributes:
        bits: the hash.
        view: of the original.
        flipped: whether left and right were exchanged first.
        part: of the picture, as it is, that may lie in the original.
        start: about where in the original that lies; None = where its content is.
    """

    bits: np.uint64
    view: View
    flipped: bool
    part: Box
    start: Box | None


def fingerprints(image: Image.Image) -> Hashes:
    """The hashes of a picture's views, uint64 (3,) in the order of `View`.

    Args:
        image: RGB, of any size.
    """
    small = _reduced(image)
    boxes = {View.WHOLE: WHOLE, View.CONTENT: content(small) or WHOLE, View.MIDDLE: MIDDLE}
    grey = small.convert("L")
    return np.array([_hash(low_frequencies(grey, boxes[view].of(grey))) for view in View], np.uint64)


def questions(image: Image.Image) -> tuple[Question, ...]:
    """The hashes by which originals of a picture are looked for.

    A picture with a border may be an original's own whole, or it inside a frame, or its content with less margin. One
    without a border may be a part of an original, which is then more than the picture shows: its middle, or what is
    left without two of its sides; then the original's middle lies in a corner of the picture.

    Args:
        image: RGB, of any size.
    """
    small = _reduced(image)
    inside, grey = content(small), small.convert("L")
    if inside is None:
        asked = [*_asked(grey, WHOLE, {View.WHOLE: WHOLE, View.CONTENT: None, View.MIDDLE: MIDDLE}), *_corners(grey)]
    else:
        asked = [*_asked(grey, WHOLE, {View.WHOLE: WHOLE})]
        asked += _asked(grey, inside, {View.WHOLE: WHOLE, View.CONTENT: None})
    return tuple(each for each in asked if each.bits != UNKNOWN)


def near(hashes: Hashes, asked: Sequence[Question], reach: int) -> list[Near]:
    """For each question the rows whose hash of its view differs in few bits.

    Every hash is compared: for a million some milliseconds a question, with no more memory than a block takes.

    Args:
        hashes: uint64 (n, 3), may be mapped.
        asked: the questions.
        reach: the most bits.
    """
    found: list[list[Near]] = [[Near(np.empty(0, np.int64), np.empty(0, np.uint8))] for _ in asked]
    differing, counts = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint8)
    for start in range(0, len(hashes), _BLOCK):
        columns = np.ascontiguousarray(hashes[start : start + _BLOCK].T)
        size = columns.shape[1]
        for question, parts in zip(asked, found, strict=True):
            column = columns[question.view]
            np.bitwise_xor(column, question.bits, out=differing[:size])
            bits = np.bitwise_count(differing[:size], out=counts[:size])
            if bits.min() <= reach:  # most blocks hold nothing, and this is the quickest way to see it
                rows = np.flatnonzero((bits <= reach) & (column != UNKNOWN))
                parts.append(Near(rows + start, bits[rows]))
    return [Near(np.concatenate([e.rows for e in parts]), np.concatenate([e.bits for e in parts])) for parts in found]


def distances(hashes: Hashes, bits: np.uint64) -> npt.NDArray[np.uint8]:
    """In how many of 64 bits hashes (n,) differ from one, uint8 (n,); 64 where one is unknown."""
    return np.where(hashes == UNKNOWN, np.uint8(BITS), np.bitwise_count(hashes ^ bits))


def _asked(grey: Image.Image, part: Box, starts: Mapping[View, Box | None]) -> Iterator[Question]:
    """The questions of a part of a picture, both ways round."""
    low = low_frequencies(grey, part.of(grey))
    for flipped in (False, True):
        bits = _hash(low * _FLIP if flipped else low)
        yield from (Question(bits, view, flipped, part, start) for view, start in starts.items())


def _corners(grey: Image.Image) -> Iterator[Question]:
    """The questions of a picture from which two sides of an original were cut."""
    left = 1 - _CUT
    for right, low in product((False, True), repeat=2):
        shown = Box(_CUT * right, _CUT * low, left + _CUT * right, left + _CUT * low)
        middle = Box(*((edge - start) / left for edge, start in zip(_EDGES, (shown.left, shown.top) * 2, strict=True)))
        yield Question(_hash(low_frequencies(grey, middle.of(grey))), View.MIDDLE, False, WHOLE, shown)


def _reduced(image: Image.Image) -> Image.Image:
    times = min(image.size) // HASHED_SIDE
    return image.reduce(times) if times > 1 else image


def _hash(low: npt.NDArray[np.float64]) -> np.uint64:
    if np.abs(low.ravel()[1:]).max() < _FAINT:
        return UNKNOWN
    signs = np.packbits(low > np.median(low))
    return np.uint64(int.from_bytes(signs.tobytes(), "big"))
