"""The figures that the demo's models are held to; plain functions of arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexer.demo.corpus import DemoCorpus
from indexer.sources.base import SourceRow

NEAREST = 10


def nearest(queries: np.ndarray, vectors: np.ndarray, count: int = NEAREST) -> np.ndarray:
    """Rows of the most similar vectors, best first.

    Args:
        queries: float32 (q, d), unit length.
        vectors: float32 (n, d), unit length.
        count: how many.

    Returns:
        int64 (q, count).
    """
    similarity = queries @ vectors.T
    best = np.argpartition(-similarity, count, axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(similarity, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def family_hits(found: np.ndarray, families: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Whether the wanted family is among those found.

    Args:
        found: int64 (q, k), rows.
        families: int32 (n,), the family of each row.
        wanted: int32 (q,), families.

    Returns:
        bool (q,).
    """
    return (families[found] == wanted[:, None]).any(axis=1)


def bearers(corpus: DemoCorpus, language: str) -> dict[str, np.ndarray]:
    """Tag in a language, in lower case -> the rows that bear it, int64."""
    rows: dict[str, list[int]] = {}
    for index, row in enumerate(corpus.rows):
        for tag in dict.fromkeys(tag.lower() for tag in row.tags.get(language, ())):
            rows.setdefault(tag, []).append(index)
    return {tag: np.array(found) for tag, found in rows.items()}


def tag_hits(found: np.ndarray, borne: Sequence[np.ndarray]) -> np.ndarray:
    """Whether any picture found bears the tag: bool (q,) for int64 (q, k) rows found and each tag's own rows."""
    return np.array([bool(np.isin(rows, own).any()) for rows, own in zip(found, borne, strict=True)])


def psnr(decoded: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of each picture in dB, float64 (n,); both uint8 (n, h, w, 3)."""
    error = np.square(decoded.astype(np.float32) - pictures.astype(np.float32)).mean(axis=(1, 2, 3))
    return 10 * np.log10(255.0**2 / np.maximum(error, 1e-10))


def draw_evenly(rows: Sequence[SourceRow], count: int, seed: int) -> list[int]:
    """Row numbers drawn evenly over the groups, group by group in turn; no family twice while there are others."""
    rng = np.random.default_rng(seed)
    by_group: dict[str | None, dict[str | None, list[int]]] = {}
    for index, row in enumerate(rows):
        by_group.setdefault(row.group, {}).setdefault(row.family, []).append(index)
    queues = []
    for group in sorted(by_group, key=str):
        families = list(by_group[group].values())
        queues.append([int(rng.choice(families[place])) for place in rng.permutation(len(families))])
    drawn: list[int] = []
    while len(drawn) < count and any(queues):
        drawn += [queue.pop() for queue in queues if queue]
    return drawn[:count]
