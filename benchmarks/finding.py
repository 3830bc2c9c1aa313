"""How many planted copies of training pictures are found, and how many other pictures are called copies.

`python -m benchmarks.finding ATLAS` prints the tables of docs/copies.md, out of the demo's atlas and its own models.
The rule's numbers were chosen on the families with even codes; what is printed is of the odd ones alone.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.planted import PLANTS
from explorer import copies
from explorer.fingerprints import View, near, questions
from explorer.library import Atlas
from explorer.models.generator import GeneratorModel
from explorer.models.loader import Models
from explorer.nearest import VectorIndex
from explorer.records import Split
from explorer.search import picture_vectors

PICTURES, GENERATED, BATCH = 60, 80, 16
MILLION, REPEATS = 1_000_000, 20
DEPTH = 15
"""The nearest of each space that join the candidates."""
SAME = 0.1
"""Where the worst cell differs by less, a picture is drawn like another to the line."""

Rows = npt.NDArray[np.int64]
NOBODY: Rows = np.empty(0, np.int64)


def main() -> None:
    """Measure and print."""
    atlas = Atlas.open(sys.argv[1])
    scanned(shown(atlas, 0))
    planted(atlas, Models(atlas))
    strangers(atlas, Models(atlas))


def scanned(picture: Image.Image) -> None:
    """Print what comparing a picture's hashes with those of a million pictures takes."""
    hashes = np.random.default_rng(0).integers(1, 2**63, (MILLION, len(View)), dtype=np.uint64)
    spent = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        found = near(hashes, questions(picture), copies.REACH)
        spent.append(time.perf_counter() - began)
    count = sum(len(each.rows) for each in found)
    print(f"{statistics.median(spent) * 1e3:.1f} ms (median) to ask {MILLION:,} random hashes; {count} come near.\n")


def planted(atlas: Atlas, models: Models) -> None:
    """Print the share of copies of each kind that are found: by hash alone, and with the spaces' nearest."""
    rows = one_a_family(atlas, atlas.train)[:PICTURES]
    originals = [shown(atlas, row) for row in rows]
    spent: list[float] = []
    print("| copy | called a copy | by hash alone | of the picture that it is of |\n|---|---:|---:|---:|")
    for name, change in PLANTS.items():
        pictures = [change(original) for original in originals]
        alone = [bool(copies.find(atlas, picture, NOBODY)) for picture in pictures]
        called, right = [], []
        for row, picture, around in zip(rows, pictures, nearest(atlas, models, pictures), strict=True):
            began = time.thread_time()
            found = atlas.rows([match.id for match in copies.find(atlas, picture, around)])
            spent.append(time.thread_time() - began)
            called.append(len(found) > 0)
            right.append(bool((atlas.families[found] == atlas.families[row]).any()))
        print(f"| {name} | {np.mean(called):.1%} | {np.mean(alone):.1%} | {np.mean(right):.1%} |", flush=True)
    print(
        f"\n{len(rows)} pictures of {len(rows)} families; {statistics.median(spent) * 1e3:.1f} ms a picture (median).\n"
    )


def strangers(atlas: Atlas, models: Models) -> None:
    """Print how many held-out and generated pictures are called copies."""
    heldout = [shown(atlas, row) for row in one_a_family(atlas, ~atlas.train)]
    for name, pictures in (("held-out", heldout), ("generated", generated(atlas))):
        found = []
        for picture, around in zip(pictures, nearest(atlas, models, pictures), strict=True):
            overlaps = [laid.overlap for laid in copies.laid_over(atlas, picture, around) if laid.overlap is not None]
            found.append(min((each.worst for each in overlaps if copies.is_copy(each)), default=np.inf))
        called, same = np.isfinite(found), np.array(found) < SAME
        print(
            f"Of {len(pictures)} {name} pictures {called.sum()} ({called.mean():.1%}) are called copies; "
            f"{same.sum()} of them agree to the line, the others ({(called & ~same).mean():.1%}) nearly."
        )


def one_a_family(atlas: Atlas, among: npt.NDArray[np.bool_]) -> list[int]:
    """Rows in a random order, one of each family with an odd code."""
    chance = np.random.default_rng(0)
    rows = chance.permutation(np.flatnonzero(among & (atlas.families % 2 == 1)))
    firsts = np.unique(atlas.families[rows], return_index=True)[1]
    return rows[np.sort(firsts)].tolist()


def nearest(atlas: Atlas, models: Models, pictures: Sequence[Image.Image]) -> list[Rows]:
    """The training pictures nearest to each picture, of all spaces together."""
    found = []
    for space in atlas.spaces:
        vectors = picture_vectors(atlas, models, space, list(pictures))
        found.append(VectorIndex.open(atlas, space).search(vectors, DEPTH, atlas.allowed(Split.TRAIN))[1])
    return list(np.concatenate(found, axis=1))


def generated(atlas: Atlas) -> list[Image.Image]:
    """Pictures that the demo's generator makes of captions of training pictures, each of another family."""
    model = GeneratorModel.load("demo")
    model.pipeline.set_progress_bar_config(disable=True)
    captions = [atlas.record(int(atlas.ids[row])).caption for row in one_a_family(atlas, atlas.train)[:GENERATED]]
    return [picture for start in range(0, len(captions), BATCH) for picture in made(model, captions, start)]


def made(model: GeneratorModel, captions: Sequence[str], start: int) -> Iterable[Image.Image]:
    """The pictures of some captions; a caption's seed is its place."""
    import torch

    part = list(captions[start : start + BATCH])
    seeds = [torch.Generator().manual_seed(start + place) for place in range(len(part))]
    side = model.defaults.side
    asked = {"num_inference_steps": model.defaults.steps, "guidance_scale": model.defaults.guidance}
    pictures: list[Image.Image] = model.pipeline(part, generator=seeds, width=side, height=side, **asked).images
    return pictures


def shown(atlas: Atlas, row: int) -> Image.Image:
    """A picture of the corpus, as large as its thumbnail."""
    return Image.open(io.BytesIO(atlas.thumbnail(int(atlas.ids[row])))).convert("RGB")


if __name__ == "__main__":
    main()
