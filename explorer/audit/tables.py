"""An audit as tables for other programs: `rows.csv`, one line a prompt and seed, and `prompts.csv`, ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from explorer.formats import WRITERS
from explorer.landing import VerdictName
from explorer.layout import replacing

ROWS, PROMPTS = "rows.csv", "prompts.csv"

Line = dict[str, Any]


def write(folder: Path, document: Mapping[str, Any]) -> None:
    """Write both tables of an audit's document; OSError where they cannot be written."""
    names = list(document["spaces"])
    _write(folder / ROWS, [_row(row, names, document["axes"]) for row in document["rows"]])
    _write(folder / PROMPTS, [_prompt(rank, entry) for rank, entry in enumerate(document["ranking"], start=1)])


def _row(row: Mapping[str, Any], spaces: Sequence[str], axes: Sequence[Mapping[str, Any]]) -> Line:
    line: Line = {name: row[name] for name in ("row", "prompt", "id", "seed", "file", "picture", "error")}
    line["verdict"] = row.get("verdict")
    for space in spaces:
        point = row.get("point", {}).get(space, [None, None, None])
        line |= {f"{space}_{name}": row.get(name, {}).get(space) for name in _BY_SPACE}
        line |= {f"{space}_{axis}": value for axis, value in zip("xyz", point, strict=True)}
    for axis in axes:
        name = f"{axis['low']} – {axis['high']}"
        line[f"axis: {name}"] = row.get("axes", {}).get(name)
    return line


_BY_SPACE = ("nearest", "similarity", "percentile", "by_family", "distance", "cluster")


def _prompt(rank: int, entry: Mapping[str, Any]) -> Line:
    line: Line = {"rank": rank, "prompt": entry["prompt"], "id": entry["id"], "seeds": entry["seeds"]}
    line |= {name.value: entry["verdicts"].get(name.value, 0) for name in VerdictName}
    for space, told in entry["spaces"].items():
        line |= {f"{space}_{name}": told[name] for name in ("similarity", "percentile", "mean_similarity", "collapse")}
        line |= {f"{space}_nearest": told["nearest"].get(space), f"{space}_row": told["row"]}
    return line


def _write(path: Path, lines: Sequence[Line]) -> None:
    """Write lines that all have the same columns; texts that a spreadsheet would run are guarded."""
    schema = pa.schema([(name, pa.string()) for name in lines[0]])
    with replacing(path) as handle:
        for _ in WRITERS["csv"](handle, schema, iter([list(lines)])):
            pass
