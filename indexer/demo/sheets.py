"""Pictures for the documentation: contact sheets and loss curves, drawn with Pillow alone."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WHITE, INK, PALE, LINE = (255, 255, 255), (40, 40, 40), (205, 205, 205), (30, 100, 200)
_CAPTION_LINES = 2


def contact_sheet(
    pictures: Sequence[Image.Image], captions: Sequence[str], columns: int, side: int = 96
) -> Image.Image:
    """Pictures in rows, each above its caption; drawn at `side` pixels by smooth enlargement."""
    font = ImageFont.load_default(10)
    line = 12
    cell = (side + 8, side + 8 + _CAPTION_LINES * line)
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * cell[0], rows * cell[1]), WHITE)
    draw = ImageDraw.Draw(sheet)
    for place, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left, top = place % columns * cell[0] + 4, place // columns * cell[1] + 2
        sheet.paste(picture.resize((side, side), Image.Resampling.BICUBIC), (left, top))
        for number, words in enumerate(textwrap.wrap(caption, side // 5)[:_CAPTION_LINES]):
            draw.text((left, top + side + number * line), words, fill=INK, font=font)
    return sheet


def pair_sheet(above: np.ndarray, below: np.ndarray, columns: int, scale: int = 2) -> Image.Image:
    """Pairs of pictures, uint8 (n, h, w, 3) each, the one above the other, in rows."""
    rows = []
    for start in range(0, len(above), columns):
        for part in (above[start : start + columns], below[start : start + columns]):
            missing = columns - len(part)
            filled = np.concatenate([part, np.full((missing, *part.shape[1:]), 255, np.uint8)])
            rows.append(np.concatenate(list(filled), axis=1))
    sheet = Image.fromarray(np.concatenate(rows))
    return sheet.resize((sheet.width * scale, sheet.height * scale), Image.Resampling.NEAREST)


def curve(name: str, steps: np.ndarray, values: np.ndarray, size: tuple[int, int] = (420, 240)) -> Image.Image:
    """A loss against its step: the values pale, their running median over fifteen in color; the axes are linear."""
    panel = Image.new("RGB", size, WHITE)
    draw, font = ImageDraw.Draw(panel), ImageFont.load_default(11)
    left, top, right, bottom = 52, 24, size[0] - 12, size[1] - 28
    low, high = float(values.min()), float(np.quantile(values, 0.99))
    span = max(high - low, 1e-9)

    def places(line: np.ndarray) -> list[tuple[float, float]]:
        across = left + (right - left) * steps / max(1, steps[-1])
        down = bottom - (bottom - top) * (np.minimum(line, high) - low) / span
        return list(zip(across.tolist(), down.tolist(), strict=True))

    padded = np.pad(values, 7, mode="edge")
    median = np.median(np.lib.stride_tricks.sliding_window_view(padded, 15), axis=1)
    draw.line(places(values), fill=PALE, width=1)
    draw.line(places(median), fill=LINE, width=2)
    draw.line([(left, top), (left, bottom), (right, bottom)], fill=INK)
    draw.text((left, 4), name, fill=INK, font=font)
    draw.text((4, top - 6), f"{high:.3g}", fill=INK, font=font)
    draw.text((4, bottom - 8), f"{low:.3g}", fill=INK, font=font)
    draw.text((right - 70, bottom + 8), f"{int(steps[-1]):,} steps", fill=INK, font=font)
    return panel


def side_by_side(panels: Sequence[Image.Image]) -> Image.Image:
    """Panels of one height in a row."""
    sheet = Image.new("RGB", (sum(panel.width for panel in panels), panels[0].height), WHITE)
    left = 0
    for panel in panels:
        sheet.paste(panel, (left, 0))
        left += panel.width
    return sheet
