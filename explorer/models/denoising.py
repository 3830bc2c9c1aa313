"""From noise to a picture, one step at a time, with what the model takes the picture to be at each step.

diffusers' own pipeline does the same loop, but keeps the predicted clean latent to itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from explorer.errors import ModelError
from explorer.models.legs import Leg, legs
from explorer.records import Recipe

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, eq=False)
class Denoised:
    """One step of the way.

    Attributes:
        step: 1-based.
        steps: in all; some schedulers take more than the recipe asks for.
        timestep: of the scheduler, falling from its training length to 0.
        clean: float32 (1, channels, h, w), the latent that the model expects at the end, shifted and scaled; at the
            last step the latent that it came to.
        pull: see `pull`; None without guidance, and where a negative prompt stands in the place of no words.
    """

    step: int
    steps: int
    timestep: float
    clean: torch.Tensor
    pull: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Prediction:
    """What the U-Net said: its answer, guided, and how far the prompt moved it from that to no words at all.

    Both (1, channels, h, w), of the kind that the scheduler calls `prediction_type`.
    """

    output: torch.Tensor
    difference: torch.Tensor | None


class Denoising:
    """A Stable Diffusion pipeline's way from noise; iterate over it once for the steps, its length is their number.

    The noise is drawn on the CPU, so that a seed means one picture on every device.
    """

    def __init__(self, pipeline: Any, recipe: Recipe, device: torch.device, known: Sequence[Denoised] = ()) -> None:  # noqa: ANN401
        """Read the words and lay out the way.

        Args:
            pipeline: diffusers' StableDiffusionPipeline; its scheduler is not touched, so that two runs cannot disturb
                each other.
            recipe: complete, with width and height.
            device: where the pipeline is.
            known: the first steps of the same way, taken before; where they reach the last branch, the way goes on
                from there, and the model is not asked again.

        Raises:
            QueryError: the recipe has a branch that cannot be taken.
        """
        import torch

        self._pipeline, self._recipe, self._device = pipeline, recipe, device
        self._scheduler = self._fresh()
        self._legs = legs(self._scheduler, recipe)
        self._known = tuple(known) if len(known) == self._legs[-1].done else ()
        with torch.inference_mode():
            self._predict = _Guided(pipeline, recipe, device)

    def __len__(self) -> int:
        return self._legs[-1].end

    def __iter__(self) -> Iterator[Denoised]:
        clean = None
        for known in self._known:
            clean = known.clean
            yield replace(known, steps=len(self))
        number = len(self._known)
        for leg in self._legs[-1:] if self._known else self._legs:
            self._begin(leg, clean)
            for timestep in leg.timesteps:
                number += 1
                clean = self._step(timestep)
                latent = self._latents if number == len(self) else clean
                yield Denoised(number, len(self), float(timestep), latent, self._pull)

    def _fresh(self) -> Any:  # noqa: ANN401
        """A scheduler that has not taken a step."""
        scheduler = type(self._pipeline.scheduler).from_config(self._pipeline.scheduler.config)
        scheduler.set_timesteps(self._recipe.steps, device=self._device)
        return scheduler

    def _begin(self, leg: Leg, clean: torch.Tensor | None) -> None:
        """Draw a leg's noise: the start itself, or what `clean` is noised with to where the leg begins."""
        import torch

        noise = torch.Generator("cpu").manual_seed(leg.seed)
        self._extra = self._pipeline.prepare_extra_step_kwargs(noise, 0.0)
        with torch.inference_mode():
            drawn = torch.randn(_shape(self._pipeline, self._recipe), generator=noise).to(self._device)
            if clean is None:
                self._latents = drawn * self._scheduler.init_noise_sigma
                return
            self._scheduler = self._fresh()
            if hasattr(self._scheduler, "set_begin_index"):
                self._scheduler.set_begin_index(leg.begin)
            self._latents = self._scheduler.add_noise(clean, drawn, leg.timesteps[:1])

    def _step(self, timestep: torch.Tensor) -> torch.Tensor:
        """Take one step, and note how hard the prompt pulled; return what the model takes the clean latent to be."""
        import torch

        with torch.inference_mode():
            seen = self._scheduler.scale_model_input(self._latents, timestep)
            said = self._predict(seen, timestep)
            stepped = self._scheduler.step(said.output, timestep, self._latents, **self._extra)
            self._latents = stepped.prev_sample
            clean: torch.Tensor | None = getattr(stepped, "pred_original_sample", None)
            self._pull = None if said.difference is None else pull(self._scheduler, said.difference, timestep)
            return predicted_clean(self._scheduler, seen, said.output, timestep) if clean is None else clean


def predicted_clean(scheduler: Any, seen: torch.Tensor, output: torch.Tensor, timestep: Any) -> torch.Tensor:  # noqa: ANN401
    """What the model takes the clean latent to be, where the scheduler's step does not say.

    The model sees x = alpha x0 + sigma e with alpha^2 + sigma^2 = 1, whatever scale the scheduler counts in. With its
    output o: x0 = (x - sigma o) / alpha for `epsilon`, alpha x - sigma o for `v_prediction`, o for `sample`.
    Source: Salimans and Ho 2022, "Progressive distillation" (arXiv 2202.00512), appendix D.

    Args:
        scheduler: a diffusers scheduler, its step for this output just taken.
        seen: the latent as the model saw it.
        output: the model's answer.
        timestep: it was asked at.
    """
    alpha, sigma = _signal(scheduler, timestep)
    kind = scheduler.config.prediction_type
    if kind == "epsilon":
        output = (seen - sigma * output) / alpha
    elif kind == "v_prediction":
        output = alpha * seen - sigma * output
    return output


def pull(scheduler: Any, difference: torch.Tensor, timestep: Any) -> float:  # noqa: ANN401
    """How hard the prompt pulls at a step: the Euclidean norm of eps(z, prompt) - eps(z, no words), over the latent.

    It tends to be greater over memorized prompts, from the first step on. It grows with the latent's size and differs
    from model to model, so it says something beside other prompts of the same generator alone. What other models answer
    with becomes noise by the algebra of `predicted_clean`, in which the latent, being the same, cancels out.
    Source: Wen et al. 2024 (arXiv 2407.21720), as the authors' code computes it (before guidance scales it).

    Args:
        scheduler: a diffusers scheduler, its step just taken.
        difference: of the U-Net's two answers (1, channels, h, w), before guidance scales it.
        timestep: they were asked at.
    """
    kind = scheduler.config.prediction_type
    norm = float(difference.float().norm())
    if kind == "epsilon":
        return norm
    alpha, sigma = _signal(scheduler, timestep)
    return norm * alpha if kind == "v_prediction" else norm * alpha / sigma


def _signal(scheduler: Any, timestep: Any) -> tuple[float, float]:  # noqa: ANN401
    """Shares of picture and noise, alpha and sigma, in what the model saw at the step just taken."""
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is not None and getattr(scheduler, "step_index", None):
        ratio = float(sigmas[scheduler.step_index - 1])  # sigma / alpha
        return (1 + ratio**2) ** -0.5, ratio * (1 + ratio**2) ** -0.5
    kept = getattr(scheduler, "alphas_cumprod", None)
    if kept is None:
        raise ModelError(f"scheduler {type(scheduler).__name__}: expected one that Stable Diffusion is sampled with")
    power = float(kept[int(timestep)])
    return power**0.5, (1 - power) ** 0.5


class _Guided:
    """The U-Net with the prompt bound, and classifier-free guidance where the recipe asks for it."""

    def __init__(self, pipeline: Any, recipe: Recipe, device: torch.device) -> None:  # noqa: ANN401
        import torch

        self._unet = pipeline.unet
        self._guidance = recipe.guidance
        self._is_negated = bool(recipe.negative)
        # A U-Net with a guidance embedding was distilled from a guided one, and is told the scale in place of it.
        width = self._unet.config.time_cond_proj_dim
        self._twice = recipe.guidance > 1 and width is None
        words, no_words = pipeline.encode_prompt(
            recipe.prompt, device, 1, self._twice, negative_prompt=recipe.negative or None
        )
        self._words = torch.cat([no_words, words]) if self._twice else words
        self._scale = None
        if width is not None:
            self._scale = pipeline.get_guidance_scale_embedding(torch.tensor([recipe.guidance - 1]), width).to(device)

    def __call__(self, seen: torch.Tensor, timestep: torch.Tensor) -> _Prediction:
        batch = seen.expand(len(self._words), -1, -1, -1)
        output: torch.Tensor = self._unet(
            batch, timestep, encoder_hidden_states=self._words, timestep_cond=self._scale, return_dict=False
        )[0]
        if not self._twice:
            return _Prediction(output, None)
        without, with_words = output.chunk(2)
        difference = with_words - without
        return _Prediction(without + self._guidance * difference, None if self._is_negated else difference)


def _shape(pipeline: Any, recipe: Recipe) -> tuple[int, int, int, int]:  # noqa: ANN401
    factor = 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
    assert recipe.height and recipe.width
    return 1, pipeline.unet.config.in_channels, recipe.height // factor, recipe.width // factor
