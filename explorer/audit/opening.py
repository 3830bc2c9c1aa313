"""One picture that somebody generated elsewhere, with what is known of its making; decoded in a worker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from explorer.pictures import open_picture
from explorer.recipes import MAX_SEED
from explorer.stamp import stamp_of

MOST = 8_000
"""Characters of a text file that are looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A picture; prompt and seed are None where nobody tells them."""

    image: Image.Image
    prompt: str | None
    seed: int | None


def opened(path: Path) -> Opened:
    """Decode a picture; its prompt and seed are stamped into it, or its prompt stands in a text file beside it.

    Raises:
        PictureError: as `explorer.pictures.open_picture` does.
    """
    image, recipe = open_picture(path), stamp_of(path)
    if recipe is None:
        return Opened(image, _beside(path), None)
    prompt = recipe.prompt.encode("utf-8", "replace").decode()  # JSON's escapes can write halves of characters
    return Opened(image, prompt.strip() or None, recipe.seed if 0 <= recipe.seed <= MAX_SEED else None)


def _beside(path: Path) -> str | None:
    try:
        with path.with_suffix(".txt").open(encoding="utf-8", errors="replace") as file:
            return file.read(MOST).strip() or None
    except OSError:  # most have none
        return None
