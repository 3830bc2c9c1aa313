"""Rows as a file: CSV, JSON lines or Parquet, batch after batch.

Parquet and JSON lines hold every value as it is. A spreadsheet may run a cell of a CSV as a formula, so there a text
that could be one gets an apostrophe in front (OWASP, "CSV Injection"); `csv_text` takes it off again.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

_FORMULA = re.compile(r"['\s\x00-\x1f\x7f\u200b-\u200f\u2060\ufeff]*[=+\-@\t\r\n＝＋－＠]")

Row = dict[str, Any]
Writer = Callable[[BinaryIO, pa.Schema, Iterator[list[Row]]], Iterator[int]]
"""Writes a head, then batch after batch, and stops after each to say how many rows it had."""


def csv_cell(text: str) -> str:
    """A text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def csv_text(cell: str) -> str:
    """The text that `csv_cell` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def _write_csv(handle: BinaryIO, schema: pa.Schema, batches: Iterator[list[Row]]) -> Iterator[int]:
    text = io.TextIOWrapper(handle, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(csv_cell(name) for name in schema.names)
    for batch in batches:
        writer.writerows([_cell(row[name]) for name in schema.names] for row in batch)
        yield len(batch)
    text.detach()


def _cell(value: Any) -> Any:  # noqa: ANN401 - whatever a row holds
    """Numbers stay numbers, so that -1.5 is one; every text is guarded."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = "; ".join(value)
    elif isinstance(value, (list, dict)):
        value = _json(value)
    return csv_cell(value) if isinstance(value, str) else value


def _write_jsonl(handle: BinaryIO, schema: pa.Schema, batches: Iterator[list[Row]]) -> Iterator[int]:
    for batch in batches:
        for row in batch:
            handle.write(_json({name: row[name] for name in schema.names}).encode() + b"\n")
        yield len(batch)


def _write_parquet(handle: BinaryIO, schema: pa.Schema, batches: Iterator[list[Row]]) -> Iterator[int]:
    with pq.ParquetWriter(handle, schema, compression="zstd") as writer:
        for batch in batches:
            rows = [{field.name: _stored(row[field.name], field.type) for field in schema} for row in batch]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            yield len(batch)


def _stored(value: Any, column: pa.DataType) -> Any:  # noqa: ANN401 - whatever a row holds
    """A value as its column takes it: a map as pairs, and JSON where a column of texts holds something else too."""
    if pa.types.is_map(column):
        return list(value.items())
    return value if value is None or isinstance(value, str) or column != pa.string() else _json(value)


def _json(value: Any) -> str:  # noqa: ANN401 - whatever a row holds
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


WRITERS: Mapping[str, Writer] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
}
FORMATS = tuple(WRITERS)
