"""CSV files of strangers: every row that can be read is read, every other is one fault, and the counts add up."""

from __future__ import annotations

import csv
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from color_encoders import encoders, write_pictures
from folder_builds import manifest, options
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import ManifestError, RejectReason
from explorer.library import Atlas
from explorer.manifest import from_dict
from indexer.build import index
from indexer.sources.base import Fault, SourceRow
from indexer.sources.csv_file import LONGEST_ROW, MOST_BROKEN, csv_columns, read_csv
from indexer.sources.csv_join import CsvJoinSource

HEAD = "id,title\n"


def written(folder: Path, text: str) -> Path:
    """A CSV file that holds just this."""
    path = folder / "p.csv"
    path.write_bytes(text.encode())
    return path


def ids(path: Path) -> list[str | None]:
    """What each row's `id` is; None where the row is a fault."""
    return [None if isinstance(row, Fault) else str(row["id"]) for row in read_csv(path, "id")]


def test_a_long_cell_is_a_cell(tmp_path: Path) -> None:
    """Five times what Python's reader grants a cell is read whole; so is a row that is just as long as a row may be."""
    long = "word " * 131_072
    path = written(tmp_path, f'{HEAD}1,"{long}"\n2,short\n3,{"x" * (LONGEST_ROW - 3)}\n')
    told = [row for row in read_csv(path, "id") if not isinstance(row, Fault)]
    assert [len(str(row["title"])) for row in told] == [len(long), 5, LONGEST_ROW - 3]
    assert csv_columns(path) == ("id", "title")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_row_that_is_too_long_is_one_fault(tmp_path: Path, end: str) -> None:
    """One line of 3 MiB, and one of many lines in quotes: each is a fault by its line, and no other row is lost."""
    many = end.join("x" * 99 for _ in range(2 * LONGEST_ROW // 100))
    lines = ["id,title", "1,a", f"2,{'x' * 3 * LONGEST_ROW}", "3,b", "", f'4,"{many}"', "5,c"]
    path = written(tmp_path, end.join(lines) + end)
    told = list(read_csv(path, "id"))
    faults = [row for row in told if isinstance(row, Fault)]
    assert [fault.reason for fault in faults] == [RejectReason.BAD_ROW] * 2
    assert [fault.detail.split(": ")[0] for fault in faults] == ["line 3", "line 6"]
    assert "found a row of more than 1,048,576 characters" in faults[0].detail
    # Inside a row that has no end nobody knows what is a row: its later lines are rows of their own.
    assert [row["id"] for row in told if not isinstance(row, Fault) and row["title"]] == ["1", "3", "5"]


def test_a_quote_that_is_never_closed_costs_its_row_alone(tmp_path: Path) -> None:
    """Python's own reader makes one cell of all that follows, and says nothing."""
    rows = "".join(f"{number},picture {number}\n" for number in range(3, 400))
    path = written(tmp_path, f'{HEAD}1,a\n2,"six inches\n{rows}')
    with path.open(newline="") as handle:
        assert len(list(csv.DictReader(handle))) == 2
    assert ids(path) == ["1", None, *(str(number) for number in range(3, 400))]
    (fault,) = (row for row in read_csv(path, "id") if isinstance(row, Fault))
    assert fault.detail == "line 3: found a quote that is never closed"


def test_memory_is_that_of_a_row(tmp_path: Path) -> None:
    """A line of 60 MB is passed over in pieces."""
    path = written(tmp_path, f"{HEAD}1,a\n2,{'x' * 60_000_000}\n3,b\n")
    tracemalloc.start()
    try:
        found = ids(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == ["1", None, "3"]
    assert peak < 16 * LONGEST_ROW


def test_what_is_no_csv_ends_soon(tmp_path: Path) -> None:
    """A head without an end, and a file in which a thousand rows have none, are one line each."""
    with pytest.raises(ManifestError, match=r"p\.csv: found a head that is not CSV \(found a quote that is never"):
        ids(written(tmp_path, '"id,title\n1,a\n'))
    row = f"1,{'x' * LONGEST_ROW}\n"
    assert ids(written(tmp_path, HEAD + row * 3)) == [None] * 3
    # Every line begins a quote that the next one ends before it begins another: a row without an end.
    path = written(tmp_path, HEAD + 'x","y\n' * (MOST_BROKEN + 10))
    with pytest.raises(ManifestError, match=r"found more than 1,000 rows that cannot be read, the last at line 1002"):
        ids(path)


cells = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(["", '"', "\n", "\r", "a,b", "\x00", " "])


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(cells, cells), max_size=12),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_whole_files_are_read_as_python_reads_them(
    tmp_path_factory: pytest.TempPathFactory, rows: Sequence[tuple[str, str]], quoting: int, end: str
) -> None:
    """Whatever the cells hold, rows that are whole come out as Python's own reader gives them."""
    path = tmp_path_factory.mktemp("csv") / "p.csv"
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, quoting=quoting, lineterminator=end)
        writer.writerows([("id", "title"), *rows])
    with path.open(encoding="utf-8-sig", newline="") as handle:
        expected = [{name: cell or None for name, cell in row.items()} for row in csv.DictReader(handle)]
    assert list(read_csv(path, "id")) == expected


def test_broken_rows_are_rejected_by_number(tmp_path: Path) -> None:
    """Of the pictures' file each is a row with a reason; of a joined file it tells of nothing; no other row goes."""
    written(tmp_path, f'{HEAD}1,a\n2,"open\n3,{"x" * 2 * LONGEST_ROW}\n4,d\n')
    (tmp_path / "w.csv").write_text(f'work,author\na,Ann\nd,"Dora\nb,{"y" * 2 * LONGEST_ROW}\n')
    told = {"pictures": "p.csv", "join": ["w.csv"], "on": "title", "to": "work", "image_url": "https://a.example/{id}"}
    document = {"kind": "csv-join", "path": str(tmp_path), "csv-join": told}
    found = list(CsvJoinSource(from_dict(document, base=tmp_path, file="test.toml")).rows())
    rows = [row for row in found if isinstance(row, SourceRow)]
    assert [row.key for row in rows] == [
        "https://a.example/1", "row 2 of p.csv", "row 3 of p.csv", "https://a.example/4",
    ]  # fmt: skip
    assert [row.fault.reason if row.fault else None for row in rows] == [
        None, RejectReason.BAD_ROW, RejectReason.BAD_ROW, None,
    ]  # fmt: skip
    assert [row.author for row in rows] == ["Ann", None, None, None]


def test_a_broken_row_stops_no_build(tmp_path: Path) -> None:
    """A folder is indexed in spite of it; the row is counted, listed with its reason, and the sums hold."""
    folder = write_pictures(tmp_path / "pictures", 2)
    keys = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    rows = "".join(f"{key},{key} {'of many words ' * 20_000}\n" for key in keys[1:])
    (folder / "metadata.csv").write_text(f'file_name,caption\n{keys[0]},"a caption\n{rows}')
    done = index(tmp_path / "atlas", manifest(folder), options(), encoders=encoders())
    assert done.outcomes == {"indexed": len(keys), "rejected:bad-row": 1}
    atlas = Atlas.open(tmp_path / "atlas")
    assert atlas.meta["read"] == sum(done.outcomes.values())
    captions = {record.key: record.caption for record in atlas.records(atlas.ids)}
    assert all(captions[key].startswith(f"{key} of many words") for key in keys[1:])
    card = (tmp_path / "atlas" / "versions" / done.version / "DATA_CARD.md").read_text()
    assert "| rejected:bad-row | 1 |" in card
