"""A text-to-image model: a Stable Diffusion pipeline, its defaults, and the LoRA put on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from explorer.errors import ModelError
from explorer.models import hub
from explorer.models.denoising import Denoised, Denoising
from explorer.models.device import pick
from explorer.models.files import Files, files, read_json
from explorer.models.quiet import loading
from explorer.models.references import Kind, ModelReference, Role, parse
from explorer.models.vae import VaeModel, native_side
from explorer.models.weights import fingerprint
from explorer.records import Recipe

if TYPE_CHECKING:
    import torch

PIPELINE = "StableDiffusionPipeline"


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a recipe gets where nobody said otherwise; `side` in pixels."""

    steps: int
    guidance: float
    side: int


@dataclass(frozen=True, slots=True)
class GeneratorModel:
    """A pipeline, ready to generate.

    Attributes:
        reference: names it, for `GeneratorModel.load`.
        revision: the hub's commit, else the first digits of the U-Net's fingerprint.
        lora: the LoRA's file, or None.
        vae: its VAE, as the space `vae` uses one.
    """

    pipeline: Any
    device: torch.device
    reference: str
    revision: str
    lora: str | None
    vae: VaeModel
    defaults: Defaults

    @classmethod
    def load(cls, reference: str | ModelReference, *, lora: str | None = None, device: str = "auto") -> Self:
        """Load a generator: `demo`, a hub id, a folder, one `.safetensors` file; and a LoRA's file on it.

        Raises:
            ModelError: there is no such model here, it is no Stable Diffusion 1.x or 2.x, its weights are not
                safetensors, or the LoRA does not fit it.
        """
        named = parse(reference, Role.DIFFUSION) if isinstance(reference, str) else reference
        where = pick(device)
        with loading(named.text):
            found = files(named, vae_only=False)
            pipeline = _load(found).to(where)
            pipeline.unet.eval().requires_grad_(False)
            # Before the LoRA: a recipe names it beside the revision.
            revision = found.revision or fingerprint(pipeline.unet.state_dict())[:12]
        side = native_side(pipeline.vae, dict(pipeline.unet.config))
        adapter = None if lora is None else _put_on(pipeline, lora)
        vae = VaeModel.of(pipeline.vae, where, named.text, found.revision, side)
        return cls(pipeline, where, named.text, revision, adapter, vae, _defaults(pipeline, named, side))

    def denoise(self, recipe: Recipe, known: Sequence[Denoised] = ()) -> Denoising:
        """The steps from noise to picture, to iterate over; the recipe names its width and height.

        Args:
            recipe: what to make.
            known: the steps up to its last branch, where they were taken before.
        """
        return Denoising(self.pipeline, recipe, self.device, known)

    def unread(self, prompt: str) -> str:
        """The end of a prompt that the text model never sees; empty where it reads all of it."""
        tokenizer = self.pipeline.tokenizer
        tokens = tokenizer(prompt, truncation=False, verbose=False).input_ids
        return str(tokenizer.decode(tokens[tokenizer.model_max_length - 1 : -1], skip_special_tokens=True)).strip()


def _load(found: Files) -> Any:  # noqa: ANN401 - diffusers is imported lazily
    import torch
    from diffusers import StableDiffusionPipeline

    # The checker and what it needs are left out: it is not part of how a picture comes about.
    options: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    options["torch_dtype"] = torch.float32  # weights may be kept in half precision, which not every device can multiply
    root = found.folder if found.config is None else found.config
    kind = read_json(root / "model_index.json").get("_class_name")
    if kind != PIPELINE:
        raise ModelError(f"model {found.name}: it is a {kind}; expected diffusers' {PIPELINE} (SD 1.x, 2.x, SD-Turbo)")
    if found.file is not None:
        pipeline = StableDiffusionPipeline.from_single_file(str(found.file), config=str(found.config), **options)
    else:
        for part in ("unet", "vae", "text_encoder"):
            hub.safetensors_in(root / part, found.name)
        pipeline = StableDiffusionPipeline.from_pretrained(str(root), use_safetensors=True, **options)
    channels, latents = pipeline.unet.config.in_channels, pipeline.vae.config.latent_channels
    if channels != latents:
        raise ModelError(
            f"model {found.name}: its U-Net takes {channels} channels and its VAE gives {latents}; expected a "
            "text-to-image model, found one for inpainting or the like"
        )
    return pipeline


def _put_on(pipeline: Any, lora: str) -> str:  # noqa: ANN401
    named = parse(lora, Role.DIFFUSION)
    if named.kind is not Kind.FILE:
        raise ModelError(f"LoRA {lora}: expected one .safetensors file")
    with loading(lora):
        pipeline.load_lora_weights(str(named.path.parent), weight_name=named.path.name)
        if not pipeline.get_active_adapters():
            raise ModelError(f"LoRA {lora}: none of its layers is in this generator; it was made for another model")
    return named.text


def _defaults(pipeline: Any, named: ModelReference, side: int) -> Defaults:  # noqa: ANN401
    if _is_distilled(pipeline.scheduler, named):
        return Defaults(steps=4, guidance=0.0, side=side)
    common = Recipe(prompt="")
    return Defaults(common.steps, common.guidance if named.kind is Kind.DEMO else 7.5, side)


def _is_distilled(scheduler: Any, named: ModelReference) -> bool:  # noqa: ANN401
    """Whether a model was distilled to few steps without guidance, as SD-Turbo and the LCMs were.

    Nothing in the weights says so. They come with schedulers that others do not use, or have it in their name.
    """
    kind = type(scheduler).__name__
    trailing = kind.startswith("Euler") and scheduler.config.timestep_spacing == "trailing"
    return kind == "LCMScheduler" or trailing or "turbo" in Path(named.value).name.lower()
