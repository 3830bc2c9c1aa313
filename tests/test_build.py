"""Builds: what is published, what is done again and what is not, who keeps which id, and what a kill cannot hurt."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from color_encoders import ColorEncoder, encoders, picture, write_pictures
from folder_builds import manifest, options
from PIL import Image

from explorer.atlas import Atlas
from explorer.errors import BuildError, ManifestError
from explorer.layout import AtlasPaths
from explorer.manifest import SplitRule
from explorer.records import Split
from explorer.verify import verify
from indexer.build import BuildResult, index
from indexer.corpus import Selection
from indexer.lock import writing
from indexer.mapping.alignment import aligned
from webapp.console import Bars

KILLED = -9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eighteen pictures, three of each color."""
    return write_pictures(tmp_path / "pictures", 3)


def build(atlas: Path, folder: Path, models: tuple[ColorEncoder, ...] | None = None, **settings: Any) -> BuildResult:  # noqa: ANN401 - index's own
    """Index a folder with encoders that load nothing."""
    settings.setdefault("options", options())
    return index(atlas, settings.pop("manifest", manifest(folder)), encoders=models or encoders(), **settings)


def ids(atlas: Path) -> dict[str, int]:
    """Key -> id."""
    opened = Atlas.open(atlas)
    return {record.key: record.id for record in opened.records(opened.ids)}


def vectors(atlas: Path) -> dict[str, np.ndarray]:
    """All arrays of an atlas, by key of the picture where they have rows."""
    opened = Atlas.open(atlas)
    order = np.argsort([record.key for record in opened.records(opened.ids)])
    arrays = {f"{name} vectors": np.asarray(opened.space(name).vectors)[order] for name in opened.spaces}
    arrays |= {f"{name} points": np.asarray(opened.space(name).points)[order] for name in opened.spaces}
    return arrays | {f"{name} baseline": opened.space(name).baseline for name in opened.spaces}


def test_an_atlas_is_what_was_drawn(tmp_path: Path, folder: Path) -> None:
    """Every picture has its record, thumbnail, vectors and map; its nearest are of its color; the files verify."""
    (folder / "bad.jpg").write_text("no picture")
    (folder / "metadata.csv").write_text(
        "file_name,caption,url,year\ngold/gold-00.png,a gold one,https://a.example/,7\n"
    )
    result = build(tmp_path / "atlas", folder)
    assert result.outcomes == {"indexed": 18, "rejected:not-a-picture": 1}
    assert (result.images, result.is_new) == (18, True)
    assert verify(tmp_path / "atlas") == []

    atlas = Atlas.open(tmp_path / "atlas")
    records = atlas.records(atlas.ids)
    assert [record.key for record in records] == sorted(record.key for record in records)
    told = next(record for record in records if record.key == "gold/gold-00.png")
    assert (told.caption, told.image_url, told.host, told.extra) == (
        "a gold one",
        "https://a.example/",
        "a.example",
        {"year": "7"},
    )
    assert (told.width, told.height, told.placed) == (40, 32, False)
    assert told.sha256 is not None and len(told.sha256) == 64
    thumbnail = Image.open(io.BytesIO(atlas.thumbnail(told.id)))
    assert (thumbnail.format, thumbnail.size, thumbnail.info.get("exif")) == ("WEBP", (40, 32), None)

    color = np.array([record.key.split("/")[0] for record in records])
    for name in atlas.spaces:
        data = atlas.space(name)
        assert np.linalg.norm(data.vectors.astype(np.float32), axis=1) == pytest.approx(1, abs=1e-3)
        assert (color[data.neighbors[:, 0]] == color).mean() > 0.9
        assert len(data.baseline) == 18
        assert atlas.meta["spaces"][name]["layout"] == "pca"
        laid = {"fitted": 18, "placed": 0, "aligned_to": None if name == "clip" else "clip"}
        assert atlas.meta["spaces"][name]["map"] == laid
    points, onto = atlas.space("vae").points, atlas.space("clip").points
    assert aligned(points, onto, atlas.train) == pytest.approx(points, abs=1e-4)  # nearer no turn brings it
    assert not np.asarray(atlas.space("clip").mean).any()
    assert np.asarray(atlas.space("vae").mean).any()
    assert set(result.stages) == {
        "source", "encode", "families", "vectors", "neighbors", "search", "baseline", "project", "overlap", "cluster",
        "publish",
    }  # fmt: skip
    rejected = pq.read_table(AtlasPaths(atlas.path).version(atlas.version).root / "rejected.parquet").to_pylist()
    assert [(row["key"], row["reason"]) for row in rejected] == [("bad.jpg", "not-a-picture")]


def test_nothing_changed_is_done_at_once(tmp_path: Path, folder: Path) -> None:
    """The same command again keeps the version and encodes nothing."""
    first = build(tmp_path / "atlas", folder)
    models = encoders()
    again = build(tmp_path / "atlas", folder, models)
    assert (again.version, again.is_new, again.outcomes) == (first.version, False, first.outcomes)
    assert models[0].pictures == 0


def test_the_bar_of_encoding_reaches_its_end(tmp_path: Path, folder: Path) -> None:
    """The last picture is counted too, though nobody asks for one more."""
    screen = io.StringIO()
    build(tmp_path / "atlas", folder, progress=Bars(screen))
    (line,) = [line for line in screen.getvalue().splitlines() if line.startswith("encode")]
    assert "18/18" in line


def test_a_build_that_breaks_off_lets_the_screen_go(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bar of encoding is written before the fault is told, and so stands above it."""
    screen = io.StringIO()

    class Full(Bars):
        def track(self, items: Any, *, stage: str, total: int | None = None) -> Any:
            monkeypatch.setattr(os, "fsync", full)  # from the first shard on
            return super().track(items, stage=stage, total=total)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a file")

    with pytest.raises(BuildError) as held:  # with the frames that the fault came through, as they were then
        build(tmp_path / "atlas", folder, progress=Full(screen))
    assert "encode" in screen.getvalue()
    del held


def test_only_what_changed_is_done_again(tmp_path: Path, folder: Path) -> None:
    """A new caption encodes nothing; a new picture encodes its shard; other weights encode everything."""
    atlas = tmp_path / "atlas"
    build(atlas, folder)
    before = vectors(atlas)
    (folder / "metadata.csv").write_text("file_name,caption\ngold/gold-00.png,a gold one\n")
    models = encoders()
    assert build(atlas, folder, models).is_new
    assert models[0].pictures == 0
    assert all(np.array_equal(before[name], after) for name, after in vectors(atlas).items())

    picture("gold", 9).save(folder / "gold" / "gold-09.png")
    assert build(atlas, folder, models).images == 19
    assert 0 < models[0].pictures <= 16

    other = encoders("two")
    build(atlas, folder, other)
    assert other[0].pictures == 19
    assert not np.array_equal(before["clip vectors"], vectors(atlas)["clip vectors"][:18])

    anew = encoders("two")
    assert build(atlas, folder, anew, rebuild=True).is_new
    assert anew[0].pictures == 19


def test_a_changed_picture_is_encoded_anew(tmp_path: Path, folder: Path) -> None:
    """Another picture under an old name gets another vector, and keeps its id."""
    atlas = tmp_path / "atlas"
    build(atlas, folder)
    before, known = vectors(atlas)["clip vectors"], ids(atlas)
    picture("purple", 7).save(folder / "crimson" / "crimson-00.png")
    build(atlas, folder)
    changed = np.abs(vectors(atlas)["clip vectors"].astype(np.float32) - before).max(axis=1) > 0.01
    assert changed.tolist() == [True] + [False] * 17
    assert ids(atlas) == known


def test_ids_stay_with_their_keys(tmp_path: Path, folder: Path) -> None:
    """A picture keeps its id while others come and go, has it again when it comes back, and nobody else gets it."""
    atlas = tmp_path / "atlas"
    build(atlas, folder)
    first = ids(atlas)
    gone = folder / "gold" / "gold-01.png"
    kept = gone.read_bytes()
    gone.unlink()
    picture("gold", 8).save(folder / "gold" / "gold-08.png")
    build(atlas, folder)
    second = ids(atlas)
    assert {key: second[key] for key in first if key in second} == {key: first[key] for key in first if key in second}
    assert second["gold/gold-08.png"] not in first.values()
    gone.write_bytes(kept)
    build(atlas, folder)
    assert ids(atlas) == first | second


def test_one_earlier_version_is_kept(tmp_path: Path, folder: Path) -> None:
    """After three builds the last two versions are there, both whole, and a reader of the older one still reads."""
    atlas = tmp_path / "atlas"
    versions = []
    for number in range(3):
        picture("gold", number).save(folder / f"more-{number}.png")
        versions.append(build(atlas, folder).version)
        if number == 1:
            reader = Atlas.open(atlas)
    left = sorted(path.name for path in AtlasPaths(atlas).versions.iterdir())
    assert left == sorted(versions[1:])
    assert len(reader) == 20
    assert all(reader.thumbnail(int(identity)) for identity in reader.ids)
    assert len(Atlas.open(atlas, version=versions[1])) == 20


def test_limit_and_sample(tmp_path: Path, folder: Path) -> None:
    """`limit` takes the first pictures; `sample` some by chance, the same ones for the same seed."""
    every = sorted(f"{path.parent.name}/{path.name}" for path in folder.rglob("*.png"))

    def keys(name: str, **selection: int) -> list[str]:
        build(tmp_path / name, folder, options=replace(options(), selection=Selection(**selection)))
        return sorted(ids(tmp_path / name))

    assert keys("limit", limit=5) == every[:5]
    drawn = keys("sample", sample=7, seed=3)
    assert len(drawn) == 7
    assert drawn == keys("same", sample=7, seed=3)
    assert drawn != keys("other", sample=7, seed=4)


def test_held_out_pictures_are_placed_and_left_out_of_the_rest(tmp_path: Path, folder: Path) -> None:
    """By chance or by a list: they are in the atlas, on the map, but nobody's neighbor and not in the baseline."""
    (folder.parent / "heldout.txt").write_text("gold/gold-00.png\npurple/purple-02.png\nnot/there.png\n")
    listed = replace(manifest(folder), split=SplitRule(heldout_ids_file="heldout.txt"))
    build(tmp_path / "listed", folder, manifest=listed)
    atlas = Atlas.open(tmp_path / "listed")
    assert (~atlas.train).sum() == 2
    for name in atlas.spaces:
        data = atlas.space(name)
        assert atlas.train[data.neighbors[data.neighbors >= 0]].all()
        assert len(data.baseline) == 16
        assert np.isfinite(data.points).all()
    build(tmp_path / "chance", folder, manifest=replace(manifest(folder), split=SplitRule(share=0.4, seed=1)))
    chance = Atlas.open(tmp_path / "chance")
    assert 2 <= (~chance.train).sum() <= 12
    missing = replace(manifest(folder), split=SplitRule(heldout_ids_file="nowhere.txt"))
    with pytest.raises(ManifestError, match="split.heldout_ids_file"):
        build(tmp_path / "missing", folder, manifest=missing)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_handful_of_pictures_is_an_atlas(tmp_path: Path, count: int) -> None:
    """One picture, two, four: built without a warning, verified, asked, and the result says how the map was made."""
    for number in range(count):
        (tmp_path / "few").mkdir(exist_ok=True)
        picture("teal", number).save(tmp_path / "few" / f"{number}.png")
    result = build(tmp_path / "atlas", tmp_path / "few")
    assert result.images == count
    assert any("principal components" in note for note in result.notes)
    assert verify(tmp_path / "atlas") == []
    atlas = Atlas.open(tmp_path / "atlas")
    assert atlas.clusters("clip") == ()
    assert np.isfinite(atlas.space("vae").points).all()


def test_nothing_to_index_is_one_clear_line(tmp_path: Path, folder: Path) -> None:
    """An empty folder, a folder of broken files and one that is all held out are told apart, each in one line."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(BuildError, match="found no picture in .*empty"):
        build(tmp_path / "atlas", tmp_path / "empty")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.jpg").write_text("x")
    (tmp_path / "broken" / "b.png").touch()
    with pytest.raises(BuildError, match=r"all 2 pictures were rejected \(the first is a.jpg: found bytes"):
        build(tmp_path / "atlas", tmp_path / "broken")
    with pytest.raises(BuildError, match="all 18 pictures are held out"):
        build(tmp_path / "atlas", folder, manifest=replace(manifest(folder), split=SplitRule(share=1.0)))
    assert not AtlasPaths(tmp_path / "atlas").current.exists()


def test_a_full_disk_stops_the_build_and_hurts_nothing(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever write fails, the line says so, the old version serves, and the next run finishes with what was done."""
    atlas = tmp_path / "atlas"
    before = build(atlas, folder).version
    picture("gold", 9).save(folder / "gold" / "gold-09.png")
    real = os.fsync
    for failing in (1, 4, 9, 20, 30):
        calls = iter(range(1, 1000))

        def full(descriptor: int, failing: int = failing, calls: Iterator[int] = calls) -> None:
            if next(calls) >= failing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a file")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(BuildError, match="a file: No space left on device"):
            build(atlas, folder)
        monkeypatch.setattr(os, "fsync", real)
        assert verify(atlas) == []
        assert Atlas.open(atlas).version == before
    assert build(atlas, folder).images == 19
    assert verify(atlas) == []


def test_one_builds_at_a_time(tmp_path: Path, folder: Path) -> None:
    """While another process builds, a build is refused and names it; when that one was killed, it goes on."""
    atlas = tmp_path / "atlas"
    code = (
        "import sys, time, pathlib; from explorer.layout import AtlasPaths; from indexer.lock import writing\n"
        "with writing(AtlasPaths(pathlib.Path(sys.argv[1]))): print('locked', flush=True); time.sleep(600)"
    )
    root = Path(__file__).parent.parent
    with subprocess.Popen([sys.executable, "-c", code, atlas], stdout=subprocess.PIPE, text=True, cwd=root) as owner:
        assert owner.stdout is not None
        try:
            assert owner.stdout.readline() == "locked\n"
            with pytest.raises(BuildError, match=rf"process {owner.pid} \(since .* is building it"):
                build(atlas, folder)
        finally:
            owner.kill()
        assert owner.wait() == KILLED
    assert (AtlasPaths(atlas).build / "owner.json").exists()
    assert build(atlas, folder).images == 18
    with writing(AtlasPaths(atlas)), pytest.raises(BuildError, match=f"process {os.getpid()}"):
        build(atlas, folder)


def test_a_damaged_version_is_replaced(tmp_path: Path, folder: Path) -> None:
    """Where the live version cannot be read, the same command publishes a whole one, and every picture keeps its id."""
    atlas = tmp_path / "atlas"
    build(atlas, folder)
    (folder / "gold" / "gold-01.png").unlink()
    version = build(atlas, folder).version
    known = ids(atlas)
    root = AtlasPaths(atlas).version(version).root
    (root / "atlas.json").write_text("{")
    (root / "ids.parquet").write_bytes(b"PAR1")
    assert build(atlas, folder).is_new
    assert verify(atlas) == []
    assert ids(atlas) == known


def test_the_split_is_the_source_s_where_no_rule_is_given(tmp_path: Path, folder: Path) -> None:
    """Without a rule every picture of a folder is `train`."""
    build(tmp_path / "atlas", folder)
    atlas = Atlas.open(tmp_path / "atlas")
    assert {record.split for record in atlas.records(atlas.ids)} == {Split.TRAIN}
