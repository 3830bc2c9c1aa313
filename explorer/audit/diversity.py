"""How varied pictures are: the Vendi score of a set, and whether the seeds of one prompt all give the same.

Sources: Friedman and Dieng 2022, "The Vendi Score" (arXiv 2210.02410), definition 3.1, with the cosine as similarity;
seed collapse after the clique test of Carlini 2023, "Extracting Training Data from Diffusion Models" (arXiv
2301.13188).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


def vendi(vectors: Floats) -> float:
    """The effective number of different pictures: exp(-sum of l log l), l the eigenvalues of K / n, K the cosines.

    Args:
        vectors: (n, d), n >= 1, of any length but 0.

    Returns:
        1 where all are the same, n where each is orthogonal to all others.
    """
    unit = _unit(vectors)
    # K / n and the d x d matrix below have the same eigenvalues but for zeros, which add nothing.
    gram = unit @ unit.T if len(unit) <= unit.shape[1] else unit.T @ unit
    values = np.linalg.eigvalsh(gram / len(unit))
    values = values[values > 0]
    return float(np.exp(-(values * np.log(values)).sum()))


def mean_pairwise(vectors: Floats) -> float | None:
    """The mean cosine of all pairs of (n, d) vectors; None for fewer than two.

    The sum over all pairs is that of the squared length of the vectors' sum, less their own.
    """
    count = len(vectors)
    if count < 2:
        return None
    total = _unit(vectors).sum(axis=0)
    return float((total @ total - count) / (count * (count - 1)))


def mean_across(vectors: Floats, groups: npt.NDArray[np.integer[Any]]) -> float | None:
    """The mean cosine of the pairs that are of two groups; None where there is but one group.

    Args:
        vectors: (n, d).
        groups: (n,), which group each is of.
    """
    unit = _unit(vectors)
    _, members = np.unique(groups, return_inverse=True)
    sums = np.zeros((int(members.max()) + 1, unit.shape[1]))
    np.add.at(sums, members, unit)
    sizes = np.bincount(members)
    pairs = len(unit) ** 2 - int((sizes**2).sum())
    if not pairs:
        return None
    total = sums.sum(axis=0)
    return float((total @ total - np.einsum("gd,gd->", sums, sums)) / pairs)


def _unit(vectors: Floats) -> npt.NDArray[np.float64]:
    wide = np.asarray(vectors, np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True))
