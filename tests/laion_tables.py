"""Tables of LAION's schema with known contents, and the manifests that read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer import manifest
from explorer.manifest import Manifest
from indexer.sources.base import LeftOut, SourceRow
from indexer.sources.parquet_urls import ParquetUrlsSource

AFTER = {"date": "2024-08-30"}
"""What a manifest says of a release that came after the withdrawal."""


def laion(rows: int, start: int = 0) -> dict[str, Any]:
    """Columns of improved_aesthetics_6.5plus; row i has punsafe i % 10 / 10 and so on, so that counts are known."""
    numbers = np.arange(start, start + rows)
    return {
        "URL": [f"https://pictures.example/{at}.jpg" for at in numbers],
        "TEXT": [f"picture number {at}" for at in numbers],
        "WIDTH": (100.0 + numbers),
        "HEIGHT": (200.0 + numbers),
        "similarity": 0.3 + numbers % 5 / 100,
        "punsafe": (numbers % 10 / 10).astype(np.float32),
        "pwatermark": (numbers % 4 / 4).astype(np.float32),
        "AESTHETIC_SCORE": (6.5 + numbers % 10 / 10).astype(np.float32),
        "hash": numbers * 7919 - 2**40,
        "__index_level_0__": numbers,
    }


def write(path: Path, columns: Mapping[str, Any], **settings: Any) -> Path:
    """Write a Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(columns)), path, **settings)
    return path


def manifest_of(path: Path | str, **tables: Any) -> Manifest:
    """A manifest of kind parquet-urls."""
    return manifest.from_dict({"kind": "parquet-urls", "path": str(path), **tables}, base=Path.cwd(), file="test.toml")


def read(path: Path | str, **tables: Any) -> list[SourceRow | LeftOut]:
    """All that the source gives."""
    return list(ParquetUrlsSource(manifest_of(path, **tables)).rows())


def kept(found: Iterable[SourceRow | LeftOut]) -> list[SourceRow]:
    """The rows that go on."""
    return [each for each in found if isinstance(each, SourceRow) and each.fault is None]


def left_out(found: Iterable[SourceRow | LeftOut]) -> dict[str, int]:
    """Reason -> rows, of those that are counted only."""
    counts: dict[str, int] = {}
    for each in found:
        if isinstance(each, LeftOut):
            counts[each.reason.value] = counts.get(each.reason.value, 0) + each.count
    return counts
