"""The tables of docs/demo-models.md, written between their marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- figures: made by python -m indexer.demo.evaluate -->", "<!-- /figures -->"

Row = tuple[str, str, str]


def insert(figures: Mapping[str, Any], path: Path) -> None:
    """Replace the marked part of the document by the tables of these figures."""
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    path.write_text(f"{head}{BEGIN}\n{tables(figures)}\n{END}{tail}", encoding="utf-8")


def tables(figures: Mapping[str, Any]) -> str:
    """Markdown: figure, bar, reached."""
    corpus = figures["corpus"]
    count = (
        f"{corpus['pictures']:,} pictures of {corpus['families']:,} families; {corpus['heldout_families']:,} families "
        f"({corpus['heldout_pictures']:,} pictures) held out. The files take {figures['megabytes']} MB."
    )
    return f"{count}\n\n{_table(_clip(figures['clip']) + _vae(figures['vae']) + _generator(figures))}"


def _clip(clip: Mapping[str, Any]) -> list[Row]:
    english, chinese = clip["en"], clip["zh"]
    return [
        _row(f"CLIP: family among 10, {english['captions']:,} English captions", 0.95, english["family_at_10"]),
        _row(f"CLIP: family among 10, {chinese['captions']:,} Chinese captions", 0.90, chinese["family_at_10"]),
        _row(f"CLIP: a bearer among 10, {english['tags'] + chinese['tags']:,} tags", 0.90, clip["tag_at_10"]),
        (f"- {english['tags']:,} English tags", "", f"{english['tag_at_10']:.1%}"),
        (f"- {chinese['tags']:,} Chinese tags", "", f"{chinese['tag_at_10']:.1%}"),
    ]


def _vae(vae: Mapping[str, Any]) -> list[Row]:
    mark = _mark(vae["psnr"] >= 25)
    spread = f"{vae['psnr_5th']} to {vae['psnr_95th']} dB"
    return [
        ("VAE: mean PSNR over all pictures", "25 dB", f"{vae['psnr']} dB{mark}"),
        ("- 5th to 95th percentile", "", spread),
        ("- held-out families", "", f"{vae['psnr_heldout']} dB"),
    ]


def _generator(figures: Mapping[str, Any]) -> list[Row]:
    made, speed = figures["generator"], figures["speed"]
    train, chinese, heldout = made["train"], made["train_zh"], made["heldout"]
    return [
        _row(f"Generator: family among 10, {train['prompts']} training captions", 0.60, train["family_at_10"]),
        ("- the nearest of all", "", f"{train['family_at_1']:.1%}"),
        (f"- {chinese['prompts']} training captions in Chinese", "", f"{chinese['family_at_10']:.1%}"),
        (f"- {heldout['prompts']} held-out captions", "reported", f"{heldout['family_at_10']:.1%}"),
        (
            f"One picture of {speed['steps']} steps, {speed['threads']} threads",
            "2 s",
            f"{speed['seconds']} s{_mark(speed['seconds'] <= 2)}",
        ),
    ]


def _row(name: str, bar: float, value: float) -> Row:
    return (name, f"{bar:.0%}", f"{value:.1%}{_mark(value >= bar)}")


def _mark(reached: bool) -> str:
    return "" if reached else " (not reached)"


def _table(rows: Sequence[Row]) -> str:
    lines = [("Figure", "Bar", "Reached"), ("---", "---", "---"), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
