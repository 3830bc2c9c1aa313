"""docs/benchmarks.md and docs/scaling.md, out of the results that are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks import growth, scaling
from benchmarks.parts import ROOT, Part, Result, kept
from benchmarks.rows import table
from benchmarks.sections import SECTIONS, Section

TARGET = ROOT / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Made by `make bench` from scratch, on {machines}. The machines are noisy and rendering is in software: read the ratios,
each against a peer or a bound that was measured in the same run. Times are medians of several runs where a row says so.
The command beside a row measures it alone; `python -m benchmarks --list` says how long each takes, and a run that was
interrupted goes on where it was.

Data: *demo's CLIP* is the demo's CLIP over augmented pictures of the demo, 512 dimensions, a real distribution;
*sentences* is a sentence model over those of docstrings, 512 dimensions, another real one, and ends at 200,000;
*synthetic* is drawn, 512 dimensions: groups of low intrinsic dimension with noise; *drawn points* are an atlas whose
map was drawn and not fitted, for what depends on the number of points alone.
"""
GROWTH = """## How it grows

A figure that grows as n^e has the exponent e: 1 where twice as many pictures take twice as long. The exponent is the
slope over all sizes in logarithms; *beyond a fixed cost* it is that of v = c + k n^e through the three largest sizes.
[scaling.md](scaling.md) says from these what 10 and 100 million need.
"""


def write() -> None:
    """Write both, of everything that was measured so far."""
    results = {section: _kept(section.parts) for section in SECTIONS}
    everything = [result for found in results.values() for result in found]
    if not everything:
        return
    texts = [HEAD.format(machines="; or on ".join(dict.fromkeys(result.machine for result in everything)))]
    texts += [_section(section, found) for section, found in results.items() if found]
    if grown := growth.growths(everything):
        texts.append(f"{GROWTH}\n{growth.table(grown)}\n")
    if missing := [part.name for section in SECTIONS for part in section.parts if kept(part.name) is None]:
        texts.append(f"Not measured here: {', '.join(missing)}.\n")
    TARGET.write_text("\n".join(texts), "utf-8")
    scaling.write(grown)


def tables(parts: Iterable[Part]) -> str:
    """The table of some parts, of those that were measured."""
    results = _kept(parts)
    return f"{_table(results)}\n" if results else ""


def _kept(parts: Iterable[Part]) -> list[Result]:
    return [result for part in parts if (result := kept(part.name))]


def _table(results: Sequence[Result]) -> str:
    rows = [row for result in results for row in result.rows]
    return table(rows, [f"python -m benchmarks {result.name}" for result in results for _ in result.rows])


def _section(section: Section, results: Sequence[Result]) -> str:
    texts = [f"## {section.title}", section.note, _table(results), _measured(results)]
    return "\n\n".join(text for text in texts if text) + "\n"


def _measured(results: Iterable[Result]) -> str:
    """When and at which commits a section was measured, and how busy the machine was before."""
    told = dict.fromkeys(f"{result.day} at {result.commit}" for result in results)
    loads = [result.load for result in results if result.load is not None]
    before = f"; at most {max(loads):.1f} processes wanted a core in the minute before a part" if loads else ""
    return f"Measured on {', '.join(told)}{before}."
