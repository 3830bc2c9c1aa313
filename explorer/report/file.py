"""A report as one file, of the kind that its name asks for: the JSON document, or the page that stands alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from explorer.atlas import Atlas
from explorer.errors import QueryError, UsageError
from explorer.layout import write_atomic
from explorer.report.document import Document
from explorer.report.page import gathered, render

JSON, HTML = ".json", ".html"


def check_name(file: Path) -> None:
    """Hold that a report can be written under this name, before anything is computed for it.

    Raises:
        UsageError: it ends neither in .json nor in .html.
        QueryError: something is there already, its folder is not, or no file can have this name.
    """
    if file.suffix.lower() not in (JSON, HTML):
        raise UsageError(f"--report {file}: expected a name that ends in {HTML} or {JSON}")
    try:
        is_taken, has_folder = file.exists() or file.is_symlink(), file.absolute().parent.is_dir()
    except OSError as error:  # such as a name that is too long
        raise _unwritable(file, error) from error
    if is_taken:
        raise QueryError(f"{file}: is there already; name another file with --report")
    if not has_folder:
        raise QueryError(f"{file}: there is no folder {file.parent}; make it, or name another file with --report")


def write_file(
    file: Path, atlas: Atlas, report: Document, picture: Image.Image, previews: Mapping[int, bytes] | None = None
) -> None:
    """Write a report, whole or not at all.

    Args:
        file: ends in .json or .html; see `check_name`.
        atlas: whose thumbnails the page shows.
        report: as `explorer.report.document` makes it.
        picture: that it is about.
        previews: number (1-based) -> the picture after that step, WebP.

    Raises:
        QueryError: it cannot be written.
    """
    if file.suffix.lower() == JSON:
        data = as_json(report)
    else:
        data = render(report, gathered(atlas, report, picture, previews or {})).encode()
    try:
        write_atomic(file, data)
    except OSError as error:
        raise _unwritable(file, error) from error


def _unwritable(file: Path, error: OSError) -> QueryError:
    return QueryError(f"{file}: cannot be written ({error.strerror}); name another file with --report")


def as_json(report: Document) -> bytes:
    """The document as a file."""
    return json.dumps(report, ensure_ascii=False, allow_nan=False, indent=1).encode()
