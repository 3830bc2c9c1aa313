"""What can happen to a process while it writes: it is killed, in the middle of a write too, or the disk refuses.

`Disk` watches every change that this process makes to the files below a folder, tells which stage of a build made it,
and lets the fault happen at one of them. It is for child processes: nothing takes it off again.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

STAGES = (
    "plan",
    "fetch",
    "encode",
    "families",
    "vectors",
    "neighbors",
    "baseline",
    "project",
    "cluster",
    "publish",
    "current",
)
"""Where a build can be, in its order; told by the file that it changes."""
_ONE_PATH = ("unlink", "remove", "rmdir", "mkdir", "truncate")
_TWO_PATHS = ("rename", "replace", "link")


class How(StrEnum):
    """What happens; what is no kill goes on from there until the fault is taken away."""

    KILL = "kill"
    """SIGKILL just before the change."""
    TEAR = "tear"
    """SIGKILL when half of a write has reached the file; before any other change."""
    FULL = "full"
    """There is no room left; what takes none still works."""
    BROKEN = "broken"
    """The disk fails."""
    READ_ONLY = "read-only"
    """The disk has become read-only."""
    CROWDED = "crowded"
    """The process may open no further file."""


ERRORS = {How.FULL: errno.ENOSPC, How.BROKEN: errno.EIO, How.READ_ONLY: errno.EROFS, How.CROWDED: errno.EMFILE}
_REMOVING = ("unlink", "remove", "rmdir")
_SPARED: Mapping[How, tuple[str, ...]] = {
    How.FULL: _REMOVING,
    How.CROWDED: (*_REMOVING, "write", "fsync", "rename", "replace", "link", "mkdir"),
}
"""What each fault lets pass."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens, and when.

    Attributes:
        number: the change at which it happens, counted from 1 within `stage`.
        stage: one of `STAGES`; None counts all of them together.
    """

    how: How
    number: int
    stage: str | None = None


class Disk:
    """Counts changes below a folder.

    Attributes:
        counts: stage -> changes so far.
        first: stage -> number of its first change, counted over all stages.
        refused: changes that were refused.
    """

    def __init__(self, root: Path, fault: Fault | None = None, log: Path | None = None) -> None:
        """Watch from now on.

        Args:
            root: the atlas.
            fault: what is to happen.
            log: a file that gets a line for each change that has been made for good: what was written stays, renamed.
        """
        self.root, self.fault = os.path.realpath(root), fault
        self.counts: Counter[str] = Counter()
        self.first: dict[str, int] = {}
        self.refused = 0
        self._lock = threading.RLock()
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if log is not None else None
        self._open = io.open
        io.open = builtins.open = self._watched_open  # type: ignore[assignment]
        for name in (*_ONE_PATH, *_TWO_PATHS, "fsync"):
            setattr(os, name, self._watched(getattr(os, name), name))

    def step(self, call: str, path: str, tear: Callable[[], None] | None = None) -> None:
        """Say that a file is about to be changed; OSError or the end of the process where the fault says so."""
        stage = self.stage(path)
        if stage is None:
            return
        with self._lock:
            self.counts[stage] += 1
            self.first.setdefault(stage, self.counts.total())
            fault = self.fault
            if fault is None or (fault.stage or stage) != stage:
                return
            count = self.counts[stage] if fault.stage else self.counts.total()
            if fault.how in ERRORS and count >= fault.number and call not in _SPARED.get(fault.how, ()):
                self.refused += 1
                raise OSError(ERRORS[fault.how], os.strerror(ERRORS[fault.how]), path)
            if count == fault.number and fault.how not in ERRORS:
                if fault.how is How.TEAR and tear is not None:
                    tear()
                os.kill(os.getpid(), signal.SIGKILL)

    def acknowledge(self, path: str) -> None:
        """Note that a change has been made."""
        if self._log is not None and self.stage(path):
            os.write(self._log, f"{os.path.relpath(path, self.root)}\n".encode())

    def stage(self, path: str) -> str | None:
        """Which stage changes a file; None for files that are not the build's."""
        if not path.startswith(f"{self.root}/"):
            return None
        place, *inner = os.path.relpath(path, self.root).split("/")
        if place == "versions":
            return "publish"
        name = (inner[0] if place == "build" and inner else place).lstrip(".")
        return next((stage for stage in STAGES if name.lower().startswith(stage)), None)

    def _watched(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def change(*args: Any, **settings: Any) -> Any:  # noqa: ANN401 - os's own
            path = self._path(args[1 if name in _TWO_PATHS else 0], settings.get("dir_fd"))
            self.step(name, path)
            done = call(*args, **settings)
            if name in ("rename", "replace"):
                self.acknowledge(path)
            return done

        return change

    def _path(self, named: object, folder: int | None) -> str:
        """The path that a call of `os` means; by descriptor it is looked up."""
        if isinstance(named, int):
            return os.readlink(f"/proc/self/fd/{named}")
        start = os.readlink(f"/proc/self/fd/{folder}") if folder is not None else os.getcwd()
        return os.path.normpath(os.path.join(start, os.fsdecode(named)))  # type: ignore[arg-type]

    def _watched_open(self, file: Any, mode: str = "r", *args: Any, **settings: Any) -> Any:  # noqa: ANN401 - open's own
        if isinstance(file, int) or not set(mode) & set("wax+"):
            return self._open(file, mode, *args, **settings)
        path = self._path(file, None)
        if self.stage(path) is None:
            return self._open(file, mode, *args, **settings)
        self.step("open", path)
        return _File(self._open(file, mode, *args, **settings), path, self)


class _File:
    """A file whose writes are watched."""

    def __init__(self, handle: Any, path: str, disk: Disk) -> None:  # noqa: ANN401 - any file
        self._handle, self._path, self._disk = handle, path, disk

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        """Write, unless the fault happens."""
        self._disk.step("write", self._path, lambda: self._half(data))
        written: int = self._handle.write(data)
        self._disk.acknowledge(self._path)
        return written

    def _half(self, data: Any) -> None:  # noqa: ANN401 - any buffer
        view = memoryview(data).cast("B")
        self._handle.write(view[: len(view) // 2])
        self._handle.flush()

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the file's own
        return getattr(self._handle, name)
