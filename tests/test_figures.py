"""Colors and cluster labels: what figures.py gives the map equals what the style sheet shows and what arrays say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from explorer.records import Cluster
from webapp import figures

CSS = Path(figures.__file__).parent / "assets" / "page.css"
DARK, LIGHT = "#0b0d12", "#f6f7f9"


def luminance(color: str) -> float:
    """Return relative luminance (WCAG 2.2)."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_style_sheet_has_the_maps_colors() -> None:
    """A cluster's dot in the list has the color of its points in the map, in the dark and in the light."""
    dark, light = CSS.read_text("utf-8").split(':root[data-mantine-color-scheme="light"]')[:2]
    for theme, part in (("dark", dark), ("light", light)):
        slots = re.findall(r"--c(\d): (#[0-9a-f]{6})", part)
        assert [color for _, color in sorted(slots)] == list(figures.PALETTE[theme])
        assert re.search(r"--accent: (#[0-9a-f]{6})", part)[1] == figures.ACCENT[theme]


@pytest.mark.parametrize(("theme", "ground"), [("dark", DARK), ("light", LIGHT)])
def test_colors_stand_out_from_the_ground(theme: str, ground: str) -> None:
    """Points have at least 3:1 against the ground, the accent, which also writes words, 4.5:1."""
    assert min(contrast(color, ground) for color in figures.PALETTE[theme]) >= 3
    assert contrast(figures.ACCENT[theme], ground) >= 4.5


def test_centers_are_medians_of_each_cluster() -> None:
    """Each cluster's place is the median of its points, and points outside all clusters count for none."""
    rng = np.random.default_rng(3)
    points = rng.normal(size=(500, 3)).astype(np.float32)
    clusters = rng.integers(-1, 7, 500).astype(np.int32)
    found = figures.centers(points, clusters)
    assert set(found) == set(range(7))
    for cluster, place in found.items():
        np.testing.assert_allclose(place, np.median(points[clusters == cluster], axis=0), rtol=1e-6)


def test_labels_leave_out_what_has_no_name_or_no_place() -> None:
    """A cluster without a label, or without points on this map, gets no name in the map."""
    made = [Cluster("clip", 0, number, label, 5, ()) for number, label in enumerate(("cats", "", "dogs"))]
    labels = figures.labels(made, {0: [1.0, 2.0, 3.0], 1: [0.0, 0.0, 0.0]})
    assert labels == [{"cluster": 0, "label": "cats", "point": [1.0, 2.0, 3.0], "size": 5, "space": "clip"}]


def test_labels_of_fine_clusters_name_their_coarse_one() -> None:
    """A fine cluster's label says of which coarse one it takes the place, as the map must know."""
    (label,) = figures.labels([Cluster("vae", 1, 3, "kittens", 5, (), parent=0)], {3: [1.0, 2.0, 3.0]})
    assert (label["level"], label["parent"], label["cluster"]) == (1, 0, 3)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_curves_are_drawn_in_the_accent_and_told_apart(theme: str) -> None:
    """Each way is a line over the steps, from 1; several differ by dash and by the letter at their end."""
    figure = figures.curves("Likeness", "step", {"A": [0.1, 0.5, None], "B": [0.2, 0.4]}, theme, from_zero=False)
    first, second = figure["data"]
    assert (first["x"], first["y"]) == ([1, 2, 3], [0.1, 0.5, None]) and second["x"] == [1, 2]
    assert {each["line"]["color"] for each in figure["data"]} == {figures.ACCENT[theme]}
    assert first["line"]["dash"] != second["line"]["dash"]
    assert first["text"] == ["", "", "A"] and second["mode"] == "lines+text"
    assert figure["layout"]["xaxis"]["range"] == [1, 3]
    nothing = figures.curves("Likeness", "step", {}, theme, from_zero=False)  # before the first step of a way is there
    assert nothing["data"] == [] and nothing["layout"]["xaxis"]["range"] == [1, 2]
    alone = figures.curves("Likeness", "step", {"A": [0.1]}, theme, from_zero=True)
    assert alone["layout"]["xaxis"]["range"] == [1, 2]
    assert alone["data"][0]["mode"] == "lines" and alone["layout"]["yaxis"]["rangemode"] == "tozero"
    assert contrast(figures.INK[theme], DARK if theme == "dark" else LIGHT) >= 4.5
