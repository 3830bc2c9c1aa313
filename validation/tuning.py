"""The demo's generator, taught a few pictures more, so that it is known what influenced what it draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from diffusers import UNet2DConditionModel

from explorer.models.generator import GeneratorModel
from indexer.demo.corpus import DemoCorpus
from indexer.demo.generator import objective
from indexer.demo.loop import LoopOptions, Training
from validation.world import Rows, World

STEPS, BATCH, LEARNING_RATE, WARMUP = 200, 16, 3e-4, 20
NO_LIMIT = 24 * 60.0
"""Minutes: the steps alone say when it is enough, so that a seed means one result on one machine."""


def generator() -> GeneratorModel:
    """The demo's generator as it is shipped, on the CPU, whose results a GPU would not repeat."""
    return GeneratorModel.load("demo", device="cpu")


def tuned(world: World, rows: Rows, folder: Path, seed: int, steps: int = STEPS) -> GeneratorModel:
    """The demo's generator after some hundred steps on a few pictures, by the loss that it was trained with.

    Args:
        world: has the pictures and their texts.
        rows: int64 (k,), the pictures.
        folder: keeps checkpoints; where it has one of a call that was stopped, the training goes on from there.
        seed: of batches, prompts and noise.
        steps: how many.
    """
    pictures = np.stack([np.asarray(world.picture(int(row))) for row in rows])
    taught = DemoCorpus(tuple(world.entries[row] for row in rows), pictures)
    model = generator()
    unet = model.pipeline.unet.train().requires_grad_(True)
    options = LoopOptions(NO_LIMIT, LEARNING_RATE, steps=steps, warmup=WARMUP, seed=seed, save_minutes=1)

    def publish(average: UNet2DConditionModel) -> None:
        model.pipeline.unet = average.eval()

    Training(unet, options, folder).run(objective(taught, model.pipeline, BATCH), publish)
    return model
