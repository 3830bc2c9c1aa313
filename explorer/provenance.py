"""Where a picture lands among the training pictures, how near that is, and one word for it.

A neighbor is a resemblance, not a cause; nearness is told as a percentile of how near training pictures come to each
other, in each space by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from explorer.atlas import Atlas
from explorer.layout import NEIGHBORS
from explorer.pictures import hamming, perceptual_hash
from explorer.placement import Placed, place_vectors, placer
from explorer.records import Hit, Landing, SpaceLanding, Split, Verdict, VerdictName
from explorer.search import Encoders, VectorIndex, hits, normalized, picture_vectors

COPY_BITS = 4
COPY_PERCENTILE = 90.0
NEARER_PERCENTILE = 95.0
FAR_PERCENTILE = 5.0

Vector = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Twin:
    """A training picture whose perceptual hash comes near to a picture's.

    Attributes:
        id: of the training picture.
        bits: in which the hashes differ, 0-64.
        percentile: of the similarity to this one picture, in the space where it is lowest, 0-100.
    """

    id: int
    bits: int
    percentile: float


def locate(
    atlas: Atlas,
    models: Encoders,
    picture: Image.Image,
    *,
    k: int = 12,
    split: Split | None = Split.TRAIN,
    latent_vectors: Mapping[str, Vector] | None = None,
    exclude_family: int | None = None,
) -> Landing:
    """Where any picture lands in every space of an atlas.

    Args:
        atlas: the atlas.
        models: those it was made with.
        picture: RGB, of any size.
        k: hits a space.
        split: of the hits; None = both. Place and percentile go by the training pictures alone.
        latent_vectors: space -> vector (d,), centered, of any length, where the generator's own latent is at hand and
            the picture need not be encoded anew.
        exclude_family: a code of `atlas.families` whose pictures are left out.

    Raises:
        QueryError: the atlas came without a model, or no training picture is left.
    """
    latent = latent_vectors or {}
    vectors = {
        space: np.atleast_2d(latent[space]) if space in latent else picture_vectors(atlas, models, space, [picture])
        for space in atlas.spaces
    }
    placed = {
        space: place_vectors(atlas, space, vector, k=max(k, NEIGHBORS), exclude_family=exclude_family)
        for space, vector in vectors.items()
    }
    spaces = {}
    for space, vector in vectors.items():
        found = _hits(atlas, space, vector, placed[space], k, split, exclude_family)
        spaces[space] = _landing(atlas, space, placed[space], found, "latent" if space in latent else "picture")
    twin = _twin(atlas, perceptual_hash(picture), vectors, placed)
    return Landing(spaces, verdict({name: each.percentile for name, each in spaces.items()}, twin, _noun(atlas)))


def verdict(percentiles: Mapping[str, float | None], twin: Twin | None, noun: str = "training picture") -> Verdict:
    """One word for a landing, and the rule that gave it, with its numbers.

    A first rule: copies that are cropped or flipped are not found, and drawings that are nearly alike, such as two
    flags, count as copies of each other.

    Args:
        percentiles: space -> of the similarity to the nearest training picture, 0-100; None where it has no meaning.
        twin: the training picture that comes nearest by perceptual hash, if any comes near.
        noun: what to call a training picture.
    """
    known = {space: value for space, value in percentiles.items() if value is not None}
    told = " and ".join(f"{value:.1f} % in {space}" for space, value in known.items())
    if twin is not None and twin.bits <= COPY_BITS and twin.percentile >= COPY_PERCENTILE:
        return Verdict(
            VerdictName.COPY,
            f"its perceptual hash differs from that of {noun} {twin.id} in {twin.bits} of 64 bits (at most "
            f"{COPY_BITS}), and in every space it is more similar to it than {twin.percentile:.1f} % of the "
            f"{noun}s are to their own nearest (at least {COPY_PERCENTILE:.0f} %)",
        )
    share = f"more similar to its nearest than {told} of the {noun}s are to theirs"
    if known and max(known.values()) >= NEARER_PERCENTILE:
        return Verdict(VerdictName.NEARER, f"{share} (in one space at least {NEARER_PERCENTILE:.0f} %)")
    if known and max(known.values()) <= FAR_PERCENTILE:
        return Verdict(VerdictName.FAR, f"{share} (in every space at most {FAR_PERCENTILE:.0f} %)")
    if not known:
        return Verdict(VerdictName.TYPICAL, f"there are no other {noun}s to compare with")
    return Verdict(VerdictName.TYPICAL, f"{share} (between {FAR_PERCENTILE:.0f} % and {NEARER_PERCENTILE:.0f} %)")


def _noun(atlas: Atlas) -> str:
    """Only what a generator is said to have seen is called a training picture."""
    return "training picture" if atlas.manifest.training.relation.is_training else "picture of this collection"


def _hits(
    atlas: Atlas, space: str, vector: Vector, placed: Placed, k: int, split: Split | None, exclude_family: int | None
) -> tuple[Hit, ...]:
    """The nearest pictures of a split; those of `train` are at hand already."""
    if split is Split.TRAIN:
        return hits(atlas, space, placed.similarities[0, :k], placed.rows[0, :k])
    allowed = atlas.allowed(split) & (atlas.families != (-1 if exclude_family is None else exclude_family))
    similarities, rows = VectorIndex.open(atlas, space).search(vector, k, allowed)
    return hits(atlas, space, similarities[0], rows[0])


def _landing(atlas: Atlas, space: str, placed: Placed, found: tuple[Hit, ...], via: str) -> SpaceLanding:
    x, y, z = placed.points[0].tolist()
    percentile = float(atlas.space(space).percentiles(placed.similarities[0, :1])[0])
    return SpaceLanding(
        point=(x, y, z),
        distance=float(placer(atlas, space).distances(placed.points)[0]),
        percentile=None if np.isnan(percentile) else percentile,
        hits=found,
        via=via,
    )


def _twin(atlas: Atlas, phash: str, vectors: Mapping[str, Vector], placed: Mapping[str, Placed]) -> Twin | None:
    """The training picture nearest by perceptual hash, out of the nearest in any space; None if none has a hash."""
    rows = np.unique(np.concatenate([each.rows[0] for each in placed.values()]))
    similar = np.full(len(rows), 100.0)
    for space, vector in vectors.items():
        data = atlas.space(space)
        similarities = data.vectors[rows].astype(np.float32) @ normalized(vector)[0]
        similar = np.minimum(similar, np.nan_to_num(data.percentiles(similarities)))
    records = atlas.records(atlas.ids[rows])
    twins = [
        Twin(record.id, hamming(phash, record.phash), float(percentile))
        for record, percentile in zip(records, similar, strict=True)
        if record.phash is not None
    ]
    return min(twins, key=lambda twin: (twin.bits, -twin.percentile), default=None)
