"""How figures grow with the number of pictures: exponents of power laws, and what they say of larger numbers.

A figure v that grows as n^e has log v = e log n + c; e is the slope of the least squares over all sizes. Where a fixed
cost is in it, that slope is too low; so what is said of larger numbers follows v = c + k n^e through the largest three.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import log

import numpy as np
from scipy.optimize import brentq

from benchmarks.parts import Result
from benchmarks.rows import grid

LEAST_SIZES = 2
LEAST_EXPONENT, MOST_EXPONENT = 0.01, 2.0
"""Of a curve with a fixed cost; beyond these, noise is what was fitted."""
UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
"""Seconds of each unit of time."""


@dataclass(frozen=True)
class Growth:
    """One series over several sizes.

    Attributes:
        series: what was measured.
        data: on which vectors or pictures.
        unit: of the values.
        values: size -> value, ascending; a value is positive.
        command: what measures it.
    """

    series: str
    data: str
    unit: str
    values: Mapping[int, float]
    command: str

    @property
    def exponent(self) -> float:
        """The slope over all sizes, in logarithms."""
        return float(np.polyfit(np.log(list(self.values)), np.log(list(self.values.values())), 1)[0])

    @cached_property
    def curve(self) -> Curve:
        """What goes through the largest three sizes; a power law through the last two where nothing else fits."""
        (before, less), (largest, most) = list(self.values.items())[-2:]
        slope = log(most / less) / log(largest / before)
        plain = Curve(0.0, most / largest**slope, slope)
        return _with_fixed_cost(self.values) or plain


@dataclass(frozen=True, slots=True)
class Curve:
    """What grows as fixed + factor x n^exponent."""

    fixed: float
    factor: float
    exponent: float

    def at(self, n: int) -> float:
        """What it says of a size."""
        return self.fixed + self.factor * n**self.exponent


def _with_fixed_cost(values: Mapping[int, float]) -> Curve | None:
    """The curve through the largest three sizes; None where they are too few or grow like no such curve."""
    if len(values) < 3:
        return None
    (first, least), (second, more), (third, most) = list(values.items())[-3:]
    if not least < more < most:
        return None

    def off(exponent: float) -> float:
        powers = [(size / first) ** exponent for size in (first, second, third)]
        return (powers[2] - powers[1]) / (powers[1] - powers[0]) - (most - more) / (more - least)

    if off(LEAST_EXPONENT) * off(MOST_EXPONENT) > 0:
        return None
    exponent = float(brentq(off, LEAST_EXPONENT, MOST_EXPONENT))
    factor = (most - more) / (third**exponent - second**exponent)
    return Curve(most - factor * third**exponent, factor, exponent)


def growths(results: Iterable[Result]) -> list[Growth]:
    """Every series that was measured at two sizes or more, in the order of the results."""
    found: dict[tuple[str, str, str, str], dict[int, float]] = {}
    for result in results:
        command = f"python -m benchmarks {result.name.split('/')[0]}"
        for row in result.rows:
            for figure in (figure for figure in row.figures if figure.value > 0):
                key = (figure.series, row.data, figure.unit, command)
                found.setdefault(key, {})[figure.n] = figure.value
    return [
        Growth(series, data, unit, dict(sorted(values.items())), command)
        for (series, data, unit, command), values in found.items()
        if len(values) >= LEAST_SIZES
    ]


def table(grown: Iterable[Growth]) -> str:
    """Markdown: a line a series, a column a size."""
    grown = list(grown)
    sizes = sorted({n for growth in grown for n in growth.values})
    heads = ["measured", "data", *(f"{n:,}" for n in sizes), "exponent", "beyond a fixed cost", "command"]
    lines = [
        [
            growth.series,
            growth.data,
            *(told(growth.values[n], growth.unit) if n in growth.values else "" for n in sizes),
            f"{growth.exponent:.2f}",
            f"{growth.curve.exponent:.2f}",
            f"`{growth.command}`",
        ]
        for growth in grown
    ]
    return grid(heads, lines)


def told(value: float, unit: str) -> str:
    """A value with three digits and its unit; long times in minutes, hours or days, much memory in GB or TB."""
    if unit in UNITS:
        seconds = value * UNITS[unit]
        for name, size in (("days", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)):
            if seconds >= 2 * size or name == "s" and seconds >= 1:
                return f"{seconds / size:,.3g} {name}"
        return f"{seconds * 1e3:,.3g} ms"
    scale = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}
    if unit in scale:
        size = value * scale[unit]
        for name, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
            if size >= factor:
                return f"{size / factor:,.3g} {name}"
    return f"{value:,.3g} {unit}".rstrip()
