"""An axis between two phrases: how far a picture lies towards one of them, in `clip`.

The axis is the difference of the phrases' unit vectors, and a picture's place on it the cosine to that difference. It
says what the words and the picture have in common for this model, with all the associations that it has learned, and
nothing about the persons or things that are shown.

After Bolukbasi 2016, "Man is to Computer Programmer as Woman is to Homemaker?" (arXiv 1607.06520), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.errors import QueryError
from explorer.search import Encoders, text_vector

_ALIKE = 1e-6
"""Length of a difference below which two phrases are the same to the model."""
_BLOCK = 65_536
"""Vectors that are widened at a time: a corpus as a whole may not fit."""

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Axis:
    """Two phrases; a picture's value falls towards `low` and rises towards `high`."""

    low: str
    high: str

    @property
    def name(self) -> str:
        """What the axis is called in tables."""
        return f"{self.low} – {self.high}"


def axis_vector(models: Encoders, axis: Axis) -> npt.NDArray[np.float32]:
    """The direction from one phrase to the other, float32 (d,), unit length.

    Raises:
        QueryError: a phrase is blank or too long, or both are the same to the model.
    """
    apart = text_vector(models, axis.high) - text_vector(models, axis.low)
    length = float(np.linalg.norm(apart))
    if length < _ALIKE:
        raise QueryError(f"found an axis between {axis.low[:40]!r} and {axis.high[:40]!r}, which are the same here")
    return np.asarray(apart / length, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Spread:
    """Where pictures lie on an axis: mean and standard deviation of their values."""

    mean: float
    sd: float
    pictures: int

    @classmethod
    def of(cls, values: Floats) -> Spread:
        """Of (n,) values, n >= 1."""
        return cls(float(values.mean()), float(values.std()), len(values))


def positions(vectors: Floats, direction: Floats) -> npt.NDArray[np.float64]:
    """The place of each of (n, d) unit vectors on an axis, float64 (n,), -1 to 1; they may be memory-mapped."""
    found = np.empty(len(vectors))
    for start in range(0, len(vectors), _BLOCK):
        found[start : start + _BLOCK] = np.asarray(vectors[start : start + _BLOCK], np.float32) @ direction
    return found
