"""The names that scripts depend on."""

from __future__ import annotations

from pathlib import Path

import pytest

import explorer

PUBLIC = [
    *("Atlas", "AtlasError", "Cluster", "ExplorerError", "Hit", "Landing", "Manifest", "ManifestError", "ModelError"),
    *("PictureError", "QueryError", "Recipe", "Record", "Relation", "Space", "SpaceLanding", "Split", "Verdict"),
    *("VerdictName", "Workspace", "open_picture"),
]


def test_the_public_names_are_these() -> None:
    """A name joins or leaves `explorer` only on purpose."""
    assert explorer.__all__ == PUBLIC
    assert dir(explorer) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_is_there(name: str) -> None:
    """Every public name can be imported from `explorer`, bears that name, and no module hides it."""
    value = getattr(explorer, name)
    assert value.__name__ == name
    assert value.__module__.startswith("explorer.")


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that is not public is missing in Python's own way."""
    with pytest.raises(AttributeError, match="has no attribute 'Atlass'"):
        explorer.Atlass  # noqa: B018 - the access is the test


def test_the_library_answers_as_the_manual_shows(small_atlas: Path) -> None:
    """`from explorer import Atlas` opens an atlas whose questions are methods."""
    atlas = explorer.Atlas.open(small_atlas)
    assert isinstance(atlas, explorer.Atlas)
    assert atlas.search_id(1000, k=3)[0].split is explorer.Split.TRAIN
    assert atlas.export([1000], "csv", small_atlas / "out.csv") == 1
