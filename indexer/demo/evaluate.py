"""Every figure of docs/demo-models.md, made anew: `python -m indexer.demo.evaluate`.

Writes figures.json and the pictures to docs/demo-models/, and the tables into the marked part of docs/demo-models.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from PIL import Image

from explorer.models.clip import ClipModel
from explorer.records import Split
from indexer.demo import report, sheets
from indexer.demo.corpus import LANGUAGES, DemoCorpus
from indexer.demo.loop import LOG
from indexer.demo.measure import bearers, draw_evenly, family_hits, nearest, psnr, tag_hits
from indexer.demo.train import CLIP, GENERATOR, MODELS
from indexer.demo.vae import encode_means, to_pixels
from indexer.demo.weights import save_json

PROMPTS, STEPS, GUIDANCE, SEED = 200, 25, 4.0, 0
GRID, SHEET = 64, 32
PARTS = ("vae", "clip", "generator")

Figures = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A caption of the corpus, and what the generator made of it."""

    row: int
    prompt: str
    picture: Image.Image


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, measure, and write the documentation."""
    parser = argparse.ArgumentParser(prog="python -m indexer.demo.evaluate", description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--runs", type=Path, default=Path("runs/demo"), help="where the losses for the curves are")
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 = as torch decides")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    pictures = options.docs / "demo-models"
    pictures.mkdir(parents=True, exist_ok=True)
    figures = measure(DemoCorpus.load(), options.models, pictures)
    draw_curves(options.runs, pictures)
    save_json(figures, pictures / "figures.json")
    report.insert(figures, options.docs / "demo-models.md")


def measure(corpus: DemoCorpus, models: Path, pictures: Path) -> Figures:
    """All figures; the contact sheets go to the folder `pictures`."""
    clip = ClipModel.load(f"local-dir:{models / CLIP}", "cpu")
    vectors = clip.embed_pictures([Image.fromarray(picture) for picture in corpus.pictures])
    pipeline = StableDiffusionPipeline.from_pretrained(models / GENERATOR, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return {
        "corpus": count(corpus),
        "megabytes": round(sum(path.stat().st_size for path in models.rglob("*") if path.is_file()) / 1e6, 1),
        "clip": measure_clip(corpus, clip, vectors),
        "vae": measure_vae(corpus, pipeline.vae, pictures),
        "generator": measure_generator(corpus, clip, vectors, pipeline, pictures),
        "speed": measure_speed(pipeline),
    }


def count(corpus: DemoCorpus) -> Figures:
    """Pictures and families, in all and held out."""
    heldout = corpus.only(Split.HELDOUT)
    return {
        "pictures": len(corpus.rows),
        "families": len(corpus.members),
        "heldout_pictures": len(heldout.rows),
        "heldout_families": len(heldout.members),
    }


def measure_clip(corpus: DemoCorpus, clip: ClipModel, vectors: np.ndarray, every: int = 1) -> Figures:
    """Shares of captions and tags whose family, or bearer, is among the ten nearest pictures of the whole corpus.

    Args:
        corpus: all pictures.
        clip: embeds the texts.
        vectors: float32 (n, d), the pictures' embeddings.
        every: take every so many-th caption and tag.
    """
    figures: Figures = {}
    for language in LANGUAGES:
        rows = np.array([index for index, row in enumerate(corpus.rows) if language in row.captions])[::every]
        found = nearest(clip.embed_texts([corpus.rows[row].captions[language] for row in rows]), vectors)
        hits = family_hits(found, corpus.families, corpus.families[rows])
        borne = dict(list(bearers(corpus, language).items())[::every])
        tagged = tag_hits(nearest(clip.embed_texts(list(borne)), vectors), list(borne.values()))
        figures[language] = {"captions": len(rows), "family_at_10": share(hits)}
        figures[language] |= {"tags": len(borne), "tag_at_10": share(tagged)}
    total = sum(figures[language]["tags"] for language in LANGUAGES)
    right = sum(figures[language]["tags"] * figures[language]["tag_at_10"] for language in LANGUAGES)
    return figures | {"tag_at_10": round(right / total, 4)}


def measure_vae(corpus: DemoCorpus, vae: AutoencoderKL, pictures: Path) -> Figures:
    """Reconstruction through the posterior's mean, both splits; a sheet of faces, original above reconstruction."""
    decoded = reconstruct(vae, corpus.pictures)
    quality = psnr(decoded, corpus.pictures)
    faces = [index for index, row in enumerate(corpus.rows) if row.group == "smileys & emotion"][: 2 * SHEET]
    sheet = sheets.pair_sheet(corpus.pictures[faces], decoded[faces], columns=16)
    sheet.quantize(255).save(pictures / "faces.png", optimize=True)
    low, high = np.percentile(quality, [5, 95])
    heldout = np.array([row.split is Split.HELDOUT for row in corpus.rows])
    return {
        "psnr": decibel(quality.mean()),
        "psnr_heldout": decibel(quality[heldout].mean()),
        "psnr_5th": decibel(low),
        "psnr_95th": decibel(high),
    }


@torch.inference_mode()
def reconstruct(vae: AutoencoderKL, pictures: np.ndarray) -> np.ndarray:
    """Encode and decode: uint8 (n, 64, 64, 3) to the same."""
    means = encode_means(vae, to_pixels(pictures))
    pixels = torch.cat([vae.decode(part).sample for part in means.split(64)])
    return ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def measure_generator(
    corpus: DemoCorpus, clip: ClipModel, vectors: np.ndarray, pipeline: StableDiffusionPipeline, pictures: Path
) -> Figures:
    """Captions drawn evenly over the groups, one seed each, nothing selected; for both splits, and in Chinese."""
    figures: Figures = {"prompts": PROMPTS, "steps": STEPS, "guidance": GUIDANCE}
    for name, split, language in (
        ("train", Split.TRAIN, "en"),
        ("train_zh", Split.TRAIN, "zh"),
        ("heldout", Split.HELDOUT, "en"),
    ):
        rows = [index for index, row in enumerate(corpus.rows) if row.split is split and language in row.captions]
        drawn = [rows[place] for place in draw_evenly([corpus.rows[row] for row in rows], PROMPTS, SEED)]
        asked = generate(pipeline, drawn, [corpus.rows[row].captions[language] for row in drawn])
        found = nearest(clip.embed_pictures([each.picture for each in asked]), vectors)
        hits = family_hits(found, corpus.families, corpus.families[drawn])
        figures[name] = {"prompts": len(asked), "family_at_10": share(hits), "family_at_1": first(corpus, found, drawn)}
        if language == "en":
            shown = asked[: GRID if split is Split.TRAIN else SHEET]
            sheet = sheets.contact_sheet([each.picture for each in shown], [each.prompt for each in shown], columns=8)
            sheet.quantize(255).save(pictures / f"grid-{name}.png", optimize=True)
    return figures


def generate(pipeline: StableDiffusionPipeline, rows: list[int], prompts: list[str], batch: int = 20) -> list[Asked]:
    """One picture a prompt; the seed is the prompt's place in the list."""
    asked = []
    for start in range(0, len(prompts), batch):
        part = prompts[start : start + batch]
        seeds = [torch.Generator().manual_seed(SEED + start + place) for place in range(len(part))]
        made = pipeline(part, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=seeds).images
        asked += [Asked(*each) for each in zip(rows[start : start + batch], part, made, strict=True)]
    return asked


def measure_speed(pipeline: StableDiffusionPipeline, runs: int = 5) -> Figures:
    """Seconds for one picture with guidance: the median of some runs after a first one."""
    seconds = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        pipeline("red heart", num_inference_steps=STEPS, guidance_scale=GUIDANCE)
        seconds.append(time.perf_counter() - began)
    figures = {"steps": STEPS, "seconds": round(statistics.median(seconds[1:]), 2)}
    return figures | {"threads": torch.get_num_threads(), "cores": os.cpu_count()}


def draw_curves(runs: Path, pictures: Path) -> None:
    """The losses of the three trainings; those without a log are left out."""
    panels = []
    for part in PARTS:
        path = runs / part / LOG
        if path.is_file():
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            steps, losses = (np.array([line[key] for line in lines], float) for key in ("step", "loss"))
            panels.append(sheets.curve(part, steps, losses))
    if panels:
        sheets.side_by_side(panels).quantize(32).save(pictures / "curves.png", optimize=True)


def first(corpus: DemoCorpus, found: np.ndarray, rows: list[int]) -> float:
    """Share whose nearest picture is of the family."""
    return share(family_hits(found[:, :1], corpus.families, corpus.families[rows]))


def share(hits: np.ndarray) -> float:
    """A share to four places."""
    return round(float(hits.mean()), 4)


def decibel(value: float) -> float:
    """Decibels to two places."""
    return round(float(value), 2)


if __name__ == "__main__":
    main()
