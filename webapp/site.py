"""What the page and its end points stand on."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from explorer.atlas import Atlas
from explorer.generate import Generator, named_by
from explorer.models.loader import Models
from explorer.workspace import Workspace
from webapp.arrays import MapArrays
from webapp.jobs import CAPACITY, Studio
from webapp.loading import Part
from webapp.noisings import Noisings
from webapp.uploads import Uploads


@dataclass(frozen=True, slots=True)
class GeneratorOptions:
    """Which generator runs, and on what.

    Attributes:
        reference: a model reference; None for the one that the manifest names.
        lora: a LoRA's file.
        device: one of auto, cpu, cuda, mps.
    """

    reference: str | None = None
    lora: str | None = None
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class Site:
    """One atlas version as it is served.

    Attributes:
        atlas: the open version.
        models: its models, loaded when first needed.
        studio: the owner of the generator.
        arrays: the atlas's arrays, packed for the map.
        uploads: the pictures that visitors bring; None where they may bring none.
        noisings: works out pictures' ways into noise.
    """

    atlas: Atlas
    models: Models
    studio: Studio
    arrays: MapArrays
    uploads: Uploads | None
    noisings: Noisings


def open_site(
    atlas: Atlas, options: GeneratorOptions, *, capacity: int = CAPACITY, calm: float = 0.0, uploads: bool = True
) -> Site:
    """Put together what serves an atlas; entering its studio starts to load the models.

    Args:
        atlas: what is served.
        options: the generator.
        capacity: how many jobs may wait for it.
        calm: seconds before the models are loaded, see `webapp.jobs.Studio`.
        uploads: whether visitors may bring pictures.
    """
    models = Models(atlas, options.device)
    parts = _parts(atlas, models, options)
    studio = Studio(Workspace.open(atlas.workspace_dir), parts, capacity=capacity, calm=calm)
    taken = Uploads(atlas, models) if uploads else None
    return Site(atlas, models, studio, MapArrays(atlas), taken, Noisings(atlas, models))


def _parts(atlas: Atlas, models: Models, options: GeneratorOptions) -> Iterator[Part]:
    """The models in the order in which a visitor needs them: words to search with, then the generator."""
    clip = (atlas.meta["models"].get("clip") or {}).get("reference")
    if clip:
        yield Part("clip", clip, models.clip)
    generator = options.reference or named_by(atlas)
    if generator:
        load = functools.partial(Generator.load, generator, atlas, lora=options.lora, device=options.device)
        yield Part("generator", generator, load)
