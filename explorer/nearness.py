"""How near is near, around one picture: how alone its nearest stands, how far it is from the cloud, in which cluster.

Distances here are Euclidean, between unit vectors.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from explorer.atlas import Atlas
from explorer.landing import ClusterPlace
from explorer.spaces import SpaceData

Floats = npt.NDArray[np.floating[Any]]
Rows = npt.NDArray[np.integer[Any]]
Mask = npt.NDArray[np.bool_]

AMONG = 50
"""The nearest pictures that `isolation` holds the first one against, itself counted."""
WIDEST = 4096
"""Training pictures whose balls are looked at from anywhere: a larger one may reach farther than those near by."""
RESOLUTION = 2.0**-11
"""What float16 tells vectors apart by; no two are taken as nearer than this."""


def euclidean(similarities: Floats) -> npt.NDArray[np.float64]:
    """The distances of unit vectors whose cosines these are, of any shape; at least `RESOLUTION`."""
    squared = 2 * (1 - np.asarray(similarities, dtype=np.float64))
    return np.asarray(np.sqrt(np.maximum(squared, RESOLUTION**2)))


def isolation(similarities: Floats) -> float | None:
    """How much nearer the nearest is than those that follow: d1 / mean(d2 ... d50); about 1 = it stands out in nothing.

    A picture that resembles one training picture and no other has little of it, however dense the cloud is there. Where
    the corpus has variants of that one picture, they are near too and raise it.

    Source: after Carlini et al. 2023, "Extracting Training Data from Diffusion Models" (arXiv 2301.13188), whose ratio
    on CIFAR-10 is d1 / (0.5 mean(d1 ... d50)) over pixels.

    Args:
        similarities: (k,), cosines to the nearest training pictures, most similar first.

    Returns:
        None where there are fewer than 50.
    """
    if len(similarities) < AMONG:
        return None
    distances = euclidean(similarities[:AMONG])
    return float(distances[0] / distances[1:].mean())


class Balls:
    """A ball around every training picture that reaches to its 15th nearest other: together, the cloud.

    Source: Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative Models" (arXiv
    1904.06991), where this is the estimate of the manifold. Their program also leaves out the balls that are larger
    than the median, this one none.
    """

    def __init__(self, data: SpaceData, train: Mask) -> None:
        """Take the widest at hand.

        Args:
            data: the space.
            train: bool (n,).
        """
        self._data = data
        radii = np.where(train, self._radii(slice(None)), -np.inf)
        widest = np.flatnonzero(np.isfinite(radii))
        if len(widest) > WIDEST:
            widest = np.sort(widest[np.argpartition(radii[widest], -WIDEST)[-WIDEST:]])
        self._widest, self._reach = widest, radii[widest]
        self._vectors = np.asarray(data.vectors[widest], dtype=np.float32)

    def realism(self, vector: Floats, rows: Rows, similarities: Floats, allowed: Mask) -> float | None:
        """The largest ball's radius over its center's distance, max NND_15(x) / |g - x|; from 1 on: inside the cloud.

        Of up to 4,096 training pictures all are looked at. Of more, those near by and those with the largest balls;
        another one could only raise it.

        Args:
            vector: float32 (d,), unit length.
            rows: (k,), the nearest training pictures.
            similarities: (k,), the cosines to them.
            allowed: bool (n,), the pictures that count.

        Returns:
            None where no training picture has 15 others.
        """
        radii = np.concatenate([self._radii(rows), self._reach])
        distances = euclidean(np.concatenate([similarities, self._vectors @ vector]))
        counts = allowed[np.concatenate([rows, self._widest])] & np.isfinite(radii)
        return float((radii[counts] / distances[counts]).max()) if counts.any() else None

    def _radii(self, rows: Rows | slice) -> npt.NDArray[np.float64]:
        """Distance of each row to its last neighbor; -inf where it has fewer than the others."""
        last = np.asarray(self._data.distances[rows, -1], dtype=np.float64)
        return np.where(np.isfinite(last), euclidean(1 - last), -np.inf)


def balls(atlas: Atlas, space: str) -> Balls:
    """The balls of one of an atlas's spaces, made once and kept as long as the atlas is."""
    with _lock:
        made = _balls.setdefault(atlas, {})
        if space not in made:
            made[space] = Balls(atlas.space(space), atlas.train)
        return made[space]


def cluster_place(data: SpaceData, rows: Rows, labels: Mapping[int, str]) -> ClusterPlace | None:
    """The cluster that most of the nearest training pictures are in, of equal ones the nearer; None if all are in none.

    Args:
        data: the space.
        rows: (k,), the nearest training pictures by the vectors, most similar first.
        labels: cluster -> its name.
    """
    counts = Counter(cluster for cluster in data.cluster[rows].tolist() if cluster >= 0)
    if not counts:
        return None
    (first, most), (second, next_most) = [*counts.most_common(2), (None, 0)][:2]
    return ClusterPlace(
        cluster=first,
        label=labels.get(first, ""),
        share=most / len(rows),
        margin=(most - next_most) / len(rows),
        runner_up=second,
    )


def labels(atlas: Atlas, space: str) -> Mapping[int, str]:
    """The names of the coarse clusters of one of an atlas's spaces, put together once and kept as long as it is."""
    with _lock:
        made = _labels.setdefault(atlas, {})
        if space not in made:
            made[space] = {cluster.cluster: cluster.label for cluster in atlas.clusters(space)}
        return made[space]


_lock = threading.Lock()
_balls: WeakKeyDictionary[Atlas, dict[str, Balls]] = WeakKeyDictionary()
_labels: WeakKeyDictionary[Atlas, dict[str, Mapping[int, str]]] = WeakKeyDictionary()
