"""An atlas with its questions as methods, for scripts and notebooks: `from explorer import Atlas`.

Inside the project every question is a function of its own module; this one only gathers them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from explorer import atlas, filters, provenance, search
from explorer.export import export
from explorer.landing import Landing
from explorer.models.loader import Models
from explorer.records import Hit, Space, Split
from explorer.report.document import Document, Subject, document
from explorer.search import Mask


class Atlas(atlas.Atlas):
    """See `explorer.atlas.Atlas`; models load with the first question that needs them."""

    @cached_property
    def models(self) -> Models:
        """The models that the atlas was made with."""
        return Models(self)

    def matching(self, *conditions: str) -> npt.NDArray[np.bool_]:
        """Which rows meet conditions such as "width >= 512"; for `among` of a search. See `explorer.filters`."""
        return filters.matching(self, filters.parse_all(conditions))

    def search_text(
        self, text: str, k: int = 12, split: Split | None = Split.TRAIN, among: Mask | None = None
    ) -> tuple[Hit, ...]:
        """The pictures nearest to some words; see `explorer.search.search_text`."""
        return search.search_text(self, self.models, text, k, split, among)

    def search_image(
        self,
        picture: Image.Image,
        k: int = 12,
        space: str = Space.CLIP,
        split: Split | None = Split.TRAIN,
        among: Mask | None = None,
    ) -> tuple[Hit, ...]:
        """The pictures nearest to a picture; see `explorer.search.search_image`."""
        return search.search_image(self, self.models, picture, space, k, split, among)

    def search_id(
        self,
        identity: int,
        k: int = 12,
        space: str = Space.CLIP,
        split: Split | None = Split.TRAIN,
        among: Mask | None = None,
    ) -> tuple[Hit, ...]:
        """The pictures nearest to one of the atlas, itself left out; see `explorer.search.search_id`."""
        return search.search_id(self, identity, space, k, split, among)

    def locate(self, picture: Image.Image, k: int = 12) -> Landing:
        """Where any picture lands; see `explorer.provenance.locate`."""
        return provenance.locate(self, self.models, picture, k=k)

    def report(self, picture: Image.Image, prompt: str | None = None) -> Document:
        """A picture's provenance as one document; see `explorer.report.document` and docs/provenance.md.

        Args:
            picture: RGB, of any size.
            prompt: what it was made from, where that is known.
        """
        return document(self, self.models, Subject(picture, self.locate(picture), prompt=prompt))

    def export(self, ids: Sequence[int], format: str, out: Path | str | BinaryIO, space: str = Space.CLIP) -> int:
        """Write pictures as CSV, JSON lines or Parquet; see `explorer.export.export`."""
        return export(self, ids, format, out, space=space)
