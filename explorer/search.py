"""The pictures nearest to words, to a picture, or to one of the atlas, with all that a reader wants to know of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from explorer.atlas import Atlas
from explorer.errors import ModelError, QueryError
from explorer.exact import Vectors, normalized
from explorer.nearest import VectorIndex
from explorer.records import Hit, Point, Space, Split
from explorer.spaces import SpaceData

Mask = npt.NDArray[np.bool_]
"""Which rows may be found, bool (n,); `explorer.filters.matching` makes one."""

MAX_TEXT = 2_000
_SHOWN = ("id", "key", "split", "family", "captions", "image_url", "page_url", "licence")
"""What a hit tells of a record: a third of its columns, read in a sixth of the time."""


class ClipEncoder(Protocol):
    """What search needs of a CLIP model; vectors are float32 (n, d) of unit length."""

    def embed_texts(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """Embed words."""
        ...

    def embed_pictures(self, pictures: list[Image.Image]) -> npt.NDArray[np.float32]:
        """Embed pictures."""
        ...


class VaeEncoder(Protocol):
    """What search needs of a VAE."""

    def pooled(self, pictures: list[Image.Image]) -> npt.NDArray[np.float32]:
        """Encode pictures to pooled posterior means (n, d), not yet centered."""
        ...


class SscdEncoder(Protocol):
    """What search needs of a copy detector; vectors are float32 (n, d) of unit length."""

    def embed_pictures(self, pictures: list[Image.Image]) -> npt.NDArray[np.float32]:
        """Embed pictures."""
        ...


class Encoders(Protocol):
    """The models that an atlas was made with."""

    def clip(self) -> ClipEncoder:
        """The model of the space `clip`."""
        ...

    def vae(self) -> VaeEncoder:
        """The model of the space `vae`."""
        ...

    def sscd(self) -> SscdEncoder:
        """The model of the space `sscd`."""
        ...


def hits(
    atlas: Atlas,
    space: str,
    similarities: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int64],
    percentile: bool = True,
) -> tuple[Hit, ...]:
    """What a search found, with all that a reader wants to know of it.

    Args:
        atlas: the atlas that was searched.
        space: the space that was searched.
        similarities: (k,), cosines.
        rows: (k,), their rows.
        percentile: whether percentiles mean anything here: they do not for a text.
    """
    data = atlas.space(space)
    percentiles = data.percentiles(similarities) if percentile else np.full(len(rows), np.nan)
    records = atlas.records(atlas.ids[rows], _SHOWN)
    return tuple(
        Hit(
            id=record.id,
            similarity=min(float(similarity), 1.0),  # float16 vectors are a hair longer than 1 now and then
            percentile=None if np.isnan(nearness) else float(nearness),
            split=record.split,
            caption=record.caption,
            image_url=record.image_url,
            page_url=record.page_url,
            licence=record.licence,
            point=_point(data, row),
            cluster=int(data.cluster[row]) if data.cluster[row] >= 0 else None,
            family=record.family,
            flagged=bool(atlas.flagged[row]),
        )
        for record, row, similarity, nearness in zip(records, rows, similarities, percentiles, strict=True)
    )


def search_vector(
    atlas: Atlas,
    space: str,
    vector: Vectors,
    k: int = 12,
    split: Split | None = Split.TRAIN,
    percentile: bool = True,
    among: Mask | None = None,
) -> tuple[Hit, ...]:
    """The pictures nearest to a vector (d,) of any length; `split` None = both, `among` None = all."""
    similarities, rows = VectorIndex.open(atlas, space).search(vector, k, _allowed(atlas, split, among))
    return hits(atlas, space, similarities[0], rows[0], percentile)


def search_text(
    atlas: Atlas,
    models: Encoders,
    text: str,
    k: int = 12,
    split: Split | None = Split.TRAIN,
    among: Mask | None = None,
) -> tuple[Hit, ...]:
    """The pictures nearest to some words, in `clip`; their percentiles are None.

    Raises:
        QueryError: the text is blank or too long, or the atlas has no space `clip`.
    """
    atlas.space(Space.CLIP)
    return search_vector(atlas, Space.CLIP, text_vector(models, text), k, split, percentile=False, among=among)


def search_image(
    atlas: Atlas,
    models: Encoders,
    picture: Image.Image,
    space: str = Space.CLIP,
    k: int = 12,
    split: Split | None = Split.TRAIN,
    among: Mask | None = None,
) -> tuple[Hit, ...]:
    """The pictures nearest to a picture; QueryError where the atlas has no such space."""
    return search_vector(atlas, space, picture_vectors(atlas, models, space, [picture]), k, split, among=among)


def search_id(
    atlas: Atlas,
    identity: int,
    space: str = Space.CLIP,
    k: int = 12,
    split: Split | None = Split.TRAIN,
    among: Mask | None = None,
) -> tuple[Hit, ...]:
    """The pictures nearest to one of the atlas, itself left out; QueryError where there is no such picture or space."""
    similarities, rows = rows_near(atlas, identity, space, k, split, among)
    return hits(atlas, space, similarities, rows)


def rows_near(
    atlas: Atlas,
    identity: int,
    space: str,
    k: int,
    split: Split | None = Split.TRAIN,
    among: Mask | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Cosines and rows (k,) of what `search_id` finds, without a look at the records."""
    row = atlas.row(identity)
    allowed = _allowed(atlas, split, among)
    allowed[row] = False
    similarities, rows = VectorIndex.open(atlas, space).search(atlas.space(space).vectors[row], k, allowed)
    return similarities[0], rows[0]


def text_vector(models: Encoders, text: str) -> npt.NDArray[np.float32]:
    """Words as a vector of `clip`, float32 (d,).

    Raises:
        QueryError: the text is blank or too long.
    """
    if not text.strip() or len(text) > MAX_TEXT:
        raise QueryError(f"found a text of {len(text.strip()):,} characters; expected 1 to {MAX_TEXT:,}")
    vector: npt.NDArray[np.float32] = models.clip().embed_texts([text])[0]
    return vector


def picture_vectors(atlas: Atlas, models: Encoders, space: str, pictures: list[Image.Image]) -> npt.NDArray[np.float32]:
    """Pictures as unit vectors (n, d) of a space of this atlas; `vae` is centered on the corpus first."""
    data = atlas.space(space)
    if data.name == Space.CLIP:
        return normalized(models.clip().embed_pictures(pictures))
    if data.name == Space.SSCD:
        return normalized(models.sscd().embed_pictures(pictures))
    return normalized(models.vae().pooled(pictures) - data.mean)


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A picture in the spaces of an atlas.

    Attributes:
        vectors: space -> (1, d), of any length.
        notes: why a space is missing.
    """

    vectors: Mapping[str, Vectors]
    notes: tuple[str, ...] = ()


def encoded(atlas: Atlas, models: Encoders, picture: Image.Image, known: Mapping[str, Vectors]) -> Encoded:
    """A picture's vectors in every space of this atlas; `sscd` is left out where its file is not at hand.

    Args:
        atlas: the atlas.
        models: those it was made with.
        picture: RGB, of any size.
        known: space -> vector (d,) or (1, d), where the picture need not be encoded.

    Raises:
        QueryError: the atlas came without a model.
        ModelError: the model of another space cannot be loaded.
    """
    vectors, notes = dict[str, Vectors](), []
    for space in atlas.spaces:
        try:
            given = known.get(space)
            vectors[space] = picture_vectors(atlas, models, space, [picture]) if given is None else given.reshape(1, -1)
        except ModelError as error:
            if space != Space.SSCD:
                raise
            notes.append(unseen(atlas, space, error))
    return Encoded(vectors, tuple(notes))


def unseen(atlas: Atlas, space: str, error: ModelError) -> str:
    """Why no picture was looked at in a space; it is kept and shown to others, so it names no folder of this user."""
    named, said = Path(atlas.meta["models"][space]["reference"]), str(error)
    for folder in (named.expanduser().resolve().parent, named.parent):
        said = said.replace(f"{folder}/", "")
    return f"Not looked at in {space}: {said}"


def _allowed(atlas: Atlas, split: Split | None, among: Mask | None) -> Mask:
    allowed = atlas.allowed(split)
    return allowed if among is None else allowed & among


def _point(data: SpaceData, row: int) -> Point:
    x, y, z = data.points[row].tolist()
    return (x, y, z)
