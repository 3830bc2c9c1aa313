"""Pictures of any generator in a folder: a stranger's files, each decoded in a process of its own.

A picture's prompt and seed are those that are stamped into it (`explorer.stamp`), else the prompt is what stands in a
text file beside it (`cat.png`, `cat.txt`), else unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from explorer.audit.drawing import Drawing
from explorer.audit.opening import Opened, opened
from explorer.audit.plan import Item
from explorer.audit.prompts import Prompt
from explorer.decoding import Workers
from explorer.errors import PictureError, QueryError
from explorer.recipes import MAX_PROMPT

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif"})


def items(folder: Path) -> tuple[Item, ...]:
    """Every picture below a folder, by its path; hidden files and links are left out.

    Raises:
        QueryError: it is no folder, cannot be read, or holds none.
    """
    if not folder.is_dir():
        raise QueryError(f"{folder}: is no folder; expected one with pictures in it")
    try:
        found = sorted(path.relative_to(folder) for path in folder.rglob("*") if _is_picture(path))
    except OSError as error:
        raise QueryError(f"{folder}: cannot be read ({error.strerror}); expected a folder with pictures") from error
    names = [path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts)]
    if not names:
        raise QueryError(f"{folder}: found no picture; expected JPEG, PNG, WebP or GIF files")
    return tuple(Item(number, file=name) for number, name in enumerate(names))


class Folder:
    """Reads what `items` has listed; see `explorer.audit.drawing.Draw`."""

    def __init__(self, folder: Path, workers: Workers) -> None:
        self._folder, self._workers = folder, workers

    def __call__(self, items: Sequence[Item]) -> list[Drawing]:
        """Decode some pictures, side by side."""
        waiting = [self._workers.submit(opened, self._folder / (item.file or "")) for item in items]
        found = []
        for item, answer in zip(items, waiting, strict=True):
            try:
                found.append(_drawing(item, answer.result()))
            except PictureError as error:
                found.append(Drawing(item, error=f"{error.reason.value}: {error}"))
        return found


def _drawing(item: Item, opened: Opened) -> Drawing:
    prompt = Prompt(opened.prompt[:MAX_PROMPT]) if opened.prompt else None
    return Drawing(replace(item, prompt=prompt, seed=opened.seed), opened.image)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file() and not path.is_symlink()
