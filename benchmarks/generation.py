"""One generated picture, by part."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks import atlases
from benchmarks.parts import Part
from benchmarks.rows import Row, held, milliseconds, timed
from explorer.atlas import Atlas
from explorer.generate import Generator
from explorer.models.generator import GeneratorModel
from explorer.models.loader import Models
from explorer.provenance import locate
from explorer.records import Recipe

STEPS = 25
REPEATS = 5


def measure() -> Iterator[Row]:
    """A picture of 25 steps with everything the page shows of it, the pipeline's own loop, and the landing alone."""
    atlas = Atlas.open(atlases.demo())
    start = time.perf_counter()
    generator = Generator.load(None, atlas)
    models = Models(atlas)
    models.clip()
    yield Row("loading the models, libraries included", f"{time.perf_counter() - start:.1f} s")
    recipe = Recipe(prompt="red apple", steps=STEPS)
    made = [generator.generate(recipe)]
    whole = timed(lambda: made.append(generator.generate(recipe)), REPEATS, warmup=1)
    model = GeneratorModel.load("demo")
    pipeline = timed(lambda: bare(model, recipe), REPEATS, warmup=1)
    yield Row(
        f"a picture of {STEPS} steps: previews, trajectory and landing included",
        f"{whole.p50:.2f} s",
        f"diffusers' pipeline alone {pipeline.p50:.2f} s",
        whole.p50 / pipeline.p50,
        f"the picture in at most 2 s: {held(pipeline.p50, 2.0)}; all of it: {held(whole.p50, 2.0)}",
    )
    landing = timed(lambda: locate(atlas, models, made[-1].image), 20)
    encoding = timed(
        lambda: (models.clip().embed_pictures([made[-1].image]), models.vae().pooled([made[-1].image])), 20
    )
    yield Row(
        "locating a picture in both spaces",
        milliseconds(landing.p50),
        f"encoding it alone {milliseconds(encoding.p50)}",
        landing.p50 / encoding.p50,
    )


def bare(model: GeneratorModel, recipe: Recipe) -> object:
    """The same picture by diffusers' own loop, nothing else done."""
    import torch

    return model.pipeline(
        recipe.prompt,
        num_inference_steps=recipe.steps,
        guidance_scale=recipe.guidance,
        generator=torch.Generator("cpu").manual_seed(recipe.seed),
    )


PARTS = (Part("generation/demo", measure),)
