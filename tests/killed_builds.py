"""Builds that are killed: a parent with the libraries loaded forks a child for each, and says how each one ended.

`python killed_builds.py PLAN.json` reads a list of runs and prints one line of JSON for each: its exit code, negative
for a signal, and how many steps it took. The parent computes nothing itself: its children start without threads.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import color_encoders

import explorer.verify  # noqa: F401 - loaded before the forks
from explorer.manifest import Manifest
from indexer.build import index
from indexer.encoding.encode import EncodeOptions
from indexer.plan import BuildOptions

STEPS = ("fsync", "rename", "replace", "link", "unlink", "rmdir")
"""The calls of `os` by which a build changes what is on the disk for good."""


def options() -> BuildOptions:
    """Small shards, so that a small corpus has several."""
    return BuildOptions(encode=EncodeOptions(shard=8, batch=4), device="cpu")


def manifest(folder: Path) -> Manifest:
    """The manifest of a folder of pictures."""
    return Manifest(kind="folder", base=folder.parent, path=str(folder))


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


def run(plan: dict[str, Any]) -> dict[str, Any]:
    """Build in a child.

    Args:
        plan: `atlas` and `folder`; `die_at` the step to die before; `die_encoding` the number of pictures to die at
            while they are encoded.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        counter = Counter(plan.get("die_at"))
        models = color_encoders.encoders(die_at=plan.get("die_encoding"))
        folder = Path(plan["folder"])
        result = index(Path(plan["atlas"]), manifest(folder), options(), encoders=models)
        told = {
            "steps": counter.count,
            "current": counter.current,
            "version": result.version,
            "new": result.is_new,
            "encoded": models[0].pictures,
        }
        os.write(writing, json.dumps(told).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"code": code, **(json.loads(told) if told else {})}


if __name__ == "__main__":
    for each in json.loads(Path(sys.argv[1]).read_text()):
        sys.stdout.write(json.dumps(run(each)) + "\n")
        sys.stdout.flush()
