"""What a worker makes of a picture's file: all that the models and the screen need of it, and nothing that is large.

Workers import this module; it stays light.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import thread_time

import numpy as np
import numpy.typing as npt

from explorer.fingerprints import fingerprints
from explorer.pictures import HASHED_SIDE, Enough, perceptual_hash, square, thumbnail_webp
from indexer.sources.base import Decoder


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A decoded picture.

    Attributes:
        sha256: of the file.
        phash: see `explorer.pictures.perceptual_hash`.
        hashes: uint64 (3,), see `explorer.fingerprints`.
        width: pixels of the upright picture.
        height: likewise.
        thumbnail: WebP, or nothing where none is wanted.
        squares: side -> uint8 (side, side, 3), for the models.
        seconds: of processor that it took.
    """

    sha256: str
    phash: str
    hashes: npt.NDArray[np.uint64]
    width: int
    height: int
    thumbnail: bytes
    squares: Mapping[int, npt.NDArray[np.uint8]]
    seconds: float


def prepare(decoder: Decoder, sides: Sequence[int], thumbnail: int, data: bytes) -> Prepared:
    """Decode a file and take from it what is needed.

    Args:
        decoder: the source's.
        sides: of the models' squares, pixels.
        thumbnail: its long side, pixels; none is made if 0.
        data: the file.

    Raises:
        explorer.errors.PictureError: it is no picture that is taken.
    """
    started = thread_time()  # a process under a limit of its processor time knows that only by the tick
    decoded = decoder(data, enough(sides, thumbnail))
    picture, size = decoded.picture, decoded.size or decoded.picture.size
    return Prepared(
        sha256=hashlib.sha256(data).hexdigest(),
        phash=perceptual_hash(picture),
        hashes=fingerprints(picture),
        width=size[0],
        height=size[1],
        thumbnail=thumbnail_webp(decoded.thumbnail, thumbnail, decoded.size) if thumbnail else b"",
        squares={side: np.asarray(square(picture, side)) for side in sides},
        seconds=thread_time() - started,
    )


def enough(sides: Sequence[int], thumbnail: int) -> Enough:
    """The pixels from which all is made as well as from more; what the models see is still scaled down by half."""
    return Enough(thumbnail, max((HASHED_SIDE, *(2 * side for side in sides))))


def room(sides: Sequence[int], thumbnail: int) -> int:
    """The bytes that a `Prepared` takes, at most: a WebP is smaller than a byte a pixel."""
    return 3 * sum(side * side for side in sides) + thumbnail * thumbnail
