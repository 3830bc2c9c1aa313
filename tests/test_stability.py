"""What small changes do to a landing, against landings of the changed pictures themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from explorer.atlas import Atlas
from explorer.models.loader import Models
from explorer.provenance import locate
from explorer.search import picture_vectors
from explorer.stability import CHANGES, NOISE, as_jpeg, noised, shifts


@pytest.fixture(scope="module")
def atlas(tiny_atlas: Path) -> Atlas:
    return Atlas.open(tiny_atlas)


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    image = Image.new("RGB", (120, 90), "white")
    ImageDraw.Draw(image).ellipse((20, 10, 90, 80), fill="crimson")
    return image


def test_a_shift_is_what_two_landings_differ_in(atlas: Atlas, picture: Image.Image) -> None:
    """Cosine, distance on the map, neighbors kept and verdict are those of the changed picture's own landing."""
    models = Models(atlas, "cpu")
    before, found = locate(atlas, models, picture), shifts(atlas, models, picture, atlas.spaces)
    assert [(shift.change, shift.setting) for shift in found] == [("jpeg", 75.0), ("noise", 4.0)]
    for shift in found:
        changed = CHANGES[shift.change][0](picture)
        after = locate(atlas, models, changed)
        assert shift.verdict is after.verdict.name and set(shift.spaces) == set(atlas.spaces)
        for space, told in shift.spaces.items():
            one, other = (picture_vectors(atlas, models, space, [each])[0] for each in (picture, changed))
            assert told.similarity == pytest.approx(float(one @ other), abs=1e-5)
            moved = np.linalg.norm(np.subtract(before.spaces[space].point, after.spaces[space].point))
            assert told.moved == pytest.approx(moved, abs=1e-3)
            assert told.of_radius == pytest.approx(moved / atlas.space(space).radius, abs=1e-3)
            nearest, now = ([hit.id for hit in each.spaces[space].hits] for each in (before, after))
            assert (told.kept, told.k) == (len({*nearest} & {*now}), len(nearest))
            assert told.is_nearest_same == (nearest[0] == now[0])
            assert told.percentile == after.spaces[space].percentile


def test_what_no_change_reaches_stays_where_it_is(atlas: Atlas) -> None:
    """A white picture is the same as a JPEG, and so it does not move."""
    white = Image.new("RGB", (64, 64), "white")
    told = shifts(atlas, Models(atlas, "cpu"), white, ["clip"])[0]
    assert as_jpeg(white).tobytes() == white.tobytes()
    assert list(told.spaces) == ["clip"]
    for space in told.spaces.values():
        assert space.similarity == pytest.approx(1, abs=1e-6) and space.moved == pytest.approx(0, abs=1e-6)
        assert space.kept == space.k and space.is_nearest_same


def test_noise_is_drawn_once_and_as_strong_as_it_says() -> None:
    """The same seed gives the same pixels, another gives others, and the deviation is the one asked for."""
    gray = Image.new("RGB", (200, 200), (128, 128, 128))
    noisy = np.asarray(noised(gray), dtype=np.float64)
    assert np.array_equal(noisy, np.asarray(noised(gray)))
    assert not np.array_equal(noisy, np.asarray(noised(gray, seed=1)))
    assert noisy.std() == pytest.approx(NOISE, rel=0.05) and noisy.mean() == pytest.approx(128, abs=0.1)
