"""What is said of an atlas that several manifests made: whose pictures they are, and no more than holds for all."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from small_atlas import SmallAtlas

from explorer.atlas import Atlas
from explorer.contributions import Contribution, contributions, training
from explorer.manifest import Training
from explorer.records import Relation
from webapp.layout import layout
from webapp.site import GeneratorOptions, open_site


def entry(**manifest: Any) -> dict[str, Any]:
    """An entry of `appended`, five rows of which two were rejected."""
    outcomes = {"indexed": 3, "rejected:dns": 2}
    document = {"kind": "parquet-urls", "path": "/home/ada/links.parquet", **manifest}
    return {
        "digest": "d" * 64,
        "manifest": document,
        "outcomes": outcomes,
        "read": 9,
        "at": "2025-06-07T08:09:10+00:00",
    }


def part(relation: str, *generators: str) -> Contribution:
    """A part whose manifest says so."""
    told = entry(training={"relation": relation, "generators": list(generators)})
    return Contribution.of(told, told["outcomes"])


def test_the_parts_add_up_to_the_whole() -> None:
    """The atlas's own manifest has what the others have not; an atlas that says little is told of all the same."""
    meta = {"manifest": {"kind": "folder"}, "outcomes": {"indexed": 10, "rejected:dns": 2}, "appended": [entry()]}
    own, other = contributions(meta)
    assert (own.outcomes, own.read, own.at) == ({"indexed": 7}, 7, None)
    assert (other.outcomes, other.read) == ({"indexed": 3, "rejected:dns": 2}, 9)
    assert (own.title, other.title) == ("folder", "parquet-urls")
    (alone,) = contributions({"manifest": {"kind": "folder"}})
    assert (alone.outcomes, alone.read, alone.held, alone.contact) == ({}, 0, {}, None)


def test_no_place_on_the_builders_machine_is_told() -> None:
    """Files that rows were held against are named without their folders, and what was read is not."""
    told = entry(
        safety={"intersect_with": "/home/ada/vetted.parquet", "blocklist": "lists/bad.txt"},
        split={"heldout_ids_file": "/home/ada/heldout.txt"},
        filter={"width_min": 512},
    )
    told["thresholds"] = {"filter.punsafe_max": 0.45, "safety.intersect_with": "/home/ada/vetted.parquet"}
    said = Contribution.of(told, told["outcomes"]).told()
    assert said["thresholds"] == {
        "filter.width_min": 512,
        "filter.punsafe_max": 0.45,
        "safety.intersect_with": "vetted.parquet",
        "safety.blocklist": "bad.txt",
        "split.heldout_ids_file": "heldout.txt",
    }
    assert "ada" not in str(said)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([part("all", "a", "b")], Training(Relation.ALL, ("a", "b"))),
        ([part("all", "a", "b"), part("all", "b", "c")], Training(Relation.ALL, ("b",))),
        ([part("all", "a"), part("sample", "a")], Training(Relation.SAMPLE, ("a",))),
        ([part("all", "a"), part("none", "a")], Training(Relation.UNKNOWN, ("a",))),
        ([part("sample"), part("unknown")], Training(Relation.UNKNOWN)),
        ([part("none"), part("none")], Training(Relation.NONE)),
    ],
)
def test_the_relation_to_generators_is_what_holds_for_every_part(parts: list[Contribution], expected: Training) -> None:
    """Nothing is called a training picture because its neighbor on the map was one."""
    assert training(parts) == expected


def test_the_page_names_what_was_appended(tmp_path: Path) -> None:
    """The dialog about the atlas lists title, licence, date and credit of what joined, with the number of pictures."""
    more = entry(title="More <b>links</b>", licence="CC0-1.0", date="2024-08-30", attribution="Ada")
    atlas = Atlas.open(SmallAtlas(extra_meta={"appended": [more]}).write(tmp_path / "small"))
    site = open_site(atlas, GeneratorOptions())
    with closing(site.studio.workspace):
        shown = str(layout(site))
    assert "Appended to it" in shown
    assert "More <b>links</b> · CC0-1.0 · 2024-08-30 · Ada" in shown
    assert "/home/ada" not in shown
