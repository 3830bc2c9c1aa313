"""Which pictures are kept behind a blur and out of bulk exports: those that somebody's classifier calls unsafe.

`punsafe` is LAION's probability that a picture is unsafe; 0.45 is the line of Re-LAION-5B's research-safe release. No
threshold is a filter for unlawful material: that is what blocklists and takedowns are for.
Source: laion.ai/blog/relaion-5b (30 August 2024).
"""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from explorer.manifest import Manifest

PUNSAFE_LINE = 0.45
"""The greatest punsafe that counts as safe."""

_TELLING = re.compile(r"unsafe|nsfw|porn|safety", re.IGNORECASE)
_BLURRED_SIDE = 4  # of a picture's long side, in pixels, before it is blown up again: shapes are gone, colors stay


def flags(
    punsafe: npt.NDArray[np.floating[Any]], manifest: Manifest, unreviewed: npt.NDArray[np.bool_] | bool = False
) -> npt.NDArray[np.bool_]:
    """Which pictures are flagged.

    Args:
        punsafe: (n,), NaN = unknown.
        manifest: of the corpus; where it overrode the safety review, nobody looked, and unknown counts as unsafe.
        unreviewed: which pictures joined it from a manifest that did so, bool (n,).

    Returns:
        bool (n,).
    """
    over = punsafe.astype(np.float32) > np.float32(PUNSAFE_LINE)  # the line itself, as stored, is not over it
    found: npt.NDArray[np.bool_] = over | (np.isnan(punsafe) & (is_unreviewed(manifest) | unreviewed))
    return found


def is_unreviewed(manifest: Manifest) -> bool:
    """Whether the atlas was built over the objection that nobody had reviewed its links."""
    return manifest.safety.accept_pre_2024_links_without_safety_review


def tells_unsafety(column: str) -> bool:
    """Whether a column of the source tells how unsafe a picture is, going by its name."""
    return bool(_TELLING.search(column))


def blurred(thumbnail: bytes) -> bytes:
    """A thumbnail of which only the colors are left, WebP of the same size."""
    with Image.open(io.BytesIO(thumbnail), formats=("WEBP",)) as image:
        size = image.size
        tiny = image.convert("RGB")
    tiny.thumbnail((_BLURRED_SIDE, _BLURRED_SIDE), Image.Resampling.BOX)
    soft = tiny.resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(max(size) / 16))
    data = io.BytesIO()
    soft.save(data, "WEBP", quality=60)
    return data.getvalue()
