"""`make bench`: build the demo's atlas from scratch, measure everything, write docs/benchmarks.md."""

from __future__ import annotations

import importlib.resources
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks import encoding, fetching, generation, page, questions
from benchmarks.rows import Row, held, machine, table
from explorer import manifest
from explorer.atlas import Atlas
from indexer.build import index

TARGET = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Made by `make bench` from scratch, on {machine}. The machines are noisy and rendering is in software: read the ratios,
each against a peer or a bound that was measured in the same run.

"""
NOTES = {"Fetching": fetching.NOTE, "Encoding": encoding.NOTE}
"""What must be known to read a section's table."""


def main() -> None:
    """Measure and write."""
    sections = {}
    with tempfile.TemporaryDirectory() as folder:
        sections["Build"] = list(build_rows(Path(folder) / "atlas"))
        sections["Fetching"] = list(fetching.measure())
        sections["Encoding"] = list(encoding.measure())
        atlas = Atlas.open(Path(folder) / "atlas")
        for name, module in (("Search and placement", questions), ("Generation", generation), ("Page", page)):
            sys.stderr.write(f"{name} ...\n")
            sections[name] = list(module.measure(atlas))
    text = HEAD.format(machine=machine())
    text += "\n\n".join(_section(name, rows) for name, rows in sections.items()) + "\n"
    TARGET.write_text(text, "utf-8")
    sys.stdout.write(text)


def _section(name: str, rows: Iterable[Row]) -> str:
    note = NOTES.get(name)
    return "\n\n".join([f"## {name}", *([note] if note else []), table(rows)])


def build_rows(path: Path) -> Iterator[Row]:
    """The demo's atlas, by stage."""
    start = time.perf_counter()
    with importlib.resources.as_file(importlib.resources.files("data_manifests") / "openmoji.toml") as file:
        done = index(path, manifest.load(file))
    seconds = time.perf_counter() - start
    for stage, spent in Atlas.open(path).meta["seconds"].items():
        yield Row(f"stage {stage}", f"{spent:.1f} s", "the whole build", spent / seconds)
    yield Row(
        f"the demo's atlas, {done.images:,} pictures",
        f"{seconds:.0f} s",
        "",
        None,
        f"at most 180 s: {held(seconds, 180)}",
    )


if __name__ == "__main__":
    main()
