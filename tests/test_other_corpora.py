"""Tars, hub data sets and ready-made vectors, from the command line to an atlas that answers."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from color_encoders import COLORS, picture, png

from explorer.library import Atlas
from explorer.models.clip import ClipModel
from explorer.verify import verify
from webapp.cli import main

pytestmark = pytest.mark.usefixtures("own_hub_cache")

COUNT = 30
"""Few enough that the map needs no UMAP."""
TOLD = pa.schema([(name, pa.string()) for name in ("key", "url", "caption", "status", "error_message")])


def write_webdataset(folder: Path, clip: Path) -> dict[str, int]:
    """Two shards as img2dataset writes them: one link was dead, one file is no picture, the second shard is cut off."""
    del clip
    folder.mkdir()
    for shard in range(2):
        numbers = range(shard * COUNT // 2, (shard + 1) * COUNT // 2)
        rows: list[dict[str, Any]] = [
            {"key": f"{n:09d}", "url": f"https://a.example/{n}", "caption": f"picture {n}", "status": "success"}
            | ({"status": "failed_to_download", "error_message": "HTTP Error 404: Not Found"} if n == 3 else {})
            for n in numbers
        ]
        path = folder / f"{shard:05d}.tar"
        with webdataset.TarWriter(str(path)) as writer:
            for number, row in zip(numbers, rows, strict=True):
                if row["status"] == "success":
                    data = b"<html>" if number == 5 else png(number)
                    writer.write({"__key__": row["key"], "jpg": data, "txt": row["caption"], "json": json.dumps(row)})
        pq.write_table(pa.Table.from_pylist(rows, schema=TOLD), path.with_suffix(".parquet"))
    with tarfile.open(path) as archive:
        ends = [each.offset_data + each.size for each in archive if each.name.endswith(".jpg")]
    cut = ends[9]
    path.write_bytes(path.read_bytes()[: cut - 1])
    lost = len(ends) - 9
    return {
        "indexed": COUNT - 2 - lost, "rejected:damaged": lost, "rejected:not-a-picture": 1, "rejected:status": 1
    }  # fmt: skip


def write_huggingface(folder: Path, clip: Path) -> dict[str, int]:
    """A data set on the hub's plan: Parquet with an Image column, two splits; one cell is no picture."""
    del clip
    (folder / "data").mkdir(parents=True)
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    rows = [
        {"image": {"bytes": b"<html>" if number == 5 else png(number), "path": None}, "text": f"picture {number}"}
        for number in range(COUNT)
    ]
    for name, part in (("train", rows[:-4]), ("test", rows[-4:])):
        made = datasets.Dataset.from_list(part, features=features)
        made.to_parquet(folder / "data" / f"{name}-00000-of-00001.parquet")
    return {"indexed": COUNT - 1, "rejected:not-a-picture": 1}


def write_embeddings(folder: Path, clip: Path) -> dict[str, int]:
    """What clip-retrieval writes, in two parts; one vector is not finite."""
    model = ClipModel.load(str(clip), "cpu")
    vectors = model.embed_pictures([picture(COLORS[number % 6], number) for number in range(COUNT)])
    vectors[5] = np.nan
    for name in ("img_emb", "metadata"):
        (folder / name).mkdir(parents=True)
    for part, numbers in enumerate((range(20), range(20, COUNT))):
        told = {"image_path": [f"{n:09d}" for n in numbers], "caption": [f"picture {n}" for n in numbers]}
        np.save(folder / "img_emb" / f"img_emb_{part}.npy", vectors[numbers.start : numbers.stop].astype(np.float16))
        pq.write_table(pa.table(told), folder / "metadata" / f"metadata_{part}.parquet")
    return {"indexed": COUNT - 1, "rejected:not-finite": 1}


@pytest.mark.parametrize(
    ("kind", "write"),
    [("webdataset", write_webdataset), ("huggingface", write_huggingface), ("embeddings", write_embeddings)],
)
def test_corpus_becomes_an_atlas_that_answers(
    tmp_path: Path,
    tiny_clip_dir: Path,
    tiny_pipeline_dir: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    write: Callable[[Path, Path], dict[str, int]],
) -> None:
    """`index --manifest` gives outcomes that add up; a picture finds itself, by words and by place as well."""
    expected = write(tmp_path / "in", tiny_clip_dir)
    models = f'[models]\nclip = "{tiny_clip_dir}"\ngenerator = "{tiny_pipeline_dir}"\n'
    (tmp_path / "manifest.toml").write_text(f'kind = "{kind}"\npath = "in"\n{models}')
    atlas, photo = str(tmp_path / "atlas"), tmp_path / "photo.png"
    photo.write_bytes(png(1))

    def told(*words: str) -> dict[str, Any]:
        assert main([*words, "--json"]) == 0
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    assert told("manifest", "check", str(tmp_path / "manifest.toml")) == {"ok": True, "problems": []}
    done = told("index", atlas, "--manifest", str(tmp_path / "manifest.toml"))
    assert done["outcomes"] == expected
    assert sum(expected.values()) == COUNT
    assert verify(atlas) == []
    assert told("index", atlas, "--manifest", str(tmp_path / "manifest.toml"))["version"] == done["version"]
    (best,) = told("search", atlas, "--image", str(photo), "-k", "1")["hits"]
    assert (best["caption"], best["similarity"]) == ("picture 1", pytest.approx(1, abs=2e-3))
    assert len(told("search", atlas, "--text", "a shape", "-k", "3")["hits"]) == 3
    landing = told("locate", atlas, str(photo))["landing"]
    assert landing["spaces"].keys() == Atlas.open(atlas).meta["spaces"].keys()
    assert landing["spaces"]["clip"]["hits"][0]["id"] == best["id"]
    assert told("status", atlas)["outcomes"] == expected
