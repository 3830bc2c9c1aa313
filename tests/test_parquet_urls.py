"""The source `parquet-urls`: which rows it gives, which it leaves out, and what it costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from laion_tables import AFTER, kept, laion, left_out, manifest_of, read, write

from explorer.errors import ManifestError, PictureError, RejectReason
from explorer.records import Split
from indexer import corpus
from indexer.sources import open_source
from indexer.sources.base import LeftOut, Link, SourceRow
from indexer.sources.parquet_urls import ParquetUrlsSource

SMALL = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_a_laion_row_becomes_a_row_with_a_link(tmp_path: Path) -> None:
    """Columns are found by their names in any case; what records have no place for is kept, pandas' index is not."""
    path = write(tmp_path / "part.parquet", laion(3))
    row = read(path, **AFTER)[1]
    assert isinstance(row, SourceRow)
    assert row.key == row.image_url == "https://pictures.example/1.jpg"
    assert row.link == Link("https://pictures.example/1.jpg")
    assert row.captions == {"und": "picture number 1"}
    assert (row.page_url, row.licence, row.split) == (None, None, Split.TRAIN)
    assert (row.aesthetic, row.punsafe, row.pwatermark) == pytest.approx((6.6, 0.1, 0.25))
    assert row.extra == {"WIDTH": 101.0, "HEIGHT": 201.0, "similarity": 0.31, "hash": 7919 - 2**40}


def test_which_columns_were_found_is_told(tmp_path: Path) -> None:
    """The source says which column it took for what, and what rows were held to."""
    source = ParquetUrlsSource(manifest_of(write(tmp_path / "p.parquet", laion(1)), **AFTER, filter={"width_min": 5}))
    assert source.columns_found["image_url"] == "URL"
    assert source.columns_found["aesthetic"] == "AESTHETIC_SCORE"
    assert source.thresholds == {"filter.width_min": 5, "filter.punsafe_max": 0.45}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ({"url": "u", "caption": "c", "aesthetic": 5.0, "pwatermark": 0.1, "punsafe": 0.2}, ("c", 5.0)),
        ({"Url": "u", "Text": "t", "Aesthetic_Score": 5.0, "punsafe": 0.2}, ("t", 5.0)),
        ({"URL": "u", "TEXT": "t", "top_caption": "x", "punsafe": 0.2}, ("t", None)),
    ],
)
def test_columns_by_alias(tmp_path: Path, names: dict[str, Any], found: tuple[str, float | None]) -> None:
    """The spellings of the releases are known."""
    row = kept(read(write(tmp_path / "p.parquet", {name: [value] for name, value in names.items()}), **AFTER))[0]
    assert (row.captions["und"], row.aesthetic) == found


def test_named_columns_win(tmp_path: Path) -> None:
    """What the manifest says of columns counts before their names; captions may come in languages."""
    table = {"url": ["x"], "where": ["https://a.example/1"], "nr": ["N-1"], "de": ["ein Bild"], "Part": ["test"]}
    path = write(tmp_path / "p.parquet", table)
    tables = {
        "columns": {"image_url": "where", "key": "NR"},
        "captions": {"de": "DE"},
        "split": {"column": "part"},
    }
    row = kept(read(path, **tables))[0]
    assert (row.key, row.image_url, row.captions) == ("N-1", "https://a.example/1", {"de": "ein Bild"})
    assert row.split is Split.HELDOUT
    assert row.extra == {"url": "x", "Part": "test"}


def test_the_language_column_names_the_captions_language(tmp_path: Path) -> None:
    """A caption stands under its language where a column tells it, and under none where that is no language."""
    path = write(
        tmp_path / "p.parquet", {"url": ["https://a/1", "https://a/2"], "text": ["a", "b"], "lang": ["FR", "?"]}
    )
    assert [row.captions for row in kept(read(path))] == [{"fr": "a"}, {"und": "b"}]


def test_the_strongest_hash_is_what_the_bytes_are_held_to(tmp_path: Path) -> None:
    """Of several hashes the strongest counts; what is no hash counts as none, and LAION's `hash` never does."""
    digests = {"md5": ["A" * 32, "b" * 32, "x"], "sha256": ["c" * 64, "none", None]}
    path = write(tmp_path / "p.parquet", {"url": [f"https://a/{at}" for at in range(3)], "hash": [1, 2, 3], **digests})
    links = [row.link for row in kept(read(path))]
    assert links[0] == Link("https://a/0", "c" * 64, "sha256")
    assert links[1] == Link("https://a/1", "b" * 32, "md5")
    assert links[2] == Link("https://a/2")


def test_filters_keep_what_a_plain_loop_keeps(tmp_path: Path) -> None:
    """Each filter leaves out the rows that a comparison one by one leaves out; the counts add up."""
    table = laion(1000)
    path = write(tmp_path / "p.parquet", table, row_group_size=300)
    bounds = {"aesthetic_min": 7.0, "pwatermark_max": 0.5, "similarity_min": 0.31, "width_min": 300, "height_min": 500}
    found = read(path, **AFTER, filter=bounds)
    wanted = [
        at for at in range(1000)
        if table["punsafe"][at] <= np.float32(0.45) and table["AESTHETIC_SCORE"][at] >= np.float32(7.0)
        and table["pwatermark"][at] <= 0.5 and table["similarity"][at] >= 0.31
        and table["WIDTH"][at] >= 300 and table["HEIGHT"][at] >= 500
    ]  # fmt: skip
    assert [row.key for row in kept(found)] == [table["URL"][at] for at in wanted]
    counts = left_out(found)
    assert counts["unsafe"] == 500
    assert sum(counts.values()) + len(wanted) == 1000


def test_a_language_filter(tmp_path: Path) -> None:
    """Languages are compared without case; rows without one are left out."""
    path = write(
        tmp_path / "p.parquet", {"url": ["https://a/1", "https://a/2", "https://a/3"], "LANGUAGE": ["en", "DE", None]}
    )
    found = read(path, filter={"language": ["de", "FR"]})
    assert [row.key for row in kept(found)] == ["https://a/2"]
    assert left_out(found) == {"filtered": 2}


def test_a_filter_without_its_column_is_a_fault(tmp_path: Path) -> None:
    """A filter that cannot be applied stops the build at the start."""
    path = write(tmp_path / "p.parquet", {"url": ["https://a/1"]})
    with pytest.raises(ManifestError, match=r"filter\.aesthetic_min: found no column of aesthetic in .*p\.parquet"):
        read(path, filter={"aesthetic_min": 5})


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        (
            {"columns": {"image_url": "adress"}},
            r"columns\.image_url: found no column 'adress' in .*expected one of url",
        ),
        ({"captions": {"en": "text"}}, r"captions\.en: found no column 'text'"),
        ({"split": {"column": "part"}}, r"split\.column: found no column 'part'"),
    ],
)
def test_a_missing_column_is_a_clear_line(tmp_path: Path, tables: dict[str, Any], words: str) -> None:
    """A column that the manifest names has to be there; the line says which there are."""
    path = write(tmp_path / "p.parquet", {"url": ["https://a/1"], "note": ["x"]})
    with pytest.raises(ManifestError, match=words):
        read(path, **tables)


def test_a_table_without_links_is_a_clear_line(tmp_path: Path) -> None:
    """Without a column of links there is nothing to fetch, and the line says what there is."""
    with pytest.raises(ManifestError, match="found the columns title, n; expected one of links"):
        read(write(tmp_path / "p.parquet", {"title": ["x"], "n": [1]}))


def test_many_files_by_folder_glob_and_name(tmp_path: Path) -> None:
    """A folder is read file by file in the order of the names; a glob and `files` choose; columns may differ."""
    write(tmp_path / "d" / "b.parquet", laion(2, start=10))
    write(tmp_path / "d" / "in" / "a.parquet", {"url": ["https://a.example/x"], "caption": ["x"], "punsafe": [0.1]})
    write(tmp_path / "d" / "note.txt.parquet.bak", laion(1))
    keys = [row.key for row in kept(read(tmp_path / "d", **AFTER))]
    assert keys == ["https://pictures.example/10.jpg", "https://pictures.example/11.jpg", "https://a.example/x"]
    assert len(kept(read(tmp_path / "d" / "*.parquet", **AFTER))) == 2
    assert len(kept(read(tmp_path / "d", **AFTER, **{"parquet-urls": {"files": "in/*.parquet"}}))) == 1
    with pytest.raises(ManifestError, match=r"path: found no \.parquet"):
        read(tmp_path / "none", **AFTER)


def test_a_data_set_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hf-hub:org/name` reads the hub's own cache, offline too; what it lacks is a clear line."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "datasets--someone--links"
    write(repository / "snapshots" / "abc123" / "part-0.parquet", {"url": ["https://a.example/1"]})
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc123")
    assert [row.key for row in kept(read("hf-hub:someone/links"))] == ["https://a.example/1"]
    with pytest.raises(ManifestError, match="the hub cannot be reached and its cache on this machine has no copy"):
        read("hf-hub:someone/else")
    with pytest.raises(
        ManifestError, match=r"found nothing at .*; a data set of the hub is named hf-hub:someone/links"
    ):
        read("someone/links")


def test_a_link_that_comes_again_keeps_its_row_under_a_numbered_key(tmp_path: Path) -> None:
    """Rows with one link are all there, in files apart too; their keys differ, their link does not."""
    again = ["https://a.example/1", "https://a.example/2", "https://a.example/1"]
    write(tmp_path / "a.parquet", {"url": again})
    write(tmp_path / "b.parquet", {"url": again})
    found = kept(read(tmp_path))
    one, two = again[0], again[1]
    assert [row.key for row in found] == [one, two, f"{one} 2", f"{one} 3", f"{two} 2", f"{one} 4"]
    assert [row.link.url for row in found if row.link] == again * 2


def test_own_keys_that_look_like_made_ones_stay_apart(tmp_path: Path) -> None:
    """Also where a key column holds "a 2" beside two rows "a", and "row 1 of t", no key comes twice."""
    keys = ["a", "a", "a 2", "row 5 of t", None, "a 2", "a 2 2"]
    path = write(tmp_path / "t.parquet", {"url": [f"https://a/{at}" for at in range(7)], "k": keys})
    found = [row.key for row in read(path, columns={"key": "k"}) if isinstance(row, SourceRow)]
    assert len(set(found)) == 7


def test_a_sample_is_the_same_whether_or_not_the_source_chooses(tmp_path: Path) -> None:
    """Rows that cannot be drawn are not made, and the sample is that of all rows; the counts stay what they were."""
    manifest = manifest_of(write(tmp_path / "p.parquet", laion(2000), row_group_size=100), **AFTER)
    source = ParquetUrlsSource(manifest)
    asked: list[str] = []

    class Plain:
        rows = source.rows

    class Choosy:
        def rows_if(self, wanted: Callable[[str], bool]) -> Iterator[SourceRow | LeftOut]:
            for each in source.rows_if(wanted):
                asked.extend([each.key] if isinstance(each, SourceRow) else [])
                yield each

    selection = corpus.Selection(sample=20, seed=3)
    plain, choosy = (corpus.read(kind(), manifest, selection) for kind in (Plain, Choosy))  # type: ignore[arg-type]
    assert plain == choosy
    assert (len(choosy.rows), choosy.read, len(asked) < 300) == (20, 2000, True)


def test_rows_that_cannot_be_used_are_faults_by_number(tmp_path: Path) -> None:
    """A row without a link, and one whose link is endless, is rejected by its place in its file."""
    path = write(
        tmp_path / "p.parquet", {"url": ["https://a/1", None, "  ", "https://a/" + "x" * 5000, "javascript:x"]}
    )
    found = [row for row in read(path) if isinstance(row, SourceRow)]
    assert [row.key for row in found] == ["https://a/1", "row 2 of p", "row 3 of p", "row 4 of p", "javascript:x"]
    assert [row.fault.reason if row.fault else None for row in found] == [None, *[RejectReason.BAD_ROW] * 3, None]
    assert (found[4].image_url, found[4].link) == (None, Link("javascript:x"))


def test_a_word_that_is_no_split_is_a_fault_of_its_row(tmp_path: Path) -> None:
    """One odd cell among millions stops no build."""
    path = write(tmp_path / "p.parquet", {"url": ["https://a/1", "https://a/2"], "part": ["train", "?"]})
    found = [row for row in read(path, split={"column": "part"}) if isinstance(row, SourceRow)]
    assert found[0].fault is None
    assert found[1].fault is not None
    assert "expected train, heldout" in found[1].fault.detail


def test_a_signature_follows_link_and_hash(tmp_path: Path) -> None:
    """Another link or another hash is another picture; nothing is read from here."""
    source = ParquetUrlsSource(manifest_of(write(tmp_path / "p.parquet", {"url": ["https://a/1"]})))
    (row,) = kept(source.rows())
    same = SourceRow(key=row.key, link=Link("https://a/1"))
    other = SourceRow(key=row.key, link=Link("https://a/1", "0" * 32, "md5"))
    assert source.signature(row) == source.signature(same) != source.signature(other)
    with pytest.raises(PictureError) as caught:
        source.read(row)
    assert caught.value.reason is RejectReason.MISSING


def test_the_registry_opens_it(tmp_path: Path) -> None:
    """The kind leads to its source."""
    manifest = manifest_of(write(tmp_path / "p.parquet", {"url": ["https://a/1"]}))
    assert isinstance(open_source(manifest), ParquetUrlsSource)


hostile_text = st.none() | st.text(max_size=30) | st.sampled_from(["a\x00b", "\u202e", "=1+1", "x" * 1_000_000, " "])
hostile_url = (
    hostile_text
    | st.sampled_from(["https://a.example/1", "https://a.example/1", "javascript:alert(1)", "file:///etc/passwd"])
    | st.builds("https://a.example/{}".format, st.text(max_size=8))
)
hostile_number = st.none() | st.floats(width=32) | st.just(float("nan"))


@st.composite
def frames(draw: st.DrawFn) -> dict[str, pa.Array]:
    """A table as a stranger may write it: LAION's columns, some of them missing or of other types."""
    rows = draw(st.integers(0, 12))

    def values(each: st.SearchStrategy[Any], type_: pa.DataType | None = None) -> pa.Array:
        return pa.array(draw(st.lists(each, min_size=rows, max_size=rows)), type_)

    raw = values(st.none() | st.binary(max_size=12), pa.binary())
    odd = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())  # a column of text that is none
    text = lambda: draw(st.sampled_from([values(hostile_text, pa.string()), odd, raw]))  # noqa: E731
    number = lambda: draw(  # noqa: E731
        st.sampled_from(
            [
                values(hostile_number, pa.float32()),
                values(st.none() | st.integers(-(2**63), 2**63 - 1), pa.int64()),
                values(st.none() | st.sampled_from(["0.1", "1e999", "x", ""]), pa.string()),
                values(st.none() | st.booleans(), pa.bool_()),
                values(st.none() | st.lists(st.integers(0, 3), max_size=2), pa.list_(pa.int8())),
                pa.nulls(rows),
            ]
        )
    )
    table = {"URL": draw(st.sampled_from([values(hostile_url, pa.string()), odd, raw, number()])), "punsafe": number()}
    for name in draw(st.sets(st.sampled_from(["TEXT", "similarity", "WIDTH", "AESTHETIC_SCORE", "hash", "a\x00", ""]))):
        table[name] = text() if name in ("TEXT", "a\x00", "") else number()
    return table


@SMALL
@given(frame=frames(), bounds=st.sampled_from([{}, {"punsafe_max": 0.2}]))
def test_every_row_of_a_hostile_table_ends_once(
    tmp_path_factory: pytest.TempPathFactory, frame: dict[str, pa.Array], bounds: dict[str, float]
) -> None:
    """NULs, broken text, a megabyte of caption, NaN, wrong types: each row is a row, a fault or counted, never two."""
    path = write(tmp_path_factory.mktemp("hostile") / "p.parquet", frame)
    found = read(path, **AFTER, filter=bounds)
    rows = [each for each in found if isinstance(each, SourceRow)]
    assert sum(left_out(found).values()) + len(rows) == len(frame["URL"])
    assert len({row.key for row in rows}) == len(rows)
    for row in rows:
        assert (row.fault is None) == (row.link is not None)
        assert row.fault is not None or (row.punsafe is not None and row.punsafe <= 0.45)
        json.dumps([row.key, dict(row.captions), dict(row.extra)], allow_nan=False).encode()
        assert "\x00" not in row.key and all("\x00" not in caption for caption in row.captions.values())
        assert all(len(caption) <= 4000 for caption in row.captions.values())


MEASURE = """
import re, sys, time
from pathlib import Path
from explorer import manifest
from indexer import corpus
from indexer import corpus
from indexer.sources import open_source
document = {"kind": "parquet-urls", "path": sys.argv[1], "date": "2024-08-30", "filter": {"aesthetic_min": 6.7}}
document = manifest.from_dict(document, base=Path("."), file="m.toml")
started = time.process_time()
found = corpus.read(open_source(document), document, corpus.Selection(sample=5000, seed=1))
# ru_maxrss knows of the parent too, whose memory a child shares until it becomes another program
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
left = sum(found.left_out.values())
print(len(found.rows), found.read, left, peak, time.process_time() - started)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_million_rows_are_sampled_in_little_memory(tmp_path: Path) -> None:
    """A process that filters 1,000,000 rows and draws 5,000 never holds a gigabyte, and takes no half minute."""
    writer = None
    path = tmp_path / "million.parquet"
    for start in range(0, 1_000_000, 250_000):
        table = pa.table(laion(250_000, start))
        writer = writer or pa.parquet.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=250_000)
    assert writer is not None
    writer.close()
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": "."},
    )  # fmt: skip
    rows, read_, left, peak, seconds = map(float, done.stdout.split())
    assert (rows, read_) == (5000, 1_000_000)
    assert left == 700_000  # punsafe over 0.45, or an aesthetic score under 6.7: both follow the last digit
    assert peak < 1000, f"{peak} MB"
    assert seconds < 30, f"{seconds} s of a processor"
