"""What `generate --out` leaves: the picture, the pictures of its steps, and the report; all of it or nothing."""

from __future__ import annotations

from pathlib import Path

from explorer.film import webm
from explorer.folders import whole
from explorer.generate import Generation, Generator, png_bytes
from explorer.layout import write_atomic
from explorer.pictures import thumbnail_webp
from explorer.report.document import Document, Subject, document
from explorer.report.file import as_json
from explorer.report.page import gathered, render
from explorer.stamp import stamped

PICTURE = "picture.png"
FILM = "way.webm"
REPORT = "report.json"
PAGE = "report.html"


def write_report(folder: Path, generation: Generation, generator: Generator) -> Document:
    """Write picture.png, steps/0001.png, ..., way.webm, report.json and report.html; `folder` appears in one step.

    Returns:
        what report.json holds, `image` as an absolute path.

    Raises:
        QueryError: `folder` holds something, or cannot be written.
    """
    with whole(folder) as unfinished:
        report = _report(generation, generator)
        previews = {number: thumbnail_webp(each) for number, each in enumerate(generation.previews, start=1)}
        page = render(report, gathered(generator.atlas, report, generation.image, previews))
        write_atomic(unfinished / PICTURE, png_bytes(generation))
        for number, preview in enumerate(generation.previews, start=1):
            write_atomic(unfinished / _step(number), stamped(preview, generation.recipe))
        write_atomic(unfinished / FILM, webm(generation.previews))
        write_atomic(unfinished / REPORT, as_json(report))
        write_atomic(unfinished / PAGE, page.encode())
    return report | {"image": str(folder.absolute() / PICTURE)}


def _report(generation: Generation, generator: Generator) -> Document:
    told = document(generator.atlas, generator.models, Subject.of(generation))
    steps = [step | {"image": _step(number)} for number, step in enumerate(told["trajectory"], start=1)]
    return {"image": PICTURE, **told, "trajectory": steps}


def _step(number: int) -> str:
    return f"steps/{number:04d}.png"
