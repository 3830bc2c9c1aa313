"""The tests of hypotheses behind the proofs; plain functions of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

Numbers = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.integer[Any]]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Interval:
    """A share with the interval that it lies in at 95 % confidence; all 0-1."""

    share: float
    low: float
    high: float


def interval(hits: int, count: int) -> Interval:
    """The share of hits, with Wilson's interval (E. Wilson 1927, Probable Inference)."""
    found = stats.binomtest(hits, count).proportion_ci(0.95, method="wilson")
    return Interval(hits / count, float(found.low), float(found.high))


def uniform_p(percentiles: Numbers) -> float:
    """The p of a Kolmogorov-Smirnov test of percentiles (n,), 0-100, against the uniform distribution."""
    return float(stats.kstest(np.asarray(percentiles) / 100, "uniform").pvalue)


def p_of_least(value: float, others: Sequence[float]) -> float:
    """How often one of `others`, drawn alike, is at most `value`; the value itself counts as one of them, 0-1."""
    return (1 + int(np.count_nonzero(np.asarray(others) <= value))) / (1 + len(others))


def chance_of_any(wanted: int, looked_at: int, count: int) -> float:
    """The chance that `looked_at` of `count`, drawn without repetition, hold at least one of the `wanted`, 0-1."""
    return float(stats.hypergeom.sf(0, count, wanted, looked_at))
