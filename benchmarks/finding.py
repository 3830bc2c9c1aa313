"""How many planted copies are found by their hashes alone, in the whole corpus, and what that takes.

`python -m benchmarks.finding ATLAS` prints the table of docs/copies.md out of the demo's atlas. What the verdict makes
of copies and of other pictures is in docs/validation.md. The rule's numbers were chosen on families with even codes;
what is printed is of odd ones alone.
"""

from __future__ import annotations

import io
import statistics
import sys
import time

import numpy as np
from PIL import Image

from benchmarks.planted import PLANTS
from explorer import copies
from explorer.atlas import Atlas
from explorer.fingerprints import View, near, questions

PICTURES = 60
MILLION, REPEATS = 1_000_000, 20
NOBODY = np.empty(0, np.int64)


def main() -> None:
    """Measure and print."""
    atlas = Atlas.open(sys.argv[1])
    planted(atlas)
    scanned(shown(atlas, 0))


def planted(atlas: Atlas) -> None:
    """Print the share of copies of each kind that are called copies, and of the picture that they are of."""
    rows = one_a_family(atlas)[:PICTURES]
    print("| copy | called a copy | of its own picture | ms (median) |\n|---|---:|---:|---:|")
    for name, change in PLANTS.items():
        called, right, spent = [], [], []
        for row in rows:
            picture = change(shown(atlas, row))
            began = time.thread_time()
            found = atlas.rows([match.id for match in copies.find(atlas, picture, NOBODY)])
            spent.append(time.thread_time() - began)
            called.append(len(found) > 0)
            right.append(bool((atlas.families[found] == atlas.families[row]).any()))
        taken = f"{statistics.median(spent) * 1e3:.1f}"
        print(f"| {name} | {np.mean(called):.1%} | {np.mean(right):.1%} | {taken} |", flush=True)
    print(f"\n{len(rows)} pictures of {len(rows)} families.")


def scanned(picture: Image.Image) -> None:
    """Print what comparing a picture's hashes with those of a million pictures takes."""
    hashes = np.random.default_rng(0).integers(1, 2**63, (MILLION, len(View)), dtype=np.uint64)
    asked, spent = questions(picture), []
    for _ in range(REPEATS):
        began = time.perf_counter()
        near(hashes, asked, copies.REACH)
        spent.append(time.perf_counter() - began)
    print(f"{len(asked)} questions to {MILLION:,} random hashes: {statistics.median(spent) * 1e3:.1f} ms (median).")


def one_a_family(atlas: Atlas) -> list[int]:
    """Training rows in a random order, one of each family with an odd code."""
    chance = np.random.default_rng(0)
    rows = chance.permutation(np.flatnonzero(atlas.train & (atlas.families % 2 == 1)))
    chosen: list[int] = rows[np.sort(np.unique(atlas.families[rows], return_index=True)[1])].tolist()
    return chosen


def shown(atlas: Atlas, row: int) -> Image.Image:
    """A picture of the corpus, as large as its thumbnail."""
    return Image.open(io.BytesIO(atlas.thumbnail(int(atlas.ids[row])))).convert("RGB")


if __name__ == "__main__":
    main()
