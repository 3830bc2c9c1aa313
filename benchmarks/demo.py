"""The demo's atlas from nothing, stage by stage."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import atlases
from benchmarks.parts import Part
from benchmarks.rows import Row, held

MOST = 180.0
"""Seconds."""


def measure() -> Iterator[Row]:
    """Its stages, and all of it."""
    built = atlases.told(atlases.build(atlases.DEMO, atlases.FOLDER / "demo"))
    seconds = built["seconds"]
    for stage, spent in built["stages"].items():
        yield Row(f"stage {stage}", f"{spent:.1f} s", "the whole build", spent / seconds)
    bar = f"at most {MOST:.0f} s: {held(seconds, MOST)}"
    yield Row(f"the demo's atlas, {built['images']:,} pictures", f"{seconds:.0f} s", bar=bar)


PARTS = (Part("demo/build", measure, minutes=1.5),)
