"""Pictures go through a model as many at a time as is fast and as there is room for."""

from __future__ import annotations

from time import perf_counter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from explorer.models.device import give_back, is_out_of_memory
from indexer.encoding.encoders import Encoder

MOST = 512
_SECONDS = 0.1
"""How long a size is timed, at least one pass."""
_GAIN = 1.03
"""What is to replace something simpler has to be so much faster."""
_LONG = 600.0
"""Seconds of work for a model from which on compiling it, a minute or so, can pay."""


class Batches:
    """Runs a model over pictures in batches, which become smaller where there is no room.

    Attributes:
        encoder: the model.
        size: pictures that go through together.
    """

    def __init__(self, encoder: Encoder, size: int | None = None, expected: int = 0) -> None:
        """Set the size, or find it: a model on the CPU knows its own, one on a GPU is measured.

        Args:
            encoder: the model.
            size: a size that has to be kept to where there is room; then nothing is measured.
            expected: pictures to come; for many a model on a GPU is compiled, and the faster of the two is kept.
        """
        self.encoder, self.size = encoder, size or encoder.batch or 1
        if size is None and encoder.batch is None:
            self.size, rate = measured(encoder)
            if expected > _LONG * rate:
                self.encoder = _faster(encoder, self.size, rate)

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


class Measured(NamedTuple):
    """A batch size, and the pictures a second that a model makes with it."""

    size: int
    rate: float


def measured(encoder: Encoder, most: int = MOST) -> Measured:
    """The batch size beyond which a model becomes no faster, or has no room."""
    best, best_rate, size = 1, 0.0, 1
    while size <= min(most, 4 * best):
        rate = _rate(encoder, size)
        if rate is None:
            break
        if rate > _GAIN * best_rate:
            best, best_rate = size, rate
        size *= 2
    return Measured(best, best_rate)


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


def _faster(encoder: Encoder, size: int, rate: float) -> Encoder:
    """The model compiled, if that works here and is faster than `rate` pictures a second; else as it is."""
    try:
        compiled = encoder.compiled(size)
        reached = _rate(compiled, size)
    except Exception:  # compilers fail in many ways, and what would only have been faster need not be
        return encoder
    return compiled if reached is not None and reached > _GAIN * rate else encoder


def _tried(encoder: Encoder, squares: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32] | None:
    """Vectors, or None where there is no room; by then nothing holds on to what the model had reached."""
    try:
        return encoder.encode(squares)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    give_back()
    return None
