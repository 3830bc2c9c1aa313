"""Shares of a set of pictures with the interval that their number allows: by verdict, by cluster.

Sources of the intervals: Wilson 1927, "Probable inference, the law of succession, and statistical inference", for a
share by itself, near 0 and 1 as well (Brown, Cai, DasGupta 2001); Clopper and Pearson 1934, "The use of confidence or
fiducial limits illustrated in the case of the binomial", for many shares at once: theirs keeps its word at every level
and for the rarest cluster, where Wilson's would take one prompt for a proof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.records import Cluster

LEVEL = 0.95

Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Share:
    """A share 0-1, and between what it lies with the probability `LEVEL`."""

    share: float
    low: float
    high: float


class Drawn(StrEnum):
    """How often a cluster is drawn compared with its share of the training pictures."""

    OVER = "over"
    UNDER = "under"
    ALIKE = "alike"


@dataclass(frozen=True, slots=True)
class ClusterShare:
    """How often a cluster is drawn.

    Attributes:
        cluster: its number; -1 = in none.
        label: its name, empty of -1.
        pictures: generated pictures in it.
        expected: its share of the training pictures, one a family.
        drawn: over or under where the whole interval lies above or below what is expected.
    """

    cluster: int
    label: str
    pictures: int
    expected: float
    share: Share
    drawn: Drawn


def wilson(count: float, total: float) -> Share:
    """The interval of a share `count / total` by itself; total > 0."""
    from scipy.stats import norm

    z = float(norm.ppf((1 + LEVEL) / 2))
    share = count / total
    middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * float(np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2)))
    low, high = middle - half if count > 0 else 0.0, middle + half if count < total else 1.0
    return Share(share, max(low, 0.0), min(high, 1.0))


def exact(count: float, total: float, level: float) -> Share:
    """The interval that holds a share with at least this probability, whatever it is; total > 0."""
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, count, total - count + 1)) if count > 0 else 0.0
    high = float(beta.ppf(1 - tail, count + 1, total - count)) if count < total else 1.0
    return Share(count / total, low, high)


def by_cluster(
    found: Integers, expected: Integers, clusters: Sequence[Cluster], independent: float
) -> tuple[ClusterShare, ...]:
    """Which clusters are drawn more or less often than they are among the training pictures, most unlike first.

    The intervals hold for all clusters at once: each by itself is so much wider (Bonferroni), and exact.

    Args:
        found: (m,), the cluster of each generated picture.
        expected: (n,), that of each training picture, one a family.
        clusters: of one level.
        independent: how many of the m pictures count as independent: those of one prompt are not.
    """
    names: Mapping[int, str] = {-1: ""} | {cluster.cluster: cluster.label for cluster in clusters}
    level = 1 - (1 - LEVEL) / len(names)
    shares = []
    for number, label in names.items():
        pictures, usual = int((found == number).sum()), float((expected == number).mean())
        share = exact(pictures / len(found) * independent, independent, level)
        drawn = Drawn.OVER if share.low > usual else Drawn.UNDER if share.high < usual else Drawn.ALIKE
        shares.append(ClusterShare(number, label, pictures, usual, share, drawn))
    return tuple(sorted(shares, key=lambda each: -abs(each.share.share - each.expected)))
