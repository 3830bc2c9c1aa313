"""The search index in the cache: whose it is, when it is built, and when it goes."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest
from small_atlas import SmallAtlas

from explorer import cache, indexes, nearest, seals
from explorer.atlas import Atlas
from explorer.errors import AtlasError
from explorer.exact import knn
from explorer.layout import AtlasPaths, write_atomic
from explorer.lines import state
from explorer.nearest import VectorIndex
from explorer.search import search_id
from explorer.status import status
from explorer.verify import current, read_meta
from indexer.build import BuildResult
from indexer.editing.contents import Contents
from indexer.editing.erase import erase_caches
from indexer.editing.figures import spaces_of
from webapp.cli import _prepare, main
from webapp.console import Bars

IVF: Mapping[str, Any] = {"kind": "ivf", "parameters": {"lists": 4, "probes": 2}}


def atlas_of(folder: Path, search: Mapping[str, Any] = IVF) -> Path:
    """An atlas of 60 pictures that names a search index."""
    space = {"dim": 32, "a": 1.577, "b": 0.895, "recall": 1.0, "search": dict(search)}
    return SmallAtlas(dims={"clip": 32}, extra_meta={"spaces": {"clip": space}}).write(folder)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An atlas whose index is of lists, and not there yet."""
    return atlas_of(tmp_path / "atlas")


def cached(root: Path) -> list[Path]:
    """The indexes in an atlas's cache."""
    return sorted((root / "cache").glob("*.faiss"))


@pytest.mark.parametrize("search", [IVF, {"kind": "flat", "parameters": {}}])
def test_no_question_waits_for_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, search: Mapping[str, Any]
) -> None:
    """Until the index is there answers are exact and nothing is built; once prepared, the same object is asked."""
    monkeypatch.setattr(nearest, "_AT_ONCE", 59)
    root = atlas_of(tmp_path / "atlas", search)
    atlas = Atlas.open(root)
    vectors = np.asarray(atlas.space("clip").vectors)
    asked = VectorIndex.open(atlas, "clip")
    allowed = np.arange(len(vectors)) % 3 > 0
    for mask in (None, allowed):
        among = None if mask is None else np.flatnonzero(mask)
        found, truth = asked.search(vectors, 5, mask), knn(vectors, vectors, 5, among)
        np.testing.assert_allclose(found[0], truth[0], atol=2e-6)
    assert len(search_id(atlas, 1000)) == 12
    assert not cached(root)
    nearest.prepare(atlas)
    assert len(cached(root)) == 1
    monkeypatch.setattr("explorer.exact.knn", None)
    assert (asked.search(vectors, 1)[1][:, 0] >= 0).all()


def test_an_index_of_another_program_goes_when_the_new_one_is_there(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an update of faiss, or another choice over the same vectors, one index is in the cache, not two."""
    monkeypatch.setattr(indexes, "VERSION", "1.0")
    nearest.prepare(Atlas.open(root))
    (old,) = cached(root)
    monkeypatch.undo()
    nearest.prepare(Atlas.open(root))
    (new,) = cached(root)
    assert new != old
    assert sorted(path.stem for path in (root / "cache").glob("clip-*")) == [new.stem, new.stem]


def test_what_a_killed_writer_left_goes_after_an_hour(root: Path) -> None:
    """Half an index that nobody writes any more is removed; one that is being written, and a stranger's file, stay."""
    folder = root / "cache"
    Atlas.open(root)
    name = cache.index_file(folder, "clip", "0" * 64, "any").name
    old, young, other = (folder / f".{each}" for each in (f"{name}.{'0' * 16}", f"{name}.{'1' * 16}", "other"))
    for path in (old, young, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (time.time() - 4000,) * 2)
    Atlas.open(root)
    assert [path.exists() for path in (old, young, other)] == [False, True, True]


def test_a_strangers_index_is_not_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that came with the atlas, its right checksum beside it, is no file of ours: faiss never reads it."""
    nearest.prepare(Atlas.open(root))
    (file,) = cached(root)
    right = json.loads(file.with_suffix(".json").read_bytes())
    read: list[Path] = []
    mapped = indexes.mapped
    monkeypatch.setattr(indexes, "mapped", lambda path, *given: read.append(path) or mapped(path, *given))
    VectorIndex.open(Atlas.open(root), "clip")
    assert read == [file]
    forged = [
        {name: right[name] for name in ("sha256", "stamp")},
        right | {"seal": hashlib.sha256(b"mine").hexdigest()},
        right | {"sha256": "0" * 64},
        right | {"seal": None},
    ]
    for told in forged:
        write_atomic(file.with_suffix(".json"), json.dumps(told).encode())
        VectorIndex.open(Atlas.open(root), "clip")
    assert read == [file]


def test_the_secret_is_the_users_alone(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other user reads what seals are made with; another secret, or one that cannot be kept, breaks no search."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    nearest.prepare(Atlas.open(root))
    secret = platformdirs.user_state_path("latent-explorer") / "seal"
    assert len(secret.read_bytes()) == 32
    assert secret.stat().st_mode & 0o77 == 0
    (file,) = cached(root)
    assert seals.is_ours(file)
    secret.write_bytes(b"")
    assert not seals.is_ours(file)
    seals.seal(file)
    assert seals.is_ours(file)
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/self/task/nowhere")
    assert not seals.is_ours(file)
    seals.seal(file)
    assert seals.is_ours(file)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("ivf", {"lists": math.inf, "probes": 1}),
        ("ivf", {"lists": 4, "probes": 0}),
        ("ivf", {"lists": 2**40, "probes": 1}),
        ("ivf", {"lists": True, "probes": 1}),
        ("hnsw", {"links": 2**40, "effort": 32}),
        ("hnsw", {"links": 16, "effort": "all"}),
    ],
)
def test_what_no_build_would_choose_is_refused_at_the_opening(
    tmp_path: Path, kind: str, parameters: Mapping[str, Any]
) -> None:
    """A parameter out of its range is said in a line when the atlas is opened, not by faiss at the first search."""
    root = atlas_of(tmp_path / "atlas", {"kind": kind, "parameters": parameters})
    with pytest.raises(AtlasError, match=r"expected \d+ to [\d,]+\); index the corpus again") as error:
        Atlas.open(root)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("row", [60, 2**31 - 1, -2])
def test_a_graph_is_made_of_rows_that_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str], row: int) -> None:
    """Neighbors that are no rows end the building in one line; they never reach faiss, which trusts them."""
    root = atlas_of(tmp_path / "atlas", {"kind": "hnsw", "parameters": {"links": 8, "effort": 16}})
    atlas = Atlas.open(root)
    neighbors = np.load(current(AtlasPaths(root)).array("clip", "neighbors"), mmap_mode="r+")
    neighbors[7, 3] = row
    neighbors.flush()
    with pytest.raises(AtlasError, match="names rows that are not there; index the corpus again"):
        nearest.prepare(atlas)
    assert not cached(root)
    _prepare(atlas, Bars())
    assert "searches compare every picture" in capsys.readouterr().err
    assert len(search_id(atlas, 1000)) == 12


def test_a_takedown_leaves_the_live_versions_index(root: Path) -> None:
    """An index of vectors that are live holds nothing that went, so nobody waits for it again; all else goes."""
    nearest.prepare(Atlas.open(root))
    (file,) = cached(root)
    names = (f"clip-{'0' * 32}-{'0' * 16}.faiss", f".{file.name}.{'0' * 16}", "map.bin", "checked-gone.json")
    for name in names:
        (root / "cache" / name).write_bytes(b"a picture")
    erase_caches(AtlasPaths(root))
    assert {path.name for path in (root / "cache").iterdir()} == {file.name, file.with_suffix(".json").name}


def test_a_result_is_told_before_its_index_is_built(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a verb leaves for afterwards is done when its document is printed already."""
    told: list[str] = []

    def run(args: argparse.Namespace) -> dict[str, Any]:
        args.afterwards = lambda: told.append(capsys.readouterr().out)
        return {"ok": True, "problems": []}

    monkeypatch.setattr("explorer.cli.run_verify", run)
    assert main(["verify", str(root), "--json"]) == 0
    assert json.loads(told[0])["ok"]


def test_a_build_that_finds_nothing_changed_makes_up_for_a_lost_index(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a kill between publishing and keeping the index, or without the cache, the same `index` brings it back."""
    meta = read_meta(current(AtlasPaths(root))) | {"outcomes": {"indexed": 60}}
    unchanged = BuildResult.of(meta, time.perf_counter(), is_new=False, notes=())
    monkeypatch.setattr("indexer.build.index", lambda *given, **settings: unchanged)
    (tmp_path / "pictures").mkdir()
    assert main(["index", str(root), str(tmp_path / "pictures")]) == 0
    assert len(cached(root)) == 1


@pytest.mark.parametrize(("before", "is_chosen_anew"), [(50, False), (40, True), (100, True)])
def test_figures_are_of_a_number_of_pictures(root: Path, tmp_path: Path, before: int, *, is_chosen_anew: bool) -> None:
    """After many came or went the index is chosen anew; else figures are told to be of the version they are of."""
    paths = AtlasPaths(root)
    meta = read_meta(current(paths)) | {"outcomes": {"indexed": before}}
    meta["spaces"]["clip"]["search"] |= {"recall": 0.992, "queries": 500, "p50_ms": 1.0, "p99_ms": 2.0}
    contents = Contents.read(current(paths), meta)
    (tmp_path / "build").mkdir()
    told = spaces_of(contents, meta, tmp_path / "build")["clip"]
    search = told["search"]
    assert told["measured_at"] == before
    assert not list((tmp_path / "build").iterdir())
    assert "recall" in search
    assert "recall" not in told
    assert (search["kind"], search["measured_at"]) == (("flat", 60) if is_chosen_anew else ("ivf", before))
    assert spaces_of(contents, meta | {"spaces": {"clip": told}, "outcomes": {"indexed": 60}}, tmp_path)["clip"] == told
    document = status(root) | {"spaces": {"clip": told}}
    assert f"neighbors and map as measured with {before} pictures" in state(document)
    assert f"measured with {search['measured_at']} pictures" in state(document)


def test_an_index_is_adopted_only_from_this_user(root: Path, tmp_path: Path) -> None:
    """What a build left is moved into the cache if it bears its user's seal, else it stays where it is."""
    nearest.prepare(Atlas.open(root))
    (file,) = cached(root)
    left = tmp_path / "index.faiss"
    left.write_bytes(file.read_bytes())
    file.unlink()
    nearest.adopt(left, AtlasPaths(root), "clip")
    assert left.exists()
    seals.seal(left)
    nearest.adopt(left, AtlasPaths(root), "clip")
    assert not left.exists()
    assert cached(root) == [file]
    assert seals.is_ours(file)
