"""Pictures from strangers, made upright sRGB on white, or refused with a reason; thumbnails and perceptual hashes.

The bytes say what a picture is, never its name. A picture is refused by the size in its head, before it is decoded; of
an animation the first frame is taken.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, UnidentifiedImageError

from explorer.errors import PictureError, RejectReason

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
MAX_PIXELS = 64 * 1024 * 1024
MIN_SIDE = 8
MAX_ASPECT = 20
HASHED_SIDE = 96
"""Pixels of the short side that are enough for a perceptual hash."""

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"GIF8")
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)
_PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_WAVES = np.cos(np.pi / 64 * np.outer(np.arange(8), 2 * np.arange(32) + 1))
"""The 8 lowest cosines of a DCT over 32 values, float64 (8, 32)."""


@dataclass(frozen=True, slots=True)
class Enough:
    """How many pixels of a picture are enough for whoever asks for it.

    Attributes:
        long: pixels of the long side.
        short: pixels of the short side.
    """

    long: int
    short: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A decoded picture.

    Attributes:
        image: RGB, 8 bits, upright, sRGB, on white, without metadata.
        size: width and height of the upright picture in the file, pixels; the image's own are smaller where those were
            enough.
    """

    image: Image.Image
    size: tuple[int, int]


def open_picture(source: Path | bytes | BinaryIO) -> Image.Image:
    """Decode a JPEG, PNG, WebP or GIF, in full.

    Returns:
        RGB, 8 bits, upright, sRGB, on white, without metadata.

    Raises:
        PictureError: it is missing, empty, no picture, cut off, or of a size that is not taken.
    """
    return opened(source).image


def opened(source: Path | bytes | BinaryIO, enough: Enough | None = None) -> Opened:
    """Decode as `open_picture` does; a JPEG that has at least twice the pixels that are enough comes out smaller.

    Its cosines are then turned into a half, a quarter or an eighth of the pixels, which takes less time than to make
    all of them and throw most away, and keeps no less of the picture.

    Raises:
        PictureError: as `open_picture` does.
    """
    data = file_bytes(source)
    with _explained(data), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        size = image.size
        _refuse_size(*size)
        if enough is not None:
            _make_less(image, enough)
        image.load()
        orientation = _orientation(image)
        turned = image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
        color, alpha = _parts(turned)
        upright = size[::-1] if orientation in _SIDEWAYS else size
        return Opened(_on_white(_srgb(color, image.info.get("icc_profile")), alpha), upright)


def file_bytes(source: Path | bytes | BinaryIO) -> bytes:
    """All bytes of a picture file.

    Raises:
        PictureError: it cannot be read, or is empty.
    """
    try:
        if not isinstance(source, bytes):
            source = source.read_bytes() if isinstance(source, Path) else source.read()
    except OSError as error:
        raise PictureError(RejectReason.MISSING, f"the file cannot be read ({error.strerror})") from error
    if not source:
        raise PictureError(RejectReason.EMPTY, "the file is empty; expected a JPEG, PNG, WebP or GIF")
    return source


def square(image: Image.Image, side: int) -> Image.Image:
    """Scale the short side to `side` and cut out the middle, in one antialiased bicubic step."""
    short = min(image.size)
    left, top = (image.width - short) / 2, (image.height - short) / 2
    return image.resize((side, side), Image.Resampling.BICUBIC, box=(left, top, left + short, top + short))


def thumbnail_webp(image: Image.Image, side: int = 256, size: tuple[int, int] | None = None) -> bytes:
    """Encode a picture as WebP, its long side at most `side`, without metadata.

    Boxes first, then a filter for what is left; and the last of WebP's methods that does not weigh rate against
    distortion: a few times faster than finer ways, for files that are 2 % larger.

    Args:
        image: the picture.
        side: pixels.
        size: width and height that set the thumbnail's shape, of the picture in the file; by default the image's own.
    """
    width, height = size or image.size
    if max(width, height) > side:
        width, height = (max(1, round(each * side / max(width, height))) for each in (width, height))
    small = image if image.mode == "RGB" else image.convert("RGB")
    if small.size != (width, height):
        small = small.resize((width, height), Image.Resampling.HAMMING, reducing_gap=1.0)
    data = io.BytesIO()
    small.save(data, "WEBP", quality=80, method=2, exif=b"", xmp=b"", icc_profile=b"")
    return data.getvalue()


def perceptual_hash(image: Image.Image) -> str:
    """Hash what a picture looks like: the signs of its 8 x 8 lowest DCT frequencies, 64 bits as 16 hex digits.

    Scaling, compression and small changes of color flip few bits; crops, flips and turns flip many.
    A large picture is made smaller by boxes first, which flips few bits, if any.
    Source: C. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010; the bits are those of
    the package `imagehash`.
    """
    times = min(image.size) // HASHED_SIDE
    less = image.reduce(times) if times > 1 else image
    low = low_frequencies(less.convert("L"))
    return np.packbits(low > np.median(low)).tobytes().hex()


def low_frequencies(grey: Image.Image, box: tuple[float, float, float, float] | None = None) -> npt.NDArray[np.float64]:
    """The 8 x 8 lowest frequencies of a picture's DCT over 32 x 32 pixels, float64 (8, 8), rows first.

    Args:
        grey: mode L.
        box: the part of it that is looked at, in pixels; None = all of it.
    """
    values = np.asarray(grey.resize((32, 32), Image.Resampling.LANCZOS, box=box), dtype=np.float64)
    # In a plain picture all but one are zero, or next to it.
    low: npt.NDArray[np.float64] = (_WAVES @ values @ _WAVES.T).round(6)
    return low


def hamming(first: str, second: str) -> int:
    """Count the bits in which two perceptual hashes differ, 0-64."""
    return (int(first, 16) ^ int(second, 16)).bit_count()


def phash_bits(hashes: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Perceptual hashes as uint64 (n,), for `numpy.bitwise_count(bits ^ bits)`."""
    return np.array([int(text, 16) for text in hashes], dtype=np.uint64)


@contextmanager
def _explained(data: bytes) -> Iterator[None]:
    """Turn what Pillow raises into a `PictureError`: without a known head no picture, else cut off or damaged."""
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(RejectReason.TOO_LARGE, f"the picture has over {MAX_PIXELS:,} pixels") from error
    except UnidentifiedImageError as error:
        if data.startswith(_MAGIC):
            raise PictureError(RejectReason.TRUNCATED, "the picture's head is cut off or damaged") from error
        message = f"found bytes that begin with {data[:8]!r}; expected a JPEG, PNG, WebP or GIF"
        raise PictureError(RejectReason.NOT_A_PICTURE, message) from error
    except (OSError, EOFError) as error:
        raise PictureError(RejectReason.TRUNCATED, f"the picture is cut off or damaged ({error})") from error
    except MemoryError as error:
        raise PictureError(RejectReason.DECODER, "decoding it takes more memory than there is") from error
    except (SyntaxError, ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        # What Pillow's decoders let out on damaged files.
        raise PictureError(RejectReason.DECODER, f"the picture cannot be decoded ({error})") from error


def _refuse_size(width: int, height: int) -> None:
    size = f"found {width} x {height} pixels"
    if width * height > MAX_PIXELS:
        raise PictureError(RejectReason.TOO_LARGE, f"{size}; expected at most {MAX_PIXELS:,} in all")
    if min(width, height) < MIN_SIDE:
        raise PictureError(RejectReason.TOO_SMALL, f"{size}; expected at least {MIN_SIDE} a side")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise PictureError(RejectReason.ASPECT, f"{size}; expected sides of at most {MAX_ASPECT} to 1")


def _make_less(image: Image.Image, enough: Enough) -> None:
    """Have a JPEG decoded at the smallest scale that is enough; other formats know no scales."""
    width, height = image.size
    for scale in (8, 4, 2):
        if max(width, height) // scale >= enough.long and min(width, height) // scale >= enough.short:
            image.draft(None, (width // scale, height // scale))
            return


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF raises many things, and browsers show such a picture unturned
        return 1


def _parts(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colors as L, RGB or CMYK, and the alpha channel if there is one."""
    if image.mode.startswith("I"):
        sixteen = np.asarray(image).astype(np.int64)
        return Image.fromarray((np.clip(sixteen, 0, 65535) // 257).astype(np.uint8)), None
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        color = image.getchannel("L") if image.mode == "LA" else clear.convert("RGB")
        return color, clear.getchannel("A")
    return (image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")), None


def _srgb(color: Image.Image, profile: bytes | None) -> Image.Image:
    """Colors by their ICC profile; a damaged or unfit profile is passed over, as browsers do."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if _PROFILE_MODES.get(source.profile.xcolor_space.strip()) == color.mode:
                converted = ImageCms.profileToProfile(color, source, _SRGB, outputMode="RGB")
                return converted if converted is not None else color.convert("RGB")
        except (ImageCms.PyCMSError, OSError):
            pass
    return color.convert("RGB")


def _on_white(color: Image.Image, alpha: Image.Image | None) -> Image.Image:
    """The picture without the metadata of its file, on white where it is clear; `color` is nobody else's."""
    if alpha is None:
        color.info = {}
        return color
    ground = Image.new("RGB", color.size, "white")
    ground.paste(color, mask=alpha)
    return ground
