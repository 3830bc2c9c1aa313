"""The work on an audit, shard by shard: draw its pictures, embed them together, see where each lands, keep it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from explorer.atlas import Atlas
from explorer.audit.drawing import Draw, Drawing
from explorer.audit.plan import Item, Part, Plan
from explorer.audit.shards import Row, Shard, Shards
from explorer.errors import ModelError
from explorer.exact import normalized
from explorer.landing import Landing
from explorer.pictures import thumbnail_webp
from explorer.progress import SILENT, Progress
from explorer.provenance import locate
from explorer.records import Space
from explorer.search import Encoders, picture_vectors, unseen
from explorer.stamp import stamped

if TYPE_CHECKING:
    from PIL import Image

    from explorer.records import Recipe


@dataclass(frozen=True, slots=True)
class Spaces:
    """The spaces that pictures are looked at in, and why not in others."""

    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def work(
    atlas: Atlas, models: Encoders, plan: Plan, draw: Draw, out: Shards, part: Part, progress: Progress = SILENT
) -> None:
    """Make the shards of a part that are not there yet.

    Args:
        atlas: where the pictures are to land.
        models: those it was made with.
        plan: what is audited; `explorer.audit.plan.hold` was asked about it.
        draw: gives the pictures.
        out: where shards are kept.
        part: which shards.
        progress: counts them.

    Raises:
        QueryError: a shard cannot be written, or the atlas came without a model.
    """
    for number in progress.track(out.missing(plan.part(part)), stage="audit"):
        out.write(number, _located(atlas, models, plan, draw(plan.shard(number)), out.path(number)))


def at_hand(atlas: Atlas, models: Encoders) -> Spaces:
    """The spaces whose models are here; a copy detector, which each user brings along, may be missing.

    Raises:
        QueryError: the atlas came without the model of another space.
        ModelError: that cannot be loaded.
    """
    names, notes = [], []
    for space in atlas.spaces:
        try:
            getattr(models, space)()  # a method of the space's name, see `Encoders`
            names.append(space)
        except ModelError as error:
            if space in (Space.CLIP, Space.VAE):
                raise
            notes.append(unseen(atlas, space, error))
    return Spaces(tuple(names), tuple(notes))


def _located(atlas: Atlas, models: Encoders, plan: Plan, drawings: Sequence[Drawing], path: Path) -> Shard:
    """Where some pictures land, embedded together."""
    drawn = [each for each in drawings if each.image is not None]
    vectors = {space: _vectors(atlas, models, space, drawn) for space in plan.spaces}
    rows, pictures = [], {}
    found = iter(range(len(drawn)))
    for drawing in drawings:
        row = _row(drawing.item) | {"error": drawing.error}
        if drawing.image is not None:
            at = next(found)
            own = {space: each[at] for space, each in vectors.items()}
            latent = {space: own[space] for space in drawing.latent}
            row |= _landed(locate(atlas, models, drawing.image, k=1, vectors=own, latent_vectors=latent))
            name, data = _kept(drawing.image, plan.recipe, drawing.item)
            pictures[name] = data
            row["picture"] = f"{path.parent.name}/{path.name}/{name}"
        rows.append(row)
    return Shard(rows, vectors, pictures)


def _kept(image: Image.Image, recipe: Recipe | None, item: Item) -> tuple[str, bytes]:
    """A picture's name and bytes: one that was generated here as it is, of any other a thumbnail."""
    if recipe is None or item.prompt is None:
        return f"{item.number:06d}.webp", thumbnail_webp(image)
    return f"{item.number:06d}.png", stamped(image, replace(recipe, prompt=item.prompt.text, seed=item.seed or 0))


def _vectors(atlas: Atlas, models: Encoders, space: str, drawn: Sequence[Drawing]) -> npt.NDArray[np.float32]:
    """Unit vectors (m, d) of pictures in one space; those of latents are taken as they are."""
    if not drawn:
        return np.empty((0, atlas.space(space).vectors.shape[1]), np.float32)
    if all(space in each.latent for each in drawn):
        return normalized(np.stack([each.latent[space] for each in drawn]))
    return picture_vectors(atlas, models, space, [each.image for each in drawn if each.image is not None])


def _row(item: Item) -> Row:
    """A row before its picture has landed."""
    prompt = item.prompt
    return {
        "row": item.number,
        "prompt": prompt.text if prompt else None,
        "id": prompt.id if prompt else None,
        "seed": item.seed,
        "file": item.file,
        "picture": None,
        "error": None,
    }


def _landed(landing: Landing) -> Row:
    """What a row keeps of a landing; captions of neighbors are looked up when they are shown."""
    spaces = landing.spaces
    return {
        "verdict": landing.verdict.name.value,
        "point": {space: list(each.point) for space, each in spaces.items()},
        "distance": {space: each.distance for space, each in spaces.items()},
        "percentile": {space: each.percentile for space, each in spaces.items()},
        "by_family": {space: each.by_family for space, each in spaces.items()},
        "cluster": {space: each.cluster and each.cluster.cluster for space, each in spaces.items()},
        "nearest": {space: each.hits[0].id for space, each in spaces.items() if each.hits},
        "similarity": {space: each.hits[0].similarity for space, each in spaces.items() if each.hits},
        "via": {space: each.via for space, each in spaces.items()},
    }
