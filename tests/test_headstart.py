"""Decoding that begins before its turn: the same comes out, nobody's guard is passed by, and little waits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import odd_decoders
import pytest
from color_encoders import encoders, write_pictures
from patience import until

from explorer.decoding import Workers
from explorer.errors import PictureError, RejectReason
from indexer.encoding import encode, headstart
from indexer.encoding.encode import EncodeOptions, Outcome
from indexer.encoding.headstart import HeadStart
from indexer.encoding.prepared import Prepared, prepare, room
from indexer.encoding.reading import SourceReader, Work
from indexer.encoding.timings import Timings
from indexer.sources.base import SourceRow
from indexer.sources.folder import FolderSource


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Two workers."""
    with Workers(2, preload=("indexer.encoding.prepared", "odd_decoders")) as found:
        yield found


class Waited(FolderSource):
    """A folder whose files are there long before their turn: the first is read when all have arrived."""

    def __init__(self, root: Path, log: Path, head: HeadStart[Prepared] | None) -> None:
        super().__init__(root)
        object.__setattr__(self, "log", log)
        object.__setattr__(self, "head", head)

    @property
    def decoder(self) -> partial[object]:
        return partial(odd_decoders.counted, self.log)

    def arrive(self, rows: Sequence[SourceRow]) -> None:
        """Tell of every file, the last row's first."""
        for row in reversed(rows):
            self.head.arrived(self.read(row), partial(self.read, row))
        assert self.head._begun


def outcomes(source: Waited, workers: Workers) -> list[Outcome]:
    """What becomes of a folder's rows, in shards of eight; where there is a head, all has arrived before."""
    rows = list(source.rows())

    def works() -> Iterator[Work]:
        for start in range(0, len(rows), 8):
            if source.head is not None and not start:
                source.arrive(rows)
            yield Work(rows[start : start + 8], SourceReader(source))

    options = EncodeOptions(shard=8, batch=3)
    return list(
        encode.encode(
            works(), source.decoder, encoders(), options, workers=workers, timings=Timings(), head=source.head
        )
    )


def test_a_head_start_changes_nothing_but_the_order_of_the_work(tmp_path: Path, workers: Workers) -> None:
    """Outcomes, vectors to the last bit and their order are those without it, and no file is decoded twice."""
    folder = write_pictures(tmp_path / "p", 5)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    usual = outcomes(Waited(folder, tmp_path / "usual", None), workers)
    early = outcomes(Waited(folder, tmp_path / "early", HeadStart()), workers)
    assert [each.key for each in early] == [each.key for each in usual]
    for first, second in zip(usual, early, strict=True):
        assert (first.reason, first.sha256, first.phash, first.thumbnail) == (
            second.reason, second.sha256, second.phash, second.thumbnail,
        )  # fmt: skip
        assert first.vectors.keys() == second.vectors.keys()
        assert all(np.array_equal(first.vectors[space], second.vectors[space]) for space in first.vectors)
    assert len((tmp_path / "early").read_text().splitlines()) == len(usual)


def test_what_has_begun_is_what_is_taken(tmp_path: Path, workers: Workers) -> None:
    """A file that arrived is decoded before anybody asks, once; asked for again, it is decoded again."""
    log, data = tmp_path / "log", next(write_pictures(tmp_path / "p", 1).rglob("*.png")).read_bytes()
    head: HeadStart[Prepared] = HeadStart()
    decoder = partial(odd_decoders.counted, log)
    head.arm(workers, partial(prepare, decoder, (16,), 32), room((16,), 32))
    head.arrived(data, nowhere)
    head.arrived(data, nowhere)
    begun = head.take(data)
    assert begun.result(timeout=30).squares[16].shape == (16, 16, 3)
    assert len(log.read_text().splitlines()) == 1
    assert head.take(data) is not begun
    assert head.take(data).result(timeout=30).sha256 == begun.result().sha256


def test_a_guard_is_asked_before_a_file_is_decoded(tmp_path: Path, workers: Workers) -> None:
    """A file that the guard stops is not begun, though it arrived; who reads the row is told by the same guard."""
    log = tmp_path / "log"

    def guard(data: bytes) -> None:
        if data == b"listed":
            raise PictureError(RejectReason.BLOCKED, "the blocklist names it")

    head: HeadStart[Prepared] = HeadStart(guard)
    head.arm(workers, partial(prepare, partial(odd_decoders.counted, log), (), 0), 1)
    for data in (b"listed", b"other"):
        head.arrived(data, nowhere)
    with pytest.raises(PictureError):
        head.take(b"other").result(timeout=30)
    assert [line.split()[1] for line in log.read_text().splitlines()] == [str(len(b"other"))]


def test_nothing_begins_before_it_is_known_what_to_do(workers: Workers) -> None:
    """Files that arrive while the models are loaded, which say how large their squares are, wait until then."""
    head: HeadStart[int] = HeadStart()
    head.arrived(b"early", lambda: b"early")
    assert not head._begun
    head.arm(workers, len, 1)
    assert [begun.result(timeout=30) for begun in head._begun.values()] == [5]
    assert head.take(b"early").result(timeout=30) == 5


def test_results_that_wait_have_a_bound(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more begins than there is room for the results of; as some are taken, the next do, in order of arrival."""
    monkeypatch.setattr(headstart, "MOST_BYTES", 300)
    begun: list[bytes] = []
    submit = workers.submit
    monkeypatch.setattr(workers, "submit", lambda function, data: begun.append(data) or submit(function, data))
    head: HeadStart[int] = HeadStart()
    head.arm(workers, len, 100)
    files = [bytes(size) for size in range(1, 8)]
    for data in files:
        head.arrived(data, partial(bytes, len(data)))
    until(lambda: all(each.done() for each in head._begun.values()))
    assert begun == files[:3]
    assert head.take(files[6]).result(timeout=30) == 7
    assert [head.take(data).result(timeout=30) for data in files[:2]] == [1, 2]
    until(lambda: len(head._begun) == 3)
    assert begun == [*files[:3], files[6], *files[3:5]]
    assert [head.take(data).result(timeout=30) for data in files[2:6]] == [3, 4, 5, 6]
    assert begun == [*files[:3], files[6], *files[3:6]]


def test_busy_workers_are_left_to_those_whose_turn_it_is() -> None:
    """While calls wait for every worker, what arrives waits, on the disk; it begins by itself once a worker is free."""
    with Workers(1, preload=("odd_decoders",)) as workers:
        head: HeadStart[int] = HeadStart()
        head.arm(workers, odd_decoders.napping, 1)
        turns = [head.take(b"turn") for _ in range(40)]
        assert workers.is_busy
        head.arrived(b"picture", lambda: b"read again")
        head.arrived(b"gone", nowhere)
        assert not head._begun
        assert not any(each.done() for each in turns)
        until(lambda: bool(head._begun))
        assert any(each.done() for each in turns)
        assert head.take(b"picture").result(timeout=30) == len(b"read again")
        until(lambda: not head._waiting)
        assert not head._begun
        assert head.take(b"gone").result(timeout=30) == len(b"gone")


def nowhere() -> bytes:
    """Read a file that is not there."""
    raise FileNotFoundError
