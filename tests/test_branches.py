"""Branches: a way from noise turns off at a step, with new noise, and is the same way up to there."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from test_generate import SCHEDULERS, Knowing
from tiny_models import SIDE

from explorer import denylist
from explorer.atlas import Atlas
from explorer.denylist import DenyKind, Takedown
from explorer.errors import QueryError, UsageError
from explorer.generate import Generator, StepImage
from explorer.layout import AtlasPaths
from explorer.models.denoising import Denoising
from explorer.models.generator import GeneratorModel
from explorer.models.legs import legs
from explorer.recipes import check_recipe, fan
from explorer.records import Branch, Recipe

SETTINGS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@pytest.fixture(scope="module")
def model(tiny_pipeline_dir: Path) -> GeneratorModel:
    return GeneratorModel.load(str(tiny_pipeline_dir), device="cpu")


@pytest.fixture(scope="module")
def generator(tiny_atlas: Path) -> Generator:
    return Generator.load(None, Atlas.open(tiny_atlas), device="cpu")


def recipe(*branches: tuple[int, int], steps: int = 6) -> Recipe:
    turns = tuple(Branch(*each) for each in branches)
    return Recipe("a cat", seed=3, steps=steps, guidance=2.0, width=SIDE, height=SIDE, branches=turns)


def cleans(way: Any) -> list[torch.Tensor]:
    return [each.clean for each in way]


def test_ways_part_at_their_branch(model: GeneratorModel) -> None:
    """Up to the branch all ways are one, bit by bit; after it each seed goes its own, the same each time it is gone."""
    trunk = cleans(model.denoise(recipe()))
    ways = [cleans(model.denoise(recipe((3, seed)))) for seed in (1, 2, 1)]
    for way in ways:
        for one, other in zip(way[:3], trunk[:3], strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)
    last = {each[-1].numpy().tobytes() for each in (trunk, *ways)}
    assert len(last) == 3  # the third way is the first again
    twice = cleans(model.denoise(recipe((3, 1), (5, 9))))
    torch.testing.assert_close(twice[4], ways[0][4], rtol=0, atol=0)
    assert twice[-1].numpy().tobytes() not in last


def test_known_steps_are_not_taken_again(model: GeneratorModel) -> None:
    """From remembered steps a branch comes to the very same latent, and the U-Net is asked for its own steps alone."""
    trunk = list(model.denoise(recipe()))
    calls: list[int] = []
    handle = model.pipeline.unet.register_forward_hook(lambda *_: calls.append(1))
    try:
        whole = list(model.denoise(recipe((4, 8))))
        asked = len(calls)
        resumed = list(model.denoise(recipe((4, 8)), trunk[:4]))
    finally:
        handle.remove()
    assert (asked, len(calls) - asked) == (len(whole), len(whole) - 4)
    for one, other in zip(whole, resumed, strict=True):
        assert (one.step, one.steps, one.timestep) == (other.step, other.steps, other.timestep)
        torch.testing.assert_close(one.clean, other.clean, rtol=0, atol=0)


@pytest.mark.parametrize(("name", "options"), SCHEDULERS)
@pytest.mark.parametrize("step", [1, 2, 3])
def test_every_scheduler_goes_on_from_a_branch(
    model: GeneratorModel, name: str, options: dict[str, Any], step: int
) -> None:
    """With a model that knows the answer, a way with a branch at any step ends in the answer, by every scheduler."""
    kind = "v_prediction"
    scheduler = getattr(diffusers, name)(**SETTINGS, prediction_type=kind, **options)
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    pipeline = SimpleNamespace(
        scheduler=scheduler, unet=Knowing(clean, kind, scheduler), vae=model.pipeline.vae,
        encode_prompt=lambda *_, **__: (torch.zeros(1, 77, 32), None),
        prepare_extra_step_kwargs=lambda noise, _: {"generator": noise} if "Ancestral" in name else {},
    )  # fmt: skip
    asked = dataclasses.replace(recipe((step, 5), steps=10), guidance=0)
    denoising = Denoising(pipeline, asked, torch.device("cpu"))
    way = list(denoising)
    assert [each.step for each in way] == list(range(1, len(denoising) + 1))
    for each in way[:-1]:  # the last is where the scheduler's own arithmetic came to
        torch.testing.assert_close(each.clean, clean, rtol=0, atol=0.02)
    torch.testing.assert_close(way[-1].clean, clean, rtol=0, atol=0.15)
    times = [each.timestep for each in way]
    assert times == sorted(times, reverse=True)


def test_the_noise_of_a_branch_is_that_of_its_step(model: GeneratorModel) -> None:
    """Where a branch begins, what is seen is sqrt(abar) of the step's picture and sqrt(1 - abar) of its own noise."""
    asked = dataclasses.replace(recipe((2, 7), steps=5), guidance=0)
    scheduler = diffusers.DDIMScheduler(**SETTINGS, clip_sample=False)
    seen: list[tuple[torch.Tensor, float]] = []
    pipeline = model.pipeline
    fake = SimpleNamespace(
        scheduler=scheduler, unet=pipeline.unet, vae=pipeline.vae, encode_prompt=pipeline.encode_prompt,
        prepare_extra_step_kwargs=lambda *_: {},
    )  # fmt: skip
    handle = pipeline.unet.register_forward_pre_hook(lambda _, given: seen.append((given[0].clone(), float(given[1]))))
    try:
        way = list(Denoising(fake, asked, torch.device("cpu")))
    finally:
        handle.remove()
    latent, timestep = seen[2]
    power = float(scheduler.alphas_cumprod[int(timestep)])
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(latent, power**0.5 * way[1].clean + (1 - power) ** 0.5 * noise)


@pytest.mark.parametrize(
    ("branches", "words"),
    [
        (((7, 1),), "branch: found step 7; expected 1 to 6 on this way"),
        (((90, 1),), "branch: found step 90"),
        (((3, 1), (8, 1)), "branch: found step 8; expected 4 to 7"),
    ],
)
def test_a_branch_needs_something_left_to_denoise(
    model: GeneratorModel, branches: tuple[tuple[int, int], ...], words: str
) -> None:
    """A branch at or past the last step is refused, with the steps that there are."""
    scheduler = model.pipeline.scheduler.from_config(model.pipeline.scheduler.config)
    scheduler.set_timesteps(6)  # PNDM: seven steps
    with pytest.raises(QueryError, match=words):
        legs(scheduler, recipe(*branches))


@pytest.mark.parametrize(
    ("branches", "words"),
    [
        (((0, 1),), "expected a step after step 0, found 0"),
        (((3, 1), (3, 2)), "expected a step after step 3, found 3"),
        (((3, -1),), "expected a seed from 0 to 4,294,967,295, found -1"),
        (tuple((step, 1) for step in range(1, 11)), "at most 8 one after the other, found 10"),
    ],
)
def test_branches_have_bounds(branches: tuple[tuple[int, int], ...], words: str) -> None:
    """Branches follow each other, their seeds are seeds, and there are not too many."""
    with pytest.raises(QueryError, match=words):
        check_recipe(recipe(*branches))


def test_what_branches_the_command_line_asks_for() -> None:
    """The last turn fans out into a way a seed; the turns before it are common to all."""
    assert fan([]) == ()
    assert fan(["10:1,2"]) == ((Branch(10, 1),), (Branch(10, 2),))
    assert fan(["5:7", "10:1,2"]) == ((Branch(5, 7), Branch(10, 1)), (Branch(5, 7), Branch(10, 2)))
    for texts in (["10"], ["a:1"], ["1:"], ["1:2,"], ["-1:2"], ["5:1,2", "10:3"]):
        with pytest.raises(UsageError, match="--branch: found"):
            fan(texts)


def test_a_generator_remembers_the_way_that_branches_turn_off(generator: Generator) -> None:
    """After a picture its branches cost their own steps alone, tell all steps, and share what came before the turn."""
    plain = generator.recipe("a cat", steps=6, seed=2, guidance=0)
    trunk = generator.generate(plain)
    calls: list[int] = []
    handle = generator._model.pipeline.unet.register_forward_hook(lambda *_: calls.append(1))
    try:
        for seed in (1, 2, 3):
            seen: list[StepImage] = []
            branch = dataclasses.replace(plain, branches=(Branch(4, seed),))
            made = generator.generate(branch, on_step=seen.append)
            assert made.steps[:4] == trunk.steps[:4] and made.steps[4:] != trunk.steps[4:]
            assert [each.step for each in seen] == list(range(1, len(made.steps) + 1))
            assert {each.steps for each in seen} == {len(made.steps)}
            assert made.recipe.branches == (Branch(4, seed),)
            assert len(calls) == seed * (len(made.steps) - 4)
    finally:
        handle.remove()
    other = Generator(generator._atlas, generator._model, generator._models)
    assert other.generate(branch).image.tobytes() == made.image.tobytes()


def test_remembered_steps_forget_what_was_taken_down(tiny_atlas: Path, tmp_path: Path) -> None:
    """A branch of a way whose nearest picture was taken down since is made, and tells of that picture at no step."""
    atlas = Atlas.open(Path(shutil.copytree(tiny_atlas, tmp_path / "atlas")))
    generator = Generator.load(None, atlas, device="cpu")
    plain = generator.recipe("a cat", steps=6, seed=2, guidance=0)
    trunk = generator.generate(plain)
    gone = trunk.steps[1].nearest["clip"]
    denylist.add(AtlasPaths(atlas.path), [Takedown(DenyKind.KEY, atlas.record(gone).key)])
    seen: list[StepImage] = []
    made = generator.generate(dataclasses.replace(plain, branches=(Branch(4, 1),)), on_step=seen.append)
    for step in (*made.steps, *(each.trajectory for each in seen)):
        assert gone not in {each.id for near in step.neighbors.values() for each in near} | set(step.nearest.values())
    for before, after in zip(trunk.steps[:4], made.steps[:4], strict=True):
        others = [each for each in before.neighbors["clip"] if each.id != gone]
        assert list(after.neighbors["clip"][: len(others)]) == others


def test_a_takedown_while_a_picture_is_made_ends_nothing(tiny_atlas: Path, tmp_path: Path) -> None:
    """What was nearest at a step may be taken down before the last: the picture comes, and its way is silent of it."""
    atlas = Atlas.open(Path(shutil.copytree(tiny_atlas, tmp_path / "atlas")))
    generator = Generator.load(None, atlas, device="cpu")
    gone: list[int] = []

    def take_down(image: StepImage) -> None:
        if not gone:
            gone.append(image.trajectory.nearest["clip"])
            denylist.add(AtlasPaths(atlas.path), [Takedown(DenyKind.KEY, atlas.record(gone[0]).key)])

    made = generator.generate(generator.recipe("a cat", steps=3, seed=2, guidance=0), on_step=take_down)
    told = {each.id for step in made.steps for near in step.neighbors.values() for each in near}
    assert gone and gone[0] not in told


def test_a_recipe_survives_json() -> None:
    """A recipe with branches, and one from before there were any, come back from JSON as they were."""
    import json

    whole = recipe((3, 1), (5, 2))
    assert Recipe.of(json.loads(json.dumps(dataclasses.asdict(whole)))) == whole
    old = {key: value for key, value in dataclasses.asdict(recipe()).items() if key != "branches"}
    assert Recipe.of(old) == recipe()
