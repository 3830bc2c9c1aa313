"""Work that is killed at a step on the disk: a parent with the libraries loaded forks a child for each.

The parent computes nothing itself, so that its children start without threads. A script that ends in `answer(run)` is
called with a file of JSON, a list of runs, and prints one line of JSON for each.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = ("fsync", "rename", "replace", "link", "unlink", "rmdir")
"""The calls of `os` by which an atlas is changed on the disk for good."""


class Counter:
    """Counts the steps and kills its own process before one of them.

    Attributes:
        count: steps so far.
        current: the step that put CURRENT in its place.
    """

    def __init__(self, die_at: int | None) -> None:
        self.count, self.current, self._die_at = 0, 0, die_at
        for name in STEPS:
            setattr(os, name, self._watched(getattr(os, name)))

    def _watched(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **settings: Any) -> Any:  # noqa: ANN401 - os's own
            self.count += 1
            if self.count == self._die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if str(args[-1]).endswith("CURRENT"):
                self.current = self.count
            return call(*args, **settings)

        return step


def killed(work: Callable[[], dict[str, Any]], die_at: int | None) -> dict[str, Any]:
    """Do something in a child that dies before step `die_at`.

    Returns:
        `code`, negative for a signal; of a child that came to its end also `steps`, `current` and what `work` told.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        counter = Counter(die_at)
        told = work()
        os.write(writing, json.dumps({"steps": counter.count, "current": counter.current, **told}).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"code": code, **(json.loads(told) if told else {})}


def answer(run: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Do the runs that the command line's file lists, and print what became of each."""
    for each in json.loads(Path(sys.argv[1]).read_text()):
        sys.stdout.write(json.dumps(run(each)) + "\n")
        sys.stdout.flush()
