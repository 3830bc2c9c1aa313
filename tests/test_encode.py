"""Encoding: what becomes of good, broken and odd pictures, in shards that stay what they are."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import odd_decoders
import pytest
from color_encoders import ColorEncoder, encoders, picture, write_pictures
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from explorer.decoding import Workers
from explorer.errors import RejectReason
from explorer.records import Space
from indexer import encode
from indexer.encode import EncodeOptions, Outcome
from indexer.encoders import Encoder
from indexer.reading import SourceReader, Work
from indexer.sources.base import Decoder, Source, SourceRow, plain
from indexer.sources.folder import FolderSource
from indexer.timings import Timings

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
    with Workers(2, preload=("indexer.prepared", "odd_decoders")) as workers:
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
        for space in Space:
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


def test_a_shard_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    """Vectors bit for bit, outcomes and reasons, and thumbnails end to end."""
    folder = write_pictures(tmp_path / "p", 2, ("gold", "purple"))
    (folder / "bad.jpg").write_text("no")
    saved = list(outcomes(folder).values())
    shard_folder = tmp_path / "shard"
    shard_folder.mkdir()
    encode.save(shard_folder, saved, encoders(), Timings())
    shard = encode.load(shard_folder)
    assert [dataclasses.replace(each, vectors={}, thumbnail=b"") for each in saved] == list(shard.outcomes)
    good = [each for each in saved if each.reason is None]
    for space in Space:
        assert np.array_equal(shard.vectors(space), np.stack([each.vectors[space] for each in good]))
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
