"""A measured row, how a call is timed, and how the rows become a table."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a row at one size, for the table of how things grow.

    Attributes:
        series: what was measured, the same words at every size.
        n: vectors, points or pictures that it was measured on.
        value: the number.
        unit: of it: `s`, `ms`, `MB` or `GB`.
    """

    series: str
    n: int
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was measured.
        ours: the figure, with its unit.
        against: the peer or the bound, with its figure from the same run.
        ratio: ours over the peer's; None where there is none.
        bar: what was promised, and whether it holds.
        data: which vectors or pictures it was measured on; empty where the section's words say it.
        figures: what of it grows with the number of pictures.
    """

    what: str
    ours: str
    against: str = ""
    ratio: float | None = None
    bar: str = ""
    data: str = ""
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of repeated calls."""

    seconds: tuple[float, ...]

    @property
    def p50(self) -> float:
        """The median, seconds."""
        return float(np.percentile(self.seconds, 50))

    @property
    def p99(self) -> float:
        """The 99th percentile, seconds."""
        return float(np.percentile(self.seconds, 99))


def timed(call: Callable[[], object], repeats: int, warmup: int = 2) -> Times:
    """Time `call`, after `warmup` calls that do not count."""
    for _ in range(warmup):
        call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return Times(tuple(seconds))


def milliseconds(seconds: float) -> str:
    """A time for the table."""
    return f"{seconds * 1e3:,.2f} ms" if seconds < 0.1 else f"{seconds * 1e3:,.0f} ms"


def duration(seconds: float) -> str:
    """A longer time for the table."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def held(value: float, most: float) -> str:
    """Whether a bar holds, in a word."""
    return "yes" if value <= most else "NO"


def table(rows: Iterable[Row], commands: Iterable[str] | None = None) -> str:
    """Markdown; with the command that makes each row beside it, where commands are given."""
    rows = list(rows)
    heads = ["measured", "figure", "against, in the same run", "ratio", "bar"]
    lines = [[r.what, r.ours, r.against, "" if r.ratio is None else f"{r.ratio:.2f}", r.bar] for r in rows]
    if any(row.data for row in rows):
        heads.insert(1, "data")
        for line, row in zip(lines, rows, strict=True):
            line.insert(1, row.data)
    if commands is not None:
        heads.append("command")
        for line, command in zip(lines, commands, strict=True):
            line.append(f"`{command}`")
    return grid(heads, lines)


def grid(heads: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """A table in Markdown, cell by cell."""
    heads = list(heads)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, *lines)).replace(
        "\n", f"\n|{'---|' * len(heads)}\n", 1
    )


def machine() -> str:
    """What it was measured on."""
    names = ("torch", "diffusers", "open_clip_torch", "umap-learn", "faiss-cpu", "dash")
    libraries = ", ".join(f"{name} {version(name)}" for name in names)
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}; {libraries}"
