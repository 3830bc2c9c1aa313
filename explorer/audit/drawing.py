"""The pictures of an audit as they come: generated some at a time, or read from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from explorer.audit.plan import Item
from explorer.generate import Generator
from explorer.models.batch import Made, made
from explorer.recipes import check_recipe
from explorer.records import Recipe

if TYPE_CHECKING:
    from PIL import Image

NO_ROOM = "memory: the device has no room for this picture"
NOT_FINITE = "not-finite: the generator came to no numbers for this picture"


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A picture of an audit, or why there is none.

    Attributes:
        item: with the prompt and seed that turned out.
        image: RGB; None where there is none.
        latent: space -> vector (d,), centered, of any length, where the atlas's own VAE made it.
        error: why there is no picture; its first word is the reason.
    """

    item: Item
    image: Image.Image | None = None
    latent: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    error: str | None = None


class Draw(Protocol):
    """Gives the pictures of some items, one each, in their order."""

    def __call__(self, items: Sequence[Item]) -> list[Drawing]:
        """Draw them."""
        ...


class Generated:
    """Generates pictures, `batch` at a time, without a look at their steps; see `Draw`."""

    def __init__(self, generator: Generator, recipe: Recipe, batch: int) -> None:
        """Take a generator, and a recipe that all pictures share but for prompt and seed."""
        self._generator, self._recipe, self._batch = generator, recipe, batch

    def __call__(self, items: Sequence[Item]) -> list[Drawing]:
        """Generate the pictures of some prompts and seeds; QueryError where a recipe is out of bounds."""
        found: list[Drawing] = []
        for start in range(0, len(items), self._batch):
            some = items[start : start + self._batch]
            recipes = [replace(self._recipe, prompt=_text(item), seed=item.seed or 0) for item in some]
            for recipe in recipes:
                check_recipe(recipe)
            pictures = made(self._generator.model, recipes)
            found += [self._drawing(item, each) for item, each in zip(some, pictures, strict=True)]
        return found

    def _drawing(self, item: Item, found: Made | None) -> Drawing:
        if found is None:
            return Drawing(item, error=NO_ROOM)
        if not bool(found.clean.isfinite().all()):
            return Drawing(item, error=NOT_FINITE)
        latents = self._generator.latent_vectors(found.clean)
        return Drawing(item, found.image, {space: each[0] for space, each in latents.items()})


def _text(item: Item) -> str:
    assert item.prompt is not None, "what is generated has a prompt"
    return item.prompt.text
