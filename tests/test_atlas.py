"""An atlas on disk: opened whole or refused, read by many, silent about what was taken down."""

from __future__ import annotations

import io
import json
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_atlas import VERSION, SmallAtlas, changed

from explorer import denylist, layout, table
from explorer.atlas import Atlas
from explorer.denylist import DenyKind
from explorer.errors import AtlasError, ExplorerError, QueryError
from explorer.records import Record, Split
from explorer.verify import verify

_SAME = {("clip", "mean"), ("clip", "weights"), ("vae", "weights")}  # in every small atlas
FILES = sorted(
    [f"{space}/{name}.npy" for space in ("clip", "vae") for name in layout.SPACE_ARRAYS if (space, name) not in _SAME]
    + ["records.parquet", "clusters.parquet", "thumbnails.parquet", "thumbnails/00000.pack"]
)


@pytest.fixture
def atlas(small_atlas: Path) -> Atlas:
    """A small atlas, opened."""
    return Atlas.open(small_atlas)


def rewrite_meta(root: Path, change: Callable[[dict[str, Any]], object], version: str = VERSION) -> None:
    path = layout.AtlasPaths(root).version(version).meta
    meta = json.loads(path.read_text())
    change(meta)
    path.write_text(json.dumps(meta))


def deny(root: Path, kind: DenyKind, value: str) -> None:
    entry = {"kind": kind, "sha256": denylist.hashed(kind, value), "at": "2025-01-01T00:00:00Z"}
    with layout.AtlasPaths(root).denylist.open("a") as handle:
        handle.write(json.dumps(entry) + "\n")


def test_a_written_atlas_is_whole_and_opens(atlas: Atlas) -> None:
    """What the layout writes, `verify` finds right and `open` reads with the shapes that are promised."""
    assert verify(atlas.path) == []
    assert (len(atlas), atlas.version, atlas.spaces) == (60, VERSION, ("clip", "vae"))
    space = atlas.space("clip")
    assert (space.vectors.dtype, space.vectors.shape) == (np.float16, (60, 32))
    assert (space.points.dtype, space.points.shape) == (np.float32, (60, 3))
    assert (space.neighbors.shape, space.distances.shape) == ((60, 15), (60, 15))
    assert atlas.train.sum() == 48
    assert atlas.manifest.title == "Colored shapes"


def test_radius_and_center_are_as_defined(atlas: Atlas) -> None:
    """The map radius is the 99th percentile of the distances to the centroid."""
    space = atlas.space("vae")
    points = np.asarray(space.points, dtype=np.float64)
    centroid = points.sum(axis=0) / 60
    distances = sorted(np.sqrt(((points - centroid) ** 2).sum(axis=1)))
    place = 0.99 * 59
    expected = distances[int(place)] + (place % 1) * (distances[int(place) + 1] - distances[int(place)])
    np.testing.assert_allclose(space.center, centroid)
    assert space.radius == pytest.approx(expected)


@given(st.lists(st.floats(-1, 1, width=32), min_size=1), st.lists(st.floats(-1, 1, width=32), min_size=1))
def test_a_percentile_is_the_share_that_is_less(small: Atlas, baseline: list[float], asked: list[float]) -> None:
    """0-100: how many of the training pictures' own nearest are strictly less similar, counted one by one."""
    space = replace(small.space("clip"), baseline=np.sort(np.array(baseline, np.float32)))
    found = space.percentiles(np.array(asked, np.float32))
    expected = [100 * sum(value < one for value in baseline) / len(baseline) for one in asked]
    np.testing.assert_allclose(found, expected)


def test_without_a_baseline_there_is_no_percentile(atlas: Atlas) -> None:
    """Where no picture has a neighbor outside its family a percentile is unknown, not 0."""
    empty = replace(atlas.space("clip"), baseline=np.empty(0, np.float32))
    assert np.isnan(empty.percentiles(np.array([0.5], np.float32))).all()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """A small atlas that no test of this file changes, opened."""
    return Atlas.open(SmallAtlas().write(tmp_path_factory.mktemp("shared") / "small"))


def test_records_come_back_as_they_were_written(atlas: Atlas) -> None:
    """Every field survives the way to the disk and back, nulls, Chinese and nested ones too, in the order asked."""
    first, second = atlas.records([1007, 1000])
    assert (first.id, second.id) == (1007, 1000)
    assert first.split is Split.TRAIN
    assert first.captions == {"en": "red shape 1", "zh": "形状 1"}
    assert first.tags == ("red", "shape")
    assert first.extra == {"corners": 4, "year": 1901, "place": "Oslo"}
    assert second.extra["place"] is None
    assert first.aesthetic is None
    assert first.caption == "red shape 1"
    assert atlas.record(1000) == second
    assert atlas.records([]) == ()


def test_a_large_table_gives_the_same_records(small_atlas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are the same, in the order asked and however often, whether the table is held in memory or not."""
    held = Atlas.open(small_atlas)
    monkeypatch.setattr(table, "SMALL", 0)
    asked = [1021, 1000, 1021, *held.ids[::-1].tolist()]
    assert Atlas.open(small_atlas).records(asked) == held.records(asked)
    assert Atlas.open(small_atlas).records([]) == ()


def test_records_without_anything_known_are_read(tmp_path: Path) -> None:
    """A picture of which only the key is known is a record like any other, and its own family."""
    bare = SmallAtlas(change=lambda record: Record(id=record.id, key=record.key, split=record.split))
    atlas = Atlas.open(bare.write(tmp_path / "bare"))
    assert atlas.record(1000) == Record(id=1000, key="red-0", split=Split.TRAIN)
    assert len(set(atlas.families.tolist())) == 60


def test_rows_are_found_by_id(atlas: Atlas) -> None:
    """Ids lead to rows and back; an id of no picture is a fault of one line."""
    np.testing.assert_array_equal(atlas.rows(atlas.ids[::-1]), np.arange(60)[::-1])
    for unknown in (0, 999, 1001, 10**6, -(2**63), 2**63 - 1):
        with pytest.raises(QueryError, match=f"found id {unknown}, which is not in this atlas"):
            atlas.record(unknown)


def test_ids_need_no_order(tmp_path: Path) -> None:
    """Ids are found though they do not ascend by row."""
    turned = SmallAtlas(change=lambda record: changed(id=-record.id)(record)).write(tmp_path / "turned")
    assert Atlas.open(turned).record(-1007).key == "red-1"


def test_families_group_rows(atlas: Atlas) -> None:
    """Two rows have one code exactly where they have one family."""
    names = [record.family for record in atlas.records(atlas.ids)]
    same = np.array(names)[:, None] == np.array(names)[None, :]
    np.testing.assert_array_equal(atlas.families[:, None] == atlas.families[None, :], same)


def test_thumbnails_are_the_pictures_own(atlas: Atlas) -> None:
    """Every id has its thumbnail, WebP, in the color of its group."""
    for identity, color in ((1000, "red"), (1420 - 7, "purple")):
        image = Image.open(io.BytesIO(atlas.thumbnail(identity)))
        expected = Image.new("RGB", (1, 1), color).getpixel((0, 0))
        assert image.format == "WEBP"
        np.testing.assert_allclose(image.convert("RGB").getpixel((32, 32)), expected, atol=40)


def test_thumbnails_of_many_packs_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thumbnail is found whichever pack it lies in."""
    monkeypatch.setattr(layout, "PACK_BYTES", 2000)
    root = SmallAtlas().write(tmp_path / "packs")
    assert len(list((root / "versions" / VERSION / "thumbnails").iterdir())) > 5
    atlas = Atlas.open(root)
    assert all(Image.open(io.BytesIO(atlas.thumbnail(int(i)))).size == (64, 64) for i in atlas.ids)


def test_clusters_name_their_pictures(atlas: Atlas) -> None:
    """Clusters of a space come with label, size and exemplars that are in the atlas."""
    clusters = atlas.clusters("vae")
    assert [cluster.label for cluster in clusters] == ["red", "orange", "green", "teal", "blue", "purple"]
    for cluster in clusters:
        rows = atlas.rows(cluster.exemplars)
        assert (atlas.space("vae").cluster[rows] == cluster.cluster).all()
        assert cluster.size == (atlas.space("vae").cluster == cluster.cluster).sum()


def test_an_unknown_space_is_a_question_that_cannot_be_answered(atlas: Atlas) -> None:
    """The message names the spaces there are."""
    with pytest.raises(QueryError, match="this atlas has clip and vae"):
        atlas.space("dino")


def test_questions_are_bound_and_reach_no_other_file(atlas: Atlas, tmp_path: Path) -> None:
    """DuckDB answers with bound values, and reads neither another file nor an extension, nor unlocks itself."""
    found = atlas.query("SELECT id FROM records WHERE author = $1 AND key LIKE $2", ["Ada", "teal%"])
    assert found.num_rows == 10
    assert atlas.query("SELECT id FROM records WHERE key = ?", ["' OR 1=1 --"]).num_rows == 0
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    forbidden = [
        f"SELECT * FROM '{secret}'",
        f"COPY records TO '{tmp_path / 'out.csv'}'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "ATTACH 'other.db'",
        "SELECT nothing",
    ]
    for sql in forbidden:
        with pytest.raises(QueryError, match="the records cannot answer this"):
            atlas.query(sql)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("name", ["we [ird] *? it's", "split=train", "id=7", "猫 – %20", "a;b--"])
def test_a_folder_may_bear_any_name(small_atlas: Path, tmp_path: Path, name: str) -> None:
    """Quotes, wildcards, key=value and other writing in the path of an atlas change no answer."""
    atlas = Atlas.open(small_atlas.rename(tmp_path / name))
    assert (atlas.record(1007).key, atlas.record(1007).split) == ("red-1", Split.TRAIN)
    assert atlas.query("SELECT * FROM records").column_names == layout.RECORDS_SCHEMA.names
    assert verify(atlas.path) == []


def test_many_threads_may_ask(atlas: Atlas) -> None:
    """Sixteen threads read records, thumbnails and clusters at once and all get their own answers."""
    start = threading.Barrier(16)

    def ask(number: int) -> bool:
        start.wait()
        identity = int(atlas.ids[number])
        found = [atlas.record(identity).id == identity and bool(atlas.thumbnail(identity)) for _ in range(3)]
        return all(found) and len(atlas.clusters()) == 6

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(16)))


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_build_is_refused(small_atlas: Path, other_build: Path, name: str) -> None:
    """Each file of an atlas, taken from a build of the same size, keeps it from opening and shows in `verify`."""
    Atlas.open(small_atlas)  # so that every checksum is remembered already
    target, source = (root / "versions" / VERSION / name for root in (small_atlas, other_build))
    assert target.read_bytes() != source.read_bytes()
    layout.write_atomic(target, source.read_bytes())
    assert any(name in problem for problem in verify(small_atlas))
    with pytest.raises(AtlasError, match="is not the file that version"):
        Atlas.open(small_atlas)


@pytest.fixture(scope="session")
def other_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another build with the same number of pictures."""
    other = SmallAtlas(seed=1, change=lambda record: changed(author="Bob", id=record.id + 1)(record))
    return other.write(tmp_path_factory.mktemp("other") / "small")


def test_one_flipped_bit_is_seen_by_open_and_verify(small_atlas: Path) -> None:
    """A bit that flips in a vector is found, though size and shape are as they were."""
    Atlas.open(small_atlas)
    path = small_atlas / "versions" / VERSION / "clip" / "vectors.npy"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    assert verify(small_atlas) == [f"clip/vectors.npy: {_why(small_atlas, 'clip/vectors.npy')}"]
    with pytest.raises(AtlasError, match="vectors"):
        Atlas.open(small_atlas)


def _why(root: Path, name: str) -> str:
    meta = json.loads((root / "versions" / VERSION / "atlas.json").read_text())
    return f"expected sha256 {meta['files'][name]['sha256'][:12]}…, found another"


def test_a_pack_of_another_build_shows_no_picture(small_atlas: Path, other_build: Path) -> None:
    """Thumbnails of another build, of the very same size, are held against their checksum before one is shown."""
    pack = Path("versions", VERSION, "thumbnails", "00000.pack")
    size = (small_atlas / pack).stat().st_size
    (small_atlas / pack).write_bytes((other_build / pack).read_bytes()[:size].ljust(size, b"\0"))
    atlas = Atlas.open(small_atlas)
    with pytest.raises(AtlasError, match=r"thumbnails/00000.pack is not the file that version .* was published with"):
        atlas.thumbnail(1000)
    assert any("00000.pack" in problem for problem in verify(small_atlas))


def test_a_missing_and_an_extra_file_are_seen(small_atlas: Path) -> None:
    """`verify` counts the files: none may be missing, none may be more."""
    version = small_atlas / "versions" / VERSION
    (version / "vae" / "baseline.npy").unlink()
    (version / "vae" / "stray.npy").write_bytes(b"x")
    assert verify(small_atlas) == ["vae/baseline.npy: it is missing", "vae/stray.npy: it is not in atlas.json"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda meta: meta.update(schema=layout.SCHEMA + 1), "has schema 2, this program reads 1; update"),
        (lambda meta: meta.update(schema=0), "has schema 0, this program reads 1; index the corpus again"),
        (lambda meta: meta.pop("schema"), "it names no schema"),
        (lambda meta: meta.pop("spaces"), "spaces missing"),
        (lambda meta: meta["files"].pop("vae/points.npy"), "vae/points.npy: it is not in atlas.json"),
        (lambda meta: meta["files"]["clip/mean.npy"].pop("sha256"), "its entry for 'clip/mean.npy'"),
        (
            lambda meta: meta["files"].update({"../../x.npy": meta["files"]["clip/mean.npy"]}),
            "names no file of an atlas",
        ),
        (lambda meta: meta["outcomes"].update(indexed=61), "counts 61 indexed pictures, records.parquet has 60"),
        (lambda meta: meta["spaces"]["clip"].pop("a"), "space clip has no curve"),
        (lambda meta: meta.update(spaces={}), "names no space"),
        (lambda meta: meta["manifest"].update(kind="unheard-of"), "atlas.json: kind: found 'unheard-of'"),
    ],
)
def test_an_atlas_json_that_does_not_fit_is_refused_by_name(
    small_atlas: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    """Another schema, a missing part or a path that leads elsewhere: one line that says what and what to do."""
    rewrite_meta(small_atlas, change)
    with pytest.raises(ExplorerError, match=words) as caught:
        Atlas.open(small_atlas)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("current", "words"),
    [
        ("nothing-here", "version nothing-here is missing"),
        ("../../etc", "is not the name of a version"),
        ("..", "is not the name of a version"),
        ("", "is not the name of a version"),
        ("a/b", "is not the name of a version"),
    ],
)
def test_current_never_leads_out_of_the_atlas(small_atlas: Path, current: str, words: str) -> None:
    """CURRENT holds a plain name or the atlas is refused."""
    (small_atlas / "CURRENT").write_text(current)
    with pytest.raises(AtlasError, match=words):
        Atlas.open(small_atlas)
    assert len(verify(small_atlas)) == 1


def test_a_folder_that_is_no_atlas_says_so(tmp_path: Path) -> None:
    """An empty or missing folder is refused in one line."""
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(AtlasError, match="is not an atlas"):
            Atlas.open(path)


def test_an_array_of_objects_is_never_unpickled(small_atlas: Path, tmp_path: Path) -> None:
    """An NPY file that holds a pickle is refused, though its checksum is right, and what it would run does not run."""
    canary = tmp_path / "canary"
    path = small_atlas / "versions" / VERSION / "clip" / "baseline.npy"
    with path.open("wb") as handle:
        np.save(handle, np.array([_Payload(canary)] * 48, dtype=object), allow_pickle=True)
    rewrite_meta(small_atlas, lambda meta: meta.update(files=_described(small_atlas)))
    with pytest.raises(AtlasError, match=r"clip/baseline\.npy is damaged"):
        Atlas.open(small_atlas)
    assert not canary.exists()
    np.load(path, allow_pickle=True)
    assert canary.exists()  # the payload was a real one


class _Payload:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.canary,))


def _described(root: Path) -> dict[str, Any]:
    from explorer.verify import describe

    return describe(layout.AtlasPaths(root).version(VERSION))


def test_publishing_leaves_open_readers_on_their_version(small_atlas: Path) -> None:
    """A reader keeps the version that it opened; the next one opens the new; an old one can be named."""
    before = Atlas.open(small_atlas)
    SmallAtlas(version="second", change=changed(author="Bob")).write(small_atlas)
    assert (before.version, before.record(1000).author) == (VERSION, "Ada")
    assert (Atlas.open(small_atlas).version, Atlas.open(small_atlas).record(1000).author) == ("second", "Bob")
    assert Atlas.open(small_atlas, version=VERSION).record(1000).author == "Ada"


def test_readers_see_one_version_while_many_are_published(small_atlas: Path) -> None:
    """Opened over and over while sixteen versions come and go, an atlas is each time one of them, whole."""
    paths = layout.AtlasPaths(small_atlas)
    looked, published = threading.Event(), threading.Event()
    seen: list[str] = []

    def read() -> None:
        while not published.is_set():
            atlas = Atlas.open(small_atlas)
            assert atlas.record(1000).key == "red-0"
            assert atlas.meta["version"] == atlas.version
            seen.append(atlas.version)
            looked.set()

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        for number in range(16):
            shutil.copytree(paths.version(VERSION).root, paths.version(f"v{number:02}").root)
            rewrite_meta(small_atlas, partial(dict.update, version=f"v{number:02}"), version=f"v{number:02}")
            paths.publish(f"v{number:02}")
            shutil.rmtree(paths.version(f"v{number - 1:02}").root, ignore_errors=True)
            if number % 2:  # so that the reader, however slow, is there to the end
                looked.clear()
                looked.wait(30)
        published.set()
        reader.result()
    assert len(set(seen)) >= 8
    assert seen == sorted(seen)


def test_a_version_that_was_deleted_is_explained(small_atlas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader whose version was deleted says so in one line, and still knows what is in memory."""
    monkeypatch.setattr(table, "SMALL", 0)
    atlas = Atlas.open(small_atlas)
    shutil.rmtree(small_atlas / "versions" / VERSION)
    with pytest.raises(AtlasError, match="is gone"):
        atlas.thumbnail(1000)
    with pytest.raises(ExplorerError):
        atlas.record(1000)
    assert atlas.space("clip").vectors[0].any()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """A write that breaks in the middle changes nothing and leaves nothing behind."""
    path = tmp_path / "CURRENT"
    layout.write_atomic(path, b"old")
    with pytest.raises(RuntimeError), layout.replacing(path) as handle:
        handle.write(b"half of the n")
        handle.flush()
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is synced, then renamed, then its folder is synced: after a power cut there is the old file or the new.

    What was synced under which name is asked of the operating system, which keeps the names of open files.
    """
    done: list[str] = []
    sync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda at: done.append(os.readlink(f"/proc/self/fd/{at}")) or sync(at))
    monkeypatch.setattr(os, "replace", lambda old, new: done.append(f"{old} -> {new}") or rename(old, new))
    layout.write_atomic(tmp_path / "CURRENT", b"new")
    file, renamed, folder = done
    assert renamed == f"{file} -> {tmp_path / 'CURRENT'}"
    assert folder == str(tmp_path)


@pytest.mark.parametrize(
    ("kind", "value", "gone"),
    [
        (DenyKind.KEY, "red-3", {1021}),
        (DenyKind.URL, "HTTPS://Pictures.Example/red/3.png#top", {1021}),
        (DenyKind.URL, "https://pictures.example/red/3", {1021}),
        (DenyKind.SHA256, f"{3:064X}", {1021}),
        (DenyKind.HOST, "Pictures.Example.", set(range(1000, 1420, 7))),
        (DenyKind.HOST, "other.example", set()),
    ],
)
def test_what_was_taken_down_is_in_no_answer(small_atlas: Path, kind: DenyKind, value: str, gone: set[int]) -> None:
    """A takedown by key, link, host or checksum holds for a reader that was open before it, in every kind of answer."""
    atlas = Atlas.open(small_atlas)
    assert atlas.record(1021).key == "red-3"
    deny(small_atlas, kind, value)
    assert set(atlas.ids[atlas.denied].tolist()) == gone
    assert not atlas.allowed(None)[atlas.denied].any()
    assert atlas.query("SELECT id FROM records").num_rows == 60 - len(gone)
    assert not gone & {exemplar for cluster in atlas.clusters() for exemplar in cluster.exemplars}
    for identity in list(gone)[:3]:
        for ask in (atlas.row, atlas.record, atlas.thumbnail):
            with pytest.raises(QueryError, match="not in this atlas"):
                ask(identity)
    assert set(Atlas.open(small_atlas).ids[Atlas.open(small_atlas).denied].tolist()) == gone


def test_a_denied_host_takes_its_subdomains(tmp_path: Path) -> None:
    """Denying example.org denies images.example.org too, and not badexample.org."""
    hosts = {1000: "images.example.org", 1007: "example.org", 1014: "badexample.org"}
    root = SmallAtlas(change=lambda record: changed(host=hosts.get(record.id))(record)).write(tmp_path / "hosts")
    atlas = Atlas.open(root)
    deny(root, DenyKind.HOST, "example.org")
    assert atlas.ids[atlas.denied].tolist() == [1000, 1007]


def test_a_takedown_can_be_withdrawn(small_atlas: Path) -> None:
    """Without the denylist the pictures are back, for a reader that stayed open too."""
    atlas = Atlas.open(small_atlas)
    deny(small_atlas, DenyKind.KEY, "red-3")
    assert atlas.denied.sum() == 1
    (small_atlas / "denylist.jsonl").unlink()
    assert atlas.denied.sum() == 0
    assert atlas.record(1021).key == "red-3"


@pytest.mark.parametrize("line", ["not json", '{"kind": "key"}', '{"kind": "mood", "sha256": "0"}', "[]", "\xff"])
def test_a_broken_denylist_shows_nothing(small_atlas: Path, line: str) -> None:
    """While a takedown cannot be read nothing is answered, rather than what was taken down."""
    atlas = Atlas.open(small_atlas)
    (small_atlas / "denylist.jsonl").write_bytes(line.encode("latin-1") + b"\n")
    with pytest.raises(AtlasError, match="nothing is shown"):
        atlas.record(1000)


def test_a_read_only_atlas_keeps_its_work_elsewhere(
    small_atlas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be written beside the atlas, workspace and cache lie in the user's own directories."""
    if not Path("/proc/self").is_dir():
        pytest.skip("needs a folder that nobody may write to")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("workspace", "cache"):
        (small_atlas / name).symlink_to("/proc/self/task")
    atlas = Atlas.open(small_atlas)
    assert atlas.workspace_dir.is_relative_to(tmp_path / "state" / "latent-explorer")
    assert atlas.cache_dir.is_relative_to(tmp_path / "cache" / "latent-explorer")
    assert atlas.workspace_dir.is_dir()


def test_two_read_only_atlases_do_not_share_their_work(
    small_atlas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Atlases of one name in two places have each their own workspace in the user's directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    twin = Path(shutil.copytree(small_atlas, tmp_path / "elsewhere" / "small"))
    folders = set()
    for root in (small_atlas, twin):
        (root / "workspace").symlink_to("/proc/self/task")
        folders.add(Atlas.open(root).workspace_dir)
    assert len(folders) == 2


def test_the_workspace_can_be_named(small_atlas: Path, tmp_path: Path) -> None:
    """`workspace` moves it, and nothing is written beside the atlas for it."""
    atlas = Atlas.open(small_atlas, workspace=tmp_path / "mine")
    assert atlas.workspace_dir == tmp_path / "mine"
    assert not (small_atlas / "workspace").exists()


def test_checksums_are_remembered_and_the_memory_is_not_trusted_blindly(
    small_atlas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second opening reads no file whole again; a file that was replaced is read again, and refused."""
    from explorer import verify as module

    Atlas.open(small_atlas)
    read: list[Path] = []
    monkeypatch.setattr(module, "checksum", lambda path: read.append(path) or "0")
    Atlas.open(small_atlas)
    assert read == []
    path = small_atlas / "versions" / VERSION / "clip" / "points.npy"
    layout.write_atomic(path, path.read_bytes())
    with pytest.raises(AtlasError, match="points"):
        Atlas.open(small_atlas)
    assert read == [path]
