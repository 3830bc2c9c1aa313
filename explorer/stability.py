"""How much of a landing hangs on details that nobody sees: the picture is changed a little, and located anew.

What moves far, or finds other neighbors, when the picture is merely saved as JPEG should not be told to three digits.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from explorer.atlas import Atlas
from explorer.exact import normalized
from explorer.landing import Landing, SpaceLanding, VerdictName
from explorer.provenance import locate
from explorer.search import Encoders, picture_vectors

JPEG_QUALITY = 75
"""Pillow's own where nothing is asked for."""
NOISE = 4.0
"""Standard deviation of the noise on every channel, of 255: barely to be seen."""


@dataclass(frozen=True, slots=True)
class SpaceShift:
    """How far a change moved a picture in one space.

    Attributes:
        similarity: cosine of the picture's vectors before and after.
        moved: map units between the two places.
        of_radius: the same as a share of the map's radius.
        kept: how many of the nearest before are among as many nearest after.
        k: how many nearest were compared.
        is_nearest_same: whether the nearest of all stayed the nearest.
        percentile: after; None as in a landing.
    """

    similarity: float
    moved: float
    of_radius: float
    kept: int
    k: int
    is_nearest_same: bool
    percentile: float | None


@dataclass(frozen=True, slots=True)
class Shift:
    """What one change did.

    Attributes:
        change: `jpeg` or `noise`.
        setting: the JPEG's quality, or the noise's standard deviation of 255.
        verdict: after the change.
    """

    change: str
    setting: float
    verdict: VerdictName
    spaces: Mapping[str, SpaceShift]


def shifts(
    atlas: Atlas, models: Encoders, picture: Image.Image, spaces: Iterable[str], k: int = 12
) -> tuple[Shift, ...]:
    """Change a picture in each of `CHANGES` and see how far it moves.

    All is measured on the picture's own pixels, so a picture that was followed by its latent is encoded anew first.

    Args:
        atlas: the atlas.
        models: those that it was made with.
        picture: RGB, of any size.
        spaces: those that its landing has: a model may not be at hand.
        k: nearest pictures that are compared.
    """
    pictures = [picture, *(change(picture) for change, _ in CHANGES.values())]
    vectors = {space: normalized(picture_vectors(atlas, models, space, pictures)) for space in spaces}
    before, *after = (
        locate(atlas, models, each, k=k, vectors={space: rows[at] for space, rows in vectors.items()})
        for at, each in enumerate(pictures)
    )
    told = []
    for at, (landing, (name, (_, setting))) in enumerate(zip(after, CHANGES.items(), strict=True), start=1):
        similar = {space: float(rows[0] @ rows[at]) for space, rows in vectors.items()}
        told.append(Shift(name, setting, landing.verdict.name, _by_space(atlas, before, landing, similar)))
    return tuple(told)


def as_jpeg(picture: Image.Image, quality: int = JPEG_QUALITY) -> Image.Image:
    """The picture as it comes back from a JPEG."""
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    with Image.open(data) as saved:
        return saved.convert("RGB")


def noised(picture: Image.Image, deviation: float = NOISE, seed: int = 0) -> Image.Image:
    """The picture with normal noise on every channel, of this standard deviation of 255; the same for the same seed."""
    pixels = np.asarray(picture, dtype=np.float64)
    noise = np.random.default_rng(seed).normal(scale=deviation, size=pixels.shape)
    return Image.fromarray(np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8))


CHANGES: Mapping[str, tuple[Callable[[Image.Image], Image.Image], float]] = {
    "jpeg": (as_jpeg, float(JPEG_QUALITY)),
    "noise": (noised, NOISE),
}
"""Name -> what it does to a picture, and its setting."""


def _by_space(atlas: Atlas, before: Landing, after: Landing, similar: Mapping[str, float]) -> dict[str, SpaceShift]:
    return {
        space: _shift(before.spaces[space], after.spaces[space], similar[space], atlas.space(space).radius)
        for space in similar
    }


def _shift(before: SpaceLanding, after: SpaceLanding, similarity: float, radius: float) -> SpaceShift:
    moved = float(np.linalg.norm(np.subtract(before.point, after.point)))
    nearest, now = ([hit.id for hit in each.hits] for each in (before, after))
    return SpaceShift(
        similarity=min(similarity, 1.0),
        moved=moved,
        of_radius=moved / radius if radius else 0.0,
        kept=len(set(nearest) & set(now)),
        k=len(nearest),
        is_nearest_same=nearest[:1] == now[:1],
        percentile=after.percentile,
    )
