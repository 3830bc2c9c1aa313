"""How alike two sets of vectors are: precision and recall, density and coverage.

A picture counts as close to a set where it lies in the ball around one of its members that reaches to that member's
k-th neighbor in its own set. Precision and recall can fail on identical distributions and on outliers; density and
coverage were made to hold there, so they lead wherever these figures are told.

Sources: Kynkäänniemi 2019, "Improved Precision and Recall" (arXiv 1904.06991), section 3; Naeem 2020, "Reliable
Fidelity and Diversity Metrics" (arXiv 2002.09797), sections 3 and 4. Values equal those of the authors' `prdc`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.errors import QueryError

K = 5
"""As Naeem 2020 has it for sets of ten thousand."""
_BLOCK = 512

Floats = npt.NDArray[np.floating[Any]]
Squares = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SetMeasures:
    """How a set of generated pictures stands to a set of real ones.

    Attributes:
        density: mean number of balls around real pictures that a generated one is in, over k; 1 for identical sets.
        coverage: share of the real pictures with a generated one in their ball.
        precision: share of the generated pictures in the ball of any real one.
        recall: share of the real pictures in the ball of any generated one.
        expected_coverage: what coverage would be if both sets were drawn alike; it depends on k and the sizes alone.
        k: whose neighbor a ball reaches to.
        real: how many real pictures.
        generated: how many generated ones.
    """

    density: float
    coverage: float
    precision: float
    recall: float
    expected_coverage: float
    k: int
    real: int
    generated: int


def compare(real: Floats, generated: Floats, k: int = K) -> SetMeasures:
    """Compare two sets by Euclidean distance.

    Args:
        real: (n, d), n > k.
        generated: (m, d), m > k.
        k: whose neighbor the balls reach to.

    Raises:
        QueryError: a set has k vectors or fewer.
    """
    if min(len(real), len(generated)) <= k:
        raise QueryError(f"found {len(real):,} and {len(generated):,} pictures; expected more than k = {k} of each")
    real_radii, own_radii = radii(real, k), radii(generated, k)
    balls = np.empty(len(generated), dtype=np.int64)
    nearest, recalled = np.full(len(real), np.inf), np.zeros(len(real), dtype=np.bool_)
    for start in range(0, len(generated), _BLOCK):
        block = slice(start, start + _BLOCK)
        apart = squared_distances(generated[block], real)
        balls[block] = (apart < real_radii).sum(axis=1)
        recalled |= (apart < own_radii[block, None]).any(axis=0)
        np.minimum(nearest, apart.min(axis=0), out=nearest)
    return SetMeasures(
        density=float(balls.mean() / k),
        coverage=float((nearest < real_radii).mean()),
        precision=float((balls > 0).mean()),
        recall=float(recalled.mean()),
        expected_coverage=expected_coverage(len(real), len(generated), k),
        k=k,
        real=len(real),
        generated=len(generated),
    )


def radii(vectors: Floats, k: int) -> Squares:
    """The squared distance from each of (n, d) vectors to its k-th neighbor among the others, float64 (n,)."""
    found = np.empty(len(vectors))
    for start in range(0, len(vectors), _BLOCK):
        apart = squared_distances(vectors[start : start + _BLOCK], vectors)
        rows = np.arange(len(apart))
        apart[rows, start + rows] = np.inf
        found[start : start + _BLOCK] = np.partition(apart, k - 1, axis=1)[:, k - 1]
    return found


def squared_distances(first: Floats, second: Floats) -> Squares:
    """Squared Euclidean distances float64 (n, m) of (n, d) to (m, d), never below 0."""
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    squares = np.einsum("nd,nd->n", first, first)[:, None] + np.einsum("md,md->m", second, second)
    return np.asarray(np.maximum(squares - 2 * first @ second.T, 0.0))


def expected_coverage(real: int, generated: int, k: int) -> float:
    """Coverage of two sets drawn alike: 1 - (N-1)...(N-k) / ((M+N-1)...(M+N-k)).

    Of the M + N - 1 others, the k nearest to a real picture are all real with this quotient's probability.
    Source: Naeem 2020, lemma 2.
    """
    steps = np.arange(1, k + 1)
    return float(1 - np.prod((real - steps) / (real + generated - steps)))
