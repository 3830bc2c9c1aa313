"""Proof 5: how far off a picture may be placed, and how much of its neighborhood the map keeps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.rows import grid
from explorer.exact import largest
from explorer.layout import NEIGHBORS
from explorer.placement import placer
from validation.parts import Figures, Part
from validation.proofs import Claim, Proof, Section
from validation.statistics import Integers, Mask, Numbers
from validation.world import Floats, Rows, World, world

MOST_AWAY = 0.05
"""Of the map's radius, at the median: what placement promises."""
SPACES = ("clip", "vae")


def measure(space: str) -> Figures:
    """Placement and overlap in one space."""
    own = world()
    atlas, data = own.atlas, own.atlas.space(space)
    train, points = np.flatnonzero(atlas.train), np.asarray(data.points)
    others = np.random.default_rng(0).permutation(train)
    apart = {
        "itself left out": away(own, space, np.arange(len(atlas))),
        "its family left out": away(own, space, atlas.families),
        "another picture's place": np.linalg.norm(points[train] - points[others], axis=1),
    }
    kept = overlap(points, nearest(own.vectors(space), atlas.train), atlas.train)
    return {
        "away": {name: spread(each / data.radius) for name, each in apart.items()},
        "kept": {"train": spread(kept[atlas.train]), "heldout": spread(kept[~atlas.train])},
        "stored": float((kept == data.overlap).mean()),
        "pictures": {"train": len(train), "heldout": len(atlas) - len(train)},
        "chance": NEIGHBORS**2 / (len(train) - 1),
    }


def away(world: World, space: str, codes: Integers) -> Numbers:
    """How far from its own point each training picture is placed by the others, (n,), map units.

    Args:
        world: the atlas.
        space: whose map.
        codes: int (n,), of all rows: a picture is placed by those of another code.
    """
    train, vectors = np.flatnonzero(world.atlas.train), world.vectors(space)[world.atlas.train]
    similar = vectors @ vectors.T
    similar[codes[train][:, None] == codes[train][None, :]] = -np.inf
    similarities, places = largest(similar, NEIGHBORS)
    found = placer(world.atlas, space).place(train[places], similarities)
    return np.linalg.norm(found - world.atlas.space(space).points[train], axis=1)


def nearest(vectors: Floats, train: Mask) -> Rows:
    """The rows int64 (n, 15) of the training pictures nearest to each of all rows, itself left out; brute force."""
    similar = vectors @ vectors[train].T
    rows = np.flatnonzero(train)
    similar[rows, np.arange(len(rows))] = -np.inf
    return rows[largest(similar, NEIGHBORS)[1]]


def overlap(points: Floats, near: Rows, train: Mask) -> Numbers:
    """How many of its neighbors in the space are among as many nearest on the map, for each row, (n,), 0-15.

    A neighbor that stands exactly as far off as the last of these counts too.

    Args:
        points: float32 (n, 3), map units.
        near: int64 (n, k), rows of the nearest training pictures in the space.
        train: bool (n,).
    """
    k, places = near.shape[1], points.astype(np.float64)
    distances = cKDTree(places[train]).query(places, k + 1)[0]
    last = np.where(train, distances[:, k], distances[:, k - 1])  # a training picture is its own nearest
    away = np.linalg.norm(places[near] - places[:, None], axis=2)
    return (away <= last[:, None] * (1 + 1e-9)).sum(axis=1).astype(np.float64)


def spread(values: Numbers) -> dict[str, float]:
    """The mean, median and 90th percentile of values (n,)."""
    median, high = np.percentile(values, [50, 90])
    return {"mean": float(values.mean()), "median": float(median), "high": float(high)}


def tell(found: Mapping[str, Figures]) -> Section:
    """What was found, for docs/validation.md."""
    claims, placed, kept = [], [], []
    for name, figures in found.items():
        space = name.split("/")[1]
        claims += _claims(space, figures)
        for what, each in figures["away"].items():
            placed.append((space, what, f"{each['median']:.1%}", f"{each['mean']:.1%}", f"{each['high']:.1%}"))
        for split, each in figures["kept"].items():
            told = (f"{each[key]:.1f}" for key in ("mean", "median"))
            kept.append((space, split, f"{figures['pictures'][split]:,}", *told, f"{figures['chance']:.2f}"))
    away_heads = ("space", "placed with", "median", "mean", "90th percentile")
    kept_heads = ("space", "split", "pictures", f"mean of {NEIGHBORS}", "median", "by chance")
    same = ", ".join(f"{each['stored']:.1%} in {name.split('/')[1]}" for name, each in found.items())
    text = f"{NOTE}\n{grid(away_heads, placed)}\n\n{KEPT}\n{grid(kept_heads, kept)}\n\n{STORED} {same}.\n"
    return Section(tuple(claims), text)


def _claims(space: str, figures: Figures) -> list[Claim]:
    alone, kept = figures["away"]["itself left out"]["median"], figures["kept"]["train"]["mean"]
    return [
        Claim(
            f"a picture that the map knows is placed where it stands, in {space}",
            f"median {alone:.1%} of the map's radius over {figures['pictures']['train']:,} pictures",
            f"at most {MOST_AWAY:.0%}",
            alone <= MOST_AWAY,
            "a landing is a point, its distance to the cloud beside it"
            if alone <= MOST_AWAY
            else "a landing is told as about there, its distance to the cloud beside it",
        ),
        Claim(
            f"the map of {space} keeps neighbors together",
            f"{kept:.1f} of {NEIGHBORS} at the mean; by chance {figures['chance']:.2f}",
            "",
            None,
            "every list of neighbors comes from the vectors, and the overlap stands beside every landing",
        ),
    ]


NOTE = """Every training picture is placed anew by its neighbors among the others, as a new picture would be, and its
distance to its own point is told as a share of the map's radius. With its family left out, it lands among what
resembles it without being it: so far off may a new picture be. The last line is the distance to the place of another
picture, drawn by chance.
"""
KEPT = f"""How many of the {NEIGHBORS} nearest training pictures by the vectors are among the {NEIGHBORS} nearest on
the map:
"""

STORED = "Counted here by brute force; the atlas stores the same number for so many of its pictures:"

PROOF = Proof(
    "placing",
    "Placement and the map's overlap",
    tuple(Part(f"placing/{space}", partial(measure, space), minutes=0.5) for space in SPACES),
    tell,
)
