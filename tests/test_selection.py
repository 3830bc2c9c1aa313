"""A selection of the map as a file: the mask, the file in each format, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from live import Live, live
from small_atlas import SmallAtlas, changed

from explorer import export as exporter
from explorer.atlas import Atlas
from webapp.api.exports import LEFT_OUT, MASK_TYPE, ROWS, addresses, mask_bytes
from webapp.arrays import FORMAT

FORMATS = ("csv", "jsonl", "parquet")


def posted(served: Live, body: bytes, form: str = "jsonl", media: str = MASK_TYPE, **query: str) -> httpx.Response:
    """A mask handed in."""
    headers = {"Content-Type": media}
    return served.client.post(f"{served.version}/selection.{form}", content=body, headers=headers, params=query)


def mask(rows: list[int]) -> bytes:
    """A mask over the sixty pictures, of the map's rows given; bit by bit, as the contract of the end point says."""
    body = bytearray(8)
    for row in rows:
        body[row // 8] |= 1 << row % 8
    return bytes(body)


def ids_of(answer: httpx.Response, form: str) -> list[int]:
    """The ids of a file, read back by that format's own reader."""
    if form == "csv":
        return [int(row["id"]) for row in csv.DictReader(io.StringIO(answer.content.decode()))]
    if form == "jsonl":
        return [json.loads(line)["id"] for line in answer.text.splitlines()]
    return pq.read_table(io.BytesIO(answer.content))["id"].to_pylist()


@pytest.mark.parametrize("form", FORMATS)
def test_a_selection_is_exported(served: Live, form: str) -> None:
    """The file has the pictures whose bits are set, in the map's order of rows, and each once."""
    order = np.frombuffer(served.client.get(f"{served.version}/ids.bin").content, "<i8")
    chosen = [0, 7, 8, 31, 59]
    answer = posted(served, mask(chosen), form)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="shapes-selection.{form}"'
    assert sorted(ids_of(answer, form)) == sorted(order[chosen].tolist())
    assert (answer.headers[ROWS], answer.headers[LEFT_OUT]) == ("5", "0")


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_streamed_is_what_is_written(served: Live, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces or at once, an export is the same file, of another space too; it comes batch by batch."""
    monkeypatch.setattr(exporter, "_BATCH", 16)
    ids = served.site.atlas.ids[::-1]
    whole = io.BytesIO()
    assert exporter.export(served.site.atlas, ids, form, whole, space="vae") == 60
    made = exporter.stream(served.site.atlas, ids, form, space="vae")
    assert (made.rows, made.flagged) == (60, 0)
    pieces = list(made.pieces)
    assert b"".join(pieces) == whole.getvalue()
    assert len([piece for piece in pieces if piece]) >= 4


REFUSED = {
    "nothing in it": (mask([]), "found no picture in the selection"),
    "too short": (mask([1])[:-1], "found a mask of 7 bytes; expected 8, a bit for each of 60"),
    "too long": (mask([1]) + b"\0", "found a mask of 9 bytes"),
    "empty": (b"", "found a mask of 0 bytes"),
    "bits beyond the last": (mask([60]), "found bits beyond the last of 60 pictures"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mask_that_makes_no_sense_is_refused(served: Live, case: str) -> None:
    """One line says what was found and what was expected."""
    body, complaint = REFUSED[case]
    answer = posted(served, body)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(complaint) and "\n" not in answer.json()["error"]


def test_only_the_page_itself_can_post_a_selection(served: Live) -> None:
    """What a form of another site could send is refused, and so is what is not here: a form, a space, a row order."""
    assert posted(served, mask([1]), media="text/plain").status_code == 415
    assert posted(served, mask([1]), form="xls").status_code == 404
    assert posted(served, mask([1]), space="sscd").status_code == 404
    assert posted(served, mask([1]), arrays=str(FORMAT)).status_code == 200
    assert posted(served, mask([1]), arrays=str(FORMAT - 1)).status_code == 404
    elsewhere = served.client.post("/api/v/other/selection.csv", content=mask([1]), headers={"Content-Type": MASK_TYPE})
    assert elsewhere.status_code == 404


def test_a_mask_may_be_as_long_as_its_atlas_is_large() -> None:
    """A hundred million pictures are twelve megabytes of bits, which the addresses of selections take."""
    assert [mask_bytes(count) for count in (1, 8, 9, 10**8)] == [1, 1, 2, 12_500_000]
    assert addresses("v") == [f"/api/v/v/selection.{form}" for form in FORMATS]


@pytest.fixture(scope="module")
def flagged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """An atlas of which every picture is flagged, served."""
    with live(SmallAtlas(change=changed(punsafe=0.9)).write(tmp_path_factory.mktemp("flagged") / "atlas")) as running:
        yield running


def test_flagged_pictures_stay_out_of_a_selection(flagged: Live) -> None:
    """Whoever selects them gets a file without them."""
    answer = posted(flagged, mask(list(range(60))))
    assert (answer.status_code, answer.text) == (200, "")
    assert (answer.headers[ROWS], answer.headers[LEFT_OUT]) == ("0", "60")


def test_an_export_that_loses_its_version_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the rows are read from a file that is gone, it ends with an error and not as if it were whole."""
    from explorer import table
    from explorer.errors import AtlasError

    monkeypatch.setattr(table, "SMALL", 0)
    monkeypatch.setattr(exporter, "_BATCH", 16)
    atlas = Atlas.open(SmallAtlas().write(tmp_path / "atlas"))
    pieces = exporter.stream(atlas, atlas.ids, "jsonl").pieces
    assert next(pieces)
    (atlas.path / "versions" / atlas.version / "records.parquet").unlink()
    with pytest.raises(AtlasError, match="is gone"):
        list(pieces)
