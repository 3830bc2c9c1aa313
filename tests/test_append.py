"""Appending: new rows stand where the map puts them, old rows stay as they are, and the counts add up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from color_encoders import ColorEncoder, encoders, picture, write_pictures
from folder_builds import manifest, options

from explorer import manifest as manifests
from explorer.atlas import Atlas
from explorer.denylist import DenyKind, Takedown
from explorer.errors import BuildError
from explorer.layout import AtlasPaths
from explorer.lines import state
from explorer.manifest import Manifest, Safety, SplitRule, Training
from explorer.records import Relation, Split
from explorer.search import search_id
from explorer.spaces import SpaceData
from explorer.status import status
from explorer.verify import verify
from indexer.build import BuildResult, index
from indexer.corpus import Selection
from indexer.editing.append import append
from indexer.editing.forget import forget
from indexer.plan import BuildOptions
from tests.test_overlap import kept_by_counting
from webapp.cli import main

KILLED = -9
SCRIPT = Path(__file__).with_name("killed_appends.py")
OLD = 8
"""Pictures of each color in the atlas: enough for UMAP's map and for clusters."""
PARTS = ("vectors", "points", "cluster", "subcluster", "neighbors", "distances")


class World:
    """An atlas of 48 pictures and a folder of others."""

    def __init__(self, root: Path) -> None:
        self.atlas, self.folder, self.more = root / "atlas", root / "pictures", root / "more"

    def build(self, **settings: Any) -> BuildResult:
        """Index the folder."""
        return index(self.atlas, manifest(self.folder), settings.pop("options", options()), encoders=encoders())

    def append(
        self,
        told: Manifest | None = None,
        models: tuple[ColorEncoder, ...] | None = None,
        chosen: BuildOptions | None = None,
    ) -> BuildResult:
        """Append the other folder, or what `told` is about."""
        return append(self.atlas, told or manifest(self.more), chosen or options(), encoders=models or encoders())


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Built once; nobody may change it."""
    root = tmp_path_factory.mktemp("world")
    world = World(root)
    write_pictures(world.folder, OLD)
    world.build()
    for number in range(20, 24):
        for color in ("gold", "purple", "teal"):
            (world.more / color).mkdir(parents=True, exist_ok=True)
            picture(color, number, (44, 36)).save(world.more / color / f"{color}-{number}.png")
    return world


@pytest.fixture
def world(original: World, tmp_path: Path) -> World:
    """A copy of one's own."""
    for folder in (original.atlas, original.folder, original.more):
        subprocess.run(["cp", "-a", folder, tmp_path / folder.name], check=True)
    return World(tmp_path)


def arrays(atlas: Atlas, name: str) -> dict[str, npt.NDArray[Any]]:
    data = atlas.space(name)
    return {
        part: np.asarray(getattr(data, part))
        for part in ("vectors", "points", "cluster", "subcluster", "neighbors", "distances")
    }


def keys(atlas: Atlas) -> list[str]:
    return [record.key for record in atlas.records(atlas.ids)]


def cosines(data: SpaceData) -> npt.NDArray[np.float64]:
    vectors = data.vectors.astype(np.float64)
    found: npt.NDArray[np.float64] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)) @ vectors.T
    np.fill_diagonal(found, -np.inf)
    return found


def test_old_rows_stay_and_new_ones_stand_among_their_like(world: World) -> None:
    """Ids, points, vectors and clusters of old rows are the same bytes; new ones stand by pictures of their color."""
    before = Atlas.open(world.atlas)
    assert before.meta["spaces"]["clip"]["layout"] == "umap"
    old = {name: arrays(before, name) for name in before.spaces}
    models = encoders()
    done = world.append(models=models)
    assert (done.images, done.outcomes, done.is_new) == (60, {"indexed": 60}, True)
    assert done.notes == ("12 pictures joined; 0 were there already.",)
    assert models[0].pictures == 12
    assert verify(world.atlas) == []

    after = Atlas.open(world.atlas)
    assert after.ids[:48].tolist() == before.ids.tolist()
    assert len(set(after.ids.tolist())) == 60
    records = after.records(after.ids)
    assert [record.placed for record in records] == [False] * 48 + [True] * 12
    assert all(after.thumbnail(record.id)[:4] == b"RIFF" for record in records)
    color = np.array([record.key.split("/")[0] for record in records])
    for name in after.spaces:
        now = arrays(after, name)
        for part in ("vectors", "points", "cluster", "subcluster"):
            assert now[part][:48].tobytes() == old[name][part].tobytes(), part
        assert np.array_equal(after.space(name).mean, before.space(name).mean)
        for row in np.flatnonzero(color == "gold")[-4:]:
            others = now["points"][:48][color[:48] == "gold"]
            assert np.linalg.norm(others - now["points"][row], axis=1).min() < after.space(name).radius / 2
    hits = search_id(after, int(after.ids[48]), k=5)
    assert {after.record(hit.id).key.split("/")[0] for hit in hits} == {"gold"}


def test_neighbors_and_baseline_are_those_of_brute_force(world: World) -> None:
    """Over all training rows, old and new, for every row; and the clusters count all their members."""
    world.append(replace(manifest(world.more), split=SplitRule(share=0.4, seed=3)))
    atlas = Atlas.open(world.atlas)
    assert 0 < (~atlas.train).sum() < 12
    for name in atlas.spaces:
        data = atlas.space(name)
        near = cosines(data)
        near[:, ~atlas.train] = -np.inf
        expected = -np.sort(-near, axis=1)[:, :15]
        np.testing.assert_allclose(1 - data.distances, expected, atol=2e-3)
        assert atlas.train[data.neighbors].all()
        np.testing.assert_allclose(np.take_along_axis(near, data.neighbors.astype(np.int64), 1), expected, atol=2e-3)
        stranger = np.where(atlas.families[:, None] == atlas.families[None, :], -np.inf, near)[atlas.train]
        np.testing.assert_allclose(data.baseline, np.sort(stranger.max(axis=1)), atol=2e-3)
        assert np.array_equal(data.overlap, kept_by_counting(data.points, atlas.train, data.neighbors))
        share = atlas.meta["spaces"][name]["overlap"]
        assert share == pytest.approx(data.overlap.mean() / 15, abs=1e-4)
        assert len(data.weights) == len(data.baseline)
        for cluster in atlas.clusters(name):
            assert cluster.size == (data.cluster == cluster.cluster).sum()


def test_new_rows_join_the_cluster_of_half_their_nearest(world: World) -> None:
    """Counted one by one over the fifteen nearest of the pictures that made the map; else they are in none."""
    world.append()
    atlas = Atlas.open(world.atlas)
    joined = 0
    for name in atlas.spaces:
        data = atlas.space(name)
        near = np.argsort(-cosines(data)[48:, :48], axis=1)[:, :15]
        for row, others in enumerate(near, start=48):
            numbers, counts = np.unique(data.cluster[others][data.cluster[others] >= 0], return_counts=True)
            expected = {int(number) for number, count in zip(numbers, counts, strict=True) if count >= 7.5} or {-1}
            assert int(data.cluster[row]) in expected
            joined += int(data.cluster[row]) >= 0
    assert joined > 4


def test_the_same_again_changes_nothing(world: World) -> None:
    """Rows that are there are not encoded again, a copy of the whole manifest neither, and the version stays."""
    first = world.append()
    models = encoders()
    again = world.append(models=models)
    assert (again.version, again.is_new, models[0].pictures) == (first.version, False, 0)
    assert again.notes == ("0 pictures joined; 12 were there already.",)
    own = world.append(manifest(world.folder), models=models)
    assert (own.is_new, own.notes[0], models[0].pictures) == (False, "0 pictures joined; 48 were there already.", 0)
    assert own.notes[1].startswith("This manifest is new to the atlas, and yet some of its keys are not")


def test_a_folder_that_has_grown_grows_its_atlas(world: World) -> None:
    """Its own manifest brings the new files alone; a later plain build fits them in, and keeps their ids."""
    world.build()
    picture("gold", 11).save(world.folder / "gold" / "gold-11.png")
    (world.folder / "broken.png").write_text("no picture")
    models = encoders()
    done = world.append(manifest(world.folder), models)
    assert (done.images, models[0].pictures) == (49, 1)
    assert done.outcomes == {"indexed": 49, "rejected:not-a-picture": 1}
    assert world.append(manifest(world.folder)).outcomes == done.outcomes
    ids = dict(zip(keys(atlas := Atlas.open(world.atlas)), atlas.ids.tolist(), strict=True))
    assert world.build().outcomes == done.outcomes
    fitted = Atlas.open(world.atlas)
    assert dict(zip(keys(fitted), fitted.ids.tolist(), strict=True)) == ids
    assert not any(record.placed for record in fitted.records(fitted.ids))


def test_outcomes_add_up_over_manifests(world: World) -> None:
    """Each manifest's rows are counted once, however often it is appended; what it rejected is looked at again."""
    broken = world.more / "gold" / "broken.png"
    broken.write_text("no picture")
    assert world.append().outcomes == {"indexed": 60, "rejected:not-a-picture": 1}
    assert world.append().outcomes == {"indexed": 60, "rejected:not-a-picture": 1}
    picture("gold", 30).save(broken)
    (world.more / "gold" / "late.png").write_text("")
    done = world.append()
    assert done.outcomes == {"indexed": 61, "rejected:empty": 1}
    atlas = Atlas.open(world.atlas)
    listed = pq.read_table(AtlasPaths(world.atlas).version(atlas.version).root / "rejected.parquet").to_pylist()
    assert [(row["key"], row["reason"]) for row in listed] == [("gold/late.png", "empty")]
    (entry,) = atlas.meta["appended"]
    assert (entry["outcomes"], entry["read"]) == ({"indexed": 13, "rejected:empty": 1}, 14)
    assert entry["manifest"]["path"] == str(world.more)
    own, other = atlas.contributions
    assert (dict(own.outcomes), dict(other.outcomes)) == ({"indexed": 48}, {"indexed": 13, "rejected:empty": 1})
    card = (AtlasPaths(world.atlas).version(atlas.version).root / "DATA_CARD.md").read_text()
    assert "13 appended" in card
    with pytest.raises(BuildError, match="found 13 pictures appended from folder .*more, which this build would drop"):
        world.build()


def test_every_manifest_is_told_of_with_all_that_its_rows_were_held_to(world: World) -> None:
    """`atlas.json`, the data card and `status` name what was appended: whose, of when, how licensed, how chosen."""
    told = replace(
        manifest(world.more),
        title="More *shapes*",
        date="2025-03-04",
        licence="CC0-1.0",
        attribution="Drawn by Ada",
        contact="ada@example.org",
        training=Training(Relation.SAMPLE, ("org/painter",)),
        split=SplitRule(share=0.25, seed=7),
        safety=Safety(blocklist=str(world.more / "blocklist.txt")),
    )
    (world.more / "blocklist.txt").write_text("0" * 64)
    world.append(told, chosen=replace(options(), selection=Selection(sample=10, seed=5)))
    meta = Atlas.open(world.atlas).meta
    (entry,) = meta["appended"]
    assert entry["settings"]["selection"] == {"limit": None, "sample": 10, "seed": 5}
    assert (entry["outcomes"], entry["read"], meta["outcomes"]) == ({"indexed": 10}, 12, {"indexed": 58})
    own, other = status(world.atlas)["manifests"]
    assert (own["title"], own["outcomes"], own["appended_at"]) == ("folder", {"indexed": 48}, None)
    assert other == {
        "title": "More *shapes*",
        "kind": "folder",
        "date": "2025-03-04",
        "licence": "CC0-1.0",
        "licence_url": None,
        "attribution": "Drawn by Ada",
        "homepage": None,
        "contact": "ada@example.org",
        "relation": "sample",
        "generators": ["org/painter"],
        "thresholds": {"safety.blocklist": "blocklist.txt", "split.share": 0.25, "split.seed": 7},
        "selection": {"limit": None, "sample": 10, "seed": 5},
        "read": 12,
        "outcomes": {"indexed": 10},
        "appended_at": entry["at"],
    }
    card = AtlasPaths(world.atlas).version(Atlas.open(world.atlas).version).card.read_text()
    section = card.split("## Appended: More \\*shapes\\*\n")[1].split("\n## ")[0]
    for line in (
        f"- appended at: {entry['at']}",
        "- kind: folder",
        "- date of the corpus: 2025-03-04",
        "- licence: CC0-1.0",
        "- attribution: Drawn by Ada",
        "- contact for takedowns: ada@example.org",
        "- relation to a generator's training: sample",
        "- rows read from the source: 12",
        "- drawn by chance: 10 of them (seed 5)",
        "- `safety.blocklist`: blocklist.txt",
        "- `split.share`: 0.25",
        "- what became of them: indexed 10",
    ):
        assert line in section.splitlines(), line
    assert str(world.more) not in card
    shown = state(status(world.atlas))
    assert f"manifest  More *shapes*, appended {entry['at']}: 10 pictures; folder, of 2025-03-04, CC0-1.0" in shown
    assert "          split.share = 0.25" in shown.splitlines()


def test_what_is_said_of_all_pictures_holds_for_each_manifest(world: World) -> None:
    """Only where both manifests say so are neighbors training pictures; nobody's unreviewed rows stand unblurred."""
    trained = replace(manifest(world.folder), training=Training(Relation.ALL, ("org/painter", "demo")))
    index(world.atlas, trained, options(), encoders=encoders())
    assert Atlas.open(world.atlas).training == trained.training
    sampled = Training(Relation.SAMPLE, ("demo", "org/other"))
    world.append(replace(manifest(world.more), training=sampled))
    assert Atlas.open(world.atlas).training == Training(Relation.SAMPLE, ("demo",))
    assert not Atlas.open(world.atlas).flagged.any()
    third = world.more.with_name("third")
    shutil.copytree(write_pictures(world.more.with_name("drawn"), 2, ("seagreen",)), third / "third")
    world.append(replace(manifest(third), safety=Safety(accept_pre_2024_links_without_safety_review=True)))
    atlas = Atlas.open(world.atlas)
    assert atlas.training == Training(Relation.UNKNOWN)
    assert atlas.flagged.tolist() == [False] * 48 + [True] * 14  # of no appended picture is punsafe known


def test_takedowns_are_counted_where_the_pictures_were_from(world: World) -> None:
    """Each manifest loses its own, and the sums hold through takedowns and further runs."""
    world.build()
    world.append()
    keys_and_ids = dict(zip(keys(Atlas.open(world.atlas)), Atlas.open(world.atlas).ids.tolist(), strict=True))
    forget(world.atlas, ids=[keys_and_ids["gold/gold-20.png"], keys_and_ids["gold/gold-21.png"]])
    forget(world.atlas, ids=[keys_and_ids["gold/gold-00.png"]])
    expected = [{"indexed": 47, "rejected:denied": 1}, {"indexed": 10, "rejected:denied": 2}]
    for run in (lambda: None, world.append, lambda: world.append(manifest(world.folder)), world.append):
        run()
        atlas = Atlas.open(world.atlas)
        assert [dict(part.outcomes) for part in atlas.contributions] == expected
        assert atlas.meta["outcomes"] == {"indexed": 57, "rejected:denied": 3}
        assert verify(world.atlas) == []


def test_another_model_is_refused_by_name(world: World) -> None:
    """Vectors of other weights never stand on one map; the line names both, and nothing has changed."""
    before = Atlas.open(world.atlas).version
    with pytest.raises(
        BuildError, match=r"the space clip .* made with colors \(weights one\), .* colors \(weights two\)"
    ):
        world.append(models=encoders("two"))
    assert Atlas.open(world.atlas).version == before
    with pytest.raises(BuildError, match="found no atlas to append to"):
        append(world.atlas.with_name("none"), manifest(world.more), options(), encoders=encoders())
    assert not world.atlas.with_name("none").exists()


def test_a_near_duplicate_joins_the_family_and_the_split_of_what_it_repeats(world: World) -> None:
    """A copy of an old picture is of its family from then on, and held out where that one is."""
    held = replace(manifest(world.folder), split=SplitRule(share=0.3, seed=1))
    index(world.atlas, held, options(), encoders=encoders())
    before = Atlas.open(world.atlas)
    records = before.records(before.ids)
    out = next(record for record in records if record.split is Split.HELDOUT)
    shutil.copy(world.folder / out.key, world.more / "copy.png")
    world.append()
    after = Atlas.open(world.atlas)
    by_key = {record.key: record for record in after.records(after.ids)}
    assert by_key["copy.png"].split is Split.HELDOUT
    assert by_key["copy.png"].family == by_key[out.key].family is not None
    assert by_key[out.key].id == out.id
    assert after.meta["near_duplicates"]["families"] >= 1


def test_takedowns_hold_for_what_is_appended(world: World) -> None:
    """A denied row is counted and not read, a denied file is not decoded; what was appended can be taken down."""
    forget(world.atlas, [Takedown(DenyKind.KEY, "gold/gold-20.png")])
    world.append()
    first = next(record for record in Atlas.open(world.atlas).records(Atlas.open(world.atlas).ids) if record.placed)
    assert first.key == "gold/gold-21.png"
    done = forget(world.atlas, ids=[first.id])
    assert (done.removed, done.images) == (1, 58)
    shutil.copy(world.more / first.key, world.more / "again.png")
    again = world.append()
    assert again.outcomes["indexed"] == 58
    assert not {"gold/gold-20.png", first.key, "again.png"} & set(keys(Atlas.open(world.atlas)))
    assert verify(world.atlas) == []
    left = Atlas.open(world.atlas)
    for name in left.spaces:
        np.testing.assert_allclose(
            1 - left.space(name).distances, -np.sort(-cosines(left.space(name)), axis=1)[:, :15], atol=2e-3
        )


def test_an_appended_row_may_be_appended_to(world: World) -> None:
    """A second append goes by the pictures that made the map, and the neighbors count the first one's rows too."""
    world.append()
    before = Atlas.open(world.atlas)
    third = world.more.with_name("third")
    shutil.copytree(write_pictures(world.more.with_name("drawn"), 12, ("seagreen",)), third / "third")
    done = world.append(manifest(third))
    assert done.images == 72
    after = Atlas.open(world.atlas)
    assert [record.placed for record in after.records(after.ids)] == [False] * 48 + [True] * 24
    for name in after.spaces:
        assert arrays(after, name)["points"][:60].tobytes() == arrays(before, name)["points"].tobytes()
        expected = -np.sort(-cosines(after.space(name)), axis=1)[:, :15]
        np.testing.assert_allclose(1 - after.space(name).distances, expected, atol=2e-3)
    assert len(after.meta["appended"]) == 2


def run_script(plan: list[Mapping[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Append in children that may be killed."""
    (folder / "plan.json").write_text(json.dumps(plan))
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, SCRIPT, folder / "plan.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    sys.stderr.write(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


class Kills:
    """Copies of an atlas, each to be killed at another point while it is appended to."""

    def __init__(self, world: World, root: Path) -> None:
        self.folder, self.root = str(world.more), root
        self.start = world.atlas
        self.undisturbed = self.run(self.copies([None]))[0]
        self.reference = Atlas.open(root / "at-None")

    def copies(self, points: list[int | None]) -> list[dict[str, Any]]:
        """A plan that kills a copy at each point."""
        for point in points:
            subprocess.run(["cp", "-a", self.start, self.root / f"at-{point}"], check=True)
        return [{"atlas": str(self.root / f"at-{point}"), "folder": self.folder, "die_at": point} for point in points]

    def run(self, plan: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Carry a plan out."""
        return run_script(plan, self.root)

    def kill(self, points: list[int]) -> list[int]:
        """Kill a copy at each point, look at it, let it finish, look again; return how many pictures each encoded."""
        plan = self.copies([*points])
        for each, done in zip(plan, self.run(plan), strict=True):
            assert done["code"] == KILLED, each
            assert verify(each["atlas"]) == []
            assert len(Atlas.open(each["atlas"])) in (48, 60)
        again = self.run([each | {"die_at": None} for each in plan])
        for each, done in zip(plan, again, strict=True):
            assert done["code"] == 0, each
            assert verify(each["atlas"]) == []
            self.assert_as_undisturbed(Atlas.open(each["atlas"]))
            shutil.rmtree(each["atlas"])
        return [done["encoded"] for done in again]

    def assert_as_undisturbed(self, atlas: Atlas) -> None:
        """The finished atlas equals the one that was left in peace."""
        assert keys(atlas) == keys(self.reference)
        assert atlas.ids.tolist() == self.reference.ids.tolist()
        for name in atlas.spaces:
            expected = arrays(self.reference, name)
            assert all(np.array_equal(found, expected[part]) for part, found in arrays(atlas, name).items())
        assert not list(AtlasPaths(atlas.path).build.glob("append-*"))


def test_a_kill_anywhere_leaves_the_old_version_whole(world: World, tmp_path: Path) -> None:
    """Killed before any step on the disk, the next run ends as if undisturbed, and encodes no finished shard again."""
    kills = Kills(world, tmp_path)
    before = kills.undisturbed["current"] - 90
    assert kills.kill([20]) == [12]
    (encoded,) = kills.run(plan := kills.copies([before]))
    assert encoded["code"] == KILLED
    # From here on every shard is done, and no run starts a decoder.
    kills.start = Path(plan[0]["atlas"])
    shutil.rmtree(tmp_path / "at-None")
    (rest,) = kills.run(kills.copies([None]))
    assert rest["encoded"] == 0
    steps, current = rest["steps"], rest["current"]
    assert steps > current > 90
    points = sorted({*range(1, steps, steps // 5), *range(current - 1, current + 2)})
    assert set(kills.kill(points)) == {0}


def test_another_folder_joins_by_its_name(
    tmp_path: Path, tiny_clip_dir: Path, tiny_pipeline_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`index ATLAS FOLDER --append` writes that folder's manifest with the atlas's models; then both can grow."""
    atlas, first, second = tmp_path / "atlas", tmp_path / "first", tmp_path / "second"
    models = f'[models]\nclip = "{tiny_clip_dir}"\ngenerator = "{tiny_pipeline_dir}"\n'
    (tmp_path / "atlas.manifest.toml").write_text(f'kind = "folder"\npath = "first"\n{models}')
    write_pictures(first, 1)
    shutil.move(write_pictures(tmp_path / "drawn", 1, ("teal",)) / "teal", second / "teal")

    def told(*words: str | Path) -> dict[str, Any]:
        assert main([*map(str, words), "--json"]) == 0
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    assert told("index", atlas, first)["images"] == 6
    assert told("index", atlas, second, "--append")["images"] == 7
    assert manifests.load(tmp_path / "atlas.second.manifest.toml").models.clip == str(tiny_clip_dir)
    picture("teal", 4).save(first / "late.png")
    assert told("index", atlas, first, "--append")["images"] == 8
    assert not (tmp_path / "atlas.first.manifest.toml").exists()
    assert told("index", atlas, second, "--append")["is_new"] is False
    assert verify(atlas) == []
    assert main(["index", str(tmp_path / "none"), str(first), "--append"]) == 1
    assert "is not an atlas" in capsys.readouterr().err
