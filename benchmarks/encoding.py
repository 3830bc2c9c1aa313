"""Encoding: the whole stage against its parts measured alone, and on a GPU against its own best pass."""

from __future__ import annotations

import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import open_clip
import torch
from diffusers import AutoencoderKL
from PIL import Image
from safetensors.torch import save_file

from benchmarks.parts import Part
from benchmarks.rows import Row, held
from explorer.decoding import Workers, cores
from explorer.models.clip import ClipModel
from explorer.models.vae import VaeModel
from indexer.encoding import encode
from indexer.encoding.batches import MOST, Batches
from indexer.encoding.encode import EncodeOptions
from indexer.encoding.encoders import ClipEncoder, Encoder, VaeEncoder
from indexer.encoding.prepared import prepare
from indexer.encoding.reading import SourceReader, Work
from indexer.encoding.timings import Timings
from indexer.sources.base import Source, SourceRow
from indexer.sources.folder import FolderSource
from indexer.sources.openmoji import OpenMojiSource

T = TypeVar("T")
PICTURES = 1024
ROUNDS = 3
GPU_PICTURES = 8192
SD15_VAE = {
    "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4, "sample_size": 512,
    "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4,
}  # fmt: skip
"""The architecture of Stable Diffusion 1.5's autoencoder."""
CLIPS = ("ViT-B-32", "ViT-L-14")
NOTE = """Measured with OMP_WAIT_POLICY=PASSIVE, as the command line sets it. Runs of this code: 0.99, 1.19, 1.08,
1.14, and 1.16 below. In two runs that were watched the cores were idle for at most 3 % of any half
second, but for the first (11 %) and the last four seconds (up to 15 %); the same decoding took 14.8 and
17.1 s of processor time beside the models, against 12.8 to 13.7 s with the machine to itself. No GPU was
at hand."""
"""What must be known to read the table."""


def measure() -> Iterator[Row]:
    """Every row that this machine can give."""
    yield from cpu_rows()
    if torch.cuda.is_available():
        yield from gpu_rows("cuda", GPU_PICTURES)


@dataclass(frozen=True, slots=True)
class Job:
    """Rows of a source, to be encoded."""

    source: Source
    rows: Sequence[SourceRow]
    encoders: Sequence[Encoder]
    options: EncodeOptions = EncodeOptions()

    def run(self, folder: Path) -> tuple[float, Timings]:
        """Encode and save all, as a build does; seconds on the clock, and where they went."""
        shards = [self.rows[part] for part in encode.cut(self.rows, self.options)]
        timings, total = Timings(), Timings()
        spaces = [encoder.space for encoder in self.encoders]
        started = time.perf_counter()
        with Workers(preload=("indexer.encoding.prepared", self.source.decoder.__module__)) as workers:
            works = [Work(rows, SourceReader(self.source)) for rows in shards]
            outcomes = encode.encode(
                works, self.source.decoder, self.encoders, self.options, workers=workers, timings=timings
            )
            for number, rows in enumerate(shards):
                (shard := folder / str(number)).mkdir(parents=True)
                encode.save(shard, islice(outcomes, len(rows)), spaces, timings)
                total.add(encode.load(shard).timings)
        return time.perf_counter() - started, total


def cpu_rows() -> Iterator[Row]:
    """The demo's corpus and models on the CPU; rounds of the parts and of the stage take turns."""
    source = OpenMojiSource()
    listed = list(source.rows())
    rows = listed[:: max(1, len(listed) // PICTURES)][:PICTURES]
    encoders = (ClipEncoder(ClipModel.load("demo", "cpu")), VaeEncoder(VaeModel.load("demo", "cpu")))
    job = Job(source, rows, encoders)
    alone: list[dict[str, float]] = []
    whole: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(ROUNDS):
            alone.append(parts(job, Path(folder) / f"parts {turn}"))
            whole.append(job.run(Path(folder) / f"stage {turn}")[0])
    median = {part: float(np.median([each[part] for each in alone])) for part in alone[0]}
    for part, seconds in median.items():
        yield Row(f"{part} alone, {len(rows):,} pictures of the demo", f"{seconds:.2f} processor seconds")
    least, seconds = sum(median.values()) / cores(), float(np.median(whole))
    yield Row(
        f"the whole stage on {cores()} cores",
        f"{seconds:.2f} s, {len(rows) / seconds:.1f} pictures/s",
        f"its parts alone, divided by the cores: {least:.2f} s",
        seconds / least,
        f"at most 1.10: {held(seconds / least, 1.10)}",
    )


def parts(job: Job, folder: Path) -> dict[str, float]:
    """Processor seconds of reading, decoding, models and writing, one after the other and nothing beside them."""
    spent: dict[str, float] = {}

    def timed(part: str, call: Callable[[], T]) -> T:
        started = time.process_time()
        result = call()
        spent[part] = time.process_time() - started
        return result

    sides = sorted({encoder.side for encoder in job.encoders})
    files = timed("reading", lambda: [job.source.read(row) for row in job.rows])
    pictures = timed("decoding", lambda: [prepare(job.source.decoder, sides, job.options.thumbnail, f) for f in files])
    batches = [Batches(encoder, job.options.batch) for encoder in job.encoders]
    stacks = {side: np.stack([picture.squares[side] for picture in pictures]) for side in sides}
    vectors = timed("models", lambda: [each.vectors(stacks[each.encoder.side]) for each in batches])
    spaces = [encoder.space for encoder in job.encoders]
    outcomes = [
        encode.Outcome(
            row.key, sha256=picture.sha256, phash=picture.phash, width=picture.width, height=picture.height,
            thumbnail=picture.thumbnail, vectors=dict(zip(spaces, found, strict=True)),
        )
        for row, picture, *found in zip(job.rows, pictures, *vectors, strict=True)
    ]  # fmt: skip

    def write() -> None:
        for part in encode.cut(job.rows, job.options):
            (shard := folder / str(part.start)).mkdir(parents=True)
            encode.save(shard, outcomes[part], spaces, Timings())

    timed("writing", write)
    return spent


def gpu_rows(device: str, count: int) -> Iterator[Row]:
    """Random weights in the architectures of SD 1.5's VAE and of two CLIPs; each alone, then the stage with both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vae = VaeEncoder(VaeModel.load(str(random_vae(folder / "vae")), device))
        clips = [ClipEncoder(ClipModel.load(str(random_clip(arch, folder / arch)), device)) for arch in CLIPS]
        for called, encoder in (("SD 1.5's VAE at 512 px", vae), *zip(CLIPS, clips, strict=True)):
            yield alone_row(called, encoder)
        source = FolderSource(photographs(folder / "photographs", count))
        seconds, timings = Job(source, list(source.rows()), (clips[0], vae)).run(folder / "shards")
    busy = timings.model.wall / seconds
    yield Row(
        f"the whole stage with the VAE and {CLIPS[0]}, {count:,} JPEGs of 640 x 512",
        f"{seconds:.1f} s, {count / seconds:.0f} pictures/s",
        f"the models alone {timings.model.wall:.1f} s",
        seconds / timings.model.wall,
        f"the model is busy at least 90 % of it: {held(-busy, -0.9)} ({busy:.0%})",
    )


def alone_row(called: str, encoder: Encoder) -> Row:
    """The pass at the batch size that is found, against the best over all sizes."""
    rates = {size: rate for size in (2**power for power in range(MOST.bit_length())) if (rate := passes(encoder, size))}
    best = max(rates, key=lambda size: rates[size])
    found = Batches(encoder).size
    reached = rates.get(found) or passes(encoder, found)
    return Row(
        f"{called}, batches of {found}",
        f"{reached:,.0f} pictures/s",
        f"the best of all sizes, {best}: {rates[best]:,.0f}",
        reached / rates[best],
        f"at least 0.95: {held(-reached / rates[best], -0.95)}",
    )


def passes(encoder: Encoder, size: int, seconds: float = 1.0) -> float:
    """Pictures a second in batches of a size, 0 where there is no room; the median of a second's passes."""
    squares = np.random.default_rng(0).integers(0, 255, (size, encoder.side, encoder.side, 3), np.uint8)
    batches = Batches(encoder, size)
    batches.vectors(squares)
    if batches.size < size:
        return 0.0
    taken: list[float] = []
    while sum(taken) < seconds:
        started = time.perf_counter()
        batches.vectors(squares)
        taken.append(time.perf_counter() - started)
    return size / float(np.median(taken))


def random_vae(folder: Path) -> Path:
    """Save an untrained autoencoder in diffusers' layout."""
    torch.manual_seed(0)
    AutoencoderKL(**SD15_VAE).save_pretrained(folder, safe_serialization=True)
    return folder


def random_clip(architecture: str, folder: Path) -> Path:
    """Save an untrained CLIP in open_clip's layout."""
    folder.mkdir()
    torch.manual_seed(0)
    model = open_clip.create_model(architecture, pretrained=None)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    config = {"model_cfg": open_clip.get_model_config(architecture)}
    prepare_cfg = open_clip.get_model_preprocess_cfg(model)
    config["preprocess_cfg"] = {name: prepare_cfg[name] for name in ("mean", "std")}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


def photographs(folder: Path, count: int) -> Path:
    """Write JPEGs with the detail of photographs: soft spots and a little noise."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        spots = Image.fromarray(rng.integers(0, 255, (10, 8, 3), np.uint8)).resize((640, 512), Image.Resampling.BICUBIC)
        noisy = np.asarray(spots, np.int16) + rng.integers(-12, 12, (512, 640, 1))
        data = io.BytesIO()
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(data, "JPEG", quality=85)
        (folder / f"{number:05d}.jpg").write_bytes(data.getvalue())
    return folder


PARTS = (Part("encoding/stage", measure, minutes=3),)
