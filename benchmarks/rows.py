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
class Row:
    """One line of the table.

    Attributes:
        what: what was measured.
        ours: the figure, with its unit.
        against: the peer or the bound, with its figure from the same run.
        ratio: ours over the peer's; None where there is none.
        bar: what was promised, and whether it holds.
    """

    what: str
    ours: str
    against: str = ""
    ratio: float | None = None
    bar: str = ""


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


def held(value: float, most: float) -> str:
    """Whether a bar holds, in a word."""
    return "yes" if value <= most else "NO"


def table(rows: Iterable[Row]) -> str:
    """Markdown."""
    lines = ["| measured | figure | against, in the same run | ratio | bar |", "|---|---|---|---|---|"]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        lines.append(f"| {row.what} | {row.ours} | {row.against} | {ratio} | {row.bar} |")
    return "\n".join(lines)


def machine() -> str:
    """What it was measured on."""
    names = ("torch", "diffusers", "open_clip_torch", "umap-learn", "faiss-cpu", "dash")
    libraries = ", ".join(f"{name} {version(name)}" for name in names)
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}; {libraries}"
