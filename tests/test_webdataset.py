"""The source `webdataset`: what img2dataset writes is read, what a stranger's tar brings along is not."""

from __future__ import annotations

import io
import json
import tarfile
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from canary import poisoned
from color_encoders import png
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explorer.errors import ManifestError, PictureError, RejectReason
from explorer.manifest import Manifest, from_dict
from explorer.records import Split
from indexer.sources import folder, tables
from indexer.sources.base import LeftOut, SourceRow
from indexer.sources.webdataset import WebDatasetSource

PER_SHARD = 5
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("url", "caption", "key", "status", "error_message")]
    + [(name, pa.int32()) for name in ("width", "height", "original_width", "original_height")]
    + [("exif", pa.string()), ("sha256", pa.string()), ("AESTHETIC_SCORE", pa.float64())]
)
"""The columns that img2dataset 1.47 writes, with one that was asked for by `save_additional_columns`."""


def told(number: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - cells
    """img2dataset's row about a picture."""
    row = {name: None for name in SCHEMA.names} | {
        "url": f"https://pictures.example/{number}.jpg", "caption": f"picture {number}", "key": f"{number:09d}",
        "status": "success", "width": 40, "height": 32, "original_width": 80, "original_height": 64, "exif": "{}",
        "sha256": f"{number:064x}", "AESTHETIC_SCORE": 6.5,
    }  # fmt: skip
    return row | changes


def write_tar(path: Path, samples: Sequence[Mapping[str, Any]]) -> Path:
    """Write samples with WebDataset's own writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with webdataset.TarWriter(str(path), mtime=0) as writer:
        for sample in samples:
            writer.write(dict(sample))
    return path


def write_shard(folder: Path, shard: int, failed: Mapping[int, Mapping[str, Any]] | None = None) -> Path:
    """A shard of five pictures as img2dataset writes it; those in `failed` are in the table alone."""
    numbers = range(PER_SHARD * shard, PER_SHARD * (shard + 1))
    rows = [told(number, **(failed or {}).get(number, {})) for number in numbers]
    path = write_tar(
        folder / f"{shard:05d}.tar",
        [
            {"__key__": row["key"], "jpg": png(number), "txt": row["caption"], "json": json.dumps(row, indent=4)}
            for number, row in zip(numbers, rows, strict=True)
            if row["status"] == "success"
        ],
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path.with_suffix(".parquet"))
    return path


def manifest(path: Path | str, **tables: Any) -> Manifest:  # noqa: ANN401 - a manifest's tables
    """A manifest of this kind."""
    return from_dict({"kind": "webdataset", "path": str(path), **tables}, base=Path("/"), file="test.toml")


def rows(source: WebDatasetSource) -> dict[str, SourceRow]:
    """The rows by their keys, which are unique."""
    found = [row for row in source.rows() if isinstance(row, SourceRow)]
    assert len({row.key for row in found}) == len(found)
    return {row.key: row for row in found}


def reasons(found: Mapping[str, SourceRow]) -> dict[str, RejectReason | None]:
    """Why each row is rejected as it stands."""
    return {key: row.fault and row.fault.reason for key, row in found.items()}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sound shards; nobody may change them."""
    folder = tmp_path_factory.mktemp("shards")
    write_shard(folder, 0)
    write_shard(folder, 1)
    return folder


def test_rows_and_pictures_of_img2dataset(shards: Path) -> None:
    """Every sample is a row under SHARD/KEY with the table's columns; its picture is the tar's, byte for byte."""
    source = WebDatasetSource(manifest(shards))
    found = rows(source)
    assert list(found) == [f"{n // PER_SHARD:05d}/{n:09d}" for n in range(2 * PER_SHARD)]
    row = found["00001/000000007"]
    assert (row.captions, row.image_url) == ({"und": "picture 7"}, "https://pictures.example/7.jpg")
    assert row.aesthetic == 6.5
    assert row.link is None and row.fault is None
    assert "status" not in row.extra and row.extra["original_width"] == 80
    assert [source.read(each) for each in found.values()] == [png(number) for number in range(2 * PER_SHARD)]
    assert source.columns_found["image_url"] == "url"


@pytest.mark.parametrize("place", ["", "00001.tar", "*1.tar", "**/00001.tar"])
def test_path_is_a_folder_a_tar_or_a_glob(shards: Path, place: str) -> None:
    """All three lead to the shards, and to the same keys."""
    found = rows(WebDatasetSource(manifest(shards / place)))
    assert "00001/000000007" in found
    assert len(found) == (PER_SHARD if place else 2 * PER_SHARD)


def test_no_tar_is_said_so(tmp_path: Path) -> None:
    """A path without a tar is one line that names it."""
    with pytest.raises(ManifestError, match=r"found no \.tar at .*empty; name a file"):
        rows(WebDatasetSource(manifest(tmp_path / "empty")))


def test_without_a_table_the_json_tells(shards: Path, tmp_path: Path) -> None:
    """Where no Parquet file lies beside a tar, a sample's own .json says the same, else its .txt the caption."""
    alone = tmp_path / "00001.tar"
    alone.write_bytes((shards / "00001.tar").read_bytes())
    assert rows(WebDatasetSource(manifest(alone))) == rows(WebDatasetSource(manifest(shards / "00001.tar")))
    bare = write_tar(tmp_path / "bare.tar", [{"__key__": "a", "png": png(1), "txt": "a caption"}])
    assert rows(WebDatasetSource(manifest(bare)))["bare/a"].captions == {"und": "a caption"}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("HTTP Error 404: Not Found", RejectReason.STATUS),
        ("<urlopen error [Errno -2] Name or service not known>", RejectReason.DNS),
        ("<urlopen error timed out>", RejectReason.TIMEOUT),
        ("The read operation timed out", RejectReason.TIMEOUT),
        ("<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed>", RejectReason.TLS),
        ("<urlopen error [Errno 111] Connection refused>", RejectReason.CONNECTION),
        ("Use of image disallowed by X-Robots-Tag directive", RejectReason.OPTED_OUT),
        ("Image decoding error", RejectReason.NOT_A_PICTURE),
        ("image too small", RejectReason.TOO_SMALL),
        ("hash mismatch", RejectReason.MISMATCH),
        ("something new", RejectReason.MISSING),
        (None, RejectReason.MISSING),
    ],
)
def test_what_img2dataset_could_not_fetch_is_rejected_with_its_status(
    tmp_path: Path, message: str | None, reason: RejectReason
) -> None:
    """A row that only the table has is rejected; status and message stand in the detail."""
    failed = {"status": "failed_to_download", "error_message": message}
    write_shard(tmp_path, 0, failed={2: failed})
    row = rows(WebDatasetSource(manifest(tmp_path)))["00000/000000002"]
    assert row.fault is not None
    assert row.fault.reason is reason
    assert "failed_to_download" in row.fault.detail and (message or "no message") in row.fault.detail
    assert row.image_url == "https://pictures.example/2.jpg"


@given(at=st.integers(0), bit=st.integers(0, 7), with_table=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bit_in_a_tar(shards: Path, tmp_path: Path, at: int, bit: int, with_table: bool) -> None:
    """Wherever a bit of a tar flips, all other samples keep key and picture, and a lost one is DAMAGED by name."""
    original = (shards / "00000.tar").read_bytes()
    data = bytearray(original)
    data[at % len(data)] ^= 1 << bit
    path = tmp_path / "00000.tar"
    path.write_bytes(data)
    path.with_suffix(".parquet").unlink(missing_ok=True)
    if with_table:
        path.with_suffix(".parquet").write_bytes((shards / "00000.parquet").read_bytes())
    source = WebDatasetSource(manifest(path))
    found = rows(source)
    sound = [key for key, row in found.items() if row.fault is None and source.read(row) == png(int(key[-9:]))]
    bad = [row.fault for row in found.values() if row.fault is not None]
    assert len(sound) >= PER_SHARD - 1
    assert all(fault.reason is RejectReason.DAMAGED and "00000.tar" in fault.detail for fault in bad)
    if with_table:
        assert len(found) == PER_SHARD


@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cut_tar(shards: Path, tmp_path: Path, share: float) -> None:
    """Of a shard that is cut off every row of the table ends as a whole picture or as DAMAGED with the shard's name."""
    path = tmp_path / "00000.tar"
    data = (shards / "00000.tar").read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    path.with_suffix(".parquet").write_bytes((shards / "00000.parquet").read_bytes())
    source = WebDatasetSource(manifest(path))
    found = rows(source)
    assert len(found) == PER_SHARD
    for key, row in found.items():
        if row.fault is None:
            assert source.read(row) == png(int(key[-9:]))
        else:
            assert row.fault.reason is RejectReason.DAMAGED
            assert "00000.tar is damaged" in row.fault.detail


def test_damage_without_a_table_is_a_row_of_its_own(shards: Path, tmp_path: Path) -> None:
    """Where nobody knows which samples a damaged shard has lost, the shard itself is a rejected row."""
    path = tmp_path / "00000.tar"
    path.write_bytes((shards / "00000.tar").read_bytes()[:4096])
    found = rows(WebDatasetSource(manifest(path)))
    assert found["00000"].fault is not None
    assert found["00000"].fault.reason is RejectReason.DAMAGED


def test_damaged_table_leaves_the_tar(shards: Path, tmp_path: Path) -> None:
    """Where the table is broken, the samples are kept by what the tar says, and the damage is a row."""
    path = tmp_path / "00000.tar"
    path.write_bytes((shards / "00000.tar").read_bytes())
    path.with_suffix(".parquet").write_bytes((shards / "00000.parquet").read_bytes()[:-40])
    found = reasons(rows(WebDatasetSource(manifest(path))))
    assert [reason for reason in found.values() if reason] == [RejectReason.DAMAGED]
    assert len(found) == PER_SHARD + 1


def test_picture_that_the_tar_lacks_is_missing(tmp_path: Path) -> None:
    """A row whose picture should be in a sound tar and is not is MISSING; so is a sample that brings none."""
    write_shard(tmp_path, 0)
    write_tar(tmp_path / "00000.tar", [{"__key__": "000000000", "txt": "words only"}])
    assert set(reasons(rows(WebDatasetSource(manifest(tmp_path)))).values()) == {RejectReason.MISSING}


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    """Members that WebDataset's own decoders would unpickle stay closed; the pictures beside them are read."""
    mark = tmp_path / "opened"
    evil = poisoned(mark)
    plain = {"__key__": "a", "png": png(1), **dict.fromkeys(("pyd", "pkl", "pickle", "pth", "pt", "npy"), evil)}
    path = write_tar(tmp_path / "evil.tar", [plain, {"__key__": "b", "pkl": evil, "json": evil}])
    source = WebDatasetSource(manifest(path))
    found = rows(source)
    assert source.read(found["evil/a"]) == png(1)
    assert reasons(found) == {"evil/a": None, "evil/b": RejectReason.MISSING}
    assert not mark.exists()


def test_names_and_links_lead_nowhere(tmp_path: Path) -> None:
    """Members with names above the shard, and links, are BAD_ROW; no file is made, and none is opened through them."""
    path = tmp_path / "in" / "evil.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as archive:
        for name in ("../outside.png", "/absolute.png", "a/../../b.png"):
            entry = tarfile.TarInfo(name)
            entry.size = len(png(1))
            archive.addfile(entry, io.BytesIO(png(1)))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            entry = tarfile.TarInfo(f"link{kind.decode()}.png")
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    found = reasons(rows(WebDatasetSource(manifest(path))))
    assert list(found.values()) == [RejectReason.BAD_ROW] * 5
    assert [each.name for each in tmp_path.rglob("*")] == ["in", "evil.tar"]


def test_member_over_the_limit_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture over the size limit is refused before it is read."""
    path = write_tar(tmp_path / "a.tar", [{"__key__": "a", "png": png(1)}])
    monkeypatch.setattr("indexer.sources.webdataset.MAX_BYTES", len(png(1)) - 1)
    assert folder.MAX_BYTES > len(png(1))
    source = WebDatasetSource(manifest(path))
    (row,) = rows(source).values()
    with pytest.raises(PictureError) as error:
        source.read(row)
    assert error.value.reason is RejectReason.TOO_LARGE


def test_words_beside_a_picture_are_read_to_their_bound(tmp_path: Path) -> None:
    """A .txt and a .json of 64 MB take little memory: of words the first are read, of JSON that is cut nothing."""
    words, most = b"w" * (64 << 20), 4 << 20
    path = write_tar(tmp_path / "a.tar", [{"__key__": "a", "png": png(1), "txt": words}])
    write_tar(tmp_path / "b.tar", [{"__key__": "b", "png": png(1), "json": b'{"caption": "' + words + b'"}'}])
    tracemalloc.start()
    found = rows(WebDatasetSource(manifest(path.parent)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most
    assert found["a/a"].captions == {"und": "w" * tables.LONGEST}
    assert found["b/b"].captions == {}


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": 1' + "0" * 5000 + "}", "[1]", "\ufeffnull", "{"])
def test_hostile_json_says_nothing(tmp_path: Path, text: str) -> None:
    """JSON that is deep, has huge numbers, or is no object leaves the row without columns, and the picture stays."""
    path = write_tar(tmp_path / "a.tar", [{"__key__": "a", "png": png(1), "json": text.encode(), "txt": "words"}])
    row = rows(WebDatasetSource(manifest(path)))["a/a"]
    assert (row.fault, row.captions, row.extra) == (None, {"und": "words"}, {})


def test_same_key_twice_gets_a_number(tmp_path: Path) -> None:
    """Two samples of one name are two rows."""
    samples = [{"__key__": "a", "png": png(n)} for n in (1, 2, 3)]
    source = WebDatasetSource(manifest(write_tar(tmp_path / "s.tar", samples)))
    found = rows(source)
    assert list(found) == ["s/a", "s/a 2", "s/a 3"]
    assert [source.read(row) for row in found.values()] == [png(n) for n in (1, 2, 3)]


def test_manifest_names_ending_key_and_split(tmp_path: Path) -> None:
    """`picture` chooses among a sample's pictures; `[columns] key` and `[split] column` are read from the JSON."""
    sample = {"__key__": "a", "left.png": png(1), "right.png": png(2), "json": {"id": "K-1", "part": "test"}}
    path = write_tar(tmp_path / "s.tar", [sample])
    settings = {"webdataset": {"picture": "right.png"}, "columns": {"key": "id"}, "split": {"column": "part"}}
    source = WebDatasetSource(manifest(path, **settings))
    found = rows(source)
    assert found["K-1"].split is Split.HELDOUT
    assert source.read(found["K-1"]) == png(2)
    with pytest.raises(
        ManifestError, match=r"columns\.group: found no column 'set' in .*s\.tar; expected one of id, part"
    ):
        rows(WebDatasetSource(manifest(path, **settings | {"columns": {"group": "set"}})))


@pytest.mark.parametrize("with_table", [True, False])
def test_filter_and_punsafe_leave_rows_out(tmp_path: Path, with_table: bool) -> None:
    """Rows under a bound or over Re-LAION's line for punsafe are counted, and not listed, fetched or not."""
    scores = {"a": (6.0, 0.1), "b": (5.1, 0.1), "c": (5.0, 0.1), "d": (6.0, 0.46), "e": (6.0, None)}
    cells = [{"key": key, "status": "success", "score": s, "punsafe": p} for key, (s, p) in scores.items()]
    cells.append({"key": "f", "status": "failed_to_download", "score": 6.0, "punsafe": 0.9})
    path = write_tar(tmp_path / "s.tar", [{"__key__": each["key"], "png": png(1), "json": each} for each in cells[:-1]])
    if with_table:
        schema = pa.schema([("key", pa.string()), ("status", pa.string())])
        schema = schema.append(pa.field("score", pa.float32())).append(pa.field("punsafe", pa.float32()))
        pq.write_table(pa.Table.from_pylist(cells, schema=schema), path.with_suffix(".parquet"))
    chosen = manifest(path, columns={"aesthetic": "score"}, filter={"aesthetic_min": 5.1})
    source = WebDatasetSource(chosen)
    found = list(source.rows())
    assert [row.key for row in found if isinstance(row, SourceRow)] == ["s/a", "s/b"]
    unsafe = LeftOut(RejectReason.UNSAFE, 3 if with_table else 2)
    assert [row for row in found if isinstance(row, LeftOut)] == [unsafe, LeftOut(RejectReason.FILTERED, 1)]
    assert source.thresholds == {"filter.aesthetic_min": 5.1, "filter.punsafe_max": 0.45}


def test_tars_of_laion_stop_unless_vetted(tmp_path: Path) -> None:
    """Tars of LAION's links stop with the ways on; with a list of the rows that may be used, the others are counted."""
    write_shard(tmp_path, 0)
    with pytest.raises(ManifestError, match="Re-LAION"):
        rows(WebDatasetSource(manifest(tmp_path, name="laion2B-en-aesthetic")))
    listed = tmp_path / "relaion.txt"
    listed.write_text("https://pictures.example/1.jpg\nhttps://pictures.example/3.jpg\n")
    safety = {"intersect_with": str(listed)}
    found = list(WebDatasetSource(manifest(tmp_path, name="laion2B-en-aesthetic", safety=safety)).rows())
    assert [row.key[-1] for row in found if isinstance(row, SourceRow)] == ["1", "3"]
    assert LeftOut(RejectReason.WITHDRAWN, PER_SHARD - 2) in found


def test_signature_changes_with_the_shard(tmp_path: Path) -> None:
    """A shard that was written anew has other signatures; one that was not keeps them."""
    write_shard(tmp_path, 0)
    source = WebDatasetSource(manifest(tmp_path))
    before = [source.signature(row) for row in rows(source).values()]
    again = WebDatasetSource(manifest(tmp_path))
    assert [again.signature(row) for row in rows(again).values()] == before
    write_shard(tmp_path, 0)
    changed = WebDatasetSource(manifest(tmp_path))
    assert not set(before) & {changed.signature(row) for row in rows(changed).values()}
