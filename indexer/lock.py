"""One writer an atlas: a lock that its owner's death releases, and a note of who the owner is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from filelock import FileLock, Timeout

from explorer.errors import BuildError
from explorer.layout import AtlasPaths, write_atomic


@contextmanager
def writing(paths: AtlasPaths) -> Iterator[None]:
    """Be the only one who changes an atlas while the block runs.

    The lock is the operating system's, so it goes with the process that holds it, however that ends.

    Raises:
        BuildError: another process is writing; it is named.
    """
    paths.build.mkdir(parents=True, exist_ok=True)
    owner = paths.build / "owner.json"
    try:
        with FileLock(paths.build / "lock").acquire(timeout=0):
            write_atomic(owner, json.dumps({"pid": os.getpid(), "since": datetime.now(UTC).isoformat()}).encode())
            try:
                yield
            finally:
                owner.unlink(missing_ok=True)
    except Timeout as error:
        raise BuildError(f"{paths.root}: {_named(paths)} is building it; wait until it is done, or stop it") from error


@contextmanager
def explained(paths: AtlasPaths) -> Iterator[None]:
    """Turn what the operating system says of a full or read-only disk into one line."""
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"{error.filename or paths.root}: {error.strerror or error}; make room there or name another place, and "
            "run the same command again: what is done is kept"
        ) from error


def _named(paths: AtlasPaths) -> str:
    """The owner in words."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        owner = json.loads((paths.build / "owner.json").read_bytes())
        return f"process {owner['pid']} (since {owner['since'][:19]})"
    return "another process"
