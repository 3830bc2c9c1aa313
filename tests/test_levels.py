"""Two levels of clusters, from the files to the command line: those of an atlas whose groups have halves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_atlas import SmallAtlas

from explorer import Atlas, layout, verify
from explorer.chosen import Group, cluster_ids
from explorer.errors import QueryError
from indexer.editing.forget import forget
from webapp import layout as page
from webapp.cli import main


@pytest.fixture
def path(small_atlas: Path) -> Path:
    """An atlas with both levels."""
    return small_atlas


def document(capfd: pytest.CaptureFixture[str], *words: object) -> dict[str, object]:
    """What a verb answers."""
    capfd.readouterr()
    assert main([*map(str, words), "--json"]) == 0
    answer: dict[str, object] = json.loads(capfd.readouterr().out)
    return answer


def test_each_level_is_asked_by_its_number(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`clusters` lists the coarse level, with `--level 1` the fine one, each of them with its parent."""
    assert [each["parent"] for each in document(capfd, "clusters", path)["clusters"]] == [None] * 6
    told = document(capfd, "clusters", path, "--level", 1)
    assert told["level"] == 1
    assert [(each["cluster"], each["parent"], each["label"]) for each in told["clusters"][:3]] == [
        (0, 0, "red half 0"), (1, 0, "red half 1"), (2, 1, "orange half 0")
    ]  # fmt: skip
    assert main(["clusters", str(path), "--level", "1"]) == 0
    assert capfd.readouterr().out.splitlines()[:2] == [
        "cluster  parent  size  label",
        "      0       0     5  red half 0",
    ]


def test_a_fine_cluster_exports_its_rows(path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`export --cluster N --level 1` writes the pictures of a fine cluster, each with both of its clusters."""
    atlas = Atlas.open(path)
    out = tmp_path / "half.jsonl"
    document(capfd, "export", path, "--cluster", 3, "--level", 1, "--format", "jsonl", "--out", out)
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [row["id"] for row in rows] == atlas.ids[atlas.space("clip").subcluster == 3].tolist()
    assert {(row["cluster"], row["cluster_label"], row["subcluster"], row["subcluster_label"]) for row in rows} == {
        (1, "orange", 3, "orange half 1")
    }
    assert (
        main(["export", str(path), "--filter", "id > 1", "--level", "1", "--format", "jsonl", "--out", str(out)]) != 0
    )
    assert "found --level 1 without --cluster" in capfd.readouterr().err
    with pytest.raises(QueryError, match="clip has 12 clusters of level 1; `clusters` lists them"):
        cluster_ids(atlas, Group("clip", 12, 1))


def republished(path: Path) -> None:
    """Let `atlas.json` say what the files are now."""
    version = verify.current(layout.AtlasPaths(path))
    meta = verify.read_meta(version)
    meta["files"] = verify.describe(version)
    layout.write_atomic(version.meta, json.dumps(meta).encode())


def test_verify_holds_the_levels_against_each_other(path: Path) -> None:
    """A fine cluster across two coarse ones, and a size that is not the array's, are named, each in its file."""
    assert verify.verify(path) == []
    version = verify.current(layout.AtlasPaths(path))
    codes = np.load(version.array("clip", "subcluster"))
    codes[np.flatnonzero(codes == 2)[0]] = 0
    layout.write_array(version.array("clip", "subcluster"), codes)
    republished(path)
    assert verify.verify(path) == [
        "clip/subcluster.npy: expected 5 pictures in cluster 0 as in clusters.parquet, found 6",
        "clip/subcluster.npy: expected 5 pictures in cluster 2 as in clusters.parquet, found 4",
        "clip/subcluster.npy: expected cluster 0 in cluster 0 of clip/cluster.npy alone, found it in 0, 1",
    ]


def test_an_atlas_of_before_has_one_level(tmp_path: Path) -> None:
    """Without the fine level's files and column an atlas opens, is whole, and has no fine clusters."""
    small_atlas = SmallAtlas(fine=False).write(tmp_path / "before")
    version = verify.current(layout.AtlasPaths(small_atlas))
    before = pq.read_table(version.clusters).drop_columns(["parent"])
    pq.write_table(before, version.clusters)
    republished(small_atlas)
    assert verify.verify(small_atlas) == []
    atlas = Atlas.open(small_atlas)
    assert (len(atlas.clusters()), atlas.clusters(level=1)) == (6, ())
    assert (atlas.space("clip").subcluster == -1).all()
    assert forget(small_atlas, ids=[1021]).removed == 1
    assert verify.verify(small_atlas) == []
    assert (
        pq.read_table(verify.current(layout.AtlasPaths(small_atlas)).clusters).schema.field("parent").type == pa.int32()
    )


def test_a_takedown_reaches_both_levels(path: Path) -> None:
    """Who goes is in no size, exemplar or label of either level; a fine cluster that is emptied goes too."""
    before = Atlas.open(path)
    gone = before.ids[before.space("clip").subcluster == 0].tolist()
    forget(path, ids=gone)
    after = Atlas.open(path)
    assert verify.verify(path) == []
    data = after.space("clip")
    for level in (0, 1):
        for each in after.clusters("clip", level):
            assert each.size == (data.clusters(level) == each.cluster).sum()
            assert not set(each.exemplars) & set(gone)
    assert [each.cluster for each in after.clusters("clip", 1)] == list(range(1, 12))
    assert {each.parent for each in after.clusters("clip", 1)} == set(range(6))


def test_the_map_gets_the_names_of_both_levels(path: Path) -> None:
    """Each fine name stands at the median of its own pictures and says whose place it takes."""
    atlas = Atlas.open(path)
    names = page.names(atlas)
    assert len(names) == 2 * (6 + 12)
    fine = next(name for name in names if (name["space"], name["label"]) == ("vae", "green half 1"))
    data = atlas.space("vae")
    np.testing.assert_allclose(fine["point"], np.median(data.points[data.subcluster == 5], axis=0), rtol=1e-6)
    assert (fine["level"], fine["parent"]) == (1, 2)
