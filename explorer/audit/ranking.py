"""The prompts of an audit, those whose pictures come nearest to training pictures first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.audit.diversity import mean_pairwise
from explorer.audit.shards import Row, Vectors
from explorer.landing import VerdictName

Integers = npt.NDArray[np.integer[Any]]


def groups(rows: Sequence[Row]) -> npt.NDArray[np.int64]:
    """Which prompt each row is of, int64 (m,), counted up in the order of rows; a row without one stands alone."""
    numbers: dict[object, int] = {}
    keys = [("prompt", row["prompt"]) if row["prompt"] is not None else ("row", row["row"]) for row in rows]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def ranked(rows: Sequence[Row], vectors: Mapping[str, Vectors], of: Integers) -> list[dict[str, Any]]:
    """One entry a prompt: how near its pictures come, and whether its seeds collapse into one picture.

    The order: most copies first, then by the highest percentile in any space, then by the highest similarity.

    Args:
        rows: located ones.
        vectors: space -> (m, d), of these rows.
        of: from `groups`.
    """
    order = np.argsort(of, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(of[order])) + 1) if len(order) else []
    entries = [_entry([rows[at] for at in part], {s: v[part] for s, v in vectors.items()}) for part in parts]
    return sorted(entries, key=_nearness)


def _entry(rows: Sequence[Row], vectors: Mapping[str, Vectors]) -> dict[str, Any]:
    verdicts = [row["verdict"] for row in rows]
    return {
        "prompt": rows[0]["prompt"],
        "id": rows[0]["id"],
        "seeds": len(rows),
        "rows": [row["row"] for row in rows],
        "verdicts": {name.value: verdicts.count(name.value) for name in VerdictName if name.value in verdicts},
        "spaces": {space: _space(rows, space, found) for space, found in vectors.items()},
    }


def _space(rows: Sequence[Row], space: str, vectors: Vectors) -> dict[str, Any]:
    """How a prompt's pictures stand in one space; `row` names the nearest one, its picture `nearest`."""
    told = [row for row in rows if space in row["similarity"]]
    best = max(told, key=lambda row: float(row["similarity"][space]), default=None)
    percentiles = [row["percentile"][space] for row in told if row["percentile"][space] is not None]
    return {
        "similarity": best and best["similarity"][space],
        "percentile": max(percentiles, default=None),
        "mean_similarity": float(np.mean([row["similarity"][space] for row in told])) if told else None,
        "row": best and best["row"],
        "nearest": {space: best["nearest"][space]} if best else {},
        "collapse": mean_pairwise(vectors),
    }


def _nearness(entry: Mapping[str, Any]) -> tuple[float, ...]:
    spaces = entry["spaces"].values()
    percentile = max((each["percentile"] or 0.0 for each in spaces), default=0.0)
    similarity = max((each["similarity"] or 0.0 for each in spaces), default=0.0)
    return -entry["verdicts"].get(VerdictName.COPY.value, 0), -percentile, -similarity
