"""Where a picture lands among the training pictures, and how near that is, in each space by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from explorer import copies, nearness
from explorer.atlas import Atlas
from explorer.exact import normalized
from explorer.landing import Landing, SpaceLanding
from explorer.layout import NEIGHBORS
from explorer.placement import Placed, place_vectors, placer
from explorer.records import Hit, Relation, Split
from explorer.search import Encoders, encoded
from explorer.variants import families_near
from explorer.verdicts import Words, agreement, verdict

Vector = npt.NDArray[np.floating[Any]]


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
    relation: Relation | None = None,
) -> Landing:
    """Where any picture lands in every space of an atlas.

    Args:
        atlas: the atlas.
        models: those it was made with.
        picture: RGB, of any size.
        k: hits a space, each of another family.
        split: of the hits; None = both. All else goes by the training pictures alone.
        latent_vectors: space -> vector (d,), centered, of any length, where the generator's own latent is at hand and
            the picture need not be encoded anew.
        vectors: space -> the picture's own vector (d,), of any length, where it was encoded already.
        exclude_family: a code of `atlas.families` whose pictures are left out.
        relation: of the corpus to the generator that made the picture, which rules the words; None = as the manifest
            says of the generators that it names.

    Raises:
        QueryError: the atlas came without a model, or no training picture is left.
    """
    latent = latent_vectors or {}
    seen = encoded(atlas, models, picture, {**(vectors or {}), **latent})
    asked = {space: normalized(vector) for space, vector in seen.vectors.items()}
    ground = _Ground(atlas, split, exclude_family)
    placed = {space: ground.placed(space, vector, k) for space, vector in asked.items()}
    spaces = {
        space: ground.landing(space, vector[0], placed[space], k, "latent" if space in latent else "picture")
        for space, vector in asked.items()
    }
    words = Words.of(relation or atlas.training.relation)
    near = np.stack([each.rows[0] for each in placed.values()], axis=1).ravel()  # the nearest of each space first
    found = copies.find(atlas, picture, near, exclude_family=exclude_family)
    return Landing(spaces, verdict(spaces, found, words), seen.notes, agreement(spaces))


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a picture lands on; the attributes are arguments of `locate`."""

    atlas: Atlas
    split: Split | None
    exclude_family: int | None

    def allowed(self, split: Split | None) -> npt.NDArray[np.bool_]:
        """Which rows of a split count, bool (n,)."""
        allowed = self.atlas.allowed(split)
        return allowed if self.exclude_family is None else allowed & (self.atlas.families != self.exclude_family)

    def placed(self, space: str, vector: npt.NDArray[np.float32], k: int) -> Placed:
        """The place of (1, d), with as many neighbors as anything here asks for."""
        most = max(k, NEIGHBORS, nearness.AMONG)
        return place_vectors(self.atlas, space, vector, k=most, exclude_family=self.exclude_family)

    def landing(self, space: str, vector: npt.NDArray[np.float32], placed: Placed, k: int, via: str) -> SpaceLanding:
        """All that is said of a vector (d,) in one space."""
        atlas, data, allowed = self.atlas, self.atlas.space(space), self.allowed(Split.TRAIN)
        similarities, rows = placed.similarities[0], placed.rows[0]
        near = rows[:NEIGHBORS]
        x, y, z = placed.points[0].tolist()
        on_map = placer(atlas, space)
        return SpaceLanding(
            point=(x, y, z),
            distance=float(on_map.distances(placed.points)[0]),
            percentile=_known(data.percentiles(similarities[:1])),
            hits=self._hits(space, vector, placed, k, allowed),
            via=via,
            by_family=_known(data.family_percentiles(similarities[:1])),
            cluster=nearness.cluster_place(data, near, nearness.labels(atlas, space)),
            isolation=nearness.isolation(similarities),
            realism=nearness.balls(atlas, space).realism(vector, rows, similarities, allowed),
            kept=int(on_map.kept(placed.points, near[None])[0]) if len(near) == NEIGHBORS else None,
            flag=copies.flag(space, float(similarities[0])),
        )

    def _hits(
        self, space: str, vector: npt.NDArray[np.float32], placed: Placed, k: int, allowed: npt.NDArray[np.bool_]
    ) -> tuple[Hit, ...]:
        """The nearest families of the split; those of `train` are at hand already, or most of them."""
        if self.split is Split.TRAIN:
            found = placed.similarities[0], placed.rows[0]
            return families_near(self.atlas, space, vector, k, allowed, found)
        return families_near(self.atlas, space, vector, k, self.allowed(self.split))


def _known(percentile: npt.NDArray[np.float64]) -> float | None:
    """The one percentile of an array (1,); None where it has no meaning."""
    return None if np.isnan(percentile[0]) else float(percentile[0])
