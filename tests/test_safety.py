"""What is flagged as unsafe stays behind a blur and out of exports."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_atlas import SmallAtlas

from explorer import manifest
from explorer.atlas import Atlas
from explorer.export import export
from explorer.manifest import Manifest, Safety
from explorer.records import Record
from explorer.safety import PUNSAFE_LINE, blurred, flags
from explorer.search import search_id

REVIEWED = Manifest("openmoji", Path())
UNREVIEWED = replace(REVIEWED, safety=Safety(accept_pre_2024_links_without_safety_review=True))
OVER = 1000 + 7 * 3


def spoiled(record: Record) -> Record:
    """Every tenth picture is over the line, every tenth on it, every tenth unknown."""
    return replace(record, punsafe={3: 0.9, 4: PUNSAFE_LINE, 5: None}.get((record.id - 1000) // 7 % 10, 0.01))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_line_is_re_laions(dtype: type) -> None:
    """Over 0.45 is flagged, 0.45 itself is not; unknown is, where nobody reviewed the links."""
    values = np.array([0.0, 0.45, 0.4501, 1.0, np.nan], dtype)
    assert flags(values, REVIEWED).tolist() == [False, False, True, True, False]
    assert flags(values, UNREVIEWED).tolist() == [False, False, True, True, True]


def test_an_atlas_knows_its_flagged_pictures(tmp_path: Path) -> None:
    """The mask follows punsafe row by row, and every hit bears it."""
    atlas = Atlas.open(SmallAtlas(change=spoiled).write(tmp_path / "small"))
    assert atlas.flagged.tolist() == [record.punsafe == pytest.approx(0.9) for record in atlas.records(atlas.ids)]
    for hit in search_id(atlas, 1000, k=59, split=None):
        assert hit.flagged is bool(atlas.flagged[atlas.row(hit.id)])


def test_an_atlas_built_over_the_objection_flags_what_nobody_knows(tmp_path: Path) -> None:
    """The override is recorded in the atlas, and unknown counts as unsafe there."""
    document = manifest.to_dict(replace(UNREVIEWED, title="Old links"))
    atlas = Atlas.open(SmallAtlas(change=spoiled, extra_meta={"manifest": document}).write(tmp_path / "small"))
    assert atlas.flagged.sum() == 2 * len(atlas) // 10


def test_a_blur_leaves_colors_and_nothing_else() -> None:
    """Size and mean color stay; what was drawn is gone: no edge is left, and no two neighbors differ much."""
    drawn = np.zeros((192, 256, 3), np.uint8)
    drawn[:, :, 0] = 200
    drawn[40:150:6, 60:200] = (0, 255, 255)  # stripes that a reader would see
    data = io.BytesIO()
    Image.fromarray(drawn).save(data, "WEBP", lossless=True)
    with Image.open(io.BytesIO(blurred(data.getvalue()))) as image:
        assert (image.format, image.size) == ("WEBP", (256, 192))
        left = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(left.mean(axis=(0, 1)) - drawn.mean(axis=(0, 1))).max() < 12
    assert np.abs(np.diff(left, axis=0)).max() < 12
    assert np.abs(np.diff(left, axis=1)).max() < 12


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_flagged_pictures_leave_in_no_export(tmp_path: Path, format: str) -> None:
    """An export holds the others, in their order, and says by its number how many it left out."""
    atlas = Atlas.open(SmallAtlas(change=spoiled).write(tmp_path / "small"))
    out = io.BytesIO()
    assert export(atlas, atlas.ids.tolist(), format, out) == len(atlas) - 6
    if format == "jsonl":
        ids = [json.loads(line)["id"] for line in out.getvalue().splitlines()]
        assert ids == atlas.ids[~atlas.flagged].tolist()
    assert export(atlas, [OVER], format, io.BytesIO()) == 0
