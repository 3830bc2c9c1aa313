"""What `generate --out` leaves: the picture, the pictures of its steps, and the report; all of it or nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from explorer.atlas import Atlas
from explorer.film import webm
from explorer.folders import whole
from explorer.generate import Generation, png_bytes
from explorer.layout import write_atomic
from explorer.records import to_json
from explorer.stamp import public, stamped

PICTURE = "picture.png"
FILM = "way.webm"
REPORT = "report.json"


def write_report(folder: Path, generation: Generation, atlas: Atlas) -> dict[str, Any]:
    """Write picture.png, steps/0001.png, ..., way.webm and report.json, and let them appear as `folder` in one step.

    Returns:
        what the report holds, `image` as an absolute path.

    Raises:
        QueryError: `folder` holds something, or cannot be written.
    """
    report = _report(generation, atlas)
    with whole(folder) as unfinished:
        write_atomic(unfinished / PICTURE, png_bytes(generation))
        for number, preview in enumerate(generation.previews, start=1):
            write_atomic(unfinished / _step(number), stamped(preview, generation.recipe))
        write_atomic(unfinished / FILM, webm(generation.previews))
        write_atomic(unfinished / REPORT, json.dumps(report, ensure_ascii=False, indent=1).encode())
    return report | {"image": str(folder.absolute() / PICTURE)}


def _report(generation: Generation, atlas: Atlas) -> dict[str, Any]:
    return {
        "image": PICTURE,
        "recipe": asdict(public(generation.recipe)),
        "landing": to_json(generation.landing),
        "decided": {space: to_json(each) for space, each in generation.decided.items()},
        "trajectory": [
            to_json(step) | {"image": _step(number)} for number, step in enumerate(generation.steps, start=1)
        ],
        "atlas": {"name": atlas.manifest.name, "version": atlas.version},
    }


def _step(number: int) -> str:
    return f"steps/{number:04d}.png"
