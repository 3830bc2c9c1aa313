"""Labels held against what a space makes of words: where it is CLIP's, a phrase has a place among the pictures.

Source: the idea of KeyBERTInspired, Grootendorst 2022, BERTopic: candidates are ordered anew by how near their
embedding is to the cluster's. Texts and pictures stand apart in CLIP's space (Liang and others 2022, "Mind the gap",
arXiv 2203.02053), and some phrases are near to everything; so what counts is how much nearer a phrase is to the cluster
than to what it is told from: the whole corpus, or for a fine cluster its coarse one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from indexer.mapping.labels import Candidate, Candidates, Groups, Key

REVISION = 1
"""Raised when the same phrases would be judged otherwise; part of the stage's key."""

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Words:
    """A model that gives texts vectors in the space `clip`.

    Attributes:
        key: stands for its weights.
        embed: texts -> float32 (t, d), unit length; raises ModelError where the model cannot be loaded.
    """

    key: str
    embed: Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True, slots=True, eq=False)
class Wording:
    """What words mean in a space.

    Attributes:
        embed: texts -> float32 (t, d), unit length.
        vectors: float16 (n, d), of the pictures.
    """

    embed: Callable[[Sequence[str]], Vectors]
    vectors: npt.NDArray[np.float16]

    def __call__(self, groups: Groups, candidates: Candidates) -> Candidates:
        """Judge the candidates of these groups' clusters; see `indexer.mapping.labels.Check`."""
        phrases = sorted({each.phrase for found in candidates.values() for each in found})
        places = dict(zip(phrases, self.embed(phrases), strict=True))
        means = {key: self._mean(rows) for key, rows in groups.central.items()}
        everyone = _unit(np.mean([means[key] for key in means if key.level == 0], axis=0))
        judged = {}
        for key, found in candidates.items():
            parent = groups.parent(key)
            beside = everyone if parent is None else means[Key(0, parent)]
            judged[key] = _judged(found, places, means[key] - beside)
        return judged

    def _mean(self, rows: npt.NDArray[np.int64]) -> Vectors:
        return _unit(np.mean(self.vectors[np.sort(rows)], axis=0, dtype=np.float32))


def _judged(found: Sequence[Candidate], places: Mapping[str, Vectors], way: Vectors) -> tuple[Candidate, ...]:
    """Those that lie on the way to the cluster, by weight times how far they do; then the others as they were."""
    pull = {each: max(float(places[each.phrase] @ way), 0.0) for each in found}
    return tuple(sorted(found, key=lambda each: -round(each.weight * pull[each], 6)))


def _unit(vector: Vectors) -> Vectors:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
