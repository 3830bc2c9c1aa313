"""Exports: exact where a program reads them, harmless where a spreadsheet does."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_atlas import SmallAtlas, changed

from explorer import export as module
from explorer.atlas import Atlas
from explorer.denylist import DenyKind, hashed
from explorer.errors import QueryError
from explorer.export import export
from explorer.formats import FORMATS, csv_cell, csv_text
from explorer.records import Record

COLUMNS = [
    *("id", "key", "caption", "captions", "tags", "group", "split", "family", "image_url", "page_url"),
    *("author", "licence", "licence_url", "clip_x", "clip_y", "clip_z", "cluster", "cluster_label"),
    *("subcluster", "subcluster_label"),
    *("extra.corners", "extra.place", "extra.year"),
]
DANGEROUS = tuple("=+-@\t\r\n＝＋－＠")


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """A small atlas that no test changes, opened."""
    return Atlas.open(SmallAtlas().write(tmp_path_factory.mktemp("export") / "small"))


def exported(atlas: Atlas, ids: list[int], format: str, space: str = "clip") -> bytes:
    out = io.BytesIO()
    assert export(atlas, ids, format, out, space=space) == len(ids)
    return out.getvalue()


def as_csv(atlas: Atlas, ids: list[int]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exported(atlas, ids, "csv").decode(), newline="")))


def as_jsonl(atlas: Atlas, ids: list[int], space: str = "clip") -> list[dict[str, Any]]:
    return [json.loads(line) for line in exported(atlas, ids, "jsonl", space).decode().split("\n")[:-1]]


def as_table(atlas: Atlas, ids: list[int]) -> pa.Table:
    return pq.read_table(io.BytesIO(exported(atlas, ids, "parquet")))


def with_records(tmp_path: Path, values: Mapping[str, Any]) -> Atlas:
    return Atlas.open(SmallAtlas(change=changed(**values)).write(tmp_path / "changed"))


def test_every_format_has_the_same_columns_and_rows_in_the_order_asked(atlas: Atlas) -> None:
    """CSV, JSON lines and Parquet agree on names, order and values."""
    ids = [1406, 1000, 1049]
    table, lines, cells = as_table(atlas, ids), as_jsonl(atlas, ids), as_csv(atlas, ids)
    assert table.column_names == list(lines[0]) == list(cells[0]) == COLUMNS
    rows = [row | {"captions": dict(row["captions"])} for row in table.to_pylist()]
    assert rows == lines
    assert [row["id"] for row in lines] == ids
    for cell, line in zip(cells, lines, strict=True):
        for name in ("id", "clip_x", "extra.year", "cluster"):
            assert cell[name] == ("" if line[name] is None else str(line[name]))
        assert json.loads(cell["captions"]) == line["captions"]
        assert cell["tags"] == "; ".join(line["tags"])


@pytest.mark.parametrize("space", ["clip", "vae"])
def test_rows_hold_links_licence_place_and_cluster(atlas: Atlas, space: str) -> None:
    """A row says what the record, the map and the clusters of the space say."""
    for row in as_jsonl(atlas, atlas.ids.tolist(), space):
        record, place = atlas.record(row["id"]), atlas.row(row["id"])
        for name in ("key", "caption", "group", "family", "image_url", "page_url", "author", "licence", "licence_url"):
            assert row[name] == getattr(record, name)
        assert (row["split"], row["captions"], row["tags"]) == (record.split, record.captions, list(record.tags))
        data = atlas.space(space)
        found = np.array([row[f"{space}_{axis}"] for axis in "xyz"], np.float32)
        np.testing.assert_array_equal(found, data.points[place])
        labels = {cluster.cluster: cluster.label for cluster in atlas.clusters(space)}
        cluster = int(data.cluster[place])
        expected = (None, None) if cluster < 0 else (cluster, labels[cluster])
        assert (row["cluster"], row["cluster_label"]) == expected
        labels = {cluster.cluster: cluster.label for cluster in atlas.clusters(space, level=1)}
        cluster = int(data.subcluster[place])
        expected = (None, None) if cluster < 0 else (cluster, labels[cluster])
        assert (row["subcluster"], row["subcluster_label"]) == expected
        assert {name: row[f"extra.{name}"] for name in record.extra} == record.extra


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ([1, 2], pa.int64()),
        ([1, None], pa.int64()),
        ([1, 2.5], pa.float64()),
        ([2**53 + 1, 0], pa.int64()),
        ([2**53 + 1, 0.5], pa.string()),
        ([2**70, 1], pa.string()),
        ([True, None], pa.bool_()),
        ([True, 1], pa.string()),
        (["a", 1], pa.string()),
        ([None, None], pa.string()),
        ([["a"], {"b": 1}], pa.string()),
    ],
)
def test_extra_columns_keep_their_values_exactly(tmp_path: Path, values: list[Any], column: pa.DataType) -> None:
    """A column gets the narrowest type that loses nothing; JSON lines keep each value's own type."""

    def change(record: Record) -> Record:
        return replace(record, extra={"x": values[record.id % 2]})

    atlas = Atlas.open(SmallAtlas(change=change).write(tmp_path / "extra"))
    ids = [1000, 1007]
    assert [row["extra.x"] for row in as_jsonl(atlas, ids)] == values
    table = as_table(atlas, ids)
    assert table.schema.field("extra.x").type == column
    stored = table["extra.x"].to_pylist()
    if column == pa.string():
        stored = [json.loads(text) if text is not None and text != "a" else text for text in stored]
    assert stored == values


def test_rows_without_further_columns_or_rows_at_all(tmp_path: Path) -> None:
    """No extra columns, and no pictures, are a file with its columns and nothing wrong."""
    atlas = with_records(tmp_path, {"extra": {}})
    for ids in ([1000], []):
        assert as_table(atlas, ids).column_names == COLUMNS[:-3]
        assert len(as_csv(atlas, ids)) == len(as_jsonl(atlas, ids)) == len(ids)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
formulas = st.tuples(st.sampled_from(["", " ", "\n ", "'", "\u200b", "''"]), st.sampled_from(DANGEROUS), texts)


@given(st.one_of(texts, formulas.map("".join)))
def test_no_cell_is_a_formula_and_the_text_comes_back(text: str) -> None:
    """A cell never starts with a character that runs, blanks and invisible ones aside, and gives its text back."""
    cell = csv_cell(text)
    bare = cell.lstrip("".join(map(chr, range(33))) + "\u00a0\u200b\u200e\ufeff")
    assert not bare.startswith(DANGEROUS)
    assert not cell.startswith(DANGEROUS)
    assert csv_text(cell) == text


hostile = st.fixed_dictionaries({"caption": st.one_of(texts, formulas.map("".join)), "tag": texts, "extra": formulas})


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rows=st.lists(hostile, min_size=60, max_size=60))
def test_hostile_texts_survive_every_format(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    """Formulas, quotes, commas and line breaks come back exactly from Parquet and JSON lines, harmless from CSV."""

    def change(record: Record) -> Record:
        row = rows[(record.id - 1000) // 7]
        author = "".join(row["extra"])
        return replace(record, captions={"en": row["caption"]}, tags=(row["tag"],), author=author, extra={"=x": author})

    atlas = Atlas.open(SmallAtlas(change=change).write(tmp_path_factory.mktemp("hostile") / "small"))
    ids = atlas.ids.tolist()
    for record, line, stored, cells in zip(
        atlas.records(ids), as_jsonl(atlas, ids), as_table(atlas, ids).to_pylist(), as_csv(atlas, ids), strict=True
    ):
        row = rows[(record.id - 1000) // 7]
        author = "".join(row["extra"])
        for found in (line, stored):
            assert dict(found["captions"]) == {"en": row["caption"]}
            assert (found["tags"], found["author"], found["extra.=x"]) == ([row["tag"]], author, author)
        assert csv_text(cells["author"]) == csv_text(cells["extra.=x"]) == author
        assert (csv_text(cells["caption"]), csv_text(cells["tags"])) == (record.caption, row["tag"])
        assert json.loads(cells["captions"]) == {"en": row["caption"]}
        assert not any(cell.startswith(DANGEROUS) for name, cell in cells.items() if not name.startswith("clip_"))


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//x", "https://"])
def test_only_links_to_the_web_are_exported(tmp_path: Path, link: str) -> None:
    """A link of another scheme is left out of every format."""
    atlas = with_records(tmp_path, {"image_url": link, "page_url": link, "licence_url": link})
    for row in (as_jsonl(atlas, [1000])[0], as_table(atlas, [1000]).to_pylist()[0]):
        assert {row[name] for name in ("image_url", "page_url", "licence_url")} == {None}
    assert {as_csv(atlas, [1000])[0][name] for name in ("image_url", "page_url")} == {""}


def test_many_rows_are_written_in_batches(atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch size shows in no format."""
    ids = atlas.ids.tolist()
    whole = [exported(atlas, ids, format) for format in ("csv", "jsonl")]
    rows = as_table(atlas, ids).to_pylist()
    monkeypatch.setattr(module, "_BATCH", 7)
    assert [exported(atlas, ids, format) for format in ("csv", "jsonl")] == whole
    assert as_table(atlas, ids).to_pylist() == rows


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_is_replaced_when_all_is_written(small_atlas: Path, tmp_path: Path, format: str) -> None:
    """A failed export leaves the old file as it was, and nothing beside it; a good one replaces it."""
    atlas = Atlas.open(small_atlas)
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / f"rows.{format}"
    path.write_bytes(b"old")
    with pytest.raises(QueryError, match="found id 1, which is not in this atlas"):
        export(atlas, [1000, 1], format, path)
    assert path.read_bytes() == b"old"
    assert export(atlas, [1000], format, path) == 1
    assert path.read_bytes() == exported(atlas, [1000], format)
    assert list(folder.iterdir()) == [path]


def test_what_was_taken_down_is_not_exported(small_atlas: Path) -> None:
    """A takedown keeps a picture out of every export that follows."""
    atlas = Atlas.open(small_atlas)
    assert len(as_jsonl(atlas, [1000])) == 1
    entry = {"kind": "key", "sha256": hashed(DenyKind.KEY, "red-0"), "at": "2025-01-01T00:00:00Z"}
    (small_atlas / "denylist.jsonl").write_text(json.dumps(entry) + "\n")
    with pytest.raises(QueryError, match="found id 1000"):
        export(atlas, [1000], "jsonl", io.BytesIO())


@pytest.mark.parametrize("format", FORMATS)
def test_a_takedown_meanwhile_leaves_its_rows_out(
    small_atlas: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    """What is taken down while a file is sent is not in what follows, and the rest of the file comes whole."""
    monkeypatch.setattr(module, "_BATCH", 16)
    atlas = Atlas.open(small_atlas)
    made = module.stream(atlas, atlas.ids, format)
    begun = next(made.pieces)
    late = int(atlas.ids[-1])
    entry = {"kind": "key", "sha256": hashed(DenyKind.KEY, atlas.record(late).key), "at": "2025-01-01T00:00:00Z"}
    (small_atlas / "denylist.jsonl").write_text(json.dumps(entry) + "\n")
    whole = begun + b"".join(made.pieces)
    found = {
        "csv": lambda: [int(row["id"]) for row in csv.DictReader(io.StringIO(whole.decode(), newline=""))],
        "jsonl": lambda: [json.loads(line)["id"] for line in whole.splitlines()],
        "parquet": lambda: pq.read_table(io.BytesIO(whole))["id"].to_pylist(),
    }[format]()
    assert found == atlas.ids[:-1].tolist()
    with pytest.raises(QueryError, match=f"found id {late}"):
        atlas.record(late)


def test_wrong_questions_say_why(atlas: Atlas, tmp_path: Path) -> None:
    """An unknown format, an unknown space and a folder in the file's place are one line each."""
    with pytest.raises(QueryError, match="found format 'xlsx'; expected one of csv, jsonl, parquet"):
        export(atlas, [1000], "xlsx", io.BytesIO())
    with pytest.raises(QueryError, match="this atlas has clip and vae"):
        export(atlas, [1000], "csv", io.BytesIO(), space="dino")
    with pytest.raises(QueryError, match="cannot be written"):
        export(atlas, [1000], "csv", tmp_path)
