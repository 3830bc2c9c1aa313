"""Generation: the same picture from the same seed, followed step by step to its place."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from small_atlas import SmallAtlas
from tiny_models import CLIP_DIM, SIDE, build_lora

from explorer.atlas import Atlas
from explorer.errors import Cancelled, ModelError, QueryError
from explorer.generate import OTHER_VAE, Generator, StepImage, png_bytes
from explorer.models.clip import ClipModel
from explorer.models.denoising import Denoising
from explorer.models.generator import GeneratorModel
from explorer.models.vae import VaeModel
from explorer.recipes import check_recipe
from explorer.records import Recipe
from explorer.report import folder as report

Make = Callable[..., Atlas]


@pytest.fixture(scope="module")
def make_atlas(
    tiny_pipeline_dir: Path, tiny_clip_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Write a small atlas that names the tiny models."""

    def make(generator: Path = tiny_pipeline_dir) -> Path:
        models = {
            "clip": ClipModel.load(str(tiny_clip_dir), "cpu").describe(),
            "vae": VaeModel.load(str(tiny_pipeline_dir), "cpu").describe(),
            "generator": {"reference": str(generator)},
        }
        atlas = SmallAtlas(dims={"clip": CLIP_DIM, "vae": 256}, extra_meta={"models": models})
        return atlas.write(tmp_path_factory.mktemp("atlas") / "tiny")

    return make


@pytest.fixture(scope="module")
def atlas(make_atlas: Callable[..., Path]) -> Atlas:
    return Atlas.open(make_atlas())


@pytest.fixture(scope="module")
def generator(atlas: Atlas) -> Generator:
    return Generator.load(None, atlas, device="cpu")


def test_the_loop_is_diffusers_own(tiny_pipeline_dir: Path) -> None:
    """Prompt, negative prompt, guidance and seed end in the very latent that diffusers' pipeline ends in."""
    model = GeneratorModel.load(str(tiny_pipeline_dir), device="cpu")
    recipe = Recipe("a cat", "a dog", seed=3, steps=4, guidance=5.0, width=SIDE, height=SIDE)
    model.pipeline.set_progress_bar_config(disable=True)
    theirs = model.pipeline(
        recipe.prompt, negative_prompt=recipe.negative, num_inference_steps=4, guidance_scale=5.0,
        generator=torch.Generator().manual_seed(3), output_type="latent",
    ).images  # fmt: skip
    ours = list(model.denoise(recipe))
    torch.testing.assert_close(ours[-1].clean, theirs, rtol=0, atol=0)
    assert [each.step for each in ours] == [1, 2, 3, 4, 5]  # PNDM takes one step more than it is asked for


SCHEDULERS = [
    ("DDIMScheduler", {"clip_sample": False}),
    ("DDIMScheduler", {"clip_sample": False, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}),
    ("PNDMScheduler", {"skip_prk_steps": True}),
    ("EulerDiscreteScheduler", {}),
    ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
    ("EulerAncestralDiscreteScheduler", {}),
    ("HeunDiscreteScheduler", {}),
    ("DPMSolverMultistepScheduler", {}),
    ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True, "algorithm_type": "sde-dpmsolver++"}),
    ("DPMSolverSinglestepScheduler", {}),
    ("UniPCMultistepScheduler", {}),
    ("LMSDiscreteScheduler", {}),
]


class Knowing(torch.nn.Module):
    """A U-Net that knows the clean latent and answers as a perfect model would."""

    def __init__(self, clean: torch.Tensor, kind: str, scheduler: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.clean, self.kind = clean, kind
        self.config = SimpleNamespace(in_channels=4, time_cond_proj_dim=None)
        self.kept = scheduler.alphas_cumprod.double()

    def forward(self, seen: torch.Tensor, timestep: torch.Tensor, **_: object) -> tuple[torch.Tensor]:
        """Answer in the kind of prediction asked for."""
        power = self.kept[int(timestep)]
        alpha, sigma = power.sqrt().float(), (1 - power).sqrt().float()
        noise = (seen - alpha * self.clean) / sigma
        return (
            {"epsilon": noise, "v_prediction": alpha * noise - sigma * self.clean, "sample": self.clean}[self.kind],
        )


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        (name, options, kind)
        for name, options in SCHEDULERS
        for kind in ("epsilon", "v_prediction")
        # Where a schedule ends in noise alone, the noise says nothing of the picture: nobody trains such a model.
        if not (kind == "epsilon" and "rescale_betas_zero_snr" in options)
    ],
)
def test_the_clean_latent_of_every_scheduler(tiny_pipeline_dir: Path, name: str, options: dict, kind: str) -> None:
    """With a model that knows the answer, the predicted clean latent is the answer at every step of every scheduler."""
    model = GeneratorModel.load(str(tiny_pipeline_dir), device="cpu")
    settings = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "prediction_type": kind}
    scheduler = getattr(diffusers, name)(**settings, **options)
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    pipeline = SimpleNamespace(
        scheduler=scheduler, unet=Knowing(clean, kind, scheduler), vae=model.pipeline.vae,
        encode_prompt=lambda *_, **__: (torch.zeros(1, 77, 32), None),
        prepare_extra_step_kwargs=lambda noise, _: {"generator": noise} if "Ancestral" in name else {},
    )  # fmt: skip
    recipe = Recipe("a cat", steps=4, guidance=0, width=SIDE, height=SIDE)  # 999, 666, 333, 0: all whole timesteps
    way = list(Denoising(pipeline, recipe, torch.device("cpu")))
    assert len(way) >= 4
    for each in way[:-1]:  # the last is where the scheduler's own arithmetic came to
        torch.testing.assert_close(each.clean, clean, rtol=0, atol=0.02)


def test_every_step_is_decoded_and_placed(generator: Generator, atlas: Atlas) -> None:
    """Each step has its preview, its place on both maps and its nearest training picture, by brute force."""
    seen: list[StepImage] = []
    made = generator.generate(generator.recipe("a cat", steps=3, seed=1), on_step=seen.append)
    assert [each.step for each in seen] == [1, 2, 3, 4] and seen[0].steps == 4
    assert made.steps == tuple(each.trajectory for each in seen) and made.image == made.previews[-1]
    clip = generator._models.clip()
    space = atlas.space("clip")
    for preview, step in zip(made.previews, made.steps, strict=True):
        assert preview.size == (SIDE, SIDE) and np.isfinite(list(step.points.values())).all()
        similarity = space.vectors.astype(np.float32) @ clip.embed_pictures([preview])[0]
        best = similarity[atlas.train].max()
        assert step.similarity["clip"] == pytest.approx(best, abs=1e-3)
        assert similarity[atlas.row(step.nearest["clip"])] == pytest.approx(best, abs=1e-3)


def test_a_shared_vae_is_followed_by_its_latents(generator: Generator, atlas: Atlas) -> None:
    """In `vae` the step's own latent is asked for, not the decoded picture; the landing says so and has no note."""
    assert generator.shares_vae
    recipe = generator.recipe("a cat", steps=2, seed=1)
    made = generator.generate(recipe)
    latent = list(generator._model.denoise(recipe))[-1].clean
    vector = generator._model.vae.pool_latents(latent)[0] - atlas.space("vae").mean
    similarity = atlas.space("vae").vectors.astype(np.float32) @ (vector / np.linalg.norm(vector))
    assert made.landing.spaces["vae"].via == "latent" and made.landing.spaces["clip"].via == "picture"
    assert made.landing.spaces["vae"].hits[0].similarity == pytest.approx(similarity[atlas.train].max(), abs=1e-3)
    assert made.landing.notes == ()
    # The way ends where the picture lands.
    assert made.steps[-1].points == {name: each.point for name, each in made.landing.spaces.items()}


def test_another_vae_is_located_through_its_pictures(atlas: Atlas, tiny_turbo_dir: Path) -> None:
    """A generator whose VAE differs from the atlas's is encoded anew in `vae`, and the answer says so."""
    other = Generator.load(str(tiny_turbo_dir), atlas, device="cpu")
    assert not other.shares_vae
    assert (other.default_steps, other.default_guidance) == (4, 0.0)
    made = other.generate(other.recipe("a cat"))
    assert len(made.steps) == 4
    assert OTHER_VAE in made.landing.notes and made.landing.spaces["vae"].via == "picture"


def test_the_same_seed_is_the_same_picture_everywhere(
    generator: Generator, tiny_pipeline_file: Path, make_atlas: Callable[..., Path]
) -> None:
    """Another process, and the single file in place of the folder, give the same pixels; another seed does not."""
    code = """
import sys
from explorer.atlas import Atlas
from explorer.generate import Generator
generator = Generator.load(sys.argv[2], Atlas.open(sys.argv[1]), device="cpu")
sys.stdout.buffer.write(generator.generate(generator.recipe("a cat", steps=2, seed=7)).image.tobytes())
"""
    there = subprocess.run(
        [sys.executable, "-c", code, str(make_atlas()), str(tiny_pipeline_file)], capture_output=True, check=True,
        timeout=200, env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    ).stdout  # fmt: skip
    here = generator.generate(generator.recipe("a cat", steps=2, seed=7))
    assert len(there) == SIDE * SIDE * 3
    assert there == here.image.tobytes()
    assert generator.generate(generator.recipe("a cat", steps=2, seed=8)).image.tobytes() != there
    assert png_bytes(generator.generate(here.recipe)) == png_bytes(here)


def test_prompt_guidance_and_negative_all_count(generator: Generator) -> None:
    """Changing any part of a recipe changes the picture; guidance up to 1 is none at all."""
    plain = generator.recipe("a cat", steps=2, guidance=4.0)
    changes: list[dict[str, Any]] = [
        {}, {"prompt": "a dog"}, {"negative": "grey"}, {"guidance": 9.0}, {"steps": 3}, {"guidance": 0.0}
    ]  # fmt: skip
    recipes = [dataclasses.replace(plain, **change) for change in changes]
    latents = [list(generator._model.denoise(recipe))[-1].clean.numpy().tobytes() for recipe in recipes]
    assert len(set(latents)) == len(changes)
    without = [list(generator._model.denoise(dataclasses.replace(plain, guidance=g)))[-1].clean for g in (0.0, 1.0)]
    torch.testing.assert_close(*without, rtol=0, atol=0)


def test_cancel_stops_within_a_step(generator: Generator) -> None:
    """Asked to stop after the second step, the U-Net is not asked again."""
    calls: list[int] = []
    handle = generator._model.pipeline.unet.register_forward_hook(lambda *_: calls.append(1))
    seen: list[StepImage] = []
    try:
        with pytest.raises(Cancelled):
            generator.generate(
                generator.recipe("a cat", steps=20), on_step=seen.append, cancelled=lambda: len(seen) >= 2
            )
        assert (len(seen), len(calls)) == (2, 2)
        with pytest.raises(Cancelled):
            generator.generate(generator.recipe("a cat"), cancelled=lambda: True)
        assert len(calls) == 2
    finally:
        handle.remove()


def test_two_runs_at_once_do_not_disturb_each_other(generator: Generator) -> None:
    """Schedulers keep state; interleaved runs of one model give what each gives alone."""
    recipes = [generator.recipe("a cat", steps=3, seed=seed) for seed in (1, 2)]
    alone = [list(generator._model.denoise(recipe))[-1].clean for recipe in recipes]
    together = list(zip(*(generator._model.denoise(recipe) for recipe in recipes), strict=True))[-1]
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one, other.clean, rtol=0, atol=0)


def test_a_lora_changes_the_picture(
    atlas: Atlas, generator: Generator, tiny_pipeline_dir: Path, tmp_path: Path
) -> None:
    """A LoRA's file on the same generator makes another picture, and the recipe names it; the VAE is still shared."""
    file = build_lora(tmp_path / "style.safetensors", tiny_pipeline_dir)
    styled = Generator.load(None, atlas, lora=str(file), device="cpu")
    made = styled.generate(styled.recipe("a cat", steps=2, seed=7))
    assert made.recipe.lora == str(file) and styled.shares_vae and styled.revision == generator.revision
    assert made.image.tobytes() != generator.generate(generator.recipe("a cat", steps=2, seed=7)).image.tobytes()


def test_a_lora_that_does_not_fit_is_refused(tiny_pipeline_dir: Path, tiny_clip_dir: Path, tmp_path: Path) -> None:
    """A file that is no LoRA, or one whose layers the generator lacks, is refused in one line."""
    from safetensors.torch import save_file

    strange = tmp_path / "strange.safetensors"
    save_file({f"unet.nowhere.lora_{each}.weight": torch.ones(2, 2) for each in "AB"}, strange)
    for file in (strange, tiny_clip_dir / "open_clip_model.safetensors"):
        with pytest.raises(ModelError, match=r"safetensors: ") as e:
            GeneratorModel.load(str(tiny_pipeline_dir), lora=str(file), device="cpu")
        assert "\n" not in str(e.value)
    with pytest.raises(ModelError, match="expected one .safetensors file"):
        GeneratorModel.load(str(tiny_pipeline_dir), lora=str(tmp_path), device="cpu")


def test_another_pipeline_is_refused(tiny_pipeline_dir: Path, tmp_path: Path) -> None:
    """A pipeline of another class is refused by name before its weights are read."""
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(ModelError, match=r"it is a FluxPipeline; expected diffusers' StableDiffusionPipeline"):
        GeneratorModel.load(str(tmp_path), device="cpu")


def test_a_cut_prompt_is_told(generator: Generator) -> None:
    """The words past the text model's 77 tokens are named in the landing's notes."""
    made = generator.generate(generator.recipe("x " * 80 + "tail", steps=1))
    assert any(
        note.startswith("The prompt is longer") and "tail" in note.replace(" ", "") for note in made.landing.notes
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompt": "x" * 2001}, "prompt: expected 1 to 2,000 characters, found 2,001"),
        ({"prompt": "  "}, "prompt: expected 1 to 2,000 characters"),
        ({"negative": "x" * 2001}, "prompt: expected 1 to 2,000 characters, found 2,001"),
        ({"seed": -1}, "seed: expected 0 to 4,294,967,295, found -1"),
        ({"seed": 2**32}, "seed: expected 0 to 4,294,967,295"),
        ({"steps": 0}, "steps: expected 1 to 150, found 0"),
        ({"steps": 151}, "steps: expected 1 to 150, found 151"),
        ({"guidance": 30.5}, "guidance: expected 0 to 30"),
        ({"guidance": float("nan")}, "guidance: expected 0 to 30"),
        ({"width": 100}, "width: expected a multiple of 8 from 32 to 1024, found 100"),
        ({"height": 4096}, "height: expected a multiple of 8 from 32 to 1024, found 4096"),
    ],
)
def test_a_recipe_has_bounds(change: dict[str, Any], words: str) -> None:
    """Each value of a recipe is held against its bounds, and the message names value and bounds."""
    check_recipe(dataclasses.replace(Recipe("a cat"), seed=2**32 - 1, steps=150, guidance=30.0, width=1024))
    with pytest.raises(QueryError, match=words):
        check_recipe(dataclasses.replace(Recipe("a cat"), **change))


def test_other_sizes(generator: Generator) -> None:
    """A recipe may ask for another size than the generator's own, square or not."""
    made = generator.generate(dataclasses.replace(generator.recipe("a cat", steps=1), width=64, height=40))
    assert made.image.size == (64, 40)


def test_the_picture_says_what_it_is(generator: Generator) -> None:
    """The PNG holds the recipe, no folder of this machine, and IPTC's mark for generated pictures in valid XMP."""
    made = generator.generate(generator.recipe('a "cat" 猫\n<b>', steps=1))
    with Image.open(io.BytesIO(png_bytes(made))) as image:
        image.load()
        assert image.tobytes() == made.image.tobytes()
        recipe = json.loads(image.text["recipe"])
        packet = image.text["XML:com.adobe.xmp"]
    assert Recipe.of(recipe) == dataclasses.replace(made.recipe, generator=Path(generator.reference).name)
    assert str(Path(generator.reference).parent) not in png_bytes(made).decode("latin-1")
    (mark,) = ET.fromstring(packet.lstrip("\ufeff")).iter(
        "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
    )
    assert mark.text == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def test_a_report_appears_whole(generator: Generator, tmp_path: Path) -> None:
    """The folder has the picture, a numbered picture a step, and a report that names them."""
    made = generator.generate(generator.recipe("a cat", steps=2))
    told = report.write_report(tmp_path / "deep/out", made, generator)
    names = sorted(path.relative_to(tmp_path / "deep/out").as_posix() for path in (tmp_path / "deep/out").rglob("*.*"))
    assert names == [
        "picture.png", "report.html", "report.json", "steps/0001.png", "steps/0002.png", "steps/0003.png", "way.webm"
    ]  # fmt: skip
    kept = json.loads((tmp_path / "deep/out/report.json").read_text())
    assert kept == json.loads(json.dumps({**told, "image": "picture.png"}))
    assert kept["recipe"]["seed"] == 0 and kept["landing"]["verdict"]["name"]
    assert [step["image"] for step in kept["trajectory"]] == names[3:-1]
    assert all(1 <= each["family"] <= 3 for each in kept["decided"].values())
    with Image.open(tmp_path / "deep/out/steps/0003.png") as last:
        assert last.tobytes() == made.image.tobytes()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_a_report_overwrites_nothing(generator: Generator, tmp_path: Path) -> None:
    """A folder with anything in it is refused and left as it was; an empty one is taken."""
    made = generator.generate(generator.recipe("a cat", steps=1))
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(QueryError, match="holds something already; expected a new or empty folder"):
        report.write_report(tmp_path, made, generator)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "empty").mkdir()
    report.write_report(tmp_path / "empty", made, generator)
    assert (tmp_path / "empty/report.json").is_file()


@pytest.fixture
def failing_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The third file of a report cannot be written; the list has the files that were tried."""
    tried: list[Path] = []
    real = report.write_atomic

    def write(path: Path, data: bytes) -> None:
        tried.append(path)
        if len(tried) == 3:
            raise OSError(28, "No space left on device")
        real(path, data)

    monkeypatch.setattr(report, "write_atomic", write)
    yield tried


def test_a_full_disk_leaves_no_half_report(generator: Generator, tmp_path: Path, failing_disk: list[Path]) -> None:
    """When a write fails in the middle, neither the folder nor anything beside it is left."""
    made = generator.generate(generator.recipe("a cat", steps=2))
    with pytest.raises(QueryError, match=r"cannot be written \(No space left on device\)"):
        report.write_report(tmp_path / "out", made, generator)
    assert len(failing_disk) == 3
    assert list(tmp_path.iterdir()) == []
