"""What `noise` tells of a picture's way into noise, and what it leaves in a folder."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from explorer.atlas import Atlas
from explorer.film import webm
from explorer.folders import whole
from explorer.layout import write_atomic
from explorer.noising import NoisedStep, lost
from explorer.records import to_json

FILM = "way.webm"
REPORT = "report.json"


def document(atlas: Atlas, way: Sequence[NoisedStep]) -> dict[str, Any]:
    """A way into noise as JSON; docs/way.md has its keys."""
    return {
        **to_json(way[0].plan),
        "lost": {space: to_json(each) for space, each in lost(way).items()},
        "trajectory": [told(step) for step in way],
        "atlas": {"name": atlas.manifest.name, "version": atlas.version},
    }


def told(step: NoisedStep) -> dict[str, Any]:
    """One step as JSON."""
    held = {"signal": step.signal, "own": dict(step.own), "kept": dict(step.kept), "itself": dict(step.itself)}
    return {**to_json(step.trajectory), **held}


def write(folder: Path, atlas: Atlas, way: Sequence[NoisedStep]) -> dict[str, Any]:
    """Write steps/0001.png, ..., way.webm and report.json, and let them appear as `folder` in one step.

    Returns:
        what the report holds, and `folder` as an absolute path.

    Raises:
        QueryError: `folder` holds something, or cannot be written.
    """
    report = document(atlas, way)
    for number, step in enumerate(report["trajectory"], start=1):
        step["image"] = f"steps/{number:04d}.png"
    with whole(folder) as unfinished:
        for step, kept in zip(report["trajectory"], way, strict=True):
            write_atomic(unfinished / step["image"], _png(kept.picture))
        write_atomic(unfinished / FILM, webm([step.picture for step in way]))
        write_atomic(unfinished / REPORT, json.dumps(report, ensure_ascii=False, indent=1).encode())
    return report | {"folder": str(folder.absolute())}


def _png(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()
