"""The shards of an audit on the disk: each whole or not there, so that parts from several machines lie side by side.

```
OUT/
  plan.json                what is audited; see `explorer.audit.plan`
  shards/00007/            rows.jsonl · SPACE.npy float32 (pictures, d), unit length · 000112.png · plan.json again
```
A row is a JSON object: `row`, `prompt`, `id`, `seed`, `file`, `picture`, `error`, `verdict`, and by space `point`,
`distance`, `percentile`, `by_family`, `nearest`, `similarity`, `cluster`, `via`. Rows with an `error` have no vector.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.errors import QueryError
from explorer.layout import write_array, write_atomic

ROWS = "rows.jsonl"

Row = dict[str, Any]
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """Some pictures of an audit, located.

    Attributes:
        rows: one a picture.
        vectors: space -> float32 (m, d), unit length, one a row without an error, in their order.
        files: the name of every other file in the shard -> its bytes.
    """

    rows: Sequence[Row]
    vectors: Mapping[str, Vectors]
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Shards:
    """The shards of one audit."""

    folder: Path

    def path(self, number: int) -> Path:
        """Where a shard lies."""
        return self.folder / "shards" / f"{number:05d}"

    def missing(self, numbers: Iterable[int]) -> list[int]:
        """Those of some shards that are not there."""
        return [number for number in numbers if not (self.path(number) / ROWS).exists()]

    def write(self, number: int, shard: Shard) -> None:
        """Let a shard appear, whole; one that somebody else finished meanwhile stays, half of one goes.

        Raises:
            QueryError: it cannot be written.
        """
        path = self.path(number)
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            unfinished.mkdir(parents=True)
            for name, data in shard.files.items():
                write_atomic(unfinished / name, data)
            for space, vectors in shard.vectors.items():
                write_array(unfinished / f"{space}.npy", vectors)
            lines = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in shard.rows)
            write_atomic(unfinished / ROWS, lines.encode())
            if self.missing([number]):
                shutil.rmtree(path, ignore_errors=True)
                os.replace(unfinished, path)
        except OSError as error:
            if not self.missing([number]):
                return  # somebody else was faster by a moment
            said = error.strerror or str(error)
            raise QueryError(f"{path}: cannot be written ({said}); free the disk, then run the same again") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def read(self, number: int, spaces: Sequence[str]) -> Shard:
        """A shard without its other files.

        Raises:
            QueryError: it is damaged.
        """
        path = self.path(number)
        try:
            rows = [json.loads(line) for line in (path / ROWS).read_text("utf-8").splitlines()]
            vectors = {space: np.load(path / f"{space}.npy", allow_pickle=False) for space in spaces}
        except (OSError, ValueError) as error:
            raise QueryError(f"{path}: is damaged ({error}); remove it, then run the same again") from error
        shard = Shard(rows, vectors, {})
        located = sum(row["error"] is None for row in rows)
        if any(each.ndim != 2 or len(each) != located or each.dtype != np.float32 for each in vectors.values()):
            raise QueryError(f"{path}: its vectors are not those of its rows; remove it, then run the same again")
        return shard

    def tidy(self) -> None:
        """Remove what killed runs have left unfinished."""
        for path in (self.folder / "shards").glob(".*"):
            shutil.rmtree(path, ignore_errors=True)
