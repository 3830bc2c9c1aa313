"""How many copies of a picture are known as such, and how many other pictures are taken for copies.

`python -m benchmarks.copies ATLAS` prints a table for docs/reliability.md, out of the demo's atlas and its own CLIP.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

from benchmarks.planted import recoded, trimmed
from explorer.library import Atlas
from explorer.models.loader import Models
from explorer.pictures import hamming, perceptual_hash, phash_bits
from indexer.families import FamilyOptions, near_pairs

PICTURES = 250

Pictures = list[Image.Image]


def main() -> None:
    """Measure and print."""
    atlas, options = Atlas.open(sys.argv[1]), FamilyOptions()
    print(f"| copy | known within {options.bits} bits and cosine {options.similarity:g} |\n|---|---:|")
    for name, share in copies(atlas, options).items():
        print(f"| {name} | {share:.1%} |")
    joined, pairs = strangers(atlas, options)
    print(f"\nOf {pairs:,} pairs of different families {joined:,} are taken for copies ({joined / pairs:.4%}).")


def copies(atlas: Atlas, options: FamilyOptions) -> dict[str, float]:
    """Kind of copy -> share of copies that are known."""
    chosen = np.random.default_rng(0).choice(atlas.ids, PICTURES, replace=False)
    originals = [Image.open(io.BytesIO(atlas.thumbnail(int(each)))).convert("RGB") for each in chosen]
    models = Models(atlas)
    before = vectors(models, originals)
    known = {}
    for name, change in CHANGES.items():
        changed = [change(original) for original in originals]
        near = (vectors(models, changed) * before).sum(axis=1) >= options.similarity
        same = [
            hamming(perceptual_hash(one), perceptual_hash(other)) <= options.bits
            for one, other in zip(originals, changed, strict=True)
        ]
        known[name] = float((near & np.array(same)).mean())
    return known


def strangers(atlas: Atlas, options: FamilyOptions) -> tuple[int, int]:
    """How many pairs of different families are taken for copies, and how many pairs there are."""
    hashes = phash_bits([record.phash or "0" * 16 for record in atlas.records(atlas.ids)])
    order = np.argsort(hashes, kind="stable")
    unique, place = np.unique(hashes, return_inverse=True)
    rows = [np.flatnonzero(place == number) for number in range(len(unique))]
    pairs = [(one, other) for each in rows for one in each for other in each if one < other]
    near = near_pairs(unique, options.bits)
    pairs += [(one, other) for left, right in near for one in rows[left] for other in rows[right]]
    left, right = np.array(pairs).T
    space = np.asarray(atlas.space("clip").vectors, dtype=np.float32)
    alike = np.einsum("ij,ij->i", space[left], space[right]) >= options.similarity
    apart = atlas.families[left] != atlas.families[right]
    sizes = np.bincount(atlas.families)
    count = len(order) * (len(order) - 1) // 2 - int((sizes * (sizes - 1) // 2).sum())
    return int((alike & apart).sum()), count


def vectors(models: Models, pictures: Pictures) -> npt.NDArray[np.float32]:
    """Unit vectors of the space `clip`, float32 (n, d)."""
    found = models.clip().embed_pictures(pictures)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


CHANGES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG, quality 75": lambda picture: recoded(picture, "JPEG", 75),
    "JPEG, quality 40": lambda picture: recoded(picture, "JPEG", 40),
    "WebP, quality 50": lambda picture: recoded(picture, "WEBP", 50),
    "half the size": lambda picture: recoded(picture, "PNG", 0, 0.5),
    "a quarter of the size": lambda picture: recoded(picture, "PNG", 0, 0.25),
    "twice the size, JPEG 75": lambda picture: recoded(picture, "JPEG", 75, 2),
    "a tenth darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.9),
    "a fifth more contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(1.2),
    "2 % cut off each edge": lambda picture: trimmed(picture, 0.02, 0.02, 0.02, 0.02),
}


if __name__ == "__main__":
    main()
