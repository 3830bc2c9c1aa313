"""Takedowns: hidden at once, then nowhere any more; the rest stays where it was, and nothing brings them back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from color_encoders import encoders, picture, write_pictures
from folder_builds import manifest, options
from live import live
from small_atlas import SmallAtlas

from explorer import denylist
from explorer.atlas import Atlas
from explorer.cache import own_cache, own_workspace
from explorer.denylist import DenyKind, Takedown
from explorer.errors import AtlasError, BuildError, QueryError
from explorer.landing import Agreement, AgreementName, Landing, SpaceLanding, Verdict, VerdictName
from explorer.layout import AtlasPaths
from explorer.manifest import from_dict
from explorer.records import Hit, Recipe, Record, Split, TrajectoryStep, to_json
from explorer.search import search_id
from explorer.table import RecordsTable
from explorer.verify import verify
from explorer.workspace import Workspace
from indexer.build import index
from indexer.editing.append import append
from indexer.editing.forget import forget
from indexer.ids import Ledger
from indexer.lock import writing
from indexer.mapping import labels
from indexer.mapping.labels import PictureText
from tests.test_overlap import kept_by_counting
from webapp.cli import main

KILLED = -9
SCRIPT = Path(__file__).with_name("killed_takedowns.py")
GONE = "gold/gold-01.png"
HEAD = "file_name,caption,url,page\n"
LINES = (
    "gold/gold-01.png,a unique heirloom,https://One.example/a%20b.png,https://pages.example/heirlooms\n",
    "gold/gold-02.png,another of gold,https://two.example/c.png,https://pages.example/heirlooms\n",
    "purple/purple-00.png,purple one,https://cdn.two.example/p.png,https://pages.example/purple\n",
)


@dataclass(frozen=True)
class World:
    """An atlas of a folder, and the places where this user keeps things."""

    root: Path
    atlas: Path
    folder: Path

    @property
    def places(self) -> tuple[Path, ...]:
        """Every place that a takedown has to empty."""
        return self.atlas, self.root / "state", self.root / "cache"

    def ids(self) -> dict[str, int]:
        """Key -> id, of the live version."""
        opened = Atlas.open(self.atlas)
        return {record.key: record.id for record in opened.records(opened.ids)}

    def build(self) -> Any:  # noqa: ANN401
        """Index the folder."""
        return index(self.atlas, manifest(self.folder), options(), encoders=encoders())


def make(root: Path) -> World:
    """Four pictures a color; three have links, one row is broken."""
    folder = write_pictures(root / "pictures", 4)
    (folder / "metadata.csv").write_text(HEAD + "".join(LINES))
    (folder / "broken.jpg").write_text("no picture")
    world = World(root, root / "atlas", folder)
    world.build()
    return world


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Built once; nobody may change it."""
    return make(tmp_path_factory.mktemp("world"))


@pytest.fixture
def world(original: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A copy of one's own, with directories of a user of its own."""
    shutil.copytree(original.atlas, tmp_path / "atlas")
    shutil.copytree(original.folder, tmp_path / "pictures")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return World(tmp_path, tmp_path / "atlas", tmp_path / "pictures")


def needles(world: World, key: str) -> dict[str, bytes]:
    """All that could betray a picture, as it lies in files."""
    atlas = Atlas.open(world.atlas)
    record = next(each for each in atlas.records(atlas.ids) if each.key == key)
    row = atlas.row(record.id)
    assert record.image_url and record.sha256
    found = {
        "key": key.encode(),
        "caption": record.caption.encode(),
        "url": record.image_url.encode(),
        "sha256": record.sha256.encode(),
        "thumbnail": atlas.thumbnail(record.id),
    }
    for name in atlas.spaces:
        found[f"{name} vector"] = np.asarray(atlas.space(name).vectors[row]).tobytes()
        found[f"{name} point"] = np.asarray(atlas.space(name).points[row]).tobytes()
    for shard in AtlasPaths(world.atlas).build.glob("encode-*"):
        rows = [each["key"] for each in pq.read_table(shard / "rows.parquet").to_pylist() if each["reason"] is None]
        if key in rows:
            found["raw vector"] = np.load(shard / "clip.npy")[rows.index(key)].tobytes()
    return found


def contents(path: Path) -> bytes:
    """A file's bytes, and behind them those of its cells where it is a table: these are compressed."""
    plain = path.read_bytes()
    if path.suffix != ".parquet":
        return plain
    cells = json.dumps(pq.read_table(path).to_pylist(), default=lambda value: value.hex(), ensure_ascii=False)
    return plain + cells.encode()


def found_in(world: World, sought: Mapping[str, bytes]) -> dict[str, set[str]]:
    """Needle -> names of the files that hold it, over every file there is."""
    files = [path for place in world.places for path in place.rglob("*") if path.is_file()]
    held = {path: contents(path) for path in files}
    return {name: {path.name for path in held if needle in held[path]} for name, needle in sought.items()}


def story(world: World, folder: Path, key: str) -> int:
    """Let somebody have made something with a picture; return its id."""
    atlas = Atlas.open(world.atlas)
    record = next(each for each in atlas.records(atlas.ids) if each.key == key)
    other = int(atlas.ids[atlas.ids != record.id][0])

    def hit(identity: int) -> Hit:
        told = atlas.record(identity)
        return Hit(
            identity, 0.9, 50.0, Split.TRAIN, told.caption, told.image_url, told.page_url, None, (0.0, 1.0, 2.0), None
        )

    landing = Landing(
        {"clip": SpaceLanding((0.0, 0.0, 0.0), 1.0, 50.0, (hit(record.id), hit(other)))},
        Verdict(VerdictName.TYPICAL, "between"),
        agreement=Agreement(AgreementName.BOTH, "near", (record.id, other), "alike"),
    )
    step = TrajectoryStep(1, 9.0, {"clip": (0.0, 0.0, 0.0)}, {"clip": record.id}, {"clip": 0.5})
    workspace = Workspace.open(folder)
    recipe = Recipe("a prompt")
    job = workspace.add_job(recipe)
    workspace.add_event(job.id, "step", {"nearest": {"clip": record.id, "vae": other}, "similarity": {"clip": 1.0}})
    made = workspace.add_generation(b"png", recipe, landing, [step], report={"landing": to_json(landing)})
    workspace.add_event(job.id, "done", {"landing": to_json(landing), "generation": made})
    workspace.save_selection("mine", [record.id, other])
    workspace.close()
    return record.id


def test_a_picture_that_was_taken_down_is_in_no_file(world: World) -> None:
    """Neither atlas nor build, cache nor workspace holds its key, words, link, hash, picture or vector in any byte."""
    before = Atlas.open(world.atlas)
    search_id(before, int(before.ids[0]))
    paths = AtlasPaths(world.atlas)
    serving = Workspace.open(paths.workspace)  # as a server has it, so that the journal is not emptied by others' going
    identity = story(world, paths.workspace, GONE)
    story(world, own_workspace(paths), GONE)
    own = own_cache(paths)
    own.mkdir(parents=True)
    for path in list(paths.cache.iterdir()):
        shutil.copy(path, own)
        shutil.copy(path, path.with_name(f".{path.name}.0123456789abcdef"))  # as a process that was killed leaves it
    sought = needles(world, GONE)
    held = found_in(world, sought)
    assert all(held.values()), held
    assert {"records.parquet", "workspace.sqlite-wal"} <= held["caption"]
    assert any(name.endswith(".faiss") for name in held["clip vector"])
    assert len(held["thumbnail"]) > 0

    done = forget(world.atlas, ids=[identity])
    assert (done.removed, done.images, done.traces) == (1, 23, 12)  # six of either workspace
    assert {name: files for name, files in found_in(world, sought).items() if files} == {}
    assert verify(world.atlas) == []
    assert Atlas.open(world.atlas).meta["outcomes"] == {
        "indexed": 23, "rejected:denied": 1, "rejected:not-a-picture": 1
    }  # fmt: skip
    assert len(list(paths.versions.iterdir())) == 1
    (generation,) = serving.generations()
    assert [hit["id"] for hit in generation.landing["spaces"]["clip"]["hits"]] == [1]
    assert generation.landing["agreement"]["shared"] == [1]
    assert generation.trajectory[0]["nearest"] == {}
    assert serving.selections()[0].ids == (1,)
    serving.close()
    again = forget(world.atlas, ids=[identity])
    assert (again.removed, again.traces, again.version) == (0, 0, done.version)


def test_a_reader_that_was_open_hides_the_picture_and_goes_on(world: World) -> None:
    """From the takedown on it is in no answer; what else the reader has is answered, or it says that it is gone."""
    reader = Atlas.open(world.atlas)
    identity = world.ids()[GONE]
    assert reader.record(identity).caption == "a unique heirloom"
    forget(world.atlas, ids=[identity])
    with pytest.raises(QueryError, match="not in this atlas"):
        reader.record(identity)
    other = int(reader.ids[0])
    assert reader.record(other).key == "crimson/crimson-00.png"
    assert identity not in {hit.id for hit in search_id(reader, other, k=24)}
    with pytest.raises(AtlasError, match="is gone.*; open the atlas again"):
        reader.thumbnail(other)
    with pytest.raises(AtlasError, match="is gone; open the atlas again"):
        reader.query("SELECT id FROM records")


@pytest.mark.parametrize(
    ("takedown", "gone"),
    [
        (Takedown(DenyKind.URL, "http://one.example/a b.png"), {GONE}),
        (Takedown(DenyKind.URL, "https://pages.example/heirlooms#top"), {GONE, "gold/gold-02.png"}),
        (Takedown(DenyKind.HOST, "pages.example"), {GONE, "gold/gold-02.png", "purple/purple-00.png"}),
        (Takedown(DenyKind.HOST, "Two.Example"), {"gold/gold-02.png", "purple/purple-00.png"}),
        (Takedown(DenyKind.KEY, GONE), {GONE}),
        (Takedown(DenyKind.HOST, "nobody.example"), set()),
    ],
)
def test_what_is_named_goes_and_does_not_come_back(world: World, takedown: Takedown, gone: set[str]) -> None:
    """By link, page, host or key; a rebuild counts it as denied, and what was not there is denied for later."""
    before = world.ids()
    done = forget(world.atlas, [takedown])
    assert done.removed == len(gone)
    assert set(before) - set(world.ids()) == gone
    assert denylist.denies(denylist.read(AtlasPaths(world.atlas).denylist), takedown.kind, takedown.value)
    if gone:
        outcomes = world.build().outcomes
        assert outcomes == {"indexed": 24 - len(gone), "rejected:denied": len(gone), "rejected:not-a-picture": 1}
        assert world.ids() == {key: identity for key, identity in before.items() if key not in gone}


def test_a_picture_is_meant_wherever_its_bytes_stand(world: World) -> None:
    """A copy under another name and link goes with it, and under a third name it does not come back."""
    shutil.copy(world.folder / GONE, world.folder / "copy.png")
    world.build()
    assert "copy.png" in world.ids()
    assert forget(world.atlas, ids=[world.ids()[GONE]]).removed == 2
    shutil.copy(world.folder / GONE, world.folder / "third.png")
    assert world.build().outcomes["rejected:denied"] == 3
    assert not {GONE, "copy.png", "third.png"} & set(world.ids())


def test_the_rest_stays_where_it_was(world: World) -> None:
    """Points, vectors and clusters are the same bytes; neighbors and baseline are those of brute force on the rest."""
    before = Atlas.open(world.atlas)
    stays = np.array([record.key.split("/")[0] != "gold" for record in before.records(before.ids)])
    old = {name: before.space(name) for name in before.spaces}
    pages = {name: before.clusters(name) for name in before.spaces}
    forget(world.atlas, ids=before.ids[~stays].tolist())
    after = Atlas.open(world.atlas)
    assert after.ids.tolist() == before.ids[stays].tolist()
    assert all(after.thumbnail(int(identity))[:4] == b"RIFF" for identity in after.ids)
    for name in after.spaces:
        data = after.space(name)
        for array in ("vectors", "points", "cluster", "subcluster"):
            assert np.array_equal(getattr(data, array), getattr(old[name], array)[stays]), array
        vectors = data.vectors.astype(np.float64)
        cosines = vectors @ (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).T
        np.fill_diagonal(cosines, -np.inf)
        expected = -np.sort(-cosines, axis=1)[:, :15]
        np.testing.assert_allclose(1 - data.distances, expected, atol=2e-3)
        chosen = np.take_along_axis(cosines, data.neighbors.astype(np.int64), axis=1)
        np.testing.assert_allclose(chosen, expected, atol=2e-3)
        np.testing.assert_allclose(data.baseline, np.sort(cosines.max(axis=1)), atol=2e-3)
        assert np.array_equal(data.overlap, kept_by_counting(data.points, after.train, data.neighbors))
        assert after.meta["spaces"][name]["overlap"] == pytest.approx(data.overlap.mean() / 15, abs=1e-4)
        assert len(data.weights) == len(data.baseline)
        for cluster in after.clusters(name):
            members = set(after.ids[data.cluster == cluster.cluster].tolist())
            assert cluster.size == len(members)
            assert set(cluster.exemplars) <= members
        assert {each.cluster for each in after.clusters(name)} <= {each.cluster for each in pages[name]}


@pytest.mark.parametrize(
    ("label", "is_borne"),
    [
        ("red, shape", True),
        ("blue", False),
        ("red, blue", False),
        ("like a red shape", True),
        ("like a blue shape", False),
        ("red (a red sha…)", True),
        ("red (a blue sha…)", False),
        ("group 3", True),
    ],
)
def test_a_label_stays_while_others_say_it(label: str, is_borne: bool) -> None:
    """Of phrases and of the caption in brackets, all must be said by a picture that stays."""
    assert labels.is_borne(label, [PictureText("a red shape", ("shape",)), PictureText("round")]) is is_borne


def test_a_cluster_that_only_the_gone_picture_named_is_named_anew(tmp_path: Path) -> None:
    """Its label says nothing of the picture any more, its number stays; a cluster that lost nobody stays as it is."""

    def change(record: Record) -> Record:
        others = {"en": f"square {record.id}"}
        return replace(record, captions=others, tags=()) if record.group == "red" and record.id != 1021 else record

    root = SmallAtlas(change=change).write(tmp_path / "atlas")
    before = Atlas.open(root)
    assert before.clusters()[0].label == "red"
    forget(root, ids=[1021])
    after = Atlas.open(root)
    assert (after.clusters()[0].cluster, after.clusters()[0].size) == (0, before.clusters()[0].size - 1)
    assert after.clusters()[0].label.startswith("square")
    assert after.clusters()[1:] == before.clusters()[1:]
    assert 1021 not in after.clusters()[0].exemplars


def test_a_version_made_without_denied_rows_is_not_looked_through(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build, a takedown and an append say which list they obeyed; readers look at the rows only for another list."""
    looked = []
    real = RecordsTable.denied
    monkeypatch.setattr(RecordsTable, "denied", lambda *asked: looked.append(asked) or real(*asked))
    for change in (
        lambda: forget(world.atlas, [Takedown(DenyKind.HOST, "two.example")]),
        world.build,
        lambda: append(world.atlas, manifest(world.folder), options(), encoders=encoders()),
    ):
        change()
        looked.clear()
        assert not Atlas.open(world.atlas).denied.any()
        assert not looked
    reader = Atlas.open(world.atlas)
    denylist.add(AtlasPaths(world.atlas), [Takedown(DenyKind.KEY, GONE)])
    assert reader.denied.sum() == 1
    assert len(looked) == 1
    picture("teal", 1).save(world.folder / "new.png")
    append(world.atlas, manifest(world.folder), options(), encoders=encoders())
    assert Atlas.open(world.atlas).denied.sum() == 1


def test_a_listed_rejection_goes_too(world: World) -> None:
    """What was rejected and taken down is counted, and listed no more."""
    forget(world.atlas, [Takedown(DenyKind.KEY, "broken.jpg")])
    atlas = Atlas.open(world.atlas)
    listed = AtlasPaths(world.atlas).version(atlas.version).root / "rejected.parquet"
    assert pq.read_table(listed).num_rows == 0
    assert atlas.meta["outcomes"]["rejected:not-a-picture"] == 1


def test_an_unknown_id_denies_nothing(world: World) -> None:
    """One clear line, and no list is begun."""
    with pytest.raises(QueryError, match="found id 4711, which is not in this atlas"):
        forget(world.atlas, ids=[1, 4711])
    assert not AtlasPaths(world.atlas).denylist.exists()
    with pytest.raises(AtlasError, match="is not an atlas"):
        forget(world.root / "nowhere", [Takedown(DenyKind.HOST, "h")])
    assert not (world.root / "nowhere").exists()


def test_when_everything_goes_no_version_is_left(world: World) -> None:
    """The atlas is empty, its ids stay given, and what is new gets others."""
    identities = set(world.ids().values())
    done = forget(world.atlas, ids=sorted(identities))
    assert (done.removed, done.images, done.version) == (24, 0, None)
    assert verify(world.atlas)[0].endswith("index a corpus there")
    assert Ledger.read(AtlasPaths(world.atlas)).forgotten == identities
    with pytest.raises(BuildError):
        world.build()
    for number in range(10, 14):
        picture("teal", number).save(world.folder / f"new-{number}.png")
    assert world.build().images == 4
    assert not set(world.ids().values()) & identities


def test_only_the_shards_that_held_it_are_encoded_again(world: World) -> None:
    """A takedown does not cost the whole corpus its encoding."""
    world.build()
    forget(world.atlas, ids=[world.ids()[GONE]])
    models = encoders()
    index(world.atlas, manifest(world.folder), options(), encoders=models)
    assert 0 < models[0].pictures < 12


def test_while_a_build_runs_the_picture_is_hidden_first(world: World) -> None:
    """The takedown says who is writing; readers hide the picture from then on; the same command removes it later."""
    reader = Atlas.open(world.atlas)
    identity = world.ids()[GONE]
    with (
        writing(AtlasPaths(world.atlas)),
        pytest.raises(BuildError, match=rf"process {os.getpid()} .*hidden already; the same command removes them"),
    ):
        forget(world.atlas, ids=[identity])
    with pytest.raises(QueryError):
        reader.record(identity)
    assert forget(world.atlas, ids=[identity]).removed == 1


def test_caches_of_versions_that_are_gone_are_pruned(world: World) -> None:
    """An index and a memory of a version go when the version does, at the next build as at the next opening."""
    cache = AtlasPaths(world.atlas).cache
    first = Atlas.open(world.atlas)
    search_id(first, int(first.ids[0]))
    old = {path.name for path in cache.iterdir()}
    for number in range(20, 22):
        picture("gold", number).save(world.folder / f"{number}.png")
        world.build()
        atlas = Atlas.open(world.atlas)
        search_id(atlas, int(atlas.ids[0]))
    left = {path.name for path in cache.iterdir()}
    assert not old & left
    assert len([name for name in left if name.endswith(".faiss")]) == 2
    (cache / "checked-20200101T000000Z-gone.json").write_text("{}")
    (cache / f"clip-{'0' * 32}-{'0' * 16}.faiss").write_text("old")
    (cache / "something else").write_text("kept")
    Atlas.open(world.atlas)
    assert {path.name for path in cache.iterdir()} == left | {"something else"}


def test_ready_made_vectors_are_taken_down_too(tmp_path: Path) -> None:
    """Rows without a picture, a hash or a thumbnail: link and vector are in no file, and a rebuild leaves them out."""
    vectors = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    links = [f"https://pictures.example/{number}.jpg" for number in range(20)]
    table = pa.table({"vector": list(vectors), "url": links, "caption": [f"picture {link[-6:]}" for link in links]})
    pq.write_table(table, tmp_path / "in.parquet")
    document = {"kind": "embeddings", "path": str(tmp_path / "in.parquet"), "models": {"clip": "/nowhere/clip"}}
    told = from_dict(document, base=tmp_path, file="test.toml")
    world = World(tmp_path, tmp_path / "atlas", tmp_path)
    index(world.atlas, told)
    atlas = Atlas.open(world.atlas)
    search_id(atlas, int(atlas.ids[0]))
    vector = np.asarray(atlas.space("clip").vectors[7]).tobytes()
    sought = {"link": links[7].encode(), "vector": vector, "raw": (vectors[7]).tobytes()}
    assert all(found_in(world, sought)[name] for name in ("link", "vector"))
    assert forget(world.atlas, [Takedown(DenyKind.URL, links[7])]).removed == 1
    assert not any(found_in(world, sought).values())
    assert index(world.atlas, told).outcomes == {"indexed": 19, "rejected:denied": 1}
    assert not any(found_in(world, sought).values())


def run_script(plan: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Run takedowns in children that may be killed."""
    (folder / "plan.json").write_text(json.dumps(plan))
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, SCRIPT, folder / "plan.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_kill_anywhere_leaves_it_hidden_or_untouched(world: World) -> None:
    """Killed before any step on the disk: the atlas is whole, a denied picture is hidden, the same command finishes."""
    paths = AtlasPaths(world.atlas)
    before = Atlas.open(world.atlas)
    search_id(before, int(before.ids[0]))
    identity = story(world, paths.workspace, GONE)
    sought = needles(world, GONE)
    (undisturbed,) = run_script([{"atlas": str(copied(world, "reference")), "id": identity}], world.root)
    steps = undisturbed["steps"]
    assert steps > 60
    points = sorted({*range(1, 12, 2), *range(12, steps + 1, steps // 9)})
    worlds = [World(world.root / f"at-{point}", copied(world, f"at-{point}/atlas"), world.folder) for point in points]
    killed = zip(worlds, points, strict=True)
    plan = [{"atlas": str(each.atlas), "id": identity, "die_at": point} for each, point in killed]
    hidden = 0
    for each, done in zip(worlds, run_script(plan, world.root), strict=True):
        assert done["code"] == KILLED
        assert verify(each.atlas) == []
        atlas = Atlas.open(each.atlas)
        is_hidden = AtlasPaths(each.atlas).denylist.exists()
        hidden += is_hidden
        assert (identity in atlas.ids[atlas.allowed(None)]) is not is_hidden
    assert 0 < hidden < len(points)
    again = [{"atlas": str(each.atlas), "id": identity} for each in worlds]
    for each, done in zip(worlds, run_script(again, world.root), strict=True):
        assert done["code"] == 0
        assert done["images"] == 23
        assert verify(each.atlas) == []
        assert {name: files for name, files in found_in(each, sought).items() if files} == {}


def copied(world: World, name: str) -> Path:
    """A copy of the atlas; what its files share on the disk they share there too."""
    target = world.root / name
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", world.atlas, target], check=True)
    return target


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Run a verb with --json; return its one object."""

    def run(*words: str | Path) -> dict[str, Any]:
        assert main([*map(str, words), "--json"]) == 0
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    yield run


def test_the_verb_shows_what_a_search_would_take_and_takes_it_when_told(
    tiny_atlas: Path, tmp_path: Path, told: Any
) -> None:
    """Without --yes nothing goes, with it what was shown goes; single pictures go by id, link, host and hash."""
    atlas = Path(shutil.copytree(tiny_atlas, tmp_path / "atlas"))
    shown = told("forget", atlas, "--search", "a red shape", "-k", "3")
    assert (shown["removed"], len(shown["found"])) == (0, 3)
    assert "--yes" in shown["notes"][0]
    assert len(Atlas.open(atlas)) == 60
    taken = told("forget", atlas, "--search", "a red shape", "-k", "3", "--yes")
    assert (taken["removed"], taken["images"]) == (3, 57)
    left = set(Atlas.open(atlas).ids.tolist())
    assert not left & {hit["id"] for hit in shown["found"]}
    assert told("forget", atlas, "--id", str(min(left)))["removed"] == 1
    record = Atlas.open(atlas).record(max(left))
    assert told("forget", atlas, "--url", record.image_url)["removed"] == 1
    other = Atlas.open(atlas).record(sorted(left)[5])
    assert told("forget", atlas, "--sha256", other.sha256.upper())["removed"] == 1
    assert told("forget", atlas, "--host", "elsewhere.example")["removed"] == 0
    assert verify(atlas) == []


def test_a_server_that_runs_hides_it_at_once_and_is_scrubbed(tiny_atlas: Path, tmp_path: Path) -> None:
    """Denied: in no event, landing or record that it serves. Removed beneath it: its workspace is clean, it goes on."""
    atlas = Path(shutil.copytree(tiny_atlas, tmp_path / "atlas"))
    with live(atlas) as running:
        job = running.submit("a red shape", steps=2)
        landing = running.events(job)[-1]["landing"]
        gone = landing["spaces"]["clip"]["hits"][0]["id"]
        record = Atlas.open(atlas).record(gone)
        denylist.add(AtlasPaths(atlas), [Takedown(DenyKind.KEY, record.key)])
        told = json.dumps(running.events(job), ensure_ascii=False)
        assert record.caption not in told and str(record.page_url) not in told
        assert running.client.get(f"{running.version}/record/{gone}.json").status_code == 404
        done = forget(atlas, ids=[gone])
        assert done.removed == 1
        assert done.traces > 0
        held = b"".join(path.read_bytes() for path in (atlas / "workspace").iterdir() if path.is_file())
        assert str(record.page_url).encode() not in held
        other = next(hit["id"] for hit in landing["spaces"]["clip"]["hits"] if hit["id"] != gone)
        assert running.client.get(f"{running.version}/record/{other}.json").status_code == 200
        answer = running.client.get(f"{running.version}/thumbnail/{other}.webp")
        assert "is gone" in answer.text
        made = running.submit("a blue shape", steps=1)
        assert running.events(made)[-1]["kind"] == "done"
        report = running.client.get(f"/api/jobs/{made}/report.html")
        assert report.status_code == 200 and "no picture" in report.text


@pytest.mark.parametrize(
    "words",
    [[], ["--id", "1", "--host", "h"], ["--sha256", "12"], ["--url", " "], ["--search", "x", "-k", "0"]],
)
def test_wrong_words_are_refused(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exactly one thing is named, and it is what it claims to be."""
    with pytest.raises(SystemExit) as left:
        main(["forget", str(tmp_path), *words])
    assert left.value.code == 2
    assert capsys.readouterr().out == ""
