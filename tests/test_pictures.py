"""Pictures from strangers: what comes out is upright sRGB on white, or a reason."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from scipy.fft import dctn

from explorer.errors import PictureError, RejectReason
from explorer.pictures import (
    MAX_PIXELS,
    Enough,
    hamming,
    open_picture,
    opened,
    perceptual_hash,
    phash_bits,
    square,
    thumbnail_webp,
)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's
    data = io.BytesIO()
    image.save(data, format, **options)
    return data.getvalue()


def quarters() -> Image.Image:
    """A 32 x 24 picture of red, green, blue and yellow quarters, so that each turn of it differs."""
    image = Image.new("RGB", (32, 24))
    for box, color in (((0, 0), "red"), ((16, 0), "lime"), ((0, 12), "blue"), ((16, 12), "yellow")):
        image.paste(color, (*box, box[0] + 16, box[1] + 12))
    return image


def smooth(size: int = 64, seed: int = 0) -> Image.Image:
    """A picture of soft spots of every low frequency, as photographs have them."""
    coarse = np.random.default_rng(seed).integers(0, 255, (12, 12, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)


def reason(data: bytes) -> RejectReason:
    with pytest.raises(PictureError) as caught:
        open_picture(data)
    assert "\n" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize(("format", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("GIF", {})])
def test_lossless_formats_come_out_as_they_are(format: str, options: dict[str, Any]) -> None:
    """PNG, WebP and GIF keep every pixel."""
    opened = open_picture(encoded(quarters(), format, **options))
    assert opened.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(opened), np.asarray(quarters()))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_that_exif_turns_comes_out_upright(orientation: int) -> None:
    """All eight EXIF orientations give the same upright picture."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation -> PIL.Image.Transpose that stores it so
    stored = quarters() if orientation == 1 else quarters().transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = open_picture(encoded(stored, "PNG", exif=exif))
    np.testing.assert_array_equal(np.asarray(opened), np.asarray(quarters()))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")  # Pillow's word on the file
def test_broken_exif_leaves_the_picture_as_it_is() -> None:
    """EXIF that cannot be read turns nothing and refuses nothing."""
    opened = open_picture(encoded(quarters(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff\xff", quality=95))
    assert opened.size == (32, 24)


def test_what_is_clear_lies_on_white() -> None:
    """Transparency of every kind ends on white: RGBA, grey with alpha, palette, and a single clear color."""
    clear = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    half = Image.new("RGBA", (16, 16), (0, 0, 0, 128))
    grey = Image.new("LA", (16, 16), (0, 0))
    palette = Image.new("P", (16, 16), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert open_picture(encoded(clear, "PNG")).getpixel((3, 3)) == (255, 255, 255)
    assert open_picture(encoded(half, "PNG")).getpixel((3, 3)) == (127, 127, 127)
    assert open_picture(encoded(grey, "PNG")).getpixel((3, 3)) == (255, 255, 255)
    assert open_picture(encoded(palette, "PNG", transparency=1)).getpixel((3, 3)) == (255, 255, 255)
    assert open_picture(encoded(palette, "PNG")).getpixel((3, 3)) == (10, 20, 30)
    opaque = Image.new("RGB", (16, 16), (1, 2, 3))
    assert open_picture(encoded(opaque, "PNG", transparency=(1, 2, 3))).getpixel((3, 3)) == (255, 255, 255)


@pytest.mark.parametrize(("enough", "expected"), [
    (Enough(320, 200), (321, 211)),  # half of 641 x 421, rounded up
    (Enough(321, 100), (641, 421)),
    (Enough(100, 211), (641, 421)),
    (Enough(160, 105), (161, 106)),
    (Enough(1, 1), (81, 53)),
])  # fmt: skip
def test_a_jpeg_comes_out_no_larger_than_is_enough(enough: Enough, expected: tuple[int, int]) -> None:
    """At a half, a quarter or an eighth, never below what is enough on either side; its own size is told."""
    jpeg = encoded(smooth(700).resize((641, 421)), "JPEG", quality=90)
    found = opened(jpeg, enough)
    assert (found.image.size, found.size) == (expected, (641, 421))
    assert opened(jpeg).image.size == (641, 421)
    assert opened(encoded(smooth(400), "PNG"), enough).image.size == (400, 400)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_less_of_a_turned_jpeg_is_upright_too(orientation: int) -> None:
    """Of a JPEG that EXIF turns both sizes are those of the upright picture, and its colors stand where they do."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    jpeg = encoded(quarters().resize((640, 480)), "JPEG", exif=exif, quality=95)
    found, whole = opened(jpeg, Enough(300, 200)), open_picture(jpeg)
    assert found.size == whole.size
    assert found.image.size == (whole.width // 2, whole.height // 2)
    half = np.asarray(whole.reduce(2), dtype=int)
    assert np.abs(np.asarray(found.image, dtype=int) - half).mean() < 2


def test_less_of_a_jpeg_is_as_good() -> None:
    """Thumbnails, squares and hashes made of less are as near to the ideal as those made of the whole, or nearer."""
    for seed in range(4):
        noise = np.random.default_rng(seed).normal(0, 12, (900, 1200, 3))
        detailed = np.asarray(smooth(1200, seed).crop((0, 0, 1200, 900)), dtype=float) + noise
        jpeg = encoded(Image.fromarray(detailed.clip(0, 255).astype(np.uint8)), "JPEG", quality=88)
        whole, less = open_picture(jpeg), opened(jpeg, Enough(256, 128))
        assert less.image.width < 600
        ideal = np.asarray(whole.resize((256, 192), Image.Resampling.LANCZOS), dtype=float)
        small = [thumbnail_webp(whole), thumbnail_webp(less.image, 256, less.size)]
        errors = [np.square(np.asarray(Image.open(io.BytesIO(each)), dtype=float) - ideal).mean() for each in small]
        assert errors[1] < 1.02 * errors[0]
        squares = [np.asarray(square(each, 64), dtype=float) for each in (whole, less.image)]
        assert np.abs(squares[0] - squares[1]).mean() < 1
        assert hamming(perceptual_hash(whole), perceptual_hash(less.image)) <= 2


def test_a_cut_off_jpeg_is_refused_also_where_little_of_it_is_enough() -> None:
    """Cut at any tenth a JPEG is refused, though an eighth of its pixels would do."""
    jpeg = encoded(NOISE.resize((400, 300)), "JPEG")
    for tenth in range(1, 10):
        with pytest.raises(PictureError) as caught:
            opened(jpeg[: len(jpeg) * tenth // 10], Enough(50, 30))
        assert caught.value.reason is RejectReason.TRUNCATED


def test_a_thumbnail_has_the_shape_of_the_picture_in_the_file() -> None:
    """Made of less, whose sides are rounded up, it still has the sides that the whole picture's has."""
    jpeg = encoded(smooth(800).resize((789, 521)), "JPEG")
    less = opened(jpeg, Enough(256, 128))
    whole = Image.open(io.BytesIO(thumbnail_webp(open_picture(jpeg))))
    assert Image.open(io.BytesIO(thumbnail_webp(less.image, 256, less.size))).size == whole.size == (256, 169)


def test_sixteen_bits_keep_their_brightness() -> None:
    """A 16-bit grey picture becomes the 8 bits of the same brightness, not its low byte."""
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)
    image = Image.fromarray(np.tile(ramp, (16, 1)))
    opened = np.asarray(open_picture(encoded(image, "PNG")))
    np.testing.assert_allclose(opened[0, :, 0], np.arange(256), atol=1)


def test_cmyk_comes_out_in_its_colors() -> None:
    """A CMYK JPEG is not taken for RGB: cyan stays cyan."""
    cyan = Image.new("CMYK", (32, 32), (255, 0, 0, 0))
    np.testing.assert_allclose(open_picture(encoded(cyan, "JPEG", quality=95)).getpixel((9, 9)), (0, 255, 255), atol=6)


def test_an_icc_profile_is_obeyed_and_a_broken_one_passed_over() -> None:
    """Colors are taken through the picture's own profile, here Lab-equal values in XYZ; garbage changes nothing."""
    orange = Image.new("RGB", (16, 16), (200, 100, 50))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = _swap_red_and_blue(srgb)
    plain = open_picture(encoded(orange, "PNG")).getpixel((3, 3))
    np.testing.assert_allclose(open_picture(encoded(orange, "PNG", icc_profile=srgb)).getpixel((3, 3)), plain, atol=1)
    turned = open_picture(encoded(orange, "PNG", icc_profile=swapped)).getpixel((3, 3))
    np.testing.assert_allclose(turned, plain[::-1], atol=2)
    assert open_picture(encoded(orange, "PNG", icc_profile=b"garbage" * 30)).getpixel((3, 3)) == plain


def _swap_red_and_blue(profile: bytes) -> bytes:
    """An ICC profile whose red and blue primaries have changed places."""
    count = int.from_bytes(profile[128:132], "big")
    entries = {profile[132 + 12 * i : 136 + 12 * i]: 132 + 12 * i for i in range(count)}
    data = bytearray(profile)
    red, blue = entries[b"rXYZ"], entries[b"bXYZ"]
    data[red + 4 : red + 12], data[blue + 4 : blue + 12] = data[blue + 4 : blue + 12], data[red + 4 : red + 12]
    return bytes(data)


def test_of_an_animation_the_first_frame_is_taken() -> None:
    """A GIF that moves is its first frame."""
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue", "lime")]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert open_picture(moving).getpixel((3, 3)) == (255, 0, 0)


def test_no_metadata_travels_on() -> None:
    """Neither the opened picture nor its thumbnail carries the file's EXIF, ICC or text."""
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    opened = open_picture(encoded(quarters(), "JPEG", exif=exif, icc_profile=profile, comment=b"a secret place"))
    assert opened.info == {}
    assert not opened.getexif()
    original = Image.open(io.BytesIO(encoded(quarters(), "JPEG", exif=exif, icc_profile=profile)))
    thumbnail = thumbnail_webp(original)
    assert b"secret" not in thumbnail
    assert b"ICCP" not in thumbnail
    assert b"EXIF" not in thumbnail


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", RejectReason.EMPTY),
        (b"just words", RejectReason.NOT_A_PICTURE),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', RejectReason.NOT_A_PICTURE),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", RejectReason.NOT_A_PICTURE),
        (encoded(Image.new("RGB", (64, 64)), "BMP"), RejectReason.NOT_A_PICTURE),
        (encoded(Image.new("RGB", (64, 64)), "TIFF"), RejectReason.NOT_A_PICTURE),
        (encoded(Image.new("RGB", (1, 1)), "PNG"), RejectReason.TOO_SMALL),
        (encoded(Image.new("RGB", (7, 64)), "PNG"), RejectReason.TOO_SMALL),
        (encoded(Image.new("RGB", (8, 161)), "PNG"), RejectReason.ASPECT),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 64, RejectReason.TRUNCATED),
    ],
)
def test_what_is_no_usable_picture_is_refused_with_its_reason(data: bytes, expected: RejectReason) -> None:
    """The bytes decide, whatever the file is called: text, other formats, and sizes that are not taken."""
    assert reason(data) is expected


def test_the_smallest_and_longest_picture_pass() -> None:
    """The bounds themselves are allowed: 8 pixels a side, 20 to 1."""
    assert open_picture(encoded(Image.new("RGB", (8, 160)), "PNG")).size == (8, 160)


@pytest.mark.parametrize("side", [8193, 12_000, 60_000])
def test_a_bomb_is_refused_by_its_head(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of too many pixels is refused before one of them is decoded."""
    assert side * side > MAX_PIXELS
    head = side.to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    bomb = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(bytes(1000))) + _chunk(b"IEND")
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    assert reason(bomb) is RejectReason.TOO_LARGE


def test_a_bomb_of_text_is_refused() -> None:
    """Text in a PNG that unpacks to 64 MB costs the row, not the memory."""
    text = b"Comment\x00\x00" + zlib.compress(bytes(64 * 1024 * 1024))
    plain = encoded(quarters(), "PNG")
    assert reason(plain[:33] + _chunk(b"zTXt", text) + plain[33:]) is RejectReason.DECODER


def _chunk(kind: bytes, data: bytes = b"") -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8))
CUTS = {
    "jpeg": encoded(NOISE, "JPEG"),
    "progressive": encoded(NOISE, "JPEG", progressive=True),
    "png": encoded(NOISE, "PNG"),
    "webp": encoded(NOISE, "WEBP"),
    "gif": encoded(NOISE, "GIF"),
}


@pytest.mark.parametrize("name", CUTS)
def test_a_cut_off_picture_is_refused_and_never_filled_with_grey(name: str) -> None:
    """Cut at any of 150 places a picture is refused, unless all its pixels are before the cut."""
    whole = CUTS[name]
    pixels = np.asarray(open_picture(whole))
    refused = 0
    for length in np.linspace(9, len(whole) - 1, 150).astype(int):
        try:
            opened = open_picture(whole[:length])
        except PictureError as error:
            assert error.reason is RejectReason.TRUNCATED
            refused += 1
        else:
            np.testing.assert_array_equal(np.asarray(opened), pixels)
    assert refused >= 148


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's words on the files
@given(data=st.data())
def test_damaged_bytes_end_as_a_picture_or_a_reason(data: st.DataObject) -> None:
    """Whatever bytes are changed, nothing but a picture or a `PictureError` comes out."""
    whole = bytearray(data.draw(st.sampled_from(sorted(CUTS.values()))))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, min(400, len(whole) - 1)))] = data.draw(st.integers(0, 255))
    try:
        assert open_picture(bytes(whole)).mode == "RGB"
    except PictureError as error:
        assert error.reason in RejectReason


def test_paths_and_handles_are_read_too(tmp_path: Path) -> None:
    """A path, bytes and an open file give the same picture; a missing file is a reason."""
    path = tmp_path / "picture.txt"
    path.write_bytes(encoded(quarters(), "PNG"))
    with path.open("rb") as handle:
        assert open_picture(handle).tobytes() == open_picture(path).tobytes() == quarters().tobytes()
    with pytest.raises(PictureError) as caught:
        open_picture(tmp_path / "none.png")
    assert caught.value.reason is RejectReason.MISSING


def test_a_square_is_the_middle_of_the_picture() -> None:
    """Scaling and cropping in one step equals scaling all and then cropping, for wide and for tall pictures."""
    wide = smooth(60).resize((300, 100))
    tall = wide.transpose(Image.Transpose.TRANSPOSE)
    expected = np.asarray(wide.resize((150, 50), Image.Resampling.BICUBIC).crop((50, 0, 100, 50)))
    np.testing.assert_allclose(np.asarray(square(wide, 50)), expected, atol=1)
    np.testing.assert_allclose(np.asarray(square(tall, 50)), expected.transpose(1, 0, 2), atol=1)


def test_a_thumbnail_is_small_and_never_enlarged() -> None:
    """The long side becomes at most 256 px, and a small picture keeps its size."""
    for size, expected in (((1000, 500), (256, 128)), ((64, 48), (64, 48))):
        thumbnail = Image.open(io.BytesIO(thumbnail_webp(Image.new("RGB", size, "teal"))))
        assert (thumbnail.format, thumbnail.size) == ("WEBP", expected)


def test_the_perceptual_hash_is_that_of_its_definition() -> None:
    """The 64 bits are the signs of the lowest DCT frequencies about their median, computed here anew by scipy."""
    for seed in range(5):
        grey = np.asarray(smooth(seed=seed).convert("L").resize((32, 32), Image.Resampling.LANCZOS), dtype=float)
        low = dctn(grey, type=2)[:8, :8]
        expected = int("".join("1" if bit else "0" for bit in (low > np.median(low)).ravel()), 2)
        found = perceptual_hash(smooth(seed=seed))
        assert len(found) == 16
        assert hamming(found, f"{expected:016x}") <= 2  # values that tie with the median may fall on either side


def test_a_large_picture_hashes_as_its_definition_says() -> None:
    """Boxes before the filter flip few of the 64 bits of a large picture, and a plain one has none but the first."""
    for seed in range(5):
        large = smooth(900, seed)
        grey = np.asarray(large.convert("L").resize((32, 32), Image.Resampling.LANCZOS), dtype=float)
        low = dctn(grey, type=2)[:8, :8]
        expected = int("".join("1" if bit else "0" for bit in (low > np.median(low)).ravel()), 2)
        assert hamming(perceptual_hash(large), f"{expected:016x}") <= 4
    for color in ("teal", "white", (13, 77, 201)):
        assert perceptual_hash(Image.new("RGB", (90, 70), color)) == "8000000000000000"


def test_copies_hash_alike_and_other_pictures_do_not() -> None:
    """JPEG and scaling flip few bits of 64; another picture flips many."""
    picture = smooth(128, seed=1)
    jpeg = open_picture(encoded(picture, "JPEG", quality=40))
    assert hamming(perceptual_hash(picture), perceptual_hash(jpeg)) <= 4
    assert hamming(perceptual_hash(picture), perceptual_hash(picture.resize((80, 80)))) <= 4
    assert hamming(perceptual_hash(picture), perceptual_hash(smooth(128, seed=2))) >= 16


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_hashes_as_numbers_have_the_same_distances(values: list[int]) -> None:
    """Bits differ as often in uint64 as in the hexadecimal texts."""
    texts = [f"{value:016x}" for value in values]
    bits = phash_bits(texts)
    assert bits.dtype == np.uint64
    assert np.bitwise_count(bits ^ bits[0]).tolist() == [hamming(text, texts[0]) for text in texts]
