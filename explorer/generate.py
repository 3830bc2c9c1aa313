"""From a prompt to a picture in its place: every step is decoded, put on each map, and told.

A generator that shares the atlas's VAE is followed in `vae` by its own latents; any other through its decoded pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from explorer.errors import Cancelled, QueryError
from explorer.landing import Landing
from explorer.models.generator import GeneratorModel
from explorer.models.loader import Models, shared
from explorer.progress import SILENT, Progress
from explorer.provenance import locate
from explorer.recipes import check_recipe
from explorer.records import Recipe, Space, TrajectoryStep
from explorer.search import picture_vectors
from explorer.stamp import stamped
from explorer.trunks import Trunks
from explorer.way import Decided, Stand, decided, placed_at, spaces_of_steps, step_of

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from explorer.atlas import Atlas
    from explorer.models.denoising import Denoised

OTHER_VAE = (
    "This generator's VAE is not the one that the atlas's space vae was made with; there the picture was located "
    "through its decoded pixels."
)


@dataclass(frozen=True, slots=True)
class StepImage:
    """One step as it happens; `step` is 1-based, `preview` the picture that the model expects at the end."""

    step: int
    steps: int
    timestep: float
    preview: Image.Image
    trajectory: TrajectoryStep


@dataclass(frozen=True, slots=True)
class Generation:
    """A generated picture, the way to it, and where it landed.

    Attributes:
        previews: one picture a step.
        decided: space -> from which step on the way keeps to what it ends with.
    """

    image: Image.Image
    recipe: Recipe
    steps: tuple[TrajectoryStep, ...]
    landing: Landing
    previews: tuple[Image.Image, ...]
    decided: dict[str, Decided]


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A step as the model took it, and what was seen of it."""

    denoised: Denoised
    image: StepImage


class Generator:
    """A text-to-image model beside an atlas; one picture at a time."""

    def __init__(self, atlas: Atlas, model: GeneratorModel, models: Models) -> None:
        self._atlas, self._model, self._models = atlas, model, models
        self._trunks: Trunks[_Seen] = Trunks()

    @classmethod
    def load(cls, reference: str | None, atlas: Atlas, *, lora: str | None = None, device: str = "auto") -> Self:
        """Load a generator, once a process.

        Args:
            reference: names it; None: the one that the atlas's manifest names.
            atlas: whose maps its pictures land on.
            lora: a LoRA's `.safetensors` file to put on it.
            device: one of `explorer.models.device.DEVICES`.

        Raises:
            ModelError: it cannot be loaded.
            QueryError: neither the call nor the manifest names one.
        """
        named = reference or named_by(atlas)
        if named is None:
            raise QueryError("this atlas names no generator; name one with --generator REF")
        key = (GeneratorModel, named, lora, device)
        model = shared(key, lambda: GeneratorModel.load(named, lora=lora, device=device))
        return cls(atlas, model, Models(atlas, device))

    @property
    def atlas(self) -> Atlas:
        """Whose maps its pictures land on."""
        return self._atlas

    @property
    def models(self) -> Models:
        """The atlas's own models."""
        return self._models

    @property
    def model(self) -> GeneratorModel:
        """The model itself."""
        return self._model

    @property
    def reference(self) -> str:
        """Names the generator."""
        return self._model.reference

    @property
    def revision(self) -> str:
        """Which weights: the hub's commit, or the first digits of their fingerprint."""
        return self._model.revision

    @property
    def default_steps(self) -> int:
        """Steps where the recipe says nothing."""
        return self._model.defaults.steps

    @property
    def default_guidance(self) -> float:
        """Guidance scale where the recipe says nothing; 0 for models that were distilled without."""
        return self._model.defaults.guidance

    @property
    def size(self) -> int:
        """The side of its pictures, in pixels."""
        return self._model.defaults.side

    @cached_property
    def shares_vae(self) -> bool:
        """Whether the atlas's space `vae` was made with this generator's VAE."""
        if Space.VAE not in self._atlas.spaces:
            return False
        known = self._atlas.meta["models"][Space.VAE.value].get("fingerprint")
        return (known or self._models.vae().fingerprint) == self._model.vae.fingerprint

    def recipe(
        self, prompt: str, *, negative: str = "", seed: int = 0, steps: int | None = None, guidance: float | None = None
    ) -> Recipe:
        """A complete recipe, with the generator's own steps and guidance where None."""
        steps = self.default_steps if steps is None else steps
        guidance = self.default_guidance if guidance is None else guidance
        return self.complete(Recipe(prompt, negative, seed, steps, guidance))

    def complete(self, recipe: Recipe) -> Recipe:
        """The recipe with this generator's name and revision, and a size where it has none."""
        return replace(
            recipe, generator=self.reference, revision=self.revision, lora=self._model.lora,
            width=recipe.width or self.size, height=recipe.height or self.size,
        )  # fmt: skip

    def check(self, recipe: Recipe) -> None:
        """Hold a recipe against its bounds, its branches against the steps that this generator takes.

        Raises:
            QueryError: it is out of bounds.
        """
        check_recipe(recipe)
        self._model.denoise(self.complete(recipe))

    def generate(
        self,
        recipe: Recipe,
        *,
        on_step: Callable[[StepImage], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        progress: Progress = SILENT,
    ) -> Generation:
        """Generate a picture and locate it.

        Args:
            recipe: what to generate; completed by `complete`.
            on_step: called after every step.
            cancelled: asked between steps.
            progress: counts the steps.

        Raises:
            QueryError: the recipe is out of bounds.
            Cancelled: `cancelled` said so; within one step.
        """
        recipe = self.complete(recipe)
        check_recipe(recipe)
        _go_on(cancelled)
        known = self._as_told_now(self._trunks.known(recipe))
        denoising = self._model.denoise(recipe, [each.denoised for each in known])
        way: list[_Seen] = []
        for number, denoised in enumerate(progress.track(denoising, stage="generate")):
            same = known[number].image if number < len(known) else None
            image = replace(same, steps=denoised.steps) if same else self._seen(denoised)
            way.append(_Seen(denoised, image))
            if on_step:
                on_step(image)
            _go_on(cancelled)
        way = self._as_told_now(way)
        self._trunks.remember(recipe, tuple(way))
        return self._made(recipe, way)

    def _made(self, recipe: Recipe, way: Sequence[_Seen]) -> Generation:
        """Locate what a way came to."""
        last = way[-1]  # shown as it came out
        stands = self._stands(last.denoised, last.image.preview)
        latent = {space: stand.vector for space, stand in stands.items() if stand.via == "latent"}
        vectors = {space: stand.vector for space, stand in stands.items()}
        relation = self._atlas.relation_to(recipe.generator, is_tuned=recipe.lora is not None)
        landing = locate(
            self._atlas, self._models, last.image.preview,
            latent_vectors=latent, vectors=vectors, relation=relation,
        )  # fmt: skip
        landing = replace(landing, notes=landing.notes + self._notes(recipe))
        steps = tuple(each.image.trajectory for each in way)
        previews = tuple(each.image.preview for each in way)
        return Generation(last.image.preview, recipe, steps, landing, previews, decided(self._atlas, steps))

    def latent_vectors(self, clean: torch.Tensor) -> dict[str, npt.NDArray[np.float32]]:
        """Space -> vector (d,) of a clean latent (1, channels, h, w), where the atlas's own VAE made it."""
        if not self.shares_vae:
            return {}
        pooled = self._model.vae.pool_latents(clean)
        return {Space.VAE.value: pooled - self._atlas.space(Space.VAE).mean}

    def _stands(self, denoised: Denoised, preview: Image.Image) -> dict[str, Stand]:
        """Where a step stands in each space: by its own latent where it means the same there, else by its picture."""
        latent = self.latent_vectors(denoised.clean)
        return {
            space: Stand(latent[space], "latent")
            if space in latent
            else Stand(picture_vectors(self._atlas, self._models, space, [preview]), "picture")
            for space in spaces_of_steps(self._atlas)
        }

    def _seen(self, denoised: Denoised) -> StepImage:
        """Decode a step's clean latent and put it on every map."""
        preview = self._model.vae.decode(denoised.clean)[0]
        stands = self._stands(denoised, preview)
        step = step_of(self._atlas, denoised.step, denoised.timestep, stands, placed_at(self._atlas, stands))
        step = replace(step, pull=denoised.pull)
        return StepImage(denoised.step, denoised.steps, denoised.timestep, preview, step)

    def _as_told_now(self, way: Sequence[_Seen]) -> list[_Seen]:
        """The same steps, those looked at anew that tell of a picture that was taken down since."""
        hidden = set(self._atlas.ids[self._atlas.denied].tolist())

        def is_shown(trajectory: TrajectoryStep) -> bool:
            return hidden.isdisjoint(each.id for near in trajectory.neighbors.values() for each in near)

        return [
            each if is_shown(each.image.trajectory) else replace(each, image=self._seen(each.denoised)) for each in way
        ]

    def _notes(self, recipe: Recipe) -> tuple[str, ...]:
        """What a reader of the landing has to know of how it came about."""
        notes = []
        if Space.VAE in self._atlas.spaces and not self.shares_vae:
            notes.append(OTHER_VAE)
        unread = self._model.unread(recipe.prompt)
        if unread:
            notes.append(f"The prompt is longer than this model reads; it never saw the end: {unread!r}.")
        return tuple(notes)


def named_by(atlas: Atlas) -> str | None:
    """The generator that an atlas names; None if it names none."""
    named = atlas.meta["models"].get("generator") or {}
    return named.get("reference")


def png_bytes(generation: Generation) -> bytes:
    """The picture as PNG with its recipe, marked as generated; see `explorer.stamp`."""
    return stamped(generation.image, generation.recipe)


def _go_on(cancelled: Callable[[], bool] | None) -> None:
    if cancelled and cancelled():
        raise Cancelled("the generation was cancelled")
