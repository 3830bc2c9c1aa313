"""What a picture is known again by: hashes that survive copying, and borders that are seen as such."""

from __future__ import annotations

import numpy as np
import pytest
from painted import drawn, painted
from PIL import Image, ImageOps

from benchmarks.planted import PLANTS, framed, trimmed
from explorer.fingerprints import UNKNOWN, View, distances, fingerprints, near, questions
from explorer.framing import Box, content

BROWN = (120, 70, 30)


def nearest(copy: Image.Image, original: Image.Image) -> int:
    """The bits between a copy and its original, by the question that comes nearest."""
    hashes = fingerprints(original)
    return min(int(distances(hashes[[each.view]], each.bits)[0]) for each in questions(copy))


@pytest.mark.parametrize("plant", PLANTS)
def test_a_copy_asks_for_its_original(plant: str) -> None:
    """However a picture was copied, one of its questions comes nearer to it than any does to most other pictures."""
    own = [nearest(PLANTS[plant](each), each) for each in map(painted, range(8))]
    strange = [nearest(PLANTS[plant](painted(number)), painted(number + 100)) for number in range(8)]
    assert np.median(own) <= 12
    assert np.median(own) < np.median(strange) - 8


def test_a_flipped_question_is_the_hash_of_the_flipped_picture() -> None:
    """The signs of every second cosine say what hashing the flipped picture itself says."""
    picture = painted(3)
    asked = [each for each in questions(picture) if each.view is View.WHOLE and each.flipped]
    assert [each.bits for each in asked] == [fingerprints(ImageOps.mirror(picture))[View.WHOLE]]


def test_a_view_is_the_hash_of_that_part() -> None:
    """The middle's hash is that of the picture cut down to it; the content's, of what lies inside the margin."""
    picture, cut = painted(5), trimmed(painted(5), 0.1, 0.1, 0.1, 0.1)
    middle = fingerprints(picture)[[View.MIDDLE]]
    assert distances(middle, fingerprints(cut)[View.WHOLE])[0] <= 2
    inside = drawn(5).crop((33, 25, 127, 135))
    assert distances(fingerprints(drawn(5))[[View.CONTENT]], fingerprints(inside)[View.WHOLE])[0] <= 2


def test_a_border_is_found_and_left_out() -> None:
    """A frame's inside is found to a pixel; a picture without a border, a plain one and a speck have no inside."""
    picture = framed(painted(1, (100, 80)), 0.1, BROWN)
    assert picture.size == (120, 100)
    found = content(picture)
    assert found is not None
    left, top, right, bottom = found.of(picture)
    np.testing.assert_allclose((left, top, right, bottom), (10, 10, 110, 90), atol=1.01)
    speck = Image.new("RGB", (100, 100), "white")
    speck.paste("black", (50, 50, 58, 58))
    for other in (painted(1), Image.new("RGB", (50, 50), "teal"), speck):
        assert content(other) is None


def test_what_shows_nothing_is_not_known() -> None:
    """A plain picture has no hash and asks nothing, and an unknown hash is as far from all as can be."""
    plain = Image.new("RGB", (64, 64), (200, 201, 202))
    assert fingerprints(plain).tolist() == [0, 0, 0]
    assert questions(plain) == ()
    assert distances(np.array([UNKNOWN, np.uint64(5)]), np.uint64(7)).tolist() == [64, 1]


def test_a_box_is_flipped_and_taken_in_pixels() -> None:
    """A part's edges are exchanged by a flip, and stand where Pillow cuts."""
    box = Box(0.1, 0.2, 0.5, 1.0)
    assert box.flipped() == Box(0.5, 0.2, 0.9, 1.0)
    assert box.of(Image.new("L", (200, 50))) == (20, 10, 100, 50)


def test_near_hashes_are_those_of_brute_force() -> None:
    """Over several blocks, with unknown rows among them, rows and bits are those of Python's own integers."""
    hashes = np.random.default_rng(4).integers(1, 2**63, (70_000, len(View)), dtype=np.uint64)
    asked = questions(painted(9))
    for number, question in enumerate(asked):
        hashes[[5 + number, 69_000 + number], question.view] = question.bits ^ np.uint64(0b1011 << number)
    hashes[100:200] = UNKNOWN
    for question, found in zip(asked, near(hashes, asked, 20), strict=True):
        column = hashes[:, question.view].tolist()
        bits = [(value ^ int(question.bits)).bit_count() if value else 64 for value in column]
        expected = [row for row, differ in enumerate(bits) if differ <= 20]
        assert found.rows.tolist() == expected
        assert found.bits.tolist() == [bits[row] for row in expected]
        assert len(expected) >= 2
