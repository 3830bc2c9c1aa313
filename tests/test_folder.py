"""The source `folder`: which files are pictures, what their tables say, and what a stranger's table cannot do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from color_encoders import picture, write_pictures

from explorer.errors import ManifestError, PictureError, RejectReason
from explorer.records import Split
from indexer.sources import tables
from indexer.sources.base import SourceRow
from indexer.sources.folder import FolderSource, readable


def rows(folder: Path, **settings: object) -> dict[str, SourceRow]:
    """The rows of a folder by their keys."""
    return {row.key: row for row in FolderSource(folder, **settings).rows()}  # type: ignore[arg-type]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six pictures in three folders."""
    return write_pictures(tmp_path / "photos", 2, ("crimson", "gold", "purple"))


def test_keys_are_sorted_posix_paths(photos: Path) -> None:
    """Every picture is a row, also deep down, in the order of its path from the folder."""
    deep = photos / "a b" / "ß"
    deep.mkdir(parents=True)
    picture("gold", 1).save(deep / "Über.PNG")
    keys = [row.key for row in FolderSource(photos).rows()]
    assert keys == sorted(keys)
    assert "a b/ß/Über.PNG" in keys
    assert len(keys) == 7


def test_what_is_no_picture_of_the_folder(photos: Path) -> None:
    """Hidden files and folders, other files, and atlases inside the folder give no row."""
    picture("gold", 1).save(photos / ".hidden.png")
    (photos / ".thumbs").mkdir()
    picture("gold", 1).save(photos / ".thumbs" / "x.png")
    (photos / "notes.md").write_text("no picture")
    atlas = photos / "atlas"
    (atlas / "versions").mkdir(parents=True)
    (atlas / "CURRENT").write_text("v")
    picture("gold", 1).save(atlas / "generated.png")
    assert len(rows(photos)) == 6
    assert len(rows(photos, recursive=False)) == 0


def test_captions_from_a_csv(photos: Path) -> None:
    """A table gives caption, tags, author and links by the usual names; other columns are kept as they are."""
    table = (
        "file_name,Title,keywords,Photographer,url,license,Taken,empty\n"
        'crimson/crimson-00.png,"A red, round thing","red; round, red",Ada,https://a.example/1,CC0,1999,\n'
    )
    (photos / "metadata.csv").write_text("\ufeff" + table, encoding="utf-8")
    row = rows(photos)["crimson/crimson-00.png"]
    assert row.captions == {"und": "A red, round thing"}
    assert row.tags == {"und": ("red", "round")}
    assert (row.author, row.licence, row.image_url) == ("Ada", "CC0", "https://a.example/1")
    assert row.extra == {"Taken": "1999"}


def test_captions_from_a_jsonl_in_several_languages(photos: Path) -> None:
    """Columns such as caption_zh are captions in that language; values keep their types; a table may lie deeper."""
    line = {"file_name": "gold-00.png", "caption_en": "gold", "caption_zh": "金", "year": 1999, "parts": [1], "x": None}
    bad = {"file_name": "gold-01.png", "caption_en": None, "score": float("nan")}
    (photos / "gold" / "metadata.jsonl").write_text(f"{json.dumps(line)}\n\n{json.dumps(bad)}\n")
    found = rows(photos)
    assert found["gold/gold-00.png"].captions == {"en": "gold", "zh": "金"}
    assert found["gold/gold-00.png"].extra == {"year": 1999, "parts": "[1]"}
    assert found["gold/gold-01.png"].captions == {"und": "gold 01"}
    assert found["gold/gold-01.png"].extra == {}


def test_caption_beside_the_picture_or_out_of_its_name(photos: Path) -> None:
    """Without a table a .txt beside the picture is its caption, and without one its name is, as words."""
    (photos / "crimson" / "crimson-00.txt").write_text("  a crimson\npolygon\x00 ", encoding="utf-8")
    (photos / "crimson" / "crimson-01.png.txt").write_bytes(b"caf\xe9 rouge")
    found = rows(photos)
    assert found["crimson/crimson-00.png"].captions == {"und": "a crimson polygon"}
    assert found["crimson/crimson-01.png"].captions == {"und": "caf\ufffd rouge"}
    assert found["gold/gold-00.png"].captions == {"und": "gold 00"}
    assert readable("IMG_0042--red.car") == "IMG 0042 red car"
    assert readable("___") == "___"


def test_chosen_columns_win(photos: Path) -> None:
    """What the manifest says of columns counts before their names, and `key` gives pictures keys of their own."""
    (photos / "list.csv").write_text("Image,text,Note,Nr,Set\npurple/purple-00.png,wrong,right,P-7,test\n")
    source = FolderSource(
        photos,
        table="list.csv",
        columns={"file": "Image", "key": "Nr", "group": "Set"},
        captions={"en": "Note"},
        split_column="Set",
    )
    found = {row.key: row for row in source.rows()}
    assert found["P-7"].captions == {"en": "right"}
    assert (found["P-7"].group, found["P-7"].split) == ("test", Split.HELDOUT)
    assert found["gold/gold-00.png"].split is Split.TRAIN
    assert source.decoder(source.read(found["P-7"])).picture.size == (40, 32)
    assert "purple/purple-00.png" not in found


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//host/x", "http://", "https://a b",
        "vbscript:x", "http://[bad", " javascript:x", "https://a\x00.example", "about:blank", "ftp://a.example/x",
    ],
)  # fmt: skip
def test_links_are_http_or_nothing(link: str) -> None:
    """What is no http or https link with a host never becomes a link."""
    assert tables.web_link(link) is None


def test_good_links_stay_as_they_are() -> None:
    """A link of the web is taken over letter by letter."""
    for link in ("https://a.example/x?y=1#z", "http://127.0.0.1:8000/", "HTTPS://A.example", "https://例え.jp/画"):
        assert tables.web_link(f" {link} ") == link


def test_a_table_cannot_lead_out_of_the_folder(photos: Path) -> None:
    """A row that names a file outside the folder, or none, is a row whose picture is missing."""
    picture("gold", 3).save(photos.parent / "secret.png")
    names = ["../secret.png", str(photos.parent / "secret.png"), "gold/../../secret.png", "gold/none.png", "gold"]
    (photos / "metadata.csv").write_text("\n".join(["file_name", *names]) + "\n")
    source = FolderSource(photos)
    listed = [row for row in source.rows() if "secret" in row.key or row.key in ("gold/none.png", "gold")]
    assert len(listed) == 4  # "../secret.png" and "gold/../../secret.png" are one path
    for row in listed:
        with pytest.raises(PictureError) as caught:
            source.read(row)
        assert caught.value.reason is RejectReason.MISSING


def test_a_name_that_is_not_utf8_has_a_key(tmp_path: Path) -> None:
    """A file whose name is no UTF-8 has a key that can be stored, and is read."""
    folder = tmp_path / "old"
    folder.mkdir()
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    try:
        picture("gold", 1).save(str(folder / name))
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system takes UTF-8 names alone")
    source = FolderSource(folder)
    (row,) = source.rows()
    assert row.key == "caf?.png"
    assert row.captions == {"und": "caf?"}
    assert source.read(row)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("metadata.csv", b"name,text\na.png,x\n", "found the columns name, text; expected one named file_name"),
        ("metadata.csv", "file_name,text\na.png,caf\xe9\n".encode("latin-1"), "not UTF-8"),
        ("metadata.csv", b'"file_name,text\na.png,' + b"x" * 200_000 + b"\n", "not CSV"),
        ("metadata.jsonl", b'{"file_name": "a.png"}\n{oops\n', "line 2 is not JSON"),
        ("metadata.jsonl", b"[1]\n", "expected a JSON object"),
        ("metadata.jsonl", b'{"text": "a"}\n', "expected one named file_name"),
    ],
)
def test_a_bad_table_is_one_clear_line(photos: Path, name: str, content: bytes, words: str) -> None:
    """A table that cannot be read stops the build with a line that names file and fault."""
    (photos / name).write_bytes(content)
    with pytest.raises(ManifestError) as caught:
        rows(photos)
    assert words in str(caught.value)
    assert str(photos / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_or_table_is_one_clear_line(tmp_path: Path, photos: Path) -> None:
    """What the manifest names must be there."""
    with pytest.raises(ManifestError, match="found no folder"):
        rows(tmp_path / "nowhere")
    with pytest.raises(ManifestError, match="folder.metadata: found no file"):
        rows(photos, table="nothing.csv")


def test_a_word_that_is_no_split_is_a_fault_of_its_row(photos: Path) -> None:
    """A cell that says neither train nor heldout rejects its own row, and says what it may be."""
    (photos / "metadata.csv").write_text("file_name,part\ngold/gold-00.png,third\ngold/gold-01.png,test\n")
    found = rows(photos, split_column="part")
    assert found["gold/gold-00.png"].fault is not None
    assert "found 'third' in column part; expected train, heldout" in found["gold/gold-00.png"].fault.detail
    assert found["gold/gold-01.png"].split is Split.HELDOUT
    with pytest.raises(ManifestError, match=r"split\.column: found no column 'prt'"):
        rows(photos, split_column="prt")


def test_no_picture_is_lost_to_another_of_its_key(photos: Path) -> None:
    """Where a column gives several pictures one key, each is a row: the first by its path, the others by a number."""
    names = [f"gold/gold-0{number}.png" for number in range(2)]
    (photos / "metadata.csv").write_text("\n".join(["file_name,nr", *(f"{name},7" for name in names)]) + "\n")
    before = len(list(FolderSource(photos).rows()))
    source = FolderSource(photos, columns={"key": "nr"})
    found = {row.key: row for row in source.rows()}
    assert len(found) == before
    assert [source.read(found[key]) for key in ("7", "7 2")] == [(photos / name).read_bytes() for name in names]


@pytest.mark.parametrize("named", [{"columns": {"group": "kind"}}, {"captions": {"en": "title"}}])
def test_a_column_that_no_table_has_is_one_clear_line(photos: Path, named: dict[str, dict[str, str]]) -> None:
    """A name that was misspelled in the manifest drops nothing silently."""
    (photos / "metadata.csv").write_text("file_name,caption\ngold/gold-00.png,A\n")
    with pytest.raises(ManifestError, match=r"found no column '(kind|title)' in a table of .*; expected"):
        rows(photos, **named)


def test_a_signature_changes_with_the_file(photos: Path) -> None:
    """Another picture under the same name has another signature, and a missing one has one too."""
    source = FolderSource(photos)
    row = next(iter(source.rows()))
    before = source.signature(row)
    assert source.signature(row) == before
    picture("royalblue", 4).save(photos / row.key)
    assert source.signature(row) != before
    (photos / row.key).unlink()
    assert source.signature(row) == "missing"
    assert source.signature(replace(row, key="gold")) == "missing"


def test_long_and_hostile_text_becomes_one_short_line() -> None:
    """A megabyte of caption, control characters and lone surrogates come out as one line that any file can hold."""
    words = tables.text("a\x00b\ud800c\r\n\td" + "x" * 1_000_000)
    assert words is not None
    assert words.startswith("a b c d")
    assert len(words) == 4000
    words.encode()
    assert tables.text(" \x00 ") is None
    assert tables.tag_list('["red", 3, "red"]') == ("red", "3")
    assert tables.tag_list("[red; green") == ("[red", "green")
    assert [tables.number(cell) for cell in ("1e3", "x", None, float("inf"), True)] == [1000.0, None, None, None, 1.0]
