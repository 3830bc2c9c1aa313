"""Vectors to measure with, in chunks that are kept: of a real distribution, and drawn ones; and sources made of them.

`python -m benchmarks.vectors clip 1000000` makes the chunks beforehand; an interrupted run goes on.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tomli_w

from benchmarks import texts
from benchmarks.parts import RUNS
from explorer.layout import replacing, write_array, write_atomic, write_table
from explorer.models.clip import ClipModel
from indexer.demo.corpus import DemoCorpus, caption

Vectors = npt.NDArray[np.float16]

CHUNK = 20_000
BATCH = 500
DIM = 512
"""The demo CLIP's."""
HELDOUT = 0.01
GROUPS, FINE, INTRINSIC = 128, 4, 12
"""Synthetic: groups, the finer groups of each, and the dimensions of every finer group."""
SPREAD, APART, NOISE = 0.45, 0.5, 0.25
"""Synthetic: lengths within a finer group, of the finer ones to their group, and of the noise; a group's is 1."""


class Data(StrEnum):
    """Where vectors come from."""

    CLIP = "clip"
    TEXT = "text"
    SYNTHETIC = "synthetic"

    @property
    def says(self) -> str:
        """How a table names it."""
        return {Data.CLIP: "demo's CLIP", Data.TEXT: "sentences", Data.SYNTHETIC: "synthetic"}[self]

    @property
    def most(self) -> int:
        """How many there can be: sentences are few, pictures are changed by chance as often as is needed."""
        return 200_000 if self is Data.TEXT else 100_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Vectors and what each shows.

    Attributes:
        vectors: float16 (20,000, 512), unit length.
        rows: int64 (20,000,), the number of what is shown: a picture of the demo, a sentence, or a finer group.
    """

    vectors: Vectors
    rows: npt.NDArray[np.int64]


def chunk(data: Data, number: int) -> Chunk:
    """One chunk, made where it is not kept; the same number is the same chunk."""
    path = _file(data, number)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = {Data.CLIP: _augmented, Data.TEXT: _read, Data.SYNTHETIC: _drawn}[data](number)
        with replacing(path.with_suffix(".rows")) as handle:
            np.save(handle, made.rows)
        write_array(path, made.vectors)
    with path.with_suffix(".rows").open("rb") as handle:
        rows = np.load(handle, allow_pickle=False)
    return Chunk(np.load(path, mmap_mode="r", allow_pickle=False), rows)


def unit_vectors(data: Data, n: int) -> Vectors:
    """The first n vectors, float16 (n, 512), unit length."""
    vectors = np.empty((n, DIM), np.float16)
    for number, start in enumerate(range(0, n, CHUNK)):
        vectors[start : start + CHUNK] = chunk(data, number).vectors[: n - start]
    return vectors


def source(data: Data, n: int) -> Path:
    """The manifest of an `embeddings` source of the first n vectors; chunks are linked, not copied."""
    folder = RUNS / "sources" / f"{data}-{n}"
    manifest = folder / "manifest.toml"
    if manifest.exists():
        return manifest
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "img_emb").mkdir(parents=True)
    for number, start in enumerate(range(0, n, CHUNK)):
        part, count = chunk(data, number), min(CHUNK, n - start)
        target = folder / "img_emb" / f"img_emb_{number:04d}.npy"
        if count < CHUNK or not _linked(_file(data, number), target):
            np.save(target, part.vectors[:count])
        write_table(folder / "metadata" / f"metadata_{number:04d}.parquet", _told(data, number, part.rows[:count]))
    write_atomic(manifest, tomli_w.dumps(_manifest(data, n)).encode())
    return manifest


def _manifest(data: Data, n: int) -> dict[str, Any]:
    return {
        "kind": "embeddings",
        "path": ".",
        "title": f"{n:,} vectors, {data.says}",
        "models": {"clip": "demo"},
        "split": {"share": HELDOUT, "seed": 0},
    }


def _told(data: Data, number: int, rows: npt.NDArray[np.int64]) -> pa.Table:
    """What a metadata file says of a chunk's rows."""
    places = [f"{number:04d}/{row:06d}" for row in range(len(rows))]
    words = _captions(data)
    return pa.table(
        {
            "image_path": places,
            "caption": [words(int(row)) for row in rows],
            "url": [f"https://pictures.example/{place}.png" for place in places],
        }
    )


@cache
def _captions(data: Data) -> Callable[[int], str]:
    if data is Data.SYNTHETIC:
        return lambda row: f"kind {row // FINE}, shade {row % FINE}"
    if data is Data.TEXT:
        return texts.sentences().__getitem__
    shown = [f"{caption(row, 'en')}, {row.group}" for row in _corpus().rows]
    return shown.__getitem__


@cache
def _corpus() -> DemoCorpus:
    return DemoCorpus.load()


@cache
def _clip() -> ClipModel:
    return ClipModel.load("demo", "cpu")


def _augmented(number: int) -> Chunk:
    """The demo's CLIP over pictures of the demo, each shifted, blurred, colored, noisy or compressed by chance."""
    import torch

    from indexer.demo.augment import augment

    model, rng = _clip(), np.random.default_rng(number)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (model.mean, model.std))
    pictures, vectors, rows = _corpus().pictures, [], []
    for _ in range(CHUNK // BATCH):
        rows.append(rng.integers(0, len(pictures), BATCH))
        squares = ((augment(pictures[rows[-1]], rng) + 1) / 2 - mean) / std
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            vectors.append(model.model.encode_image(squares, normalize=True).float().numpy())
    return Chunk(_unit(np.concatenate(vectors)), np.concatenate(rows))


def _read(number: int) -> Chunk:
    """The sentence model over real sentences, each once."""
    rows = np.arange(number * CHUNK, (number + 1) * CHUNK)
    found = texts.sentences()
    if len(found) < rows[-1] + 1:
        raise ValueError(f"found {len(found):,} sentences; expected {rows[-1] + 1:,}: ask for fewer vectors")
    return Chunk(_unit(texts.embedded([found[row] for row in rows])), rows)


def _drawn(number: int) -> Chunk:
    """Groups of finer groups, each of a few dimensions of its own, with noise in all."""
    shape, rng = _shape(), np.random.default_rng((1, number))
    rows = rng.integers(0, GROUPS * FINE, CHUNK)
    vectors = shape.centers[rows]
    for place, basis in enumerate(shape.bases):
        members = np.flatnonzero(rows // FINE == place)
        vectors[members] += SPREAD * rng.standard_normal((len(members), INTRINSIC), np.float32) @ basis
    vectors += rng.standard_normal(vectors.shape, np.float32) * np.float32(NOISE / DIM**0.5)
    return Chunk(_unit(vectors), rows)


@dataclass(frozen=True, slots=True, eq=False)
class _Shape:
    """What the synthetic vectors lie around.

    Attributes:
        centers: float32 (GROUPS x FINE, 512), of the finer groups.
        bases: float32 (GROUPS, INTRINSIC, 512), the directions in which a group is wide; a step along all is about 1.
    """

    centers: npt.NDArray[np.float32]
    bases: npt.NDArray[np.float32]


@cache
def _shape() -> _Shape:
    rng = np.random.default_rng((0, GROUPS))

    def directions(*shape: int) -> npt.NDArray[np.float32]:
        drawn = rng.standard_normal((*shape, DIM), np.float32)
        return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)

    fine = directions(GROUPS, 1) + APART * directions(GROUPS, FINE)
    return _Shape(fine.reshape(-1, DIM), directions(GROUPS, INTRINSIC) / np.float32(INTRINSIC**0.5))


def _unit(vectors: npt.NDArray[np.float32]) -> Vectors:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def _file(data: Data, number: int) -> Path:
    return RUNS / "vectors" / data / f"{number:04d}.npy"


def _linked(file: Path, target: Path) -> bool:
    """Link a file, where the file system can."""
    with suppress(OSError):
        os.link(file, target)
        return True
    return False


def _progress(data: Data, n: int) -> Iterator[str]:
    for number in range(-(-n // CHUNK)):
        chunk(data, number)
        yield f"{data}: {min(n, (number + 1) * CHUNK):,} of {n:,} vectors\n"


if __name__ == "__main__":
    for line in _progress(Data(sys.argv[1]), int(sys.argv[2])):
        sys.stderr.write(line)
