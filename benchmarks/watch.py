"""What a process and all below it take: memory and processor, seen from outside."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

INTERVAL = 0.2
"""Seconds between two looks."""
_TOLD = 2000
"""Characters of an error that are shown."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a command took.

    Attributes:
        output: what it printed.
        seconds: from its start to its end.
        peak: most resident bytes of its process tree, shared pages counted for each process that has them.
        processor: seconds of processor that the tree took, starting up included.
    """

    output: str
    seconds: float
    peak: int
    processor: float


class Watch(threading.Thread):
    """Looks at a process and all below it until it ends.

    Attributes:
        peak: most resident bytes at a time.
        processor: process -> seconds that it took.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._root = psutil.Process(pid)
        self.peak, self.processor = 0, dict[int, float]()

    def run(self) -> None:
        """Look, until the process is gone."""
        while self._root.is_running() and self._root.status() != psutil.STATUS_ZOMBIE:
            resident = 0
            for process in tree(self._root):
                with suppress(psutil.NoSuchProcess):
                    resident += process.memory_info().rss
                    times = process.cpu_times()
                    self.processor[process.pid] = times.user + times.system
            self.peak = max(self.peak, resident)
            time.sleep(INTERVAL)


def tree(root: psutil.Process) -> list[psutil.Process]:
    """A process and all below it; empty where it is gone."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def watched(command: Sequence[str]) -> Watched:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; with the end of what it said on standard error.
    """
    started = time.perf_counter()
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as process,
    ):
        watch = Watch(process.pid)
        watch.start()
        output, _ = process.communicate()
        watch.join()
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{command[0]} ended with {process.returncode}: {said.read()[-_TOLD:]}")
    return Watched(output, time.perf_counter() - started, watch.peak, sum(watch.processor.values()))
