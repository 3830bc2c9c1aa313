"""A folder of results: all of its files or none, and never over what is there."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from explorer.errors import QueryError


def check_free(folder: Path) -> None:
    """Hold that a folder can be made: nothing of another run is in it.

    Raises:
        QueryError: it holds something, is a file, has a name that no folder can have, or lies where none can be made.
    """
    try:
        is_taken = bool(os.listdir(folder)) or folder.is_symlink()
    except FileNotFoundError:
        is_taken = folder.is_symlink()
    except NotADirectoryError:
        is_taken = folder.exists()
    except OSError as error:
        raise _unwritable(folder, error) from error
    if is_taken:
        raise QueryError(f"{folder}: holds something already; expected a new or empty folder; name another with --out")
    above = next(each for each in folder.absolute().parents if each.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise QueryError(f"{folder}: cannot be made in {above}; name another folder with --out")


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A folder to write into, which takes its name when the block ends, in one step, and is gone if it fails.

    Raises:
        QueryError: `folder` holds something, or cannot be written.
    """
    check_free(folder)
    unfinished = folder.absolute().with_name(f".{folder.name}.{secrets.token_hex(8)}")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        os.replace(unfinished, folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> QueryError:
    return QueryError(f"{folder}: cannot be written ({error.strerror}); name another folder with --out")
