"""What the models gave, as the unit vectors of a space."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

REVISION = 2
"""Raised when the same models' outputs would give other vectors; part of the stage's key."""
_NO_DIRECTION = 1e-6

Blocks = Callable[[], Iterable[npt.NDArray[np.float32]]]
"""Reads what a model gave, float32 (m, d) after float32 (m, d) in the order of the rows, none of them zero; may be
called again. A million vectors are 2 GB, and nobody needs them all at a time."""


def center(blocks: Blocks, train: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """The training pictures' mean, float32 (d,), which is taken off in a space that is centered.

    A corpus of one picture, or of copies of one, has no direction from its mean: it is left where it is, by zeros.

    Args:
        blocks: of n rows.
        train: bool (n,), any of them true.
    """
    total = np.float64(0)
    start = 0
    for raw in blocks():
        total = total + raw[train[start : start + len(raw)]].sum(axis=0, dtype=np.float64)
        start += len(raw)
    mean = np.asarray(total / train.sum())
    has_lost = any((_length(raw - mean) < _NO_DIRECTION * _length(raw)).any() for raw in blocks())
    return np.zeros(len(mean), np.float32) if has_lost else mean.astype(np.float32)


def in_frame(raw: npt.NDArray[np.float32], mean: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """What a model gave as vectors of a space whose mean is known, float16 (m, d), unit length.

    A picture that is the mean itself has no direction from it; it is taken as it is.

    Args:
        raw: float32 (m, d), as the model gave them, none of them zero.
        mean: float32 (d,).
    """
    centered = raw - mean
    has_none = _length(centered) < _NO_DIRECTION * _length(raw)
    centered[has_none] = raw[has_none]
    return (centered / _length(centered)[:, None]).astype(np.float16)


def _length(vectors: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    return np.asarray(np.linalg.norm(vectors, axis=1))
