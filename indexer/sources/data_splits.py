"""Data sets of Hugging Face's `datasets`, opened so that nothing in them is run.

A data set may bring a card, and a card may name files anywhere: on this machine, on the web, in a private network. So
the card is read before the library sees it, and every file that would be read is held against the data set's own place.
Only Parquet, Arrow and folders of pictures are read; of these nothing is unpickled, and scripts are refused by the
library itself (from its version 4 on). Pictures stay bytes: they are decoded elsewhere, as any stranger's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import pyarrow as pa

from explorer.errors import ManifestError
from explorer.manifest import Manifest
from indexer.sources.data_places import Place, explained, hush

READERS = ("parquet", "arrow", "imagefolder")
"""The library's own readers that are used; others unpickle, or read what is no picture."""

Open = Callable[[int, Sequence[str], int], Any]
"""A part's number, the columns to read, and the first row -> a data set of the library."""


@dataclass(frozen=True)
class DataSplit:
    """One split of a data set.

    Attributes:
        name: as the data set calls it.
        features: column -> the library's type of it.
        place: what it is a split of.
        stamp: differs whenever a file of it may.
        parts: how many files it comes in; each is read by itself, so that a broken one costs no other.
        open: opens a part.
    """

    name: str
    features: Mapping[str, Any]
    place: Place
    stamp: str
    parts: int
    open: Open

    @property
    def pictures(self) -> tuple[str, ...]:
        """The columns of pictures."""
        import datasets

        return tuple(name for name, feature in self.features.items() if isinstance(feature, datasets.Image))

    @property
    def told(self) -> tuple[str, ...]:
        """The columns that can be told in words: no files, and no vectors."""
        return tuple(name for name, feature in self.features.items() if _is_told(feature))

    @property
    def labels(self) -> Mapping[str, Sequence[str]]:
        """Column of classes -> their names."""
        import datasets

        return {name: each.names for name, each in self.features.items() if isinstance(each, datasets.ClassLabel)}

    def batches(self, part: int, columns: Sequence[str], rows: int, start: int = 0) -> Iterator[pa.Table]:
        """Columns of a part from row `start` on, at most so many rows at a time.

        Raises:
            ManifestError: what is there cannot be read; what came before stands.
        """
        with explained(f"{self.name}, part {part + 1} of {self.parts}"):
            yield from self.open(part, columns, start).with_format("arrow").iter(batch_size=rows)


def open_splits(manifest: Manifest) -> tuple[DataSplit, ...]:
    """The splits that a manifest asks for, in the data set's order.

    Raises:
        ManifestError: there is no such data set or split, or it would have to be run to be read.
    """
    place = Place.of(manifest)
    hush()
    with explained(f"path: {manifest.path}"):
        found = _saved(place) if place.is_saved else _streamed(place, manifest.source.get("config"))
    wanted = manifest.source.get("splits") or [split.name for split in found]
    by_name = {split.name: split for split in found}
    for name in wanted:
        if name not in by_name:
            raise ManifestError(f"huggingface.splits: found no split {name}; {manifest.path} has {', '.join(by_name)}")
    return tuple(split for split in found if split.name in wanted)


def _saved(place: Place) -> list[DataSplit]:
    """What `save_to_disk` wrote: Arrow files, mapped into memory."""
    import datasets

    loaded = datasets.load_from_disk(place.address)
    splits = loaded if isinstance(loaded, datasets.DatasetDict) else {str(loaded.split or "train"): loaded}

    for data in splits.values():
        place.hold(each["filename"] for each in data.cache_files)

    def open_part(data: Any, part: int, columns: Sequence[str], start: int) -> Any:  # noqa: ANN401 - the library's own
        del part
        return _as_bytes(data.select_columns(list(columns))).select(range(start, len(data)))

    return [
        DataSplit(
            name=str(name),
            features=data.features,
            place=place,
            stamp=place.stamp(each["filename"] for each in data.cache_files),
            parts=1,
            open=partial(open_part, data),
        )
        for name, data in splits.items()
    ]


def _streamed(place: Place, config: str | None) -> list[DataSplit]:
    """A hub's data set, a clone of one, or a folder of Parquet, Arrow or picture files; read as a stream."""
    builder = _builder(place, config)
    reader = type(builder).__module__.rpartition(".")[2]
    if reader not in READERS:
        raise ManifestError(
            f"path: found a data set that `datasets` reads as {reader}; expected {', '.join(READERS)}"
            + ("; use kind = webdataset" if reader == "webdataset" else "")
        )
    files = {str(split): list(map(str, listed)) for split, listed in (builder.config.data_files or {}).items()}
    for listed in files.values():
        place.hold(listed)

    @cache
    def built(columns: tuple[str, ...]) -> Any:  # noqa: ANN401 - the library's own
        only = {"columns": list(columns)} if reader == "parquet" and columns else {}
        return _builder(place, config, **only) if only else builder

    @cache
    def stream(split: str, columns: tuple[str, ...]) -> Any:  # noqa: ANN401 - the library's own
        data = built(columns).as_streaming_dataset(split)
        return _as_bytes(data.select_columns(list(columns)) if columns else data)

    def open_part(split: str, part: int, columns: Sequence[str], start: int) -> Any:  # noqa: ANN401 - the library's own
        data = stream(split, tuple(columns))
        return data.shard(num_shards=data.num_shards, index=part, contiguous=True).skip(start)

    return [
        DataSplit(
            name=split,
            features=stream(split, ()).features,
            place=place,
            stamp=place.stamp(listed),
            parts=stream(split, ()).num_shards,
            open=partial(open_part, split),
        )
        for split, listed in files.items()
    ]


def _builder(place: Place, config: str | None, **settings: Any) -> Any:  # noqa: ANN401 - the library's own
    import datasets

    return datasets.load_dataset_builder(place.address, config, revision=place.revision, **settings)


def _as_bytes(data: Any) -> Any:  # noqa: ANN401 - the library's own
    """A data set whose pictures are not decoded."""
    import datasets

    for name, feature in data.features.items():
        if isinstance(feature, datasets.Image):
            data = data.cast_column(name, datasets.Image(decode=False))
    return data


def _is_told(feature: Any) -> bool:  # noqa: ANN401 - the library's own
    import datasets

    if isinstance(feature, datasets.Value):
        return "binary" not in feature.dtype
    if isinstance(feature, Mapping):
        return all(map(_is_told, feature.values()))
    inner = getattr(feature, "feature", None)
    is_vector = isinstance(inner, datasets.Value) and "float" in inner.dtype
    return isinstance(feature, datasets.ClassLabel) or (inner is not None and not is_vector and _is_told(inner))
