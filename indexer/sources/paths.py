"""Files that a manifest's `path` names: one, those of a folder, or those of a glob."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from explorer.errors import ManifestError


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file and what it is called.

    Attributes:
        name: its path from the folder, the glob's fixed part, or its own folder; without ending, "/" on every system.
    """

    path: Path
    name: str

    @property
    def stamp(self) -> str:
        """A text that differs whenever the file may: its size and times."""
        status = self.path.stat()
        return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def named_files(path: Path, ending: str) -> tuple[NamedFile, ...]:
    """The files at `path`, in the order of their paths; in a folder and below it those with this ending.

    Raises:
        ManifestError: there is none.
    """
    root, found = path.parent, [path]
    if path.is_dir():
        root, found = path, sorted(path.rglob(f"*{ending}"))
    elif not path.is_file():
        root = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))
        found = sorted(Path(name) for name in glob.iglob(str(path), recursive=True))
    files = tuple(
        NamedFile(each, each.relative_to(root).with_suffix("").as_posix()) for each in found if each.is_file()
    )
    if not files:
        raise ManifestError(f"path: found no {ending} at {path}; name a file, a folder that holds some, or a glob")
    return files
