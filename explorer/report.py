"""What `generate --out` leaves: the picture, the pictures of its steps, and the report; all of it or nothing."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from explorer.atlas import Atlas
from explorer.errors import QueryError
from explorer.generate import Generation, png_bytes
from explorer.layout import write_atomic
from explorer.records import to_json
from explorer.stamp import public, stamped

PICTURE = "picture.png"
REPORT = "report.json"


def check_free(folder: Path) -> None:
    """Hold that a report can be written: nothing of another run is in `folder`.

    Raises:
        QueryError: it holds something, or is a file.
    """
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        raise QueryError(f"{folder}: holds something already; expected a new or empty folder; name another with --out")


def write_report(folder: Path, generation: Generation, atlas: Atlas) -> dict[str, Any]:
    """Write picture.png, steps/0001.png, ... and report.json, and let them appear as `folder` in one step.

    Returns:
        what the report holds, `image` as an absolute path.

    Raises:
        QueryError: `folder` holds something, or cannot be written.
    """
    check_free(folder)
    report = _report(generation, atlas)
    unfinished = folder.absolute().with_name(f".{folder.name}.{secrets.token_hex(8)}")
    try:
        unfinished.mkdir(parents=True)
        write_atomic(unfinished / PICTURE, png_bytes(generation))
        for number, preview in enumerate(generation.previews, start=1):
            write_atomic(unfinished / _step(number), stamped(preview, generation.recipe))
        write_atomic(unfinished / REPORT, json.dumps(report, ensure_ascii=False, indent=1).encode())
        os.replace(unfinished, folder)
    except OSError as error:
        raise QueryError(f"{folder}: cannot be written ({error.strerror}); name another folder with --out") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return report | {"image": str(folder.absolute() / PICTURE)}


def _report(generation: Generation, atlas: Atlas) -> dict[str, Any]:
    return {
        "image": PICTURE,
        "recipe": asdict(public(generation.recipe)),
        "landing": to_json(generation.landing),
        "trajectory": [
            to_json(step) | {"image": _step(number)} for number, step in enumerate(generation.steps, start=1)
        ],
        "atlas": {"name": atlas.manifest.name, "version": atlas.version},
    }


def _step(number: int) -> str:
    return f"steps/{number:04d}.png"
