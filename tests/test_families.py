"""Near-duplicates: what is taken for one picture, what is not, and that nobody compares all with all."""

from __future__ import annotations

import io
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from explorer.pictures import perceptual_hash
from indexer.families import FamilyOptions, find, joined, near_pairs
from indexer.sources.base import SourceRow


def brute(hashes: list[int], bits: int) -> set[tuple[int, int]]:
    """Pairs that differ in at most so many bits, by comparing all with all."""
    return {
        (left, right)
        for left, right in combinations(range(len(hashes)), 2)
        if (hashes[left] ^ hashes[right]).bit_count() <= bits
    }


@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 11), st.sets(st.integers(0, 63), max_size=8)), max_size=24),
    st.integers(0, 7),
)
def test_the_look_up_finds_what_comparing_all_finds(
    seeds: list[int], turned: list[tuple[int, set[int]]], bits: int
) -> None:
    """Whatever the hashes and the number of bits, byte look-ups and brute force name the same pairs."""
    near = [seeds[at % len(seeds)] ^ sum(1 << bit for bit in flips) for at, flips in turned]
    hashes = sorted({*seeds, *near})
    found = near_pairs(np.array(hashes, np.uint64), bits)
    assert {(min(pair), max(pair)) for pair in found.tolist()} == brute(hashes, bits)
    assert len(found) == len({tuple(sorted(pair)) for pair in found.tolist()})


def drawing(seed: int, size: int = 96) -> Image.Image:
    """A few random shapes, no two drawings alike."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (size, size), tuple(rng.integers(90, 255, 3).tolist()))
    pen = ImageDraw.Draw(image)
    for _ in range(7):
        corners = np.sort(rng.integers(0, size, (2, 2)), axis=0).ravel().tolist()
        pen.ellipse(corners, fill=tuple(rng.integers(0, 255, 3).tolist()))
    return image


def recoded(image: Image.Image, quality: int, scale: float) -> Image.Image:
    """The picture as somebody else saved it."""
    small = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    data = io.BytesIO()
    small.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def vector(image: Image.Image) -> npt.NDArray[np.float32]:
    """Small, centered pixels: what a model that sees shapes would give."""
    pixels = np.asarray(image.convert("RGB").resize((8, 8)), np.float32).ravel()
    return pixels - 150


def groups(pictures: list[Image.Image], checksums: list[str | None] | None = None) -> list[int]:
    """The first row of each picture's group, with the default thresholds."""
    hashes = [perceptual_hash(picture) for picture in pictures]
    vectors = np.stack([vector(picture) for picture in pictures])
    return find(checksums or [None] * len(pictures), hashes, vectors, FamilyOptions()).tolist()


def test_copies_join_their_originals_and_strangers_stay_apart() -> None:
    """Of 60 drawings, each with three recoded copies, at least nine copies in ten are found, and nothing else joins."""
    originals = [drawing(seed) for seed in range(60)]
    copies = [recoded(each, quality, scale) for each in originals for quality, scale in ((60, 1), (85, 0.5), (75, 2))]
    found = groups(originals + copies)
    assert found[:60] == list(range(60))
    right = [first == at // 3 for at, first in enumerate(found[60:])]
    alone = [first == 60 + at for at, first in enumerate(found[60:])]
    assert np.mean(right) >= 0.9
    assert all(a or b for a, b in zip(right, alone, strict=True))


def test_a_hash_alone_joins_nothing() -> None:
    """Plain pictures have one perceptual hash whatever their color; their vectors keep them apart, or join them."""
    plain = [Image.new("RGB", (32, 32), color) for color in ("red", "blue", "red", "lime", "blue")]
    assert len({perceptual_hash(each) for each in plain}) == 1
    assert groups(plain) == [0, 1, 0, 3, 1]


def test_equal_bytes_need_no_second_witness() -> None:
    """The same file is the same picture even where its hash or its vector is unknown or another."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5, 8)).astype(np.float32)
    found = find(["a", "b", "a", None, "b"], [None, "0" * 16, None, None, "f" * 16], vectors, FamilyOptions())
    assert found.tolist() == [0, 1, 0, 3, 1]
    assert find([None, None], [None, None], vectors[:2], FamilyOptions()).tolist() == [0, 1]


@pytest.mark.timeout(60)
def test_a_flood_of_near_duplicates_is_one_group_in_reasonable_time() -> None:
    """Six thousand variants of one picture among 20,000 are one group; pairs are not all compared."""
    rng = np.random.default_rng(5)
    count, flood = 20_000, 6_000
    bits = rng.integers(0, 2**63, count, dtype=np.uint64)
    bits[:flood] = bits[0] ^ (np.uint64(1) << rng.integers(0, 64, flood).astype(np.uint64))
    vectors = rng.normal(size=(count, 64)).astype(np.float32)
    vectors[:flood] = vectors[0] + 0.02 * vectors[:flood]
    found = find([None] * count, [f"{each:016x}" for each in bits.tolist()], vectors, FamilyOptions())
    assert (found[:flood] == 0).all()
    assert (found[flood:] == np.arange(flood, count)).all()


def test_a_family_of_the_source_stays_and_takes_its_copies_in() -> None:
    """Groups get a name that tells no key; where the source named a family, its copies join that one."""
    rows = [
        SourceRow("https://a.example/1"),
        SourceRow("b", family="smile"),
        SourceRow("https://a.example/2"),
        SourceRow("c"),
        SourceRow("d", family="frown"),
        SourceRow("alone"),
    ]
    families = [row.family for row in joined(rows, np.array([0, 1, 0, 1, 1, 5], np.int32))]
    assert families[0] == families[2] is not None
    assert "a.example" not in families[0]
    assert families[1:2] + families[3:] == ["smile", "smile", "frown", None]
