"""The source `csv-join`: files joined on a key, links by template, as the National Gallery of Art publishes them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from color_encoders import encoders
from hostile_web import HostileWeb
from hypothesis import given, settings
from hypothesis import strategies as st
from laion_tables import kept, left_out

from explorer import Atlas
from explorer import manifest as manifests
from explorer.errors import ManifestError, RejectReason
from explorer.layout import AtlasPaths
from explorer.verify import current
from indexer.build import index
from indexer.sources import open_source
from indexer.sources.base import LeftOut, SourceRow
from indexer.sources.csv_join import CsvJoinSource, Template

SHIPPED = Path(__file__).parent.parent / "data_manifests" / "nga-open-access.toml"
IIIF = "https://api.nga.example/iiif"
PICTURES = (
    "uuid,iiifurl,iiifthumburl,viewtype,sequence,width,height,maxpixels,created,modified,depictstmsobjectid,assistivetext"
).split(",")
OBJECTS = ("objectid", "title", "displaydate", "attribution", "classification", "width")


def table(path: Path, head: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, head)
        writer.writeheader()
        writer.writerows(rows)


def image(number: int, work: int | str, **more: object) -> dict[str, object]:
    plain = {"uuid": f"u{number}", "iiifurl": f"{IIIF}/u{number}", "viewtype": "primary", "width": 4000, "height": 3000}
    return {**plain, "depictstmsobjectid": work, **more}


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """Five pictures of three works; one has the fair-use cap, one shows a work that is not told of."""
    pictures = [
        image(1, 17, assistivetext="A woman, with a parasol"),
        image(2, 17, viewtype="alternate"),
        image(3, 18, maxpixels=640),
        image(4, 99),
        image(5, 19, width=900),
    ]
    works = [
        {
            "objectid": 17,
            "title": "Woman with a Parasol",
            "attribution": "Claude Monet",
            "displaydate": "1875",
            "width": 1,
        },
        {"objectid": 18, "title": "Capped", "attribution": "Someone"},
        {"objectid": 19, "title": 'Quoted, "and" more\nlines', "attribution": "Ann"},
    ]
    table(tmp_path / "data" / "published_images.csv", PICTURES, pictures)
    table(tmp_path / "data" / "objects.csv", OBJECTS, works)
    return tmp_path / "data"


def shipped(folder: Path, **changes: Any) -> CsvJoinSource:
    """The source of the shipped manifest over another folder."""
    document = {**manifests.to_dict(manifests.load(SHIPPED)), "path": str(folder), **changes}
    source = open_source(manifests.from_dict(document, base=folder, file="nga.toml"))
    assert isinstance(source, CsvJoinSource)
    return source


def plain(folder: Path, settings: dict[str, Any], **tables: Any) -> list[SourceRow | LeftOut]:
    document = {"kind": "csv-join", "path": str(folder), "csv-join": settings, **tables}
    return list(CsvJoinSource(manifests.from_dict(document, base=folder, file="test.toml")).rows())


def test_the_shipped_manifest_reads_the_gallerys_files(gallery: Path) -> None:
    """Links are IIIF's, works give titles and makers, the capped picture is left out, and no licence is claimed."""
    found = list(shipped(gallery).rows())
    first, view, lost, small = kept(found)
    assert left_out(found) == {"filtered": 1}
    assert (first.key, first.family, view.family) == ("u1", "17", "17")
    assert first.link is not None
    assert first.link.url == first.image_url == f"{IIIF}/u1/full/!512,512/0/default.jpg"
    assert first.page_url == "https://www.nga.gov/collection/art-object-page.17.html"
    assert (first.captions, first.author) == ({"en": "Woman with a Parasol"}, "Claude Monet")
    assert first.licence is None
    assert first.extra["displaydate"] == "1875"
    assert first.extra["assistivetext"] == "A woman, with a parasol"
    assert first.extra["width"] == "4000"  # the picture's, not the work's
    assert lost.captions == {}
    assert small.captions == {"en": 'Quoted, "and" more lines'}


def test_filters_are_held_against_the_joined_rows(gallery: Path) -> None:
    """Width and height are those of the pictures; what is told is what was held to."""
    source = shipped(gallery, filter={"width_min": 1000})
    found = list(source.rows())
    assert [row.key for row in kept(found)] == ["u1", "u2", "u4"]
    assert left_out(found) == {"filtered": 2}
    assert source.thresholds == {"filter.width_min": 1000, "csv-join.leave_out_where_set": "maxpixels"}
    assert source.columns_found["author"] == "attribution"


def test_a_single_file_without_anything_to_join(tmp_path: Path) -> None:
    """One CSV file with a column of links is a source too; a link that comes again is another row."""
    table(
        tmp_path / "p.csv",
        ["link", "text"],
        [{"link": "https://a/1", "text": "x"}, {"link": "https://a/1", "text": "y"}],
    )
    found = kept(plain(tmp_path, {"pictures": "p.csv", "image_url": "{link}"}))
    assert [row.key for row in found] == ["https://a/1", "https://a/1 2"]
    assert [row.captions for row in found] == [{"und": "x"}, {"und": "y"}]


def test_rows_without_a_link_are_faults_by_number(tmp_path: Path) -> None:
    """A row that lacks what its link is made from is rejected by its place; one with an endless link likewise."""
    table(tmp_path / "p.csv", ["id"], [{"id": 1}, {"id": " "}, {"id": "x" * 9000}, {"id": 2}])
    found = [row for row in plain(tmp_path, {"pictures": "p.csv", "image_url": "https://a.example/{id}"})
             if isinstance(row, SourceRow)]  # fmt: skip
    assert [row.key for row in found] == [
        "https://a.example/1",
        "row 2 of p.csv",
        "row 3 of p.csv",
        "https://a.example/2",
    ]
    assert [row.fault.reason for row in found if row.fault] == [RejectReason.BAD_ROW] * 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"image_url": "{iiif}/x"}, r"csv-join\.image_url: found no column 'iiif'; expected one of uuid, iiifurl"),
        ({"page_url": "https://a/{nr}"}, r"csv-join\.page_url: found no column 'nr'"),
        ({"on": "nr"}, r"csv-join\.on: found no column 'nr'; expected one of uuid"),
        ({"leave_out_where_set": ["cap"]}, r"csv-join\.leave_out_where_set: found no column 'cap'"),
        ({"to": "nr"}, r"objects\.csv: found the columns objectid, .*expected one named nr"),
        ({"join": ["works.csv"]}, r"works\.csv: cannot be read"),
        ({"pictures": "images.csv"}, r"images\.csv: cannot be read"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(gallery: Path, settings: dict[str, Any], words: str) -> None:
    """A column or file that is not there is named, with the key that asks for it."""
    whole = {
        "pictures": "published_images.csv",
        "join": ["objects.csv"],
        "on": "depictstmsobjectid",
        "to": "objectid",
        "image_url": "{iiifurl}",
    }
    with pytest.raises(ManifestError, match=words) as caught:
        plain(gallery, {**whole, **settings})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_byte_order_mark_and_either_end_of_line_are_read(tmp_path: Path, mark: str, ends: str) -> None:
    """What spreadsheets put before a file and behind its lines is no part of its first column or its last cell."""
    (tmp_path / "links.csv").write_bytes(ends.join([f"{mark}url,title", f"{IIIF}/a.png,A", ""]).encode())
    (row,) = kept(plain(tmp_path, {"pictures": "links.csv", "image_url": "{url}"}))
    assert (row.key, row.captions) == (f"{IIIF}/a.png", {"und": "A"})


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """One of them would be dropped without a word."""
    (tmp_path / "links.csv").write_text(f"id,url,url\n1,{IIIF}/a.png,{IIIF}/b.png\n")
    with pytest.raises(ManifestError, match=r"links\.csv: found 2 columns named 'url'; expected each name once"):
        plain(tmp_path, {"pictures": "links.csv", "image_url": "{url}"})


def test_a_join_needs_its_key(gallery: Path) -> None:
    """Files to look things up in are of no use without a column that says where."""
    settings = {"pictures": "published_images.csv", "join": ["objects.csv"], "image_url": "{iiifurl}"}
    with pytest.raises(ManifestError, match=r"csv-join\.on: found nothing; expected the column"):
        plain(gallery, settings)


def test_a_template_quotes_all_but_its_beginning() -> None:
    """A cell stays the part of the link that it stands for; the start of a link is taken as it is."""
    assert Template("{base}/full").fill({"base": "https://a/b?c"}) == "https://a/b?c/full"
    assert Template("https://a/{id}").fill({"id": "../x?y#z é/"}) == "https://a/..%2Fx%3Fy%23z%20%C3%A9%2F"
    assert Template("https://a/{id}").fill({"id": None}) is None
    assert Template("https://a/{id}").fill({}) is None
    assert Template("https://a/").fill({}) == "https://a/"


cell = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ["\x00", "a\x00b", "=1", '"', "\n", "u1", "u1"]
)


@settings(deadline=None)
@given(pictures=st.lists(st.tuples(cell, cell, cell), max_size=12), works=st.lists(st.tuples(cell, cell), max_size=6))
def test_every_row_of_hostile_files_ends_once(
    tmp_path_factory: pytest.TempPathFactory,
    pictures: list[tuple[str, str, str]],
    works: list[tuple[str, str]],
) -> None:
    """Whatever the cells hold, each picture is a row, a fault or counted, under a key of its own."""
    folder = tmp_path_factory.mktemp("csv")
    names = ("url", "work", "cap")
    table(folder / "p.csv", names, [dict(zip(names, row, strict=True)) for row in pictures])
    table(folder / "w.csv", ("id", "title"), [{"id": key, "title": title} for key, title in works])
    settings = {"pictures": "p.csv", "join": ["w.csv"], "on": "work", "to": "id", "image_url": "{url}"}
    found = plain(folder, {**settings, "leave_out_where_set": ["cap"]})
    rows = [each for each in found if isinstance(each, SourceRow)]
    assert len(rows) + sum(left_out(found).values()) == len(pictures)
    assert len({row.key for row in rows}) == len(rows)
    assert all("\x00" not in text for row in rows for text in (row.key, *row.captions.values()))


def test_the_gallery_becomes_an_atlas(tmp_path: Path) -> None:
    """From the shipped manifest to records: fetched from the gallery's own network, capped pictures never asked for."""
    with HostileWeb() as web:
        pictures = [image(at, at // 2, iiifurl=web.url(f"picture/{at}")) for at in range(24)]
        pictures[7]["maxpixels"] = 640
        table(tmp_path / "data" / "published_images.csv", PICTURES, pictures)
        works = [{"objectid": at, "title": f"Work {at}", "attribution": "Ann"} for at in range(12)]
        table(tmp_path / "data" / "objects.csv", OBJECTS, works)
        document = {**manifests.to_dict(manifests.load(SHIPPED)), "path": "data"}
        document["csv-join"]["image_url"] = "{iiifurl}/96"
        document["fetch"] = {"contact": "x@example.org", "allow_networks": ["127.1.0.0/16"], "allow_ports": [web.port]}
        manifest = manifests.from_dict(document, base=tmp_path, file="nga.toml")
        result = index(tmp_path / "atlas", manifest, encoders=encoders())
        assert not web.asked("picture/7/")
    assert result.outcomes == {"indexed": 23, "rejected:filtered": 1}
    assert not list((tmp_path / "atlas").rglob("*.spool"))  # what was fetched is not kept
    atlas = Atlas.open(tmp_path / "atlas")
    by_key = {record.key: record for record in atlas.records(atlas.ids)}
    assert (by_key["u4"].family, by_key["u5"].family) == ("2", "2")
    assert (by_key["u4"].caption, by_key["u4"].author, by_key["u4"].licence) == ("Work 2", "Ann", None)
    assert by_key["u4"].page_url == "https://www.nga.gov/collection/art-object-page.2.html"
    assert (by_key["u4"].extra["viewtype"], by_key["u4"].fetched_at is None) == ("primary", False)
    card = (current(AtlasPaths(tmp_path / "atlas")).root / "DATA_CARD.md").read_text("utf-8")
    assert "127.1.0.0/16" in card
    assert "`csv-join.leave_out_where_set`: maxpixels" in card
