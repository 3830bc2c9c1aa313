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
from explorer.exact import normalized
from explorer.layout import NEIGHBORS
from explorer.nearest import VectorIndex
from explorer.pictures import hamming, perceptual_hash
from explorer.placement import Placed, place_vectors, placer
from explorer.records import Hit, Landing, Relation, Space, SpaceLanding, Split, Verdict, VerdictName
from explorer.search import Encoders, hits, picture_vectors

COPY_BITS = 8
COPY_PERCENTILE = 90.0
"""On the demo's corpus these two find 93 % of JPEG copies of quality 40 and 92 to 97 % of resized ones, and call 5 % of
the held-out pictures copies, most of them drawn nearly like a training picture: flags, and one motif for several emoji.
"""
NEARER_PERCENTILE = 95.0
FAR_PERCENTILE = 5.0

Vector = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Twin:
    """A training picture whose perceptual hash comes near to a picture's.

    Attributes:
        id: of the training picture.
        bits: in which the hashes differ, 0-64.
        space: where `percentile` was taken: `vae`, which sees composition, where the atlas has it.
        percentile: of the similarity to this one picture, 0-100.
    """

    id: int
    bits: int
    space: str
    percentile: float

    @property
    def is_copy(self) -> bool:
        """Whether both say so: the hashes alone are alike for many simple drawings."""
        return self.bits <= COPY_BITS and self.percentile >= COPY_PERCENTILE


@dataclass(frozen=True, slots=True)
class Words:
    """What to call training pictures, one and many."""

    one: str
    many: str

    @classmethod
    def of(cls, relation: Relation) -> Words:
        """Only what the generator is known to have seen is called a training picture."""
        if relation.is_training:
            return cls("training picture", "training pictures")
        return cls("picture", "pictures in this collection")


def locate(
    atlas: Atlas,
    models: Encoders,
    picture: Image.Image,
    *,
    k: int = 12,
    split: Split | None = Split.TRAIN,
    latent_vectors: Mapping[str, Vector] | None = None,
    vectors: Mapping[str, Vector] | None = None,
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
        vectors: space -> the picture's own vector (d,), of any length, where it was encoded already.
        exclude_family: a code of `atlas.families` whose pictures are left out.

    Raises:
        QueryError: the atlas came without a model, or no training picture is left.
    """
    latent = latent_vectors or {}
    known = {**(vectors or {}), **latent}
    vectors = {
        space: np.atleast_2d(known[space]) if space in known else picture_vectors(atlas, models, space, [picture])
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
    percentiles = {space: each.percentile for space, each in spaces.items()}
    return Landing(spaces, verdict(percentiles, twin, Words.of(atlas.training.relation)))


def verdict(percentiles: Mapping[str, float | None], twin: Twin | None, words: Words) -> Verdict:
    """One word for a landing, and the rule that gave it, with its numbers.

    A first rule: copies that are cropped or flipped are not found, and drawings that are nearly alike, such as two
    flags, count as copies of each other.

    Args:
        percentiles: space -> of the similarity to the nearest training picture, 0-100; None where it has no meaning.
        twin: the training picture that comes nearest by perceptual hash, if any comes near.
        words: what to call training pictures.
    """
    if twin is not None and twin.is_copy:
        return Verdict(
            VerdictName.COPY,
            f"its perceptual hash differs from that of {words.one} {twin.id} in {twin.bits} of 64 bits (at most "
            f"{COPY_BITS}), and in {twin.space} it is more similar to it than {twin.percentile:.1f} % of the "
            f"{words.many} are to their own nearest (at least {COPY_PERCENTILE:.0f} %)",
        )
    known = {space: value for space, value in percentiles.items() if value is not None}
    if not known:
        return Verdict(VerdictName.TYPICAL, f"there are no other {words.many} to compare with")
    told = " and ".join(f"{value:.1f} % in {space}" for space, value in known.items())
    share = f"more similar to its nearest than {told} of the {words.many} are to theirs"
    if max(known.values()) >= NEARER_PERCENTILE:
        return Verdict(VerdictName.NEARER, f"{share} (in one space at least {NEARER_PERCENTILE:.0f} %)")
    if max(known.values()) <= FAR_PERCENTILE:
        return Verdict(VerdictName.FAR, f"{share} (in every space at most {FAR_PERCENTILE:.0f} %)")
    return Verdict(VerdictName.TYPICAL, f"{share} (between {FAR_PERCENTILE:.0f} % and {NEARER_PERCENTILE:.0f} %)")


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
    space = Space.VAE.value if Space.VAE in vectors else atlas.spaces[0]
    data = atlas.space(space)
    similarities = data.vectors[rows].astype(np.float32) @ normalized(vectors[space])[0]
    percentiles = np.nan_to_num(data.percentiles(similarities)).tolist()
    twins = [
        Twin(record.id, hamming(phash, record.phash), space, percentile)
        for record, percentile in zip(atlas.records(atlas.ids[rows]), percentiles, strict=True)
        if record.phash is not None
    ]
    return min(twins, key=lambda twin: (not twin.is_copy, twin.bits, -twin.percentile), default=None)
