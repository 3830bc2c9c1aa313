"""Thumbnails, laid end to end in packs: written with the vectors, then shared by every version that shows them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from explorer.layout import THUMBNAILS_SCHEMA, VersionPaths, replacing, sync_folder, write_table

PACK = "thumbnails.pack"


@dataclass(frozen=True, slots=True)
class PackedThumbnails:
    """A pack that a shard has written, and where in it each of the shard's pictures lies.

    Attributes:
        path: the pack.
        lengths: bytes of each thumbnail, in the order of the pack; 0 where there is none.
    """

    path: Path
    lengths: tuple[int, ...]


def write_pack(path: Path, thumbnails: Iterable[bytes]) -> PackedThumbnails:
    """Lay WebP files end to end."""
    lengths = []
    with replacing(path) as handle:
        for data in thumbnails:
            lengths.append(handle.write(data))
    return PackedThumbnails(path, tuple(lengths))


def publish_packs(version: VersionPaths, packs: Iterable[PackedThumbnails], ids: npt.NDArray[np.int64]) -> None:
    """Give a version its packs and their table; a picture without a thumbnail has no row in it.

    Args:
        version: an unfinished version.
        packs: in the order of the rows.
        ids: int64 (n,), of every row.
    """
    folder = version.pack(0).parent
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, int]] = []
    number, identities = 0, iter(ids.tolist())
    for pack in packs:
        offset = 0
        for length in pack.lengths:
            row = {"id": next(identities), "pack": number, "offset": offset, "length": length}
            rows += [row] if length else []
            offset += length
        if offset:
            link(pack.path, version.pack(number))
            number += 1
    sync_folder(folder)
    write_table(version.thumbnails, pa.Table.from_pylist(rows, schema=THUMBNAILS_SCHEMA))


def link(source: Path, target: Path) -> None:
    """Let `target` be the same file as `source`, or a copy of it where the disk knows no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        with source.open("rb") as reading, replacing(target) as writing:
            shutil.copyfileobj(reading, writing)
