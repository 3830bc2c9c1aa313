"""Encoding: what becomes of good, broken and odd pictures, in shards that stay what they are."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import odd_decoders
import pytest
import torch
from color_encoders import SPACES, ColorEncoder, encoders, picture, write_pictures
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from explorer.decoding import Workers
from explorer.errors import BuildError, RejectReason
from explorer.models.clip import ClipModel
from explorer.models.vae import VaeModel
from explorer.records import Space
from indexer.encoding import batches, encode
from indexer.encoding.ahead import Ahead, Room
from indexer.encoding.batches import Batches
from indexer.encoding.encode import EncodeOptions, Outcome
from indexer.encoding.encoders import ClipEncoder, Encoder, VaeEncoder
from indexer.encoding.reading import SourceReader, Work
from indexer.encoding.timings import Timings
from indexer.sources.base import Decoder, Fault, Source, SourceRow, plain
from indexer.sources.folder import FolderSource

OPTIONS = EncodeOptions(shard=8, batch=3)


def outcomes(folder: Path, models: Sequence[ColorEncoder] | None = None) -> dict[str, Outcome]:
    """The outcome of every picture of a folder, by key."""
    source = FolderSource(folder)
    rows = list(source.rows())
    found = list(encoded(source, [rows[part] for part in encode.cut(rows, OPTIONS)], models))
    assert [outcome.key for outcome in found] == [row.key for row in rows]
    return {outcome.key: outcome for outcome in found}


def encoded(
    source: Source,
    shards: Sequence[Sequence[SourceRow]],
    models: Sequence[Encoder] | None = None,
    options: EncodeOptions = OPTIONS,
    timings: Timings | None = None,
) -> Generator[Outcome]:
    """What becomes of the rows of shards."""
    works = [Work(rows, SourceReader(source)) for rows in shards]
    with Workers(2, preload=("indexer.encoding.prepared", "odd_decoders")) as workers:
        yield from encode.encode(
            works, source.decoder, models or encoders(), options, workers=workers, timings=timings or Timings()
        )


class Watched(FolderSource):
    """A folder that remembers what was read of it."""

    def __init__(self, root: Path, decoder: Decoder = plain) -> None:
        super().__init__(root)
        object.__setattr__(self, "read_keys", [])
        object.__setattr__(self, "chosen", decoder)

    @property
    def decoder(self) -> Decoder:
        return self.chosen

    def read(self, row: SourceRow) -> bytes:
        self.read_keys.append(row.key)
        return super().read(row)


def test_broken_pictures_are_rows_with_a_reason(tmp_path: Path) -> None:
    """Text, a cut-off file, a dot, a strip and an empty file are rejected with their reasons; the others encoded."""
    folder = write_pictures(tmp_path / "p", 1)
    (folder / "text.jpg").write_text("<html>404</html>")
    (folder / "empty.png").touch()
    picture("gold", 1, (200, 200)).save(tmp_path / "whole.jpg", quality=95)
    whole = (tmp_path / "whole.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.new("RGB", (400, 9)).save(folder / "strip.png")
    (folder / "photo.heic").write_bytes(b"\x00\x00\x00\x18ftypheic")
    found = outcomes(folder)
    assert {key: outcome.reason for key, outcome in found.items() if outcome.reason} == {
        "text.jpg": RejectReason.NOT_A_PICTURE,
        "empty.png": RejectReason.EMPTY,
        "cut.jpg": RejectReason.TRUNCATED,
        "dot.png": RejectReason.TOO_SMALL,
        "strip.png": RejectReason.ASPECT,
        "photo.heic": RejectReason.NOT_A_PICTURE,
    }
    good = [outcome for outcome in found.values() if outcome.reason is None]
    assert len(good) == 6
    assert all(outcome.vectors[Space.CLIP].shape == (24,) and outcome.thumbnail[8:12] == b"WEBP" for outcome in good)
    assert all(not outcome.vectors and not outcome.thumbnail for outcome in found.values() if outcome.reason)


def test_turned_and_cmyk_pictures_are_what_they_show(tmp_path: Path) -> None:
    """A picture turned by EXIF and one in CMYK get the vector, the size and the hash of the upright RGB one."""
    upright = picture("royalblue", 5, (48, 32))
    upright.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    upright.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100, subsampling=0)
    found = outcomes(tmp_path)
    for name in ("turned.png", "cmyk.jpg"):
        for space in SPACES:
            expected = found["upright.png"].vectors[space]
            assert np.linalg.norm(found[name].vectors[space] - expected) < 0.02 * np.linalg.norm(expected)
        assert (found[name].width, found[name].height) == (48, 32)
    assert found["turned.png"].phash == found["upright.png"].phash


def test_a_vector_without_direction_is_rejected(tmp_path: Path) -> None:
    """A model that answers NaN, infinity or zero for a picture rejects it; its neighbors in the batch are kept."""

    class Sick(ColorEncoder):
        def encode(self, squares: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            vectors = super().encode(squares)
            vectors[1:2] = self.bad  # type: ignore[attr-defined]
            return vectors

    folder = write_pictures(tmp_path / "p", 1, ("crimson", "gold", "purple"))
    for bad in (np.nan, np.inf, 0.0):
        sick = Sick(Space.CLIP, 24)
        sick.bad = bad  # type: ignore[attr-defined]
        found = list(outcomes(folder, [sick]).values())
        assert [outcome.reason for outcome in found] == [None, RejectReason.NOT_FINITE, None]
        assert found[1].detail == "its vector in clip is zero or not finite"


def test_every_picture_is_read_and_decoded_once(tmp_path: Path) -> None:
    """Two models, thumbnail and hashes come out of one reading and one decoding."""
    source = Watched(write_pictures(tmp_path / "p", 2), partial(odd_decoders.counted, tmp_path / "log"))
    rows = list(source.rows())
    assert all(outcome.reason is None for outcome in encoded(source, [rows]))
    assert source.read_keys == [row.key for row in rows]
    assert len((tmp_path / "log").read_text().splitlines()) == len(rows)


def test_a_stopped_encoding_stops_its_threads(tmp_path: Path) -> None:
    """Who leaves off after a few pictures does not wait until all the others are decoded."""
    source = Watched(write_pictures(tmp_path / "p", 10))
    running = encoded(source, [list(source.rows())])
    next(running)
    running.close()
    read = len(source.read_keys)
    assert read <= 3 * (4 + OPTIONS.ahead)
    assert not [thread for thread in threading.enumerate() if thread.name in ("read", "stack")]
    assert len(source.read_keys) == read


def test_room_made_by_stopping_is_not_filled() -> None:
    """A thread that waits for room when its context is left makes nothing more, though the queue is emptied."""
    made: list[int] = []
    numbers = (made.append(number) or number for number in range(10))
    with Ahead(numbers, 1, "numbers") as ahead:
        assert next(iter(ahead)) == 0
        while len(made) < 3:  # one is taken, one in the queue, one waits
            time.sleep(0.01)
        time.sleep(0.05)
    assert made == [0, 1, 2]


def test_a_shard_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    """Vectors and hashes bit for bit, outcomes and reasons, and thumbnails end to end."""
    folder = write_pictures(tmp_path / "p", 2, ("gold", "purple"))
    (folder / "bad.jpg").write_text("no")
    saved = list(outcomes(folder).values())
    shard_folder = tmp_path / "shard"
    shard_folder.mkdir()
    encode.save(shard_folder, saved, SPACES, Timings())
    shard = encode.load(shard_folder)
    assert [dataclasses.replace(each, vectors={}, thumbnail=b"") for each in saved] == list(shard.outcomes)
    good = [each for each in saved if each.reason is None]
    for space in SPACES:
        assert np.array_equal(shard.vectors(space), np.stack([each.vectors[space] for each in good]))
    assert np.array_equal(shard.hashes(), np.stack([each.hashes for each in good]))
    assert shard.hashes().any(axis=1).all()
    assert shard.thumbnails.path.read_bytes() == b"".join(each.thumbnail for each in good)
    assert shard.thumbnails.lengths == tuple(len(each.thumbnail) for each in good)


keys = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=120, unique=True)


@settings(max_examples=50, deadline=None)
@given(keys=keys, shard=st.integers(1, 40))
def test_shards_are_the_rows_in_pieces(keys: list[str], shard: int) -> None:
    """Put together they are all the rows in order; none is empty or larger than allowed."""
    rows = [SourceRow(key) for key in keys]
    parts = [rows[part] for part in encode.cut(rows, EncodeOptions(shard=shard))]
    assert [row for part in parts for row in part] == rows
    assert all(1 <= len(part) <= shard for part in parts)


def test_a_new_picture_changes_few_shards() -> None:
    """Of 2,000 rows in 30 shards or more, one more at the start leaves all but a few shards as they were."""
    rows = [SourceRow(f"{number:05d}") for number in range(2000)]
    options = EncodeOptions(shard=64)
    before = [tuple(rows[part]) for part in encode.cut(rows, options)]
    more = [SourceRow("00000a"), *rows]
    after = [tuple(more[part]) for part in encode.cut(more, options)]
    assert len(before) >= 30
    assert len(set(map(str, before)) & set(map(str, after))) >= len(before) - 5


def test_vectors_go_in_larger_shards_that_move_as_little() -> None:
    """Ready-made vectors go by thousands, cut by their keys all the same: a new row moves two cuts at most."""
    rows = [SourceRow(f"{number:05d}") for number in range(40_000)]
    more = [SourceRow("00000a"), *rows]
    before, after = (list(encode.cut(each, EncodeOptions(), are_vectors=True)) for each in (rows, more))
    sizes = [part.stop - part.start for part in before]
    assert sum(sizes) == 40_000
    assert 2048 <= min(sizes[:-1]) < max(sizes) <= 8192
    assert len({part.stop for part in before} - {part.stop - 1 for part in after}) <= 2


@pytest.mark.parametrize("batch", [1, 5])
def test_a_batch_ends_with_its_shard(tmp_path: Path, batch: int) -> None:
    """Pictures of two shards never go through a model together, so a shard's vectors do not depend on its neighbors."""
    folder = write_pictures(tmp_path / "p", 2)
    sizes: list[int] = []

    class Sized(ColorEncoder):
        def encode(self, squares: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            sizes.append(len(squares))
            return super().encode(squares)

    source = FolderSource(folder)
    rows = list(source.rows())
    list(encoded(source, [rows[:7], rows[7:]], [Sized(Space.CLIP, 24)], EncodeOptions(batch=batch)))
    assert sizes == ([1] * 12 if batch == 1 else [5, 2, 5])


def test_a_model_may_want_smaller_batches(tmp_path: Path) -> None:
    """A model that knows its own size on the CPU gets no more at a time, whatever is asked for."""
    sizes: list[int] = []

    class Large(ColorEncoder):
        batch = 2

        def encode(self, squares: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            sizes.append(len(squares))
            return super().encode(squares)

    source = FolderSource(write_pictures(tmp_path / "p", 1))
    for batch in (5, None):
        models = [Large(Space.VAE, 16), ColorEncoder(Space.CLIP, 24)]
        list(encoded(source, [list(source.rows())], models, EncodeOptions(batch=batch)))
    assert sizes == [2, 2, 1, 1, 2, 2, 2]


def test_a_row_with_a_fault_is_never_read(tmp_path: Path) -> None:
    """What the source says against a row stands as its outcome, and nobody looks for its picture."""
    source = Watched(write_pictures(tmp_path / "p", 1, ("gold",)))
    rows = [SourceRow("row 7 of x.csv", fault=Fault(RejectReason.BAD_ROW, "no link")), *source.rows()]
    bad, good = encoded(source, [rows])
    assert (bad.key, bad.reason, bad.detail) == ("row 7 of x.csv", RejectReason.BAD_ROW, "no link")
    assert good.reason is None
    assert source.read_keys == ["gold/gold-00.png"]


def test_when_a_picture_was_fetched_stays_with_it(tmp_path: Path) -> None:
    """A reader's time of fetching comes out in the outcome, and again out of the saved shard."""

    class Fetched(SourceReader):
        def fetched_at(self, row: SourceRow) -> str | None:
            return f"2026-01-02T03:04:05Z {row.key}"

    source = FolderSource(write_pictures(tmp_path / "p", 1, ("gold",)))
    with Workers(1) as workers:
        works = [Work(list(source.rows()), Fetched(source))]
        found = list(encode.encode(works, plain, encoders(), OPTIONS, workers=workers, timings=Timings()))
    (tmp_path / "shard").mkdir()
    encode.save(tmp_path / "shard", found, SPACES, Timings())
    (loaded,) = encode.load(tmp_path / "shard").outcomes
    assert loaded.fetched_at == found[0].fetched_at == "2026-01-02T03:04:05Z gold/gold-00.png"


def test_decoders_that_go_wrong_cost_their_rows_alone(tmp_path: Path) -> None:
    """Every row of a folder has its outcome when some of its files abort, crash or swell their decoder."""
    folder = write_pictures(tmp_path / "p", 4, ("gold", "purple"))
    for deed in ("abort", "crash", "swell", "panic"):
        (folder / f"{deed}.png").write_text(deed)
    source = Watched(folder, odd_decoders.treacherous)
    found = {outcome.key: outcome for outcome in encoded(source, [list(source.rows())])}
    assert len(found) == 12
    lost = {key for key, outcome in found.items() if outcome.reason is not None}
    assert lost == {"abort.png", "crash.png", "swell.png", "panic.png"}
    assert all(found[key].reason is RejectReason.DECODER and found[key].detail for key in lost)


class Cramped(ColorEncoder):
    """Has room for a few pictures at a time, and for none that is too dark; remembers what it was asked."""

    def set_up(self, room: int, error: BaseException, dark: float = 0.0) -> Cramped:
        self.room, self.error, self.dark = room, error, dark
        self.asked: list[int] = []
        return self

    def encode(self, squares: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        self.asked.append(len(squares))
        if len(squares) > self.room or squares.mean(axis=(1, 2, 3)).min() < self.dark:
            raise self.error
        return super().encode(squares)


def _torch_errors() -> list[BaseException]:
    """A real refusal of torch's, and what it raises on a GPU."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, dtype=torch.uint8)
    return [caught.value, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), MemoryError()]


@pytest.mark.parametrize("error", _torch_errors(), ids=["torch-cpu", "torch-gpu", "python"])
def test_a_batch_without_room_is_halved(tmp_path: Path, error: BaseException) -> None:
    """Where 16 pictures have no room at once, fewer go through; none is lost, and each has its usual vector."""
    folder = write_pictures(tmp_path / "p", 4)
    cramped = Cramped(Space.CLIP, 24).set_up(3, error)
    options = EncodeOptions(batch=16)
    source = FolderSource(folder)
    rows = list(source.rows())
    found = list(encoded(source, [rows], [cramped], options))
    assert cramped.asked == [16, 8, 4, *[2] * 12]
    usual = list(encoded(source, [rows], [ColorEncoder(Space.CLIP, 24)], options))
    for mine, other in zip(found, usual, strict=True):
        np.testing.assert_allclose(mine.vectors[Space.CLIP], other.vectors[Space.CLIP], rtol=1e-4, atol=1e-5)


def test_a_picture_without_room_even_alone_is_rejected(tmp_path: Path) -> None:
    """Only the picture for which a single pass has no room is lost; the others have both their vectors."""
    folder = write_pictures(tmp_path / "p", 2, ("gold", "orange"))
    Image.new("RGB", (40, 32), (3, 3, 3)).save(folder / "dark.png")
    cramped = Cramped(Space.VAE, 16).set_up(99, MemoryError(), dark=20)
    source = FolderSource(folder)
    found = list(encoded(source, [list(source.rows())], [ColorEncoder(Space.CLIP, 24), cramped]))
    assert {outcome.key: outcome.reason for outcome in found if outcome.reason} == {"dark.png": RejectReason.MEMORY}
    assert [set(outcome.vectors) for outcome in found if not outcome.reason] == [{Space.CLIP, Space.VAE}] * 4
    assert "vae" in next(outcome.detail or "" for outcome in found if outcome.reason)


def test_other_errors_of_a_model_stop_the_build(tmp_path: Path) -> None:
    """What is not want of memory is no reason to reject a picture."""
    source = FolderSource(write_pictures(tmp_path / "p", 1))
    broken = Cramped(Space.CLIP, 24).set_up(0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        list(encoded(source, [list(source.rows())], [broken]))


@pytest.mark.parametrize(("room", "expected"), [(512, 8), (5, 4), (0, 1)])
def test_the_batch_size_is_found_by_measuring(room: int, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of 20 ms for up to eight pictures, and in proportion for more, is best given eight, or what fits."""
    passed = 0.0
    monkeypatch.setattr(batches, "perf_counter", lambda: passed)

    class Slow(Cramped):
        batch = None

        def encode(self, squares: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            nonlocal passed
            passed += 0.020 * max(1, len(squares) / 8)
            return super().encode(squares)

    assert Batches(Slow(Space.CLIP, 24).set_up(room, MemoryError())).size == expected


def test_vectors_do_not_depend_on_the_batch(tiny_clip_dir: Path, tiny_pipeline_dir: Path, tmp_path: Path) -> None:
    """Real models give a picture the same vectors, up to float noise, whatever goes through with it."""
    models = (
        ClipEncoder(ClipModel.load(str(tiny_clip_dir), "cpu")),
        VaeEncoder(VaeModel.load(str(tiny_pipeline_dir), "cpu")),
    )
    source = FolderSource(write_pictures(tmp_path / "p", 3))
    rows = list(source.rows())
    by_batch = [list(encoded(source, [rows], models, EncodeOptions(batch=batch))) for batch in (1, 5, None)]
    for others in by_batch[1:]:
        for mine, other in zip(by_batch[0], others, strict=True):
            for space in SPACES:
                difference = np.linalg.norm(mine.vectors[space] - other.vectors[space])
                assert difference < 1e-4 * np.linalg.norm(mine.vectors[space])


def test_what_is_fetched_slowly_holds_nothing_back(tmp_path: Path) -> None:
    """While the next work still waits for its pictures, all outcomes of the work before are there."""
    source = FolderSource(write_pictures(tmp_path / "p", 2))
    rows = list(source.rows())
    came = threading.Event()

    def works() -> Iterator[Work]:
        yield Work(rows[:7], SourceReader(source))
        assert came.wait(60)
        yield Work(rows[7:], SourceReader(source))

    with Workers(1) as workers:
        running = encode.encode(works(), plain, encoders(), OPTIONS, workers=workers, timings=Timings())
        first = list(islice(running, 7))
        assert [outcome.key for outcome in first] == [row.key for row in rows[:7]]
        came.set()
        assert len(list(running)) == 5


def test_an_error_on_the_way_is_raised_to_the_build(tmp_path: Path) -> None:
    """What stops the fetcher stops the build, with its own words; so does a fault of a source's code."""
    source = FolderSource(write_pictures(tmp_path / "p", 1))

    def works() -> Iterator[Work]:
        yield Work(list(source.rows()), SourceReader(source))
        raise BuildError("no contact")

    class Faulty(SourceReader):
        def read(self, row: SourceRow) -> bytes:
            raise ZeroDivisionError(row.key)

    with Workers(1) as workers:
        running = encode.encode(works(), plain, encoders(), OPTIONS, workers=workers, timings=Timings())
        with pytest.raises(BuildError, match="no contact"):
            list(running)
        faulty = [Work(list(source.rows()), Faulty(source))]
        with pytest.raises(ZeroDivisionError):
            list(encode.encode(faulty, plain, encoders(), OPTIONS, workers=workers, timings=Timings()))


def test_each_part_of_encoding_is_timed(tmp_path: Path) -> None:
    """Reading, decoding, model and writing are counted a shard, come back with it, and add up."""

    class Slow(ColorEncoder):
        def encode(self, squares: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            time.sleep(0.03)
            return super().encode(squares)

    source = FolderSource(write_pictures(tmp_path / "p", 2))
    rows, timings, total = list(source.rows()), Timings(), Timings()
    running = encoded(source, [rows[:6], rows[6:]], [Slow(Space.CLIP, 24)], timings=timings)
    for number in range(2):
        folder = tmp_path / f"shard {number}"
        folder.mkdir()
        encode.save(folder, islice(running, 6), [Space.CLIP], timings)
        shard = encode.load(folder)
        assert 0.06 <= shard.timings.model.wall < 5
        assert shard.timings.model.cpu < shard.timings.model.wall + 1
        assert shard.timings.decoding.cpu > 0
        assert shard.timings.reading.wall > 0
        assert shard.timings.writing.wall > 0
        total.add(shard.timings)
    assert total.model.wall >= 0.12
    assert total.to_dict().keys() == {"reading", "decoding", "model", "writing"}
    assert timings.to_dict() == Timings().to_dict()


def test_no_thumbnails_where_none_are_wanted(tmp_path: Path) -> None:
    """With a thumbnail size of 0 none is made."""
    source = FolderSource(write_pictures(tmp_path / "p", 1))
    found = list(encoded(source, [list(source.rows())], options=EncodeOptions(thumbnail=0)))
    assert [outcome.thumbnail for outcome in found] == [b""] * 6


def test_files_that_wait_have_a_bound() -> None:
    """Room that is taken must be given back before more is had; what is larger than all of it waits for all of it."""
    room, taken = Room(10), []

    def take(size: int) -> None:
        room.take(size)
        taken.append(size)

    room.take(6)
    threads = [threading.Thread(target=take, args=(size,), daemon=True) for size in (4, 5, 99)]
    threads[0].start()
    threads[0].join(10)
    threads[1].start()
    time.sleep(0.1)
    assert taken == [4]
    room.give(6)
    threads[1].join(10)
    threads[2].start()
    time.sleep(0.1)
    assert taken == [4, 5]
    room.give(9)
    threads[2].join(10)
    assert taken == [4, 5, 99]


def test_many_pictures_are_worth_compiling_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled model is used for many pictures where it is measured to be faster; not where it fails or is slower."""
    passed = 0.0
    monkeypatch.setattr(batches, "perf_counter", lambda: passed)

    class Slow(Cramped):
        batch = None
        seconds, better = 0.004, 0.001

        def compiled(self, batch: int) -> Slow:
            if self.better == 0:
                raise ValueError("no compiler here")
            made = Slow(Space.CLIP, 24).set_up(self.room, self.error)
            made.seconds = self.better
            return made

        def encode(self, squares: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            nonlocal passed
            passed += self.seconds * max(1, len(squares))
            return super().encode(squares)

    def slow(better: float) -> Slow:
        made = Slow(Space.CLIP, 24).set_up(2, MemoryError())
        made.better = better
        return made

    for better, expected, kept in (
        (0.001, 1_000_000, 0.001),
        (0.001, 100, 0.004),
        (0.02, 10**6, 0.004),
        (0, 10**6, 0.004),
    ):
        assert Batches(slow(better), expected=expected).encoder.seconds == kept  # type: ignore[attr-defined]
    assert Batches(slow(0.001), 2, expected=1_000_000).encoder.seconds == 0.004  # type: ignore[attr-defined]


IN_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from explorer.models.vae import VaeModel
from indexer.encoding.batches import Batches
from indexer.encoding.encoders import VaeEncoder
torch.set_num_threads(1)
vae = VaeEncoder(VaeModel.load(sys.argv[1], "cpu", side=256))
squares = np.random.default_rng(0).integers(0, 255, (32, 256, 256, 3), np.uint8)
expected = Batches(vae, 1).vectors(squares)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), resource.RLIM_INFINITY))
batches = Batches(vae, 32)
found = batches.vectors(squares)
print(batches.size, sum(each is None for each in found), np.allclose(found, expected, atol=1e-5))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to RLIMIT_AS")
def test_a_real_model_in_little_memory(tiny_pipeline_dir: Path) -> None:
    """Held by the system to 100 MB more than it has, an autoencoder goes on in smaller batches, with equal vectors."""
    arguments = [sys.executable, "-c", IN_LITTLE_MEMORY, str(tiny_pipeline_dir)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    size, lost, near = done.stdout.split()
    assert 1 <= int(size) < 32
    assert (lost, near) == ("0", "True")
