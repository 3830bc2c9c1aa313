"""Copies of training pictures: found in the whole corpus, however they were made, and strangers are not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from color_encoders import encoders
from folder_builds import manifest, options
from painted import drawn, painted, write
from PIL import Image, ImageOps
from small_atlas import SmallAtlas

from benchmarks.planted import PLANTS, framed, recoded, trimmed, turned
from explorer import denylist
from explorer.atlas import Atlas
from explorer.copies import CLOSE, find, laid_over
from explorer.denylist import DenyKind, Takedown
from explorer.errors import AtlasError
from explorer.fingerprints import fingerprints
from explorer.landing import How, Match
from explorer.layout import AtlasPaths, write_array
from explorer.records import Split
from explorer.verify import verify
from indexer.build import index
from indexer.editing.append import append
from indexer.editing.forget import forget

NOBODY = np.empty(0, np.int64)
"""No candidate of any space: what is found then was found in the whole corpus."""
TRAIN, HELDOUT = 4, 8
"""Rows of a small atlas of either split."""


def original(row: int) -> Image.Image:
    """A picture of the corpus: of three, two have no border and one stands on white."""
    return drawn(row) if row % 3 == 2 else painted(row)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An atlas of sixty such pictures that nobody may change."""
    return SmallAtlas(picture=original, hashed=True).write(tmp_path_factory.mktemp("copies") / "atlas")


@pytest.fixture(scope="module")
def atlas(written: Path) -> Atlas:
    """It, opened."""
    return Atlas.open(written)


@pytest.fixture
def own(written: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(written, tmp_path / "own"))


def rows(
    atlas: Atlas, picture: Image.Image, near: npt.NDArray[np.int64] = NOBODY, **among: Split | int | None
) -> list[int]:
    """The rows that a picture is a copy of."""
    return atlas.rows([match.id for match in find(atlas, picture, near, **among)]).tolist()  # type: ignore[arg-type]


HUES = "hues turned by 20 degrees"
"""The greys of such vivid pictures change too much by it; docs/copies.md tells how often it is found in drawings."""


@pytest.mark.parametrize("plant", [*sorted(PLANTS.keys() - {HUES}), "hues turned by 8 degrees"])
def test_every_kind_of_copy_is_found(atlas: Atlas, plant: str) -> None:
    """However a picture was copied, it is found in the whole corpus, and nothing else is."""
    for row in (0, 2, 7):
        change = PLANTS.get(plant, lambda picture: turned(picture, 8))
        (match,) = find(atlas, change(original(row)), NOBODY)
        assert atlas.row(match.id) == row
        assert (match.score or 0) > 0.97


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (lambda picture: recoded(picture, "JPEG", 80), How.WHOLE),
        (ImageOps.mirror, How.FLIPPED),
        (lambda picture: trimmed(picture, 0.08, 0.08, 0.08, 0.08), How.CROPPED),
        (lambda picture: trimmed(ImageOps.mirror(picture), 0.08, 0.08, 0.08, 0.08), How.CROPPED_FLIPPED),
        (lambda picture: framed(picture, 0.1, (20, 20, 60)), How.FRAMED),
        (lambda picture: framed(ImageOps.mirror(picture), 0.1, (20, 20, 60)), How.FRAMED_FLIPPED),
    ],
)
def test_how_a_copy_was_made_is_told(atlas: Atlas, change: Callable[[Image.Image], Image.Image], how: How) -> None:
    """Whole, flipped, cropped, framed: by where its edges lie in the original."""
    assert [match.how for row in (0, 1, 2) for match in find(atlas, change(original(row)), NOBODY)] == [how] * 3


def test_strangers_are_no_copies(atlas: Atlas) -> None:
    """Pictures that are in no corpus match nothing, even where the spaces name many rows as near."""
    for number in range(100, 106):
        assert rows(atlas, painted(number), np.arange(30)) == []
        assert rows(atlas, drawn(number), np.arange(30)) == []


def test_plain_pictures_are_no_copies(atlas: Atlas) -> None:
    """A picture that shows nothing is a copy of nothing."""
    assert rows(atlas, Image.new("RGB", (64, 64), "white"), np.arange(30)) == []


def test_a_sure_copy_ends_the_search(atlas: Atlas) -> None:
    """Where the first candidate agrees in every cell no other thumbnail is looked at."""
    assert len(list(laid_over(atlas, original(3), np.arange(20)))) == 1
    assert len(list(laid_over(atlas, painted(100), np.arange(20)))) > 1


def test_only_what_may_be_shown_is_found(atlas: Atlas, own: Path) -> None:
    """Held-out pictures are no training pictures, a family can be left out, and what was taken down is gone at once."""
    assert rows(atlas, original(HELDOUT)) == []
    assert rows(atlas, original(HELDOUT), split=None) == [HELDOUT]
    assert rows(atlas, original(TRAIN)) == [TRAIN]
    assert rows(atlas, original(TRAIN), exclude_family=int(atlas.families[TRAIN])) == []
    denied = Atlas.open(own)
    denylist.add(AtlasPaths(own), [Takedown(DenyKind.KEY, denied.record(int(denied.ids[TRAIN])).key)])
    assert rows(denied, original(TRAIN)) == []


def test_without_hashes_the_nearest_are_looked_at(tmp_path: Path) -> None:
    """An atlas of an earlier program finds copies among the rows that its spaces name, by their thumbnails."""
    atlas = Atlas.open(SmallAtlas(picture=original).write(tmp_path / "older"))
    assert atlas.hashes is None
    assert rows(atlas, ImageOps.mirror(original(4))) == []
    assert rows(atlas, ImageOps.mirror(original(4)), np.array([5, 4])) == [4]


def test_without_thumbnails_the_hashes_decide(tmp_path: Path) -> None:
    """Where no thumbnail was kept a copy is told by few bits alone, and has no score."""
    atlas = Atlas.open(SmallAtlas(picture=original, hashed=True, pictures=False).write(tmp_path / "lean"))
    (match,) = find(atlas, recoded(original(3), "JPEG", 60), NOBODY)
    assert match == Match(int(atlas.ids[3]), match.bits, How.WHOLE, None)
    assert match.bits <= CLOSE
    (cropped,) = find(atlas, trimmed(original(3), 0.1, 0.1, 0.1, 0.1), NOBODY)
    assert cropped.how is How.CROPPED
    assert rows(atlas, painted(150)) == []


def test_hashes_of_another_shape_are_refused(own: Path) -> None:
    """A file of hashes that is not one row a picture is no part of an atlas."""
    version = AtlasPaths(own).version(Atlas.open(own).version)
    write_array(version.hashes, np.zeros((60, 2), np.uint64))
    meta = json.loads(version.meta.read_bytes())
    meta["files"]["hashes.npy"]["shape"] = [60, 2]
    version.meta.write_text(json.dumps(meta))
    assert any("hashes.npy: expected shape (60, 3), found (60, 2)" in problem for problem in verify(own))
    with pytest.raises(AtlasError, match=r"hashes\.npy"):
        Atlas.open(own)


def test_hashes_are_built_grow_and_shrink(tmp_path: Path) -> None:
    """A build hashes its files, appended pictures come behind, and of one that is forgotten no hash is left."""
    path, folder = tmp_path / "atlas", write(tmp_path / "pictures", 18)
    index(path, manifest(folder), options(), encoders=encoders())
    built = Atlas.open(path)
    assert built.hashes is not None
    keys = [record.key for record in built.records(built.ids)]
    expected = np.stack([fingerprints(Image.open(folder / key).convert("RGB")) for key in keys])
    np.testing.assert_array_equal(built.hashes, expected)

    more = tmp_path / "more"
    more.mkdir()
    painted(200).save(more / "new.png")
    append(path, manifest(more), options(), encoders=encoders())
    grown = Atlas.open(path)
    assert grown.hashes is not None
    np.testing.assert_array_equal(grown.hashes, [*expected, fingerprints(painted(200))])
    assert rows(grown, ImageOps.mirror(painted(200))) == [18]

    forget(path, ids=[int(grown.ids[5])])
    left = Atlas.open(path)
    assert left.hashes is not None
    np.testing.assert_array_equal(left.hashes, np.delete(grown.hashes, 5, axis=0))
    assert verify(path) == []


def test_an_older_atlas_grows(tmp_path: Path) -> None:
    """An atlas without hashes that is appended to knows the new pictures, and looks at the old ones that are near."""
    path, folder = tmp_path / "atlas", write(tmp_path / "pictures", 18)
    index(path, manifest(folder), options(), encoders=encoders())
    version = AtlasPaths(path).version(Atlas.open(path).version)
    meta = json.loads(version.meta.read_bytes())
    del meta["files"]["hashes.npy"]
    version.hashes.unlink()
    version.meta.write_text(json.dumps(meta))

    more = tmp_path / "more"
    more.mkdir()
    painted(200).save(more / "new.png")
    append(path, manifest(more), options(), encoders=encoders())
    grown = Atlas.open(path)
    assert grown.hashes is not None
    assert not grown.hashes[:18].any()
    assert grown.hashes[18].all()
    assert rows(grown, painted(3)) == []
    assert rows(grown, painted(3), np.array([3])) == [3]
