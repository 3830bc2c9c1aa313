"""Names of clusters that lose pictures: unique among their siblings, and told as judged by nobody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from explorer.layout import CLUSTERS_SCHEMA, THUMBNAILS_SCHEMA
from indexer.editing.contents import Contents
from indexer.editing.subset import Kept, renamed, without


def version(captions: Sequence[str], clusters: Sequence[dict[str, Any]]) -> Contents:
    """Twelve pictures, four to a coarse cluster, two to a fine one, in one space."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(12, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    arrays = {
        "vectors": vectors,
        "mean": np.zeros(8, np.float32),
        "points": rng.normal(size=(12, 3)).astype(np.float32),
        "cluster": np.arange(12, dtype=np.int32) // 4,
        "subcluster": np.arange(12, dtype=np.int32) // 2,
        "neighbors": np.array([[other for other in range(12) if other != row][:3] for row in range(12)], np.int32),
        "distances": np.ones((12, 3), np.float32),
        "baseline": np.zeros(12, np.float32),
    }
    records = pa.table(
        {
            "id": np.arange(12),
            "key": [str(row) for row in range(12)],
            "captions": pa.array([[("en", caption)] for caption in captions], pa.map_(pa.string(), pa.string())),
            "tags": pa.array([[]] * 12, pa.list_(pa.string())),
        }
    )
    empty = pa.table({"id": pa.array([], pa.int64())})
    listed = [{"space": "clip", "size": 4, "exemplars": [0], **row} for row in clusters]
    return Contents(
        records=records,
        hashes=np.zeros((12, 3), np.uint64),
        spaces={"clip": arrays},
        clusters=pa.Table.from_pylist(listed, schema=CLUSTERS_SCHEMA),
        thumbnails=THUMBNAILS_SCHEMA.empty_table(),
        packs=dict[int, Path](),
        rejected=pa.table({"key": pa.array([], pa.string())}),
        origins=empty,
    )


def left(before: Contents, gone: int, monkeypatch: pytest.MonkeyPatch) -> Contents:
    """What is left without one picture; neighbors are not of interest here."""
    monkeypatch.setattr("indexer.editing.subset.NEIGHBORS", 3)
    mask = np.arange(12) != gone
    return without(before, Kept(mask, np.ones(11, bool), np.arange(11, dtype=np.int32), 2))


def row(level: int, cluster: int, parent: int | None, label: str) -> dict[str, Any]:
    """A cluster."""
    return {"level": level, "cluster": cluster, "parent": parent, "label": label}


def test_a_number_that_is_taken_is_given_to_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody says anything a cluster is named by the next number that none of its siblings bears."""
    before = version([""] * 12, [row(0, 0, None, "gone"), row(0, 1, None, "group 1"), row(0, 2, None, "group 2")])
    names = left(before, 0, monkeypatch).clusters["label"].to_pylist()
    assert names[1:] == ["group 1", "group 2"]
    assert names[0] not in names[1:]


def test_fine_clusters_of_different_parents_may_share_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a build: what a fine cluster is named is taken for its siblings and its parent's own name alone."""
    said = ["cat sits", "cat sits", "dog", "dog", "lost", "cat sits", "bird", "bird", *["tree"] * 4]
    clusters = [row(0, 0, None, "pets"), row(0, 1, None, "beasts"), row(0, 2, None, "tree")]
    clusters += [row(1, 0, 0, "cat sits"), row(1, 1, 0, "dog"), row(1, 2, 1, "lost"), row(1, 3, 1, "bird")]
    before = version(said, clusters)
    after = left(before, 4, monkeypatch)
    named = {(each["level"], each["cluster"]): each["label"] for each in after.clusters.to_pylist()}
    assert named[1, 2] == named[1, 0] == "cat sits"
    assert renamed(before, after, "clip")
    assert not renamed(before, before, "clip")
