"""Atlases to measure on, each built when it is first asked for: out of vectors, out of the demo, or drawn."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.parts import ROOT, RUNS
from benchmarks.vectors import Data, source
from benchmarks.watch import Watched, watched
from explorer.layout import AtlasPaths

FOLDER = RUNS / "atlases"
CONSOLE = "import sys; from webapp.cli import main; sys.exit(main())"
"""The console script, for an interpreter whose environment has none."""
DEMO = ROOT / "data_manifests" / "openmoji.toml"


def verb(*words: str | Path) -> list[str]:
    """The command of a verb that prints JSON."""
    return [sys.executable, "-c", CONSOLE, *map(str, words), "--json"]


def atlas(data: Data, n: int) -> Path:
    """The atlas of the first n vectors."""
    path = FOLDER / f"{data}-{n}"
    if not AtlasPaths(path).current.exists():
        build(source(data, n), path)
    return path


def demo() -> Path:
    """The demo's atlas."""
    path = FOLDER / "demo"
    if not AtlasPaths(path).current.exists():
        build(DEMO, path)
    return path


def build(manifest: Path, path: Path, *options: str) -> Watched:
    """Build an atlas from nothing with the command line, watched; `output` is what it prints as JSON."""
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return watched(verb("index", path, "--manifest", manifest, *options))


def told(run: Watched) -> dict[str, Any]:
    """What a verb printed."""
    document: dict[str, Any] = json.loads(run.output)
    return document
