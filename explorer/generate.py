"""From a prompt to a picture in its place: every step is decoded, put on each map, and told.

A generator that shares the atlas's VAE is followed in `vae` by its own latents; any other through its decoded pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from explorer.errors import Cancelled, QueryError
from explorer.models.batch import in_halves
from explorer.models.generator import GeneratorModel
from explorer.models.loader import Models, shared
from explorer.placement import place_vectors
from explorer.progress import SILENT, Progress
from explorer.provenance import locate
from explorer.records import Landing, Recipe, Space, TrajectoryStep
from explorer.search import picture_vectors
from explorer.stamp import stamped

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from explorer.atlas import Atlas
    from explorer.models.denoising import Denoised

MAX_PROMPT = 2_000
MAX_STEPS = 150
MAX_GUIDANCE = 30.0
MAX_SEED = 2**32 - 1
MIN_SIDE, MAX_SIDE, SIDE_UNIT = 32, 1024, 8

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
    """A generated picture, the way to it, and where it landed; `previews` has one picture a step."""

    image: Image.Image
    recipe: Recipe
    steps: tuple[TrajectoryStep, ...]
    landing: Landing
    previews: tuple[Image.Image, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A generated picture without the way to it.

    Attributes:
        latent: space -> vector (d,), centered, of any length, where the atlas's own VAE made it; see `locate`.
    """

    image: Image.Image
    recipe: Recipe
    latent: Mapping[str, npt.NDArray[np.float32]]


class Generator:
    """A text-to-image model beside an atlas; one picture at a time."""

    def __init__(self, atlas: Atlas, model: GeneratorModel, models: Models) -> None:
        self._atlas, self._model, self._models = atlas, model, models

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
        way: list[StepImage] = []
        latent: dict[str, npt.NDArray[np.float32]] = {}
        for denoised in progress.track(self._model.denoise(recipe), stage="generate"):
            latent = self._latent_vectors(denoised.clean)
            way.append(self._seen(denoised, latent))
            if on_step:
                on_step(way[-1])
            _go_on(cancelled)
        image = way[-1].preview  # the last step is shown as it came out
        landing = locate(self._atlas, self._models, image, latent_vectors=latent)
        previews = tuple(each.preview for each in way)
        landing = replace(landing, notes=landing.notes + self._notes(recipe))
        return Generation(image, recipe, tuple(each.trajectory for each in way), landing, previews)

    def draw(self, recipes: Sequence[Recipe]) -> list[Drawn | None]:
        """Generate several pictures at once, without a look at their steps.

        Args:
            recipes: completed by `complete`; they may differ in prompt, negative prompt and seed alone.

        Returns:
            a picture a recipe; None where the device has no room for it even alone.

        Raises:
            QueryError: a recipe is out of bounds.
        """
        complete = [self.complete(recipe) for recipe in recipes]
        for recipe in complete:
            check_recipe(recipe)
        found: list[Drawn | None] = []
        for recipe, clean in zip(complete, in_halves(self._model, complete), strict=True):
            if clean is None:
                found.append(None)
            else:
                found.append(Drawn(self._model.vae.decode(clean)[0], recipe, self._latent_vectors(clean)))
        return found

    def _latent_vectors(self, clean: torch.Tensor) -> dict[str, npt.NDArray[np.float32]]:
        """Space -> vector (d,) of a clean latent (1, channels, h, w), where the atlas's own VAE made it."""
        if not self.shares_vae:
            return {}
        pooled = self._model.vae.pool_latents(clean)
        return {Space.VAE.value: pooled - self._atlas.space(Space.VAE).mean}

    def _seen(self, denoised: Denoised, latent: dict[str, npt.NDArray[np.float32]]) -> StepImage:
        """Decode a step's clean latent and put it on every map."""
        preview = self._model.vae.decode(denoised.clean)[0]
        points, nearest, similarity = {}, {}, {}
        for space in self._atlas.spaces:
            vector = latent.get(space)
            if vector is None:
                vector = picture_vectors(self._atlas, self._models, space, [preview])
            placed = place_vectors(self._atlas, space, vector, k=1)
            x, y, z = placed.points[0].tolist()
            points[space] = (x, y, z)
            nearest[space] = int(self._atlas.ids[placed.rows[0, 0]])
            similarity[space] = float(placed.similarities[0, 0])
        step = TrajectoryStep(denoised.step, denoised.timestep, points, nearest, similarity, denoised.pull)
        return StepImage(denoised.step, denoised.steps, denoised.timestep, preview, step)

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


def check_recipe(recipe: Recipe) -> None:
    """Hold a recipe against what a generator takes.

    Raises:
        QueryError: a value is out of its bounds; the message names it, its value and its bounds.
    """
    if not 1 <= len(recipe.prompt.strip()) or len(recipe.prompt) > MAX_PROMPT or len(recipe.negative) > MAX_PROMPT:
        longest = max(len(recipe.prompt), len(recipe.negative))
        raise QueryError(f"prompt: expected 1 to {MAX_PROMPT:,} characters, found {longest:,}")
    bounds = {
        "seed": (recipe.seed, 0, MAX_SEED),
        "steps": (recipe.steps, 1, MAX_STEPS),
        "guidance": (recipe.guidance, 0, MAX_GUIDANCE),
    }
    for name, (value, least, most) in bounds.items():
        if not least <= value <= most:  # NaN is in no bounds
            raise QueryError(f"{name}: expected {least:,} to {most:,}, found {value:,}")
    for name, side in (("width", recipe.width), ("height", recipe.height)):
        if side is not None and (side % SIDE_UNIT or not MIN_SIDE <= side <= MAX_SIDE):
            raise QueryError(f"{name}: expected a multiple of {SIDE_UNIT} from {MIN_SIDE} to {MAX_SIDE}, found {side}")


def png_bytes(generation: Generation) -> bytes:
    """The picture as PNG with its recipe, marked as generated; see `explorer.stamp`."""
    return stamped(generation.image, generation.recipe)


def _go_on(cancelled: Callable[[], bool] | None) -> None:
    if cancelled and cancelled():
        raise Cancelled("the generation was cancelled")
