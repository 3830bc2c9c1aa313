"""Atlases of ready-made vectors: built without a model, asked with and without the one that made them."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from color_encoders import COLORS, picture, png, write_pictures
from hypothesis import given as over
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from live import PATIENCE, live
from PIL import Image
from tiny_models import CLIP_DIM

from explorer.denylist import DenyKind, Takedown
from explorer.errors import BuildError, ModelError, QueryError, RejectReason
from explorer.generate import Generator
from explorer.library import Atlas
from explorer.manifest import Manifest, from_dict
from explorer.models.clip import ClipModel
from explorer.pictures import perceptual_hash
from explorer.verify import verify
from indexer.build import index
from indexer.editing.append import append
from indexer.editing.forget import forget
from indexer.encoding.given import unit
from indexer.families import FamilyOptions
from webapp.callbacks.search import SHOWN, strip_of
from webapp.cli import main

COUNT = 24
"""Few enough that the map needs no UMAP."""
FAR = "/nowhere/clip"


def vectors(count: int = COUNT, dim: int = CLIP_DIM, seed: int = 0) -> npt.NDArray[np.float32]:
    """Vectors (count, dim) of any length."""
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)


def write(path: Path, rows: npt.NDArray[Any], **columns: Sequence[Any]) -> Path:
    """A Parquet file of vectors, links and captions."""
    numbers = range(len(rows))
    told: dict[str, Any] = {
        "vector": list(rows),
        "url": [f"https://pictures.example/{number}.jpg" for number in numbers],
        "caption": [f"picture {number}" for number in numbers],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(told | columns), path)
    return path


def manifest(path: Path, clip: Path | str = FAR, generator: Path | None = None, **tables: Any) -> Manifest:  # noqa: ANN401
    """A manifest of this kind, whose model is not at hand unless one is given."""
    models = {"clip": str(clip)} | ({"generator": str(generator)} if generator else {})
    document = {"kind": "embeddings", "path": str(path), "models": models, **tables}
    return from_dict(document, base=Path("/"), file="test.toml")


@pytest.fixture(scope="module")
def far_atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An atlas whose model is not at hand; nobody may change it."""
    folder = tmp_path_factory.mktemp("far")
    index(folder / "atlas", manifest(write(folder / "in.parquet", vectors())))
    return folder / "atlas"


def test_vectors_are_those_of_the_source(far_atlas: Path) -> None:
    """The one space is clip, its vectors are the source's at unit length, and nothing is said that is not known."""
    atlas, written = Atlas.open(far_atlas), vectors()
    assert verify(far_atlas) == []
    assert atlas.spaces == ("clip",)
    assert atlas.meta["outcomes"] == {"indexed": COUNT}
    expected = written / np.linalg.norm(written, axis=1, keepdims=True)
    np.testing.assert_allclose(atlas.space("clip").vectors, expected, atol=1e-3)
    record = atlas.record(int(atlas.ids[5]))
    assert (record.key, record.caption) == ("https://pictures.example/5.jpg", "picture 5")
    assert (record.width, record.sha256, record.phash) == (None, None, None)
    with pytest.raises(QueryError, match="has no thumbnail"):
        atlas.thumbnail(record.id)
    assert "vae" not in atlas.meta["models"]


def test_search_by_id_is_brute_force_over_the_vectors(far_atlas: Path) -> None:
    """Neighbors by id are those that the source's own vectors give, itself left out."""
    atlas, written = Atlas.open(far_atlas), vectors()
    cosines = written @ written.T / np.outer(*[np.linalg.norm(written, axis=1)] * 2)
    np.fill_diagonal(cosines, -1)
    for row in (0, 7, COUNT - 1):
        hits = atlas.search_id(int(atlas.ids[row]), k=5)
        order = np.argsort(-cosines[row])[:5]
        assert [hit.id for hit in hits] == atlas.ids[order].tolist()
        np.testing.assert_allclose([hit.similarity for hit in hits], cosines[row][order], atol=2e-3)


def test_unchanged_source_builds_nothing(tmp_path: Path) -> None:
    """A second run publishes nothing; a changed vector does."""
    path = write(tmp_path / "in.parquet", vectors())
    first = index(tmp_path / "atlas", manifest(path))
    assert index(tmp_path / "atlas", manifest(path)).version == first.version
    write(path, vectors(seed=1))
    assert index(tmp_path / "atlas", manifest(path)).is_new


def test_vectors_without_direction_are_rejected(tmp_path: Path) -> None:
    """Zero, NaN, infinite, missing and short vectors are NOT_FINITE; huge and tiny ones keep their direction."""
    written = vectors()
    listed: list[Any] = [row.tolist() for row in written]
    listed[1], listed[2], listed[3] = [0.0] * CLIP_DIM, None, [1.0]
    listed[4][0], listed[5][0] = float("nan"), float("inf")
    listed[6], listed[7] = (written[6] * np.float32(1e37)).tolist(), (written[7] * np.float32(1e-37)).tolist()
    path = write(tmp_path / "in.parquet", written, vector=pa.array(listed, pa.list_(pa.float32())))
    done = index(tmp_path / "atlas", manifest(path))
    assert done.outcomes == {"indexed": COUNT - 5, f"rejected:{RejectReason.NOT_FINITE}": 5}
    atlas = Atlas.open(tmp_path / "atlas")
    kept = np.delete(written, range(1, 6), axis=0)
    cosines = (atlas.space("clip").vectors * kept).sum(axis=1) / np.linalg.norm(kept, axis=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-3)
    rejected = pq.read_table(tmp_path / "atlas" / "versions" / done.version / "rejected.parquet")
    assert rejected["key"].to_pylist() == [f"https://pictures.example/{number}.jpg" for number in range(1, 6)]
    with pytest.raises(BuildError, match="all 3 pictures were rejected"):
        index(tmp_path / "none", manifest(write(tmp_path / "zero.parquet", np.zeros((3, 4), np.float32))))


@over(arrays.arrays(np.float32, (3, 4), elements=st.floats(width=32)))
@settings(deadline=None)
def test_unit_is_of_unit_length_or_nan(rows: npt.NDArray[np.float32]) -> None:
    """Whatever float32 holds becomes a vector of length 1, or NaN throughout."""
    with np.errstate(all="ignore"):
        found = unit(rows)
    lengths = np.linalg.norm(found.astype(np.float64), axis=1)
    has_direction = np.isfinite(rows).all(axis=1) & rows.any(axis=1)
    np.testing.assert_allclose(lengths[has_direction], 1, atol=1e-6)
    assert np.isnan(found[~has_direction]).all()


def test_thumbnails_come_from_the_column_that_is_named(tmp_path: Path) -> None:
    """Pictures in a column become thumbnails; one that is broken, or missing, is none, and its row stays."""
    pictures: list[bytes | None] = [png(number) for number in range(COUNT)]
    pictures[1], pictures[2] = None, png(2)[:50]
    path = write(tmp_path / "in.parquet", vectors(), jpg=pictures)
    done = index(tmp_path / "atlas", manifest(path, embeddings={"thumbnails": "jpg"}))
    assert done.outcomes == {"indexed": COUNT}
    atlas = Atlas.open(tmp_path / "atlas")
    assert verify(tmp_path / "atlas") == []
    for row in range(COUNT):
        if row in (1, 2):
            with pytest.raises(QueryError, match="has no thumbnail"):
                atlas.thumbnail(int(atlas.ids[row]))
        else:
            assert atlas.thumbnail(int(atlas.ids[row])).startswith(b"RIFF")
    assert atlas.record(int(atlas.ids[0])).phash is not None


def test_blocklist_holds_for_links_and_thumbnails(tmp_path: Path) -> None:
    """A link that the blocklist names is counted and not listed; so is a thumbnail whose bytes it names."""
    blocklist = tmp_path / "blocklist.txt"
    blocklist.write_text(f"https://pictures.example/3.jpg\n{hashlib.md5(png(5)).hexdigest()}\n")
    path = write(tmp_path / "in.parquet", vectors(), jpg=[png(number) for number in range(COUNT)])
    tables = {"embeddings": {"thumbnails": "jpg"}, "safety": {"blocklist": str(blocklist)}}
    done = index(tmp_path / "atlas", manifest(path, **tables))
    assert done.outcomes == {"indexed": COUNT - 2, f"rejected:{RejectReason.BLOCKED}": 2}
    assert pq.read_table(tmp_path / "atlas" / "versions" / done.version / "rejected.parquet").num_rows == 0


def test_equal_vectors_are_one_family(tmp_path: Path) -> None:
    """Rows with one vector are the same picture: a family, whose pictures are no measure for each other's nearness."""
    written = vectors()
    written[4] = 2 * written[1]
    index(tmp_path / "atlas", manifest(write(tmp_path / "in.parquet", written)))
    atlas = Atlas.open(tmp_path / "atlas")
    assert atlas.families[4] == atlas.families[1]
    assert len(np.unique(atlas.families)) == COUNT - 1
    assert atlas.meta["near_duplicates"] == {"families": 1, "pictures": 2}
    assert atlas.space("clip").baseline.max() < 0.99


def families_of(path: Path) -> dict[str, str | None]:
    """Key -> family, of an atlas."""
    atlas = Atlas.open(path)
    return {record.key: record.family for record in atlas.records(atlas.ids)}


def members(path: Path) -> list[list[str]]:
    """The families of several pictures, each picture by the end of its link."""
    found: dict[str, list[str]] = {}
    for key, family in sorted(families_of(path).items()):
        if family is not None:
            found.setdefault(family, []).append(key.removeprefix("https://").removesuffix(".jpg"))
    return sorted(found.values())


def grown_and_whole(folder: Path, parts: Sequence[Mapping[str, Any]], **tables: Any) -> tuple[Path, Path]:
    """Two atlases of the same two files: one appended to the other's atlas, and both built together."""
    for number, columns in enumerate(parts):
        rows = np.asarray(columns["vector"])
        links = [f"https://{'ab'[number]}.example/{row}.jpg" for row in range(len(rows))]
        write(folder / "both" / f"{number}.parquet", rows, **{**columns, "vector": list(rows), "url": links})
    index(folder / "grown", manifest(folder / "both" / "0.parquet", **tables))
    append(folder / "grown", manifest(folder / "both" / "1.parquet", **tables))
    index(folder / "whole", manifest(folder / "both", **tables))
    return folder / "grown", folder / "whole"


def test_appended_vectors_find_the_families_of_a_whole_build(tmp_path: Path) -> None:
    """Equal vectors are one family whether they came together or one after the other, scaled and rounded ones too."""
    first, second = vectors(), vectors(12, seed=9)
    first[20] = first[21]
    second[1], second[2] = 2 * first[5], first[5]
    second[4] = (first[9] / np.linalg.norm(first[9])).astype(np.float16)
    second[7] = second[3]
    second[8] = first[11] * (1 + 1e-7)
    second[9] = first[11] + 0.01  # as near as a copy, and none: of vectors alone only equal ones are one picture
    second[10] = first[20]
    grown, whole = grown_and_whole(tmp_path, [{"vector": first}, {"vector": second}])
    assert families_of(grown) == families_of(whole)
    assert members(grown) == [
        ["a.example/11", "b.example/8"],
        ["a.example/20", "a.example/21", "b.example/10"],
        ["a.example/5", "b.example/1", "b.example/2"],
        ["a.example/9", "b.example/4"],
        ["b.example/3", "b.example/7"],
    ]
    for atlas in (grown, whole):
        assert Atlas.open(atlas).meta["near_duplicates"] == {"families": 5, "pictures": 12}
    forget(grown, [Takedown(DenyKind.URL, "https://b.example/4.jpg")])
    # What lost its only copy is no duplicate any more.
    assert Atlas.open(grown).meta["near_duplicates"] == {"families": 4, "pictures": 10}


def test_an_appended_copy_brings_families_together_as_a_whole_build_does(tmp_path: Path) -> None:
    """Two families that were found apart are one when a picture comes that is near to both of them."""

    def at(angle: float) -> npt.NDArray[np.float32]:
        return np.array([np.cos(angle), np.sin(angle), *[0] * (CLIP_DIM - 2)], np.float32)

    original = picture(COLORS[0], 0)
    data = io.BytesIO()
    original.save(data, "JPEG", quality=30)
    hashes = [perceptual_hash(image) for image in (original, Image.open(data).convert("RGB"))]
    assert 0 < (int(hashes[0], 16) ^ int(hashes[1], 16)).bit_count() <= FamilyOptions().bits
    first, second = vectors(), vectors(12, seed=9)
    pictures = [png(number) for number in range(1, COUNT + 13)]
    for row, angle in ((2, 0.0), (3, 0.0), (4, 0.4), (5, 0.4)):  # the cosine of 0.4 is 0.92, that of 0.2 is 0.98
        first[row], pictures[row] = at(angle), png(0)
    second[6], pictures[COUNT + 6] = at(0.2), data.getvalue()
    parts = [{"vector": first, "jpg": pictures[:COUNT]}, {"vector": second, "jpg": pictures[COUNT:]}]
    grown, whole = grown_and_whole(tmp_path, parts, embeddings={"thumbnails": "jpg"})
    assert families_of(grown) == families_of(whole)
    assert members(grown) == [[*(f"a.example/{row}" for row in (2, 3, 4, 5)), "b.example/6"]]
    alone = tmp_path / "alone"
    index(alone, manifest(tmp_path / "both" / "0.parquet", embeddings={"thumbnails": "jpg"}))
    assert members(alone) == [["a.example/2", "a.example/3"], ["a.example/4", "a.example/5"]]


def test_append_joins_vectors_of_the_same_model(tmp_path: Path) -> None:
    """More vectors of the model join without a new fit; those of another model are refused by name."""
    index(tmp_path / "atlas", manifest(write(tmp_path / "in.parquet", vectors())))
    more = write(tmp_path / "more.parquet", vectors(30, seed=1))
    done = append(tmp_path / "atlas", manifest(more))
    assert done.outcomes["indexed"] == 30  # 24 of the 30 links are there already
    assert int(Atlas.open(tmp_path / "atlas").meta["outcomes"]["indexed"]) == 30
    with pytest.raises(BuildError, match="the space clip of this atlas was made with /nowhere/clip"):
        append(tmp_path / "atlas", manifest(more, clip="ViT-B-32/openai"))


def test_model_that_is_not_at_hand_is_one_line(
    far_atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Words and pictures say in one line what is missing and what works; all that needs no model works."""
    write_pictures(tmp_path, 1, ("gold",))
    photo = str(tmp_path / "gold" / "gold-00.png")
    expected = "nothing is at /nowhere/clip; expected a model's folder"
    atlas = Atlas.open(far_atlas)
    with pytest.raises(ModelError, match=f"{expected}.*search by id, clusters, export and the map need none"):
        atlas.search_text("gold")
    for words in (["search", "--text", "gold"], ["search", "--image", photo], ["locate", photo]):
        asked = [words[0], str(far_atlas), *words[1:]]
        assert main(asked) == 1
        told = capsys.readouterr()
        assert told.out == ""
        assert [line for line in told.err.splitlines() if expected in line] == told.err.splitlines()
    one = str(atlas.ids[0])
    (tmp_path / "ids.txt").write_text(f"{one}\n")
    for words in (
        ["search", str(far_atlas), "--id", one],
        ["clusters", str(far_atlas)],
        ["status", str(far_atlas)],
        ["verify", str(far_atlas)],
        ["export", str(far_atlas), "--ids", str(tmp_path / "ids.txt"), "--format", "csv", "--out", str(tmp_path / "o")],
    ):
        assert main([*words, "--json"]) == 0, words
        assert json.loads(capsys.readouterr().out)


def test_model_that_made_the_vectors_answers(tmp_path: Path, tiny_clip_dir: Path) -> None:
    """Where the model is at hand, a picture finds its own vector, and words are answered as brute force answers."""
    model = ClipModel.load(str(tiny_clip_dir), "cpu")
    pictures = [picture(COLORS[number % 6], number) for number in range(COUNT)]
    made = model.embed_pictures(pictures)
    index(tmp_path / "atlas", manifest(write(tmp_path / "in.parquet", made), clip=tiny_clip_dir))
    atlas = Atlas.open(tmp_path / "atlas")
    (best,) = atlas.search_image(pictures[7], k=1)
    assert (best.caption, best.similarity) == ("picture 7", pytest.approx(1, abs=1e-3))
    order = np.argsort(-(made @ model.embed_texts(["a shape"])[0]))
    assert [hit.id for hit in atlas.search_text("a shape", k=3)] == atlas.ids[order[:3]].tolist()
    landing = atlas.locate(pictures[3])
    assert list(landing.spaces) == ["clip"]
    assert landing.spaces["clip"].hits[0].caption == "picture 3"


def test_model_of_another_length_is_refused(tmp_path: Path, tiny_clip_dir: Path) -> None:
    """A model whose vectors are of another length than the atlas's did not make them, and is not asked."""
    index(tmp_path / "atlas", manifest(write(tmp_path / "in.parquet", vectors(dim=32)), clip=tiny_clip_dir))
    with pytest.raises(ModelError, match="found vectors of 64 numbers; expected 32 as this atlas has"):
        Atlas.open(tmp_path / "atlas").search_text("a shape")


def test_generated_picture_lands_in_clip_alone(tmp_path: Path, tiny_clip_dir: Path, tiny_pipeline_dir: Path) -> None:
    """A generator works beside an atlas without a space vae: every step is placed in clip, and nowhere else."""
    path = write(tmp_path / "in.parquet", vectors())
    index(tmp_path / "atlas", manifest(path, clip=tiny_clip_dir, generator=tiny_pipeline_dir))
    atlas = Atlas.open(tmp_path / "atlas")
    generator = Generator.load(None, atlas, device="cpu")
    made = generator.generate(generator.recipe("a shape", steps=2))
    assert list(made.landing.spaces) == ["clip"]
    assert made.landing.spaces["clip"].via == "picture"
    assert made.landing.notes == ()
    assert {tuple(step.points) for step in made.steps} == {("clip",)}


def test_page_serves_vectors_without_their_model(far_atlas: Path, tmp_path: Path) -> None:
    """The page, its map, cards and neighbors by id are served; words get one line that says what is missing."""
    expected = "nothing is at /nowhere/clip; expected a model's folder"
    with live(far_atlas, workspace=tmp_path / "workspace") as served:
        one = int(served.site.atlas.ids[0])
        assert served.client.get("/").status_code == 200
        for address in ("ids.bin", "clip/points.bin", "clip/cluster.bin", f"clip/similarity.bin?id={one}"):
            assert served.client.get(f"{served.version}/{address}").status_code == 200, address
        card = served.client.get(f"{served.version}/record/{one}.json").json()
        assert (card["caption"], card["thumbnail"], list(card["spaces"])) == ("picture 0", None, ["clip"])
        refused = served.client.get(f"{served.version}/clip/similarity.bin", params={"text": "gold"})
        assert refused.status_code >= 400 and expected in refused.text
        words = strip_of(served.site, {"text": "gold", "split": "train"}, None, "clip")
        assert expected in str(words.cards) and words.ids == []
        alike = strip_of(served.site, {"like": one, "split": "train"}, None, "clip")
        assert alike.ids is not None and len(alike.ids) == min(SHOWN, COUNT - 1)
        deadline = time.monotonic() + PATIENCE
        while (state := served.client.get("/api/state").json()) and "waiting" in str(state) or "loading" in str(state):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert expected in str(state)
