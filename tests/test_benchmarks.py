"""The benchmarks' own arithmetic and bookkeeping; what they measure is not tested here."""

from __future__ import annotations

import http.server
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks import growth, parts, scaling, vectors, visits
from benchmarks.growth import Growth
from benchmarks.meter import Meter
from benchmarks.parts import Part, Result
from benchmarks.rows import Figure, Row, table
from benchmarks.vectors import Data
from benchmarks.visits import Look
from explorer import manifest
from indexer.sources import open_source
from indexer.sources.base import SourceRow, VectorSource

CHUNK = 600


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which results are kept."""
    monkeypatch.setattr(parts, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def small_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors in small chunks, kept in a folder of the test's own."""
    monkeypatch.setattr(vectors, "RUNS", tmp_path)
    monkeypatch.setattr(vectors, "CHUNK", CHUNK)


def result(name: str, *rows: Row) -> Result:
    return Result(name, rows, "abc1234", "2026-01-01", 0.1, 2.0, "a machine")


def grown(series: str, unit: str, exponent: float, factor: float = 1.0) -> Growth:
    values = {n: factor * (n / 10_000) ** exponent for n in (10_000, 100_000, 1_000_000)}
    return Growth(series, "synthetic", unit, values, "python -m benchmarks stages")


def test_the_exponent_of_a_power_law_is_found() -> None:
    """Values that grow as n^1.3 have the exponent 1.3, over all sizes and over the last two, and go on so."""
    law = grown("x", "s", 1.3, 2.0)
    assert law.exponent == pytest.approx(1.3)
    assert law.curve.exponent == pytest.approx(1.3)
    assert law.curve.at(10_000_000) == pytest.approx(2.0 * 1000**1.3)


@pytest.mark.parametrize("sizes", [(10_000, 100_000, 1_000_000), (100_000, 600_000, 1_000_000)])
def test_a_fixed_cost_is_told_from_what_grows(sizes: tuple[int, ...]) -> None:
    """Where a constant is added to what grows as n^0.8, its exponent and larger sizes are found all the same."""
    law = Growth("x", "", "s", {n: 50 + n**0.8 / 100 for n in sizes}, "")
    assert law.exponent < 0.7
    assert law.curve.exponent == pytest.approx(0.8)
    assert law.curve.at(10**8) == pytest.approx(50 + 1e8**0.8 / 100)


def test_what_shrinks_or_was_measured_twice_follows_a_power_law() -> None:
    """Two sizes, and values that no fixed cost explains, go on with the slope of the last two."""
    assert Growth("x", "", "s", {10: 1.0, 100: 20.0}, "").curve.at(1000) == pytest.approx(400)
    assert Growth("x", "", "s", {10: 9.0, 100: 1.0, 1000: 2.0}, "").curve.at(10_000) == pytest.approx(4)


def test_series_are_gathered_over_parts() -> None:
    """Figures of one series and data are one line, whatever the order of the parts; a lone size is none."""
    rows = [Row("x", "y", data="d", figures=(Figure("build", n, n / 10, "s"),)) for n in (1000, 10, 100)]
    lone = Row("x", "y", data="other", figures=(Figure("build", 10, 1, "s"),))
    (found,) = growth.growths([result(f"stages/{at}", row) for at, row in enumerate(rows)] + [result("stages/9", lone)])
    assert (found.data, list(found.values), found.command) == ("d", [10, 100, 1000], "python -m benchmarks stages")
    assert found.exponent == pytest.approx(1)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.25, "ms", "0.25 ms"),
        (7000, "ms", "7 s"),
        (90, "s", "90 s"),
        (600, "s", "10 min"),
        (4e5, "s", "4.63 days"),
        (1.5, "MB", "1.5 MB"),
        (12_000, "GB", "12 TB"),
    ],
)
def test_values_are_told_in_fitting_units(value: float, unit: str, text: str) -> None:
    """Whoever reads an extrapolation sees minutes, days and terabytes in place of long numbers."""
    assert growth.told(value, unit) == text


def test_scaling_is_computed_from_the_exponents() -> None:
    """Ten times the largest size takes 10^exponent times as long, and the memory names a machine."""
    page = scaling.page([grown("build", "s", 1.1), grown("build, memory", "GB", 1.0, 0.1)])
    assert f"{growth.told(100**1.1 * 10**1.1, 's')} on these two cores, and a machine of 128 GB" in page
    assert "| build | 2.64 min at 1,000,000 | 1.10 |" in page
    assert "10 GB needed" not in page.split("## What that means")[0]


def test_of_two_data_the_one_that_was_measured_larger_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """docs/scaling.md extrapolates from the largest size; of two of a size it takes the real distribution."""
    monkeypatch.setattr(scaling, "TARGET", tmp_path / "scaling.md")
    small = Growth("build", Data.CLIP.says, "s", {10: 1.0, 100: 10.0}, "")
    large = Growth("build", Data.SYNTHETIC.says, "s", {10: 1.0, 1000: 100.0}, "")
    scaling.write([small, large])
    assert "100 s at 1,000" in (tmp_path / "scaling.md").read_text()
    scaling.write([large, Growth("build", Data.CLIP.says, "s", {10: 1.0, 1000: 70.0}, "")])
    assert "70 s at 1,000" in (tmp_path / "scaling.md").read_text()


@pytest.mark.usefixtures("results")
def test_results_come_back_as_they_were_kept() -> None:
    """A result read back equals the one that was written, with its rows and figures."""
    row = Row("a", "1 s", "b", 0.5, "yes", "synthetic", (Figure("s", 10, 1.0, "s"),))
    part = Part("demo/x", lambda: iter([row]))
    assert part.run() == parts.kept("demo/x")
    assert parts.kept("demo/y") is None


def test_a_damaged_result_is_measured_again(results: Path) -> None:
    """What cannot be read back counts as not measured, and hinders nothing."""
    results.joinpath("demo").mkdir(parents=True)
    results.joinpath("demo", "x.json").write_text('{"name": "demo/x", "rows": [')
    assert parts.kept("demo/x") is None


def test_a_part_needs_a_name_that_is_a_path_below_the_results() -> None:
    """A part's name cannot lead out of the folder of results."""
    with pytest.raises(ValueError, match="found a part named"):
        Part("../x", tuple)


@pytest.mark.usefixtures("results")
def test_an_interrupted_run_goes_on_and_a_whole_one_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without names only what is missing is measured, unless nothing is; what is named is measured anyway."""
    asked: list[str] = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        asked.append(command[3])
        return subprocess.CompletedProcess(command, 1 if command[3] == "demo/b" else 0)

    monkeypatch.setattr(subprocess, "run", run)
    listed = [Part("demo/a", tuple), Part("demo/b", tuple)]
    result("demo/a").keep()
    told = bench._words().parse_args([])
    assert [part.name for part in bench._measure(told, listed)] == ["demo/b"]
    assert asked == ["demo/b"]
    result("demo/b").keep()
    bench._measure(told, listed)
    bench._measure(bench._words().parse_args(["demo/a"]), listed[:1])
    assert asked == ["demo/b", "demo/a", "demo/b", "demo/a"]


def test_unknown_parts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelled part is one line and exit code 2; nothing is measured."""
    assert bench.main(["stages/clip-7"]) == 2
    assert "found no part named stages/clip-7" in capsys.readouterr().err


def test_a_table_names_data_and_command_beside_each_row() -> None:
    """Every line has its data and the command that makes it."""
    lines = table([Row("a", "1", data="synthetic")], ["python -m benchmarks x/y"]).splitlines()
    assert lines[0] == "| measured | data | figure | against, in the same run | ratio | bar | command |"
    assert lines[2] == "| a | synthetic | 1 |  |  |  | `python -m benchmarks x/y` |"


@pytest.mark.usefixtures("small_chunks")
def test_synthetic_vectors_are_the_same_again_and_have_structure() -> None:
    """The same chunk comes out twice; vectors are unit, and nearer to those of their own finer group."""
    first = vectors.chunk(Data.SYNTHETIC, 1)
    again = vectors._drawn(1)
    assert np.array_equal(first.vectors, again.vectors)
    assert np.array_equal(first.rows, again.rows)
    wide = vectors.unit_vectors(Data.SYNTHETIC, CHUNK + 5).astype(np.float32)
    assert np.array_equal(wide[CHUNK:], first.vectors[:5].astype(np.float32))
    assert np.linalg.norm(wide, axis=1) == pytest.approx(1, abs=2e-3)
    rows = vectors.chunk(Data.SYNTHETIC, 0).rows
    own = rows[:, None] == rows[None, :]
    similar = wide[:CHUNK] @ wide[:CHUNK].T
    assert similar[own & ~np.eye(CHUNK, dtype=bool)].mean() > 0.5 > similar[~own].mean() + 0.4


@pytest.mark.usefixtures("small_chunks")
def test_a_source_has_the_vectors_in_their_order() -> None:
    """The `embeddings` source gives back what the chunks hold, a part chunk at the end, each row with its words."""
    source = open_source(manifest.load(vectors.source(Data.SYNTHETIC, CHUNK + 7)))
    assert isinstance(source, VectorSource)
    rows = [row for row in source.rows() if isinstance(row, SourceRow)]
    assert len(rows) == CHUNK + 7
    found = source.vectors(rows)
    assert np.array_equal(found, vectors.unit_vectors(Data.SYNTHETIC, CHUNK + 7).astype(np.float32))
    assert all("kind" in caption for row in rows for caption in row.captions.values())


def test_a_page_is_whole_when_no_later_look_differs() -> None:
    """What came and went before does not count, nor does a change of few pixels."""
    blank, whole = np.zeros((20, 20, 3), np.uint8), np.full((20, 20, 3), 200, np.uint8)
    nearly = whole.copy()
    nearly[0, :3] = 0
    shown = [whole, blank, nearly, whole]
    looks = [Look(float(at), 100 * at, picture) for at, picture in enumerate(shown)]
    assert visits.settled(looks) == visits.Visit(2.0, 200)


@pytest.fixture
def file_server(tmp_path: Path) -> Iterator[str]:
    """A server of one file of 100,000 bytes."""
    (tmp_path / "file").write_bytes(b"x" * 100_000)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_the_meter_counts_what_a_server_sends(file_server: str) -> None:
    """Bytes pass unchanged, and every one of an answer counts, its headers too."""
    with Meter(file_server) as meter:
        answer = httpx.get(f"{meter.url}file")
        assert answer.content == b"x" * 100_000
        assert 100_000 < meter.sent < 101_000
