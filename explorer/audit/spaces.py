"""All that is measured of a set of pictures in one space of an atlas, each figure with k and its sample sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from explorer.atlas import Atlas
from explorer.audit import copying, diversity, sets, shares
from explorer.audit.reference import MOST, Reference, sample
from explorer.errors import QueryError
from explorer.nearness import cluster_place
from explorer.records import Split
from explorer.spaces import SpaceData

T = TypeVar("T")
Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.integer[Any]]

NOTHING_HELD_OUT = "the corpus has no held-out pictures to compare with"


def measured(
    atlas: Atlas, space: str, vectors: Floats, prompts: Integers, reference: Reference, k: int, seed: int
) -> dict[str, Any]:
    """What is told of one space, as JSON; where a figure cannot be had it is null, with the reason beside it.

    Args:
        atlas: the corpus.
        space: one of its spaces.
        vectors: float32 (m, d), unit length, m >= 1.
        prompts: (m,), which prompt each picture is of.
        reference: what they are held against.
        k: of the set measures.
        seed: of all samples.
    """
    data = atlas.space(space)
    real, held = _unit(data, reference.train), _unit(data, reference.heldout)
    some = vectors[sample(np.arange(len(vectors)), MOST, seed)]
    compared = vectors[sample(np.arange(len(vectors)), len(reference.train), seed)]
    return {
        "sets": _tried(lambda: asdict(sets.compare(real, some, k))),
        "heldout_sets": _tried(lambda: asdict(sets.compare(real, held, k))) if len(held) else _null(NOTHING_HELD_OUT),
        "vendi": {"score": diversity.vendi(compared), "pictures": len(compared)},
        "training_vendi": _vendi(real, len(compared), seed),
        "similarity": {
            "of one prompt": _within(vectors, prompts),
            "of different prompts": diversity.mean_across(vectors, prompts),
        },
        "copying": _copying(atlas, data, held, vectors[one_a_prompt(prompts, seed)], seed),
    }


def clusters(
    atlas: Atlas, space: str, found: Integers, prompts: Integers, reference: Reference
) -> tuple[shares.ClusterShare, ...]:
    """How often each coarse cluster is drawn.

    Training pictures are counted by the rule that landings are: to the cluster that most of their neighbors are in.

    Args:
        found: (m,), the cluster of each picture's landing; -1 = none.
        prompts: (m,), which prompt each is of.
    """
    data, listed = atlas.space(space), atlas.clusters(space)
    labels = {cluster.cluster: cluster.label for cluster in listed}
    near = (rows[rows >= 0] for rows in data.neighbors[reference.train])
    places = [cluster_place(data, rows, labels) for rows in near]
    expected = np.array([place.cluster if place else -1 for place in places])
    return shares.by_cluster(found, expected, listed, len(np.unique(prompts)))


def one_a_prompt(prompts: Integers, seed: int) -> npt.NDArray[np.int64]:
    """A random picture of each prompt, int64 (p,), ascending.

    The p of the test for data copying supposes pictures that are independent; eight seeds of one prompt are not.
    """
    order = np.random.default_rng(seed).permutation(len(prompts))
    return np.sort(order[np.unique(prompts[order], return_index=True)[1]])


def _copying(atlas: Atlas, data: SpaceData, held: Floats, vectors: Floats, seed: int) -> dict[str, Any]:
    if not len(held):
        return _null(NOTHING_HELD_OUT)
    train = np.flatnonzero(atlas.allowed(Split.TRAIN))
    return _tried(lambda: asdict(copying.data_copying(data.vectors, held, vectors, among=train, seed=seed)))


def _within(vectors: Floats, prompts: Integers) -> float | None:
    """The mean cosine of two seeds of one prompt, prompts weighing alike; None where each has but one."""
    means = [diversity.mean_pairwise(vectors[prompts == prompt]) for prompt in np.unique(prompts)]
    known = [mean for mean in means if mean is not None]
    return float(np.mean(known)) if known else None


def _vendi(real: Floats, count: int, seed: int) -> dict[str, Any]:
    """The Vendi score of as many training pictures: it grows with the number of pictures."""
    chosen = real[sample(np.arange(len(real)), count, seed)]
    return {"score": diversity.vendi(chosen), "pictures": len(chosen)}


def _unit(data: SpaceData, rows: Integers) -> npt.NDArray[np.float64]:
    """Vectors as float64 of exactly unit length: they are stored as float16."""
    vectors = np.asarray(data.vectors[rows], np.float64)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _tried(measure: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    try:
        return dict(measure())
    except QueryError as error:
        return _null(str(error))


def _null(reason: str) -> dict[str, Any]:
    return {"value": None, "reason": reason}
