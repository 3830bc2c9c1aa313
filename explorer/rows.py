"""Records as rows of `records.parquet`, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from itertools import islice
from typing import Any

import pyarrow as pa

from explorer.layout import RECORDS_SCHEMA, ROW_GROUP
from explorer.records import Record, Split

_RECORD_FIELDS = tuple(part.name for part in fields(Record))


def records_table(records: Iterable[Record]) -> pa.Table:
    """Records as a table of `RECORDS_SCHEMA`."""
    return pa.Table.from_batches(record_batches(records), schema=RECORDS_SCHEMA)


def record_batches(records: Iterable[Record]) -> Iterator[pa.RecordBatch]:
    """Records in batches of `RECORDS_SCHEMA`, a row group each."""
    rows = map(_row_of, records)
    while some := list(islice(rows, ROW_GROUP)):
        yield pa.RecordBatch.from_pylist(some, schema=RECORDS_SCHEMA)


def record_of(row: Mapping[str, Any]) -> Record:
    """A record out of a row of `records.parquet` as DuckDB or pyarrow gives it; unknown columns are left aside."""
    values = {name: row[name] for name in _RECORD_FIELDS if row.get(name) is not None}
    values["split"] = Split(row["split"])
    values["captions"] = dict(row["captions"] or {})
    values["tags"] = tuple(row["tags"] or ())
    values["extra"] = json.loads(row["extra"] or "{}")
    return Record(**values)


def _row_of(record: Record) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in _RECORD_FIELDS}
    row["split"] = record.split.value
    row["captions"] = list(record.captions.items())
    row["tags"] = list(record.tags)
    row["extra"] = json.dumps(record.extra, ensure_ascii=False, allow_nan=False) if record.extra else None
    return row
