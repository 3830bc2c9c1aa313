"""Several pictures at once: the same ways from noise, side by side through the U-Net, without a look at their steps.

Each seed's noise is drawn alone and on the CPU, as for one picture, so that a picture does not depend on its company
beyond the last bits of a float.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from explorer.models.device import give_back, is_out_of_memory
from explorer.records import Recipe

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from explorer.models.generator import GeneratorModel


def clean_latents(model: GeneratorModel, recipes: Sequence[Recipe]) -> torch.Tensor:
    """Go the whole way from noise for several recipes at once.

    Args:
        model: the generator.
        recipes: complete, with width and height; they may differ in prompt, negative prompt and seed alone.

    Returns:
        float32 (b, channels, h, w): the latents that they end in, shifted and scaled.
    """
    import torch

    first = recipes[0]
    alike = {(each.steps, each.guidance, each.width, each.height) for each in recipes}
    assert len(alike) == 1, "recipes of one batch differ in prompt and seed alone"
    pipeline = _beside(model.pipeline)
    side = 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
    assert first.height and first.width
    shape = (1, pipeline.unet.config.in_channels, first.height // side, first.width // side)
    noise = [torch.randn(shape, generator=torch.Generator("cpu").manual_seed(each.seed)) for each in recipes]
    with torch.inference_mode():
        found: torch.Tensor = pipeline(
            [each.prompt for each in recipes],
            negative_prompt=[each.negative for each in recipes],
            num_inference_steps=first.steps,
            guidance_scale=first.guidance,
            width=first.width,
            height=first.height,
            latents=torch.cat(noise).to(model.device),
            # Schedulers that add noise on the way draw each picture's from its own seed, going on after the first.
            generator=[_after(shape, each.seed) for each in recipes],
            output_type="latent",
        ).images
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A picture, and the clean latent (1, channels, h, w) that it was decoded from, shifted and scaled."""

    image: Image.Image
    clean: torch.Tensor


def made(model: GeneratorModel, recipes: Sequence[Recipe]) -> list[Made | None]:
    """The pictures of several recipes; where there is no room for all at once, half as many, down to one.

    Args:
        model: the generator.
        recipes: as `clean_latents` takes them.

    Returns:
        a picture a recipe; None where one has no room even alone.
    """
    try:
        found = clean_latents(model, recipes)
        parts = [found[at : at + 1] for at in range(len(found))]
        return [Made(model.vae.decode(clean)[0], clean) for clean in parts]
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    give_back()
    if len(recipes) == 1:
        return [None]
    middle = len(recipes) // 2
    return made(model, recipes[:middle]) + made(model, recipes[middle:])


def _beside(pipeline: Any) -> Any:  # noqa: ANN401 - diffusers is imported lazily
    """The same parts with a scheduler of their own, so that two runs cannot disturb each other."""
    parts = {**pipeline.components, "scheduler": type(pipeline.scheduler).from_config(pipeline.scheduler.config)}
    own = type(pipeline)(**parts, requires_safety_checker=False)
    own.set_progress_bar_config(disable=True)
    return own


def _after(shape: tuple[int, int, int, int], seed: int) -> torch.Generator:
    """A seed's generator, its first noise drawn."""
    import torch

    generator = torch.Generator("cpu").manual_seed(seed)
    torch.randn(shape, generator=generator)
    return generator
