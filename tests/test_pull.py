"""How hard a prompt pulls at every step: Wen's signal, out of the calls that guidance makes anyway."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from tiny_models import SIDE

from explorer.models.denoising import pull
from explorer.models.generator import GeneratorModel
from explorer.records import Recipe

RECIPE = Recipe("a cat", seed=3, steps=4, guidance=5.0, width=SIDE, height=SIDE)


@pytest.fixture(scope="module")
def model(tiny_pipeline_dir: Path) -> GeneratorModel:
    return GeneratorModel.load(str(tiny_pipeline_dir), device="cpu")


def test_the_pull_is_the_norm_of_what_the_prompt_changes(model: GeneratorModel) -> None:
    """At every step it is the norm of the two answers' difference, and the model is asked no more often."""
    answers: list[torch.Tensor] = []
    handle = model.pipeline.unet.register_forward_hook(lambda _, __, output: answers.append(output[0]))
    try:
        steps = list(model.denoise(RECIPE))
    finally:
        handle.remove()
    assert len(answers) == len(steps) == 5  # PNDM takes one step more than it is asked for
    for answer, step in zip(answers, steps, strict=True):
        without, with_words = answer.double()
        assert step.pull == pytest.approx(float(((with_words - without) ** 2).sum().sqrt()), rel=1e-5)
        assert step.pull is not None and step.pull > 0


def test_guidance_does_not_scale_it(model: GeneratorModel) -> None:
    """At the first step, where the latent is the same, it is the same whatever the guidance."""
    first = [next(iter(model.denoise(replace(RECIPE, guidance=scale)))).pull for scale in (2.0, 9.0)]
    assert first[0] == pytest.approx(first[1], rel=1e-6)


@pytest.mark.parametrize("change", [{"guidance": 0.0}, {"guidance": 1.0}, {"negative": "a dog"}])
def test_there_is_none_without_no_words(model: GeneratorModel, change: dict[str, Any]) -> None:
    """Without guidance the model is never asked without words; a negative prompt takes the place of no words."""
    assert {step.pull for step in model.denoise(replace(RECIPE, **change))} == {None}


@pytest.mark.parametrize("name", ["DDIMScheduler", "EulerDiscreteScheduler"])
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_every_kind_of_answer_becomes_noise(name: str, kind: str) -> None:
    """The pull of velocities and of pictures is that of the noises that they mean at the same latent."""
    scheduler = getattr(diffusers, name)(prediction_type=kind, beta_schedule="scaled_linear")
    scheduler.set_timesteps(4)
    timestep = scheduler.timesteps[1]
    noise = torch.Generator().manual_seed(0)
    seen, one, other = (torch.randn(1, 4, 8, 8, generator=noise, dtype=torch.float64) for _ in range(3))
    for each in scheduler.timesteps[:2]:  # as far as the step whose answers these are
        scheduler.scale_model_input(seen, each)
        scheduler.step(torch.zeros_like(seen), each, seen)
    power = float(torch.cumprod(1 - scheduler.betas.double(), 0)[int(timestep)])
    alpha, sigma = power**0.5, (1 - power) ** 0.5

    def as_noise(answer: torch.Tensor) -> torch.Tensor:
        return {
            "epsilon": answer,
            "v_prediction": alpha * answer + sigma * seen,
            "sample": (seen - alpha * answer) / sigma,
        }[kind]

    expected = float((as_noise(one) - as_noise(other)).norm())
    assert pull(scheduler, one - other, timestep) == pytest.approx(expected, rel=1e-4)
