"""Two pictures laid over each other: the part is found to a pixel, and what differs shows."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from color_encoders import picture
from painted import painted
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from explorer.copies import is_copy
from explorer.framing import MIDDLE, WHOLE, Box
from explorer.pictures import thumbnail_webp
from explorer.registration import NOTHING, Overlap, Sheet, correlation
from explorer.registration import register as registered

ORIGINAL = painted(11, (200, 160))


def register(picture: Image.Image, part: Box, original: Image.Image, start: Box) -> Overlap:
    """Lay two pictures over each other."""
    return registered(Sheet.of(picture), part, Sheet.of(original), start)


def in_colors(plane: npt.NDArray[np.float64]) -> Image.Image:
    """A picture with these values (2, 6, 6) of red against green and blue against yellow, over a common brightness."""
    by_red, by_blue = (np.kron(each, np.ones((40, 40))) for each in plane)
    grey = np.kron(np.random.default_rng(3).uniform(0.3, 0.7, (6, 6)), np.ones((40, 40)))
    red, green = grey + by_red / 2, grey - by_red / 2
    colors = np.stack([red, green, (red + green) / 2 + by_blue], axis=-1)
    return Image.fromarray((colors.clip(0, 1) * 255).round().astype(np.uint8))


def edges(box: Box) -> tuple[float, float, float, float]:
    """A box as numbers."""
    return (box.left, box.top, box.right, box.bottom)


def test_a_small_picture_agrees_with_its_thumbnail() -> None:
    """Of 40 x 32 pixels WebP leaves less than of many: it is compared at its own size, where that does not count."""
    small = picture("gold", 3)
    kept = Image.open(io.BytesIO(thumbnail_webp(small))).convert("RGB")
    assert is_copy(register(small, WHOLE, kept, WHOLE))
    other = Image.open(io.BytesIO(thumbnail_webp(picture("gold", 4)))).convert("RGB")
    assert not is_copy(register(small, WHOLE, other, WHOLE))


@pytest.mark.parametrize("start", [WHOLE, MIDDLE])
def test_a_part_is_found(start: Box) -> None:
    """What was cut out is found to half a percent of a side from a guess that is off by a tenth."""
    part = (14, 12, 190, 150)
    found = register(ORIGINAL.crop(part), WHOLE, ORIGINAL, start)
    np.testing.assert_allclose(edges(found.box), (14 / 200, 12 / 160, 190 / 200, 150 / 160), atol=0.005)
    np.testing.assert_allclose(edges(found.extent), edges(found.box))
    assert found.correlation > 0.995
    assert found.worst < 0.1
    assert found.color < 0.02


def test_a_frame_reaches_beyond_the_original() -> None:
    """The edges of a framed copy lie outside of its original by as much as the frame is wide."""
    copy = Image.new("RGB", (240, 192), "navy")
    copy.paste(ORIGINAL, (20, 16))
    found = register(copy, Box(20 / 240, 16 / 192, 220 / 240, 176 / 192), ORIGINAL, WHOLE)
    np.testing.assert_allclose(edges(found.extent), (-0.1, -0.1, 1.1, 1.1), atol=0.01)


def test_brightness_is_free_and_colors_are_told() -> None:
    """A darker copy agrees as well as any; one in other colors agrees in its greys and is told apart by its colors."""
    darker = register(ImageEnhance.Brightness(ORIGINAL).enhance(0.6), WHOLE, ORIGINAL, WHOLE)
    assert darker.correlation > 0.999
    red, green, blue = ORIGINAL.split()
    other = register(Image.merge("RGB", (green, red, blue)), WHOLE, ORIGINAL, WHOLE)
    assert other.color > 0.4 > 0.05 > darker.color
    assert register(ImageOps.grayscale(ORIGINAL).convert("RGB"), WHOLE, ORIGINAL, WHOLE).color == 0


def test_color_is_the_sine_of_a_turn() -> None:
    """Where all hues are turned by one angle in the plane of the two channels, its sine is told; saturation is free."""
    rng = np.random.default_rng(2)
    plane = rng.normal(size=(2, 6, 6)) * 0.1
    plane -= plane.mean(axis=(1, 2), keepdims=True)
    angle = np.radians(30)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = 0.6 * np.einsum("ij,jyx->iyx", turn, plane)
    pictures = [in_colors(each) for each in (turned, plane)]
    found = register(pictures[0], WHOLE, pictures[1], WHOLE)
    assert found.color == pytest.approx(np.sin(angle), abs=0.06)


def test_one_detail_shows_where_the_whole_agrees() -> None:
    """A stroke that only one of the two has leaves the correlation high, and is the worst cell."""
    copy = ORIGINAL.copy()
    ImageDraw.Draw(copy).line(
        (90, 70, 112, 88), fill="white" if sum(ORIGINAL.getpixel((100, 80))) < 380 else "black", width=6
    )
    found = register(copy, WHOLE, ORIGINAL, WHOLE)
    assert found.correlation > 0.95
    assert found.worst > 0.35


def test_strangers_do_not_agree() -> None:
    """Of two pictures that have nothing in common nothing is found."""
    found = [register(painted(number), WHOLE, ORIGINAL, WHOLE) for number in range(8)]
    assert all(each is NOTHING or each.correlation < 0.9 for each in found)
    assert any(each is NOTHING for each in found)


def test_correlation_is_pearsons() -> None:
    """It is numpy's own number, and nothing where one of the two is plain."""
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 9, 9)).astype(np.float32)
    assert correlation(one, other) == pytest.approx(np.corrcoef(one.ravel(), other.ravel())[0, 1], abs=1e-6)
    assert correlation(one, np.ones_like(one)) == 0
