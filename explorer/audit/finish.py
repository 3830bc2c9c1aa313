"""What a finished audit leaves: one document, two tables, a page that prints, and a copy for the app."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from explorer.atlas import Atlas
from explorer.audit import page, tables
from explorer.audit.document import Document, Options, document, gathered
from explorer.audit.kept import MOST_PICTURES, Audits, without
from explorer.audit.plan import Plan
from explorer.audit.shards import Shards
from explorer.errors import PictureError, QueryError
from explorer.layout import write_atomic
from explorer.pictures import open_picture, thumbnail_webp
from explorer.search import Encoders

DOCUMENT, PAGE = "audit.json", "audit.html"
SIDE = 128
"""Longest side of a picture in the page and in the app, pixels."""


def finish(atlas: Atlas, models: Encoders, plan: Plan, shards: Shards, options: Options) -> Document:
    """Measure an audit of which every shard is there, and write all down.

    Returns:
        the document.

    Raises:
        QueryError: a shard is damaged, an axis cannot be measured, or the folder cannot be written.
        AtlasError: the workspace cannot be written.
    """
    shards.tidy()
    told = document(atlas, models, plan, gathered(shards, plan), options)
    told = {"name": name_of(shards.folder), "title": shards.folder.resolve().name, **told}
    told = without(told, _denied(atlas))
    try:
        write_atomic(shards.folder / DOCUMENT, json.dumps(told, ensure_ascii=False, allow_nan=False).encode())
        tables.write(shards.folder, told)
        write_atomic(shards.folder / PAGE, page.page(atlas, told, Pictures(shards, told)).encode())
    except OSError as error:
        raise QueryError(
            f"{shards.folder}: cannot be written ({error.strerror}); free the disk, then run the same again"
        ) from error
    audits = Audits.open(atlas.workspace_dir)
    try:
        pictures = islice(Pictures(shards, told).ranked(), MOST_PICTURES)
        audits.keep(told["name"], told, pictures, denied=partial(_denied, atlas))
    finally:
        audits.close()
    return told


def _denied(atlas: Atlas) -> frozenset[int]:
    """The ids of all pictures that are taken down by now; AtlasError where that went with the atlas's version."""
    return frozenset(atlas.ids[atlas.denied].tolist())


def name_of(folder: Path) -> str:
    """What the app calls the audit of a folder: a name for its address, the same for every run of it."""
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]


class Pictures:
    """The thumbnails of an audit's pictures, WebP, by row."""

    def __init__(self, shards: Shards, told: Mapping[str, Any]) -> None:
        self._ranking = told["ranking"]
        self._paths = {row["row"]: shards.folder / row["picture"] for row in told["rows"] if row["picture"]}

    def get(self, row: int) -> bytes | None:
        """One of them; None where the row has none (any more), QueryError where its file is damaged."""
        path = self._paths.get(row)
        if path is None:
            return None
        try:
            return thumbnail_webp(open_picture(path), SIDE)
        except (OSError, PictureError) as error:
            raise QueryError(f"{path}: is damaged ({error}); remove its folder, then run the same again") from error

    def ranked(self) -> Iterator[tuple[int, bytes]]:
        """Row and thumbnail, those of the first prompts first."""
        found = ((row, self.get(row)) for entry in self._ranking for row in entry["rows"])
        return ((row, webp) for row, webp in found if webp is not None)
