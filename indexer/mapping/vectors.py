"""What the models gave, as the unit vectors of a space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

REVISION = 1
"""Raised when the same models' outputs would give other vectors; part of the stage's key."""
_NO_DIRECTION = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class UnitVectors:
    """The vectors of a space.

    Attributes:
        vectors: float16 (n, d), unit length.
        mean: float32 (d,), what was taken off first; zeros where nothing was.
    """

    vectors: npt.NDArray[np.float16]
    mean: npt.NDArray[np.float32]


def unit_vectors(raw: npt.NDArray[np.float32], train: npt.NDArray[np.bool_], *, centered: bool) -> UnitVectors:
    """Take the training pictures' mean off, where the space is centered, and scale to unit length.

    A corpus of one picture, or of copies of one, has no direction from its mean: it is left where it is.

    Args:
        raw: float32 (n, d), as the model gave them, none of them zero.
        train: bool (n,).
        centered: whether the mean is taken off.
    """
    mean = raw[train].mean(axis=0, dtype=np.float64) if centered else np.zeros(raw.shape[1])
    if (np.linalg.norm(raw - mean, axis=1) < _NO_DIRECTION * np.linalg.norm(raw, axis=1)).any():
        mean = np.zeros(raw.shape[1])
    centered_raw = raw - mean.astype(np.float32)
    vectors = centered_raw / np.linalg.norm(centered_raw, axis=1, keepdims=True)
    return UnitVectors(vectors.astype(np.float16), mean.astype(np.float32))


def in_frame(raw: npt.NDArray[np.float32], mean: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """More vectors of a space whose mean is known, float16 (m, d), unit length.

    A picture that is the mean itself has no direction from it; it is taken as it is.

    Args:
        raw: float32 (m, d), as the model gave them, none of them zero.
        mean: float32 (d,).
    """
    centered = raw - mean
    has_none = np.linalg.norm(centered, axis=1) < _NO_DIRECTION * np.linalg.norm(raw, axis=1)
    centered[has_none] = raw[has_none]
    return (centered / np.linalg.norm(centered, axis=1, keepdims=True)).astype(np.float16)
