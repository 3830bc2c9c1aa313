"""Pictures go through a model as many at a time as is fast and as there is room for."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import numpy.typing as npt

from explorer.models.device import give_back, is_out_of_memory
from indexer.encoders import Encoder

MOST = 512
_SECONDS = 0.1
_GAIN = 1.03
"""A batch twice as large has to be so much faster to be worth its room."""


class Batches:
    """Runs a model over pictures in batches, which become smaller where there is no room.

    Attributes:
        size: pictures that go through together.
    """

    def __init__(self, encoder: Encoder, size: int | None = None) -> None:
        """Set the size, or find it: a model on the CPU knows its own, one on a GPU is measured."""
        self.encoder = encoder
        self.size = size or encoder.batch or measured(encoder)

    def vectors(self, squares: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32] | None]:
        """Vectors float32 (d,) of pictures uint8 (n, side, side, 3); None where one has no room even alone."""
        rows: list[npt.NDArray[np.float32] | None] = []
        while len(rows) < len(squares):
            part = squares[len(rows) : len(rows) + self.size]
            found = _tried(self.encoder, part)
            if found is not None:
                rows.extend(found)
            elif len(part) > 1:
                self.size = len(part) // 2
            else:
                rows.append(None)
        return rows


def measured(encoder: Encoder, most: int = MOST) -> int:
    """The batch size beyond which a model becomes no faster, or has no room."""
    best, best_rate, size = 1, 0.0, 1
    while size <= min(most, 4 * best):
        rate = _rate(encoder, size)
        if rate is None:
            break
        if rate > _GAIN * best_rate:
            best, best_rate = size, rate
        size *= 2
    return best


def _rate(encoder: Encoder, size: int) -> float | None:
    """Pictures a second in batches of a size; None where there is no room for them."""
    squares = np.zeros((size, encoder.side, encoder.side, 3), np.uint8)
    if _tried(encoder, squares) is None:  # the first pass also chooses the kernels
        return None
    best, until = float("inf"), perf_counter() + _SECONDS
    while perf_counter() < until:
        started = perf_counter()
        if _tried(encoder, squares) is None:
            return None
        best = min(best, perf_counter() - started)
    return size / best


def _tried(encoder: Encoder, squares: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32] | None:
    """Vectors, or None where there is no room; by then nothing holds on to what the model had reached."""
    try:
        return encoder.encode(squares)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    give_back()
    return None
