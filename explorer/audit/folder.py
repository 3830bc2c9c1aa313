"""Pictures of any generator in a folder: a stranger's files, each decoded in a process of its own.

A picture's prompt and seed are those that are stamped into it (`explorer.stamp`), else the prompt is what stands in a
text file beside it (`cat.png`, `cat.txt`), else unknown. Another picture under the same name makes it another audit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from explorer.audit.drawing import Drawing
from explorer.audit.opening import Opened, opened
from explorer.audit.plan import Item
from explorer.audit.prompts import Prompt
from explorer.decoding import Workers
from explorer.errors import PictureError, QueryError
from explorer.recipes import MAX_PROMPT
from explorer.verify import checksum

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif"})


def items(folder: Path, out: Path) -> tuple[Item, ...]:
    """Every picture below a folder, by its path; hidden files and links are left out.

    Args:
        folder: of the pictures.
        out: the audit's own folder, whose pictures are none of these where it lies below.

    Raises:
        QueryError: it is no folder, cannot be read, holds none, or a name is no text.
    """
    if not folder.is_dir():
        raise QueryError(f"{folder}: is no folder; expected one with pictures in it")
    try:
        names = sorted(_names(folder, out))
    except OSError as error:
        raise QueryError(f"{folder}: cannot be read ({error.strerror}); expected a folder with pictures") from error
    if not names:
        raise QueryError(f"{folder}: found no picture; expected JPEG, PNG, WebP or GIF files")
    for name in names:
        if _is_torn(name):
            raise QueryError(f"{folder}: found a file named {name!r}, which is not UTF-8; rename it")
    return tuple(Item(number, file=name, sha256=_digest(folder / name)) for number, name in enumerate(names))


def _names(folder: Path, out: Path) -> Iterator[str]:
    """What pictures lie below a folder, as paths from there."""
    own = out.resolve()
    for path in folder.rglob("*"):
        below = path.relative_to(folder)
        if not any(part.startswith(".") for part in below.parts) and _is_picture(path):
            if not path.resolve().is_relative_to(own):
                yield below.as_posix()


def _is_torn(text: str) -> bool:
    """Whether a text has halves of characters, as names that are not UTF-8 have in Python."""
    return text != text.encode("utf-8", "replace").decode()


def _digest(path: Path) -> str | None:
    """The sha256 of a file, hex; None where it cannot be read, which its row will say."""
    try:
        return checksum(path)
    except OSError:
        return None


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
