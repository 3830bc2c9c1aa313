"""Curves between 0 and 1 as SVG, for a page that shows pictures from files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

SIDE, MARGIN = 320, 48
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which the color-blind tell apart too."""
INK = "#444"


@dataclass(frozen=True, slots=True)
class Line:
    """One curve.

    Attributes:
        name: for the legend.
        across: its points, 0-1.
        up: the same many, 0-1.
    """

    name: str
    across: Sequence[float]
    up: Sequence[float]


def chart(lines: Sequence[Line], across: str, up: str) -> bytes:
    """The curves in one square with axes from 0 to 1, their names below it; `across` and `up` are what the axes are."""
    height = SIDE + 2 * MARGIN + 18 * len(lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE + 2 * MARGIN} {height}" '
        f'width="{SIDE + 2 * MARGIN}" font-family="sans-serif" font-size="12" fill="{INK}">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<rect x="{MARGIN}" y="{MARGIN}" width="{SIDE}" height="{SIDE}" fill="none" stroke="{INK}"/>',
        *(_tick(share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)),
        f'<text x="{MARGIN + SIDE / 2}" y="{MARGIN + SIDE + 34}" text-anchor="middle">{escape(across)}</text>',
        f'<text x="{MARGIN}" y="{MARGIN - 12}">{escape(up)}</text>',
    ]
    for number, line in enumerate(lines):
        parts += _curve(line, COLORS[number % len(COLORS)], SIDE + 2 * MARGIN + 18 * number)
    return "\n".join([*parts, "</svg>", ""]).encode()


def _tick(share: float) -> str:
    across, up = _place(share, share)
    return (
        f'<path d="M{across} {MARGIN + SIDE}v-5M{MARGIN} {up}h5" stroke="{INK}"/>'
        f'<text x="{across}" y="{MARGIN + SIDE + 16}" text-anchor="middle">{share:g}</text>'
        f'<text x="{MARGIN - 6}" y="{up + 4}" text-anchor="end">{share:g}</text>'
    )


def _curve(line: Line, color: str, down: float) -> list[str]:
    places = (_place(*pair) for pair in zip(line.across, line.up, strict=True))
    points = " ".join(f"{across},{up}" for across, up in places)
    return [
        f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>',
        f'<path d="M{MARGIN} {down}h22" stroke="{color}" stroke-width="3"/>',
        f'<text x="{MARGIN + 30}" y="{down + 4}">{escape(line.name)}</text>',
    ]


def _place(across: float, up: float) -> tuple[float, float]:
    return round(MARGIN + SIDE * across, 1), round(MARGIN + SIDE * (1 - up), 1)
