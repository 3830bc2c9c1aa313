"""The source `huggingface`: data sets that `datasets` itself wrote are read, and nothing in a stranger's is run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from canary import poisoned
from color_encoders import COLORS, png
from datasets.packaged_modules.parquet.parquet import Parquet
from loopback_hub import COMMIT, Hub, hub

from explorer.errors import ManifestError, PictureError, RejectReason
from explorer.manifest import Manifest, from_dict
from explorer.records import Split
from indexer.sources.base import LeftOut, SourceRow
from indexer.sources.huggingface import HuggingFaceSource

pytestmark = pytest.mark.usefixtures("own_hub_cache")

TRAIN, TEST = 70, 5
FEATURES = datasets.Features(
    {
        "image": datasets.Image(),
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=list(COLORS)),
        "name": datasets.Value("string"),
        "score": datasets.Value("float32"),
        "parts": datasets.List(datasets.Value("string")),
        "vector": datasets.List(datasets.Value("float32")),
    }
)


def cells(number: int) -> dict[str, Any]:
    """A row of the data set."""
    return {
        "image": {"bytes": png(number), "path": None}, "text": f"text {number}", "label": number % len(COLORS),
        "name": f"name-{number}", "score": float(number % 2), "parts": ["a", "b"], "vector": [0.5, 0.5],
    }  # fmt: skip


@pytest.fixture(scope="module")
def data() -> datasets.DatasetDict:
    """Two splits, as `datasets` holds them."""
    rows = [cells(number) for number in range(TRAIN + TEST)]
    return datasets.DatasetDict(
        train=datasets.Dataset.from_list(rows[:TRAIN], features=FEATURES),
        test=datasets.Dataset.from_list(rows[TRAIN:], features=FEATURES),
    )


def write_parquet(data: datasets.DatasetDict, folder: Path) -> Path:
    """As on the hub: two files of `train` with small row groups, one of `test`."""
    (folder / "data").mkdir(parents=True)
    half = TRAIN // 2
    parts = {"train-00000-of-00002": data["train"].select(range(half)), "test-00000-of-00001": data["test"]}
    parts["train-00001-of-00002"] = data["train"].select(range(half, TRAIN))
    for name, part in parts.items():
        part.to_parquet(folder / "data" / f"{name}.parquet", batch_size=16)
    return folder


def write_saved(data: datasets.DatasetDict, folder: Path) -> Path:
    """What `save_to_disk` writes."""
    data.save_to_disk(folder)
    return folder


def manifest(path: Path | str, **tables: Any) -> Manifest:  # noqa: ANN401 - a manifest's tables
    """A manifest of this kind."""
    return from_dict({"kind": "huggingface", "path": str(path), **tables}, base=Path("/"), file="test.toml")


def rows(source: HuggingFaceSource) -> dict[str, SourceRow]:
    """The rows by their keys, which are unique."""
    found = [row for row in source.rows() if isinstance(row, SourceRow)]
    assert len({row.key for row in found}) == len(found)
    return {row.key: row for row in found}


def reasons(found: Mapping[str, SourceRow]) -> list[RejectReason]:
    """Why rows are rejected as they stand."""
    return [row.fault.reason for row in found.values() if row.fault is not None]


@pytest.mark.parametrize("write", [write_parquet, write_saved])
def test_rows_and_pictures(data: datasets.DatasetDict, tmp_path: Path, write: Any) -> None:  # noqa: ANN401 - a function
    """Every row is there with its words; its picture comes byte for byte, in order, backwards and by leaps."""
    source = HuggingFaceSource(manifest(write(data, tmp_path / "set")))
    found = rows(source)
    assert list(found) == [f"train/{n}" for n in range(TRAIN)] + [f"test/{n}" for n in range(TEST)]
    row = found["train/7"]
    assert (row.captions, row.split, row.fault) == ({"und": "text 7"}, Split.TRAIN, None)
    assert row.extra == {"label": COLORS[1], "name": "name-7", "score": 1.0, "parts": '["a", "b"]'}
    assert found["test/0"].split is Split.HELDOUT
    listed = list(found.values())
    order = [
        *range(TRAIN + TEST),
        *range(TRAIN + TEST - 1, -1, -9),
        *np.random.default_rng(0).permutation(TRAIN).tolist(),
    ]
    assert all(source.read(listed[place]) == png(place) for place in order)
    assert source.columns_found == {"caption": "text"}


def test_folder_of_pictures_and_of_archives(tmp_path: Path) -> None:
    """`imagefolder`, with its metadata, is read from files and from inside a zip; a class is the caption at need."""
    for number, color in enumerate(("gold", "purple")):
        folder = tmp_path / "plain" / "train" / color
        folder.mkdir(parents=True)
        (folder / "0.png").write_bytes(png(number))
    source = HuggingFaceSource(manifest(tmp_path / "plain"))
    found = list(rows(source).values())
    assert [row.captions for row in found] == [{"und": "gold"}, {"und": "purple"}]
    assert [source.read(row) for row in found] == [png(0), png(1)]
    (tmp_path / "zipped").mkdir()
    with zipfile.ZipFile(tmp_path / "zipped" / "train.zip", "w") as archive:
        archive.writestr("a.png", png(4))
        archive.writestr("metadata.csv", "file_name,text\na.png,four\n")
    source = HuggingFaceSource(manifest(tmp_path / "zipped"))
    (row,) = rows(source).values()
    assert (row.captions, source.read(row)) == ({"und": "four"}, png(4))


def test_manifest_names_key_split_and_columns(data: datasets.DatasetDict, tmp_path: Path) -> None:
    """`[columns] key`, `splits` and `image` choose; what is not there is said with what is."""
    folder = write_parquet(data, tmp_path / "set")
    chosen = manifest(folder, columns={"key": "name"}, huggingface={"splits": ["test"], "image": "image"})
    assert list(rows(HuggingFaceSource(chosen))) == [f"name-{TRAIN + number}" for number in range(TEST)]
    for settings, message in (
        ({"splits": ["dev"]}, "found no split dev; .* has train, test"),
        ({"image": "picture"}, "found no column picture; expected one column of pictures, of which split .* has image"),
        ({"config": "other"}, "cannot be read .*other"),
    ):
        with pytest.raises(ManifestError, match=message):
            rows(HuggingFaceSource(manifest(folder, huggingface=settings)))
    with pytest.raises(ManifestError, match=r"columns\.author: found no column 'artist'"):
        rows(HuggingFaceSource(manifest(folder, columns={"author": "artist"})))
    for path in ("../none", "./none", "none"):
        with pytest.raises(ManifestError, match=r"path: found no folder .*none; name one, or a data set of the hub"):
            rows(HuggingFaceSource(Manifest(kind="huggingface", base=tmp_path, path=path)))


def test_filter_leaves_rows_out_without_moving_pictures(data: datasets.DatasetDict, tmp_path: Path) -> None:
    """Rows under a bound are counted; the others keep their own pictures."""
    folder = write_parquet(data, tmp_path / "set")
    source = HuggingFaceSource(manifest(folder, columns={"aesthetic": "score"}, filter={"aesthetic_min": 1}))
    found = list(source.rows())
    kept = [row for row in found if isinstance(row, SourceRow)]
    assert sum(each.count for each in found if isinstance(each, LeftOut)) == TRAIN + TEST - len(kept)
    assert len(kept) == (TRAIN + TEST) // 2
    assert [source.read(row) for row in kept] == [png(number) for number in range(1, TRAIN + TEST, 2)]


def test_words_are_read_without_the_pictures(
    data: datasets.DatasetDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of Parquet only the columns of words are read for the rows; the pictures' bytes stay on the disk."""
    folder = write_parquet(data, tmp_path / "set")
    asked: list[list[str] | None] = []
    real = Parquet._generate_tables

    def watched(self: Any, *args: Any, **settings: Any) -> Any:  # noqa: ANN401 - the library's own
        asked.append(self.config.columns)
        return real(self, *args, **settings)

    monkeypatch.setattr(Parquet, "_generate_tables", watched)
    source = HuggingFaceSource(manifest(folder))
    found = rows(source)
    assert len(asked) == 3
    assert all(columns is not None and "image" not in columns for columns in asked)
    source.read(found["train/0"])
    assert asked[-1] == ["image"]


def test_broken_file_costs_no_other(data: datasets.DatasetDict, tmp_path: Path) -> None:
    """Of a file that is damaged the rest is one DAMAGED row; the files after it are read, with their own pictures."""
    folder = write_parquet(data, tmp_path / "set")
    broken = folder / "data" / "train-00001-of-00002.parquet"
    start = pq.ParquetFile(broken).metadata.row_group(0).column(1).data_page_offset
    broken.write_bytes(broken.read_bytes()[:start] + bytes(200) + broken.read_bytes()[start + 200 :])
    source = HuggingFaceSource(manifest(folder))
    found = rows(source)
    assert reasons(found) == [RejectReason.DAMAGED]
    assert [row.key for row in found.values() if row.fault] == ["train, part 2"]
    assert source.read(found["train/34"]) == png(34)
    assert source.read(found["test/0"]) == png(TRAIN)


def test_scripts_are_never_run(tmp_path: Path) -> None:
    """A folder with a script of its own name is refused in one line, and the script stays closed."""
    mark = tmp_path / "opened"
    folder = tmp_path / "evil"
    folder.mkdir()
    (folder / "evil.py").write_text(f"from pathlib import Path\nPath({str(mark)!r}).touch()\n")
    with pytest.raises(ManifestError, match=r"scripts are no longer supported.*; expected .* no script") as error:
        rows(HuggingFaceSource(manifest(folder)))
    assert "\n" not in str(error.value)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["data.pkl", "train.pickle", "train.pt", "0.pyd"])
def test_pickles_are_never_opened(tmp_path: Path, name: str) -> None:
    """A folder of pickles is no data set; beside Parquet they stay closed."""
    mark = tmp_path / "opened"
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / name).write_bytes(poisoned(mark))
    with pytest.raises(ManifestError, match="cannot be read"):
        rows(HuggingFaceSource(manifest(tmp_path / "set")))
    assert not mark.exists()


def test_tars_are_left_to_the_source_that_opens_no_pickles(tmp_path: Path) -> None:
    """The library's own reader of tars opens `.pth`; it is not used, and the way on is said."""
    webdataset = pytest.importorskip("webdataset")
    mark = tmp_path / "opened"
    (tmp_path / "set").mkdir()
    with webdataset.TarWriter(str(tmp_path / "set" / "train.tar")) as writer:
        writer.write({"__key__": "a", "png": png(1), "pth": poisoned(mark)})
    with pytest.raises(ManifestError, match="kind = webdataset"):
        rows(HuggingFaceSource(manifest(tmp_path / "set")))
    assert not mark.exists()


@pytest.mark.parametrize(
    "files",
    [
        "http://127.0.0.1:9/a.parquet",
        {"split": "train", "path": "https://evil.example/*.parquet"},
        "/etc/*.parquet",
        "../other/*.parquet",
        "zip://a.parquet::https://evil.example/a.zip",
        "s3://bucket/a.parquet",
    ],
)
def test_card_cannot_name_files_elsewhere(tmp_path: Path, files: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    """A card that names files outside the data set is refused before the library sees it."""
    monkeypatch.setattr("datasets.load_dataset_builder", lambda *_, **__: pytest.fail("the library was asked"))
    folder = tmp_path / "set"
    folder.mkdir()
    listed = files if isinstance(files, dict) else {"split": "train", "path": files}
    configs = json.dumps([{"config_name": "default", "data_files": [listed]}])
    (folder / "README.md").write_text(f"---\nhomepage: https://fine.example\nconfigs: {configs}\n---\n# A set\n")
    with pytest.raises(ManifestError, match=r"README\.md names .*; expected files of the data set itself"):
        rows(HuggingFaceSource(manifest(folder)))


def test_card_may_name_its_own_files(data: datasets.DatasetDict, tmp_path: Path) -> None:
    """A clone's card says which files are which split, and is followed."""
    folder = write_parquet(data, tmp_path / "set")
    configs = [{"split": "validation", "path": "data/test-*.parquet"}]
    listed = json.dumps([{"config_name": "default", "data_files": configs}])
    (folder / "README.md").write_text(f"---\nconfigs: {listed}\n---\n")
    found = rows(HuggingFaceSource(manifest(folder)))
    assert list(found) == [f"validation/{number}" for number in range(TEST)]
    assert {row.split for row in found.values()} == {Split.HELDOUT}


def test_path_of_a_picture_leads_nowhere_else(tmp_path: Path) -> None:
    """A picture that is only a path outside the data set is MISSING, be there a file or not."""
    outside = tmp_path / "private.png"
    outside.write_bytes(png(1))
    features = datasets.Features({"image": datasets.Image()})
    paths = [str(outside), "/etc/passwd", "https://evil.example/a.png", f"{tmp_path}/set/../private.png", None]
    made = datasets.Dataset.from_list([{"image": path} for path in paths], features=features)
    (tmp_path / "set").mkdir()
    pq.write_table(made.data.table, tmp_path / "set" / "train.parquet")
    source = HuggingFaceSource(manifest(tmp_path / "set"))
    found = rows(source)
    assert len(found) == len(paths)
    for row in found.values():
        with pytest.raises(PictureError) as error:
            source.read(row)
        assert error.value.reason is RejectReason.MISSING


FROM_THE_HUB = """
import json, sys
from pathlib import Path
from explorer.errors import ManifestError
from explorer.manifest import from_dict
from indexer.sources.huggingface import HuggingFaceSource

source = HuggingFaceSource(from_dict({"kind": "huggingface", "path": sys.argv[1]}, base=Path.cwd(), file="test.toml"))
try:
    rows = list(source.rows())
    told = {row.key: [source.read(row).hex(), row.captions, source.signature(row)] for row in rows}
except ManifestError as error:
    told = {"error": str(error)}
print(json.dumps(told))
"""


def from_the_hub(served: Hub, reference: str, home: Path) -> dict[str, Any]:
    """What a fresh process, whose hub is the one on loopback, reads of a data set."""
    inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    own = {"HF_ENDPOINT": served.url, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", FROM_THE_HUB, reference]
    done = subprocess.run(command, env=inherited | own, capture_output=True, text=True, check=True, timeout=200)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_data_set_of_the_hub_is_streamed(data: datasets.DatasetDict, tmp_path: Path) -> None:
    """By its id a data set is read from the hub as from a folder: every row, every picture, at one commit."""
    with hub("org/shapes", write_parquet(data, tmp_path / "set")) as served:
        told = from_the_hub(served, "org/shapes", tmp_path / "home")
    assert list(told) == [f"train/{n}" for n in range(TRAIN)] + [f"test/{n}" for n in range(TEST)]
    assert [bytes.fromhex(picture) for picture, _, _ in told.values()] == [png(n) for n in range(TRAIN + TEST)]
    assert told["test/0"][1] == {"und": f"text {TRAIN}"}
    assert all(COMMIT in asked for asked in served.asked if "/resolve/" in asked or "/tree/" in asked)
    assert not list((tmp_path / "home").rglob("*.parquet"))


def test_hostile_card_of_the_hub_is_not_followed(data: datasets.DatasetDict, tmp_path: Path) -> None:
    """A data set of the hub whose card names files elsewhere is refused; nothing but the card was asked for."""
    folder = write_parquet(data, tmp_path / "set")
    files = json.dumps([{"config_name": "default", "data_files": "http://127.0.0.1:9/canary.parquet"}])
    (folder / "README.md").write_text(f"---\nconfigs: {files}\n---\n")
    with hub("org/shapes", folder) as served:
        told = from_the_hub(served, "hf-hub:org/shapes", tmp_path / "home")
    assert "README.md names 'http://127.0.0.1:9/canary.parquet'" in told["error"]
    assert all(asked.endswith(("org/shapes", "README.md")) for asked in served.asked)
    assert served.asked


def test_saved_state_cannot_name_files_elsewhere(data: datasets.DatasetDict, tmp_path: Path) -> None:
    """`state.json` that leads to an Arrow file outside is refused."""
    write_saved(data, tmp_path / "other")
    folder = write_saved(data, tmp_path / "set")
    state = folder / "train" / "state.json"
    told = json.loads(state.read_text())
    told["_data_files"] = [{"filename": str(tmp_path / "other" / "train" / "data-00000-of-00001.arrow")}]
    state.write_text(json.dumps(told))
    with pytest.raises(ManifestError, match="the data set would read .*; expected files under"):
        rows(HuggingFaceSource(manifest(folder)))


def test_no_picture_and_no_data_set_are_said_so(tmp_path: Path) -> None:
    """A data set without a column of pictures, and a path without a data set, are one line each."""
    (tmp_path / "words").mkdir()
    datasets.Dataset.from_list([{"text": "a"}]).to_parquet(tmp_path / "words" / "train.parquet")
    with pytest.raises(ManifestError, match="huggingface.image: found nothing; .* has none among text"):
        rows(HuggingFaceSource(manifest(tmp_path / "words")))
    with pytest.raises(ManifestError, match="found no folder .*; name one, or a data set of the hub"):
        rows(HuggingFaceSource(manifest(tmp_path / "nothing" / "here" / "at" / "all")))
    with pytest.raises(ManifestError, match="org/name on the hub: cannot be read"):
        rows(HuggingFaceSource(manifest("hf-hub:org/name")))


def test_signature_changes_with_the_files(data: datasets.DatasetDict, tmp_path: Path) -> None:
    """Files that were written anew have other signatures, rows of one file different ones."""
    folder = write_parquet(data, tmp_path / "set")
    source = HuggingFaceSource(manifest(folder))
    before = {source.signature(row) for row in rows(source).values()}
    assert len(before) == TRAIN + TEST
    data["test"].to_parquet(folder / "data" / "test-00000-of-00001.parquet", batch_size=3)
    again = HuggingFaceSource(manifest(folder))
    assert len(before & {again.signature(row) for row in rows(again).values()}) == TRAIN
