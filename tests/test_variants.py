"""Variants of one picture stand in a list once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_atlas import SmallAtlas

from explorer import denylist
from explorer.atlas import Atlas
from explorer.errors import QueryError
from explorer.layout import AtlasPaths
from explorer.records import Record
from explorer.search import search_id
from explorer.variants import folded, nearest_families


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """The small atlas, in which pairs are a family."""
    return Atlas.open(SmallAtlas().write(tmp_path_factory.mktemp("variants") / "small"))


def test_a_family_is_its_most_similar_picture(atlas: Atlas) -> None:
    """Folding keeps the first of each family, in the order given, and counts the rest of it in the whole atlas."""
    hits = search_id(atlas, 1000, "clip", 40)
    kept = folded(atlas, hits)
    assert [hit.id for hit in kept] == [
        hit.id for at, hit in enumerate(hits) if hit.family not in {before.family for before in hits[:at]}
    ]
    assert {hit.variants for hit in kept} == {1}


def test_a_list_is_filled_with_families(atlas: Atlas) -> None:
    """As many families as asked for, in the order of the vectors, however many variants stand between them."""
    kept = nearest_families(atlas, 1000, "vae", 12)
    everything = folded(atlas, search_id(atlas, 1000, "vae", 60))
    assert kept == everything[:12]
    assert len(nearest_families(atlas, 1000, "clip", 60)) == len(folded(atlas, search_id(atlas, 1000, "clip", 60)))
    with pytest.raises(QueryError):
        nearest_families(atlas, 1, "clip", 12)


def test_a_flood_of_duplicates_is_one_entry(tmp_path: Path) -> None:
    """Where a third of the rows are copies of one picture, the list shows them once and goes on to others."""

    def flooded(record: Record) -> Record:
        row = (record.id - 1000) // 7
        return replace(record, family="flood" if row < 20 else None)

    atlas = Atlas.open(SmallAtlas(change=flooded).write(tmp_path / "small"))
    kept = nearest_families(atlas, 1000, "clip", 12)
    assert len(kept) == 12
    assert [hit.variants for hit in kept if hit.family == "flood"] == [19]
    assert all(hit.variants == 0 for hit in kept if hit.family is None)


def test_variants_that_were_taken_down_do_not_count(small_atlas: Path) -> None:
    """Nobody is told of a variant that no answer shows any more."""
    atlas = Atlas.open(small_atlas)
    first = nearest_families(atlas, 1000, "clip", 3)[0]
    assert first.variants == 1
    sibling = next(each for each in atlas.records(atlas.ids) if each.family == first.family and each.id != first.id)
    denied = [denylist.Takedown(denylist.DenyKind.KEY, sibling.key)]
    denylist.add(AtlasPaths(small_atlas), denied)
    assert [hit.variants for hit in folded(atlas, [first])] == [0]
