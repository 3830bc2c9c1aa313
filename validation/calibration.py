"""Proof 4: the percentile of a picture that nobody trained on is as likely to be any number as any other.

In every draw one family in ten, as many as the demo holds out, counts as held out, and the rest as training pictures.
The encoders saw all alike, so nothing else sets the two apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.rows import grid
from explorer.exact import knn
from explorer.layout import NEIGHBORS
from explorer.spaces import SpaceData
from indexer.mapping import neighbors
from indexer.mapping.baseline import baseline
from validation.parts import Figures, Part
from validation.proofs import Claim, Proof, Section
from validation.statistics import Mask, uniform_p
from validation.world import Rows, World, world

DRAWS = 20
LEAST_P, LEAST_DRAWS = 0.01, 18


@dataclass(frozen=True, slots=True, eq=False)
class Redrawn:
    """The corpus, held out anew.

    Attributes:
        train: bool (n,).
        asked: int64 (q,), one row of every held-out family.
    """

    train: Mask
    asked: Rows


def redrawn(world: World, seed: int) -> Redrawn:
    """Hold out as many families as the demo does, drawn by the seed."""
    families, rng = world.atlas.families, np.random.default_rng(seed)
    count = len(np.unique(families[~world.atlas.train]))
    train = ~np.isin(families, rng.permutation(np.unique(families))[:count])
    return Redrawn(train, world.one_a_family(np.flatnonzero(~train), rng))


def rebuilt(world: World, space: str, train: Mask) -> SpaceData:
    """A space with the baseline that it would have, had its atlas been built with this split, bool (n,)."""
    data = world.atlas.space(space)
    near = neighbors.find(data.vectors, train, NEIGHBORS)
    usual = baseline(data.vectors, train, world.atlas.families, near)
    return replace(data, baseline=usual.similarities, weights=usual.weights)


def measure(space: str) -> Figures:
    """Of every draw: the p of both counts, and their mean."""
    own = world()
    told: dict[str, list[dict[str, Any]]] = {count: [] for count in COUNTS}
    for seed in range(DRAWS):
        drawn = redrawn(own, seed)
        data = rebuilt(own, space, drawn.train)
        nearest = knn(data.vectors, data.vectors[drawn.asked], 1, np.flatnonzero(drawn.train))[0][:, 0]
        for count, percentiles in COUNTS.items():
            found = percentiles(data, nearest)
            told[count].append({"seed": seed, "p": uniform_p(found), "mean": float(found.mean())})
    return {"pictures": len(drawn.asked), **told}


COUNTS = {"by_family": SpaceData.family_percentiles, "percentile": SpaceData.percentiles}


def passed(draws: Sequence[Mapping[str, Any]]) -> int:
    """In how many draws the distribution may be uniform."""
    return sum(draw["p"] > LEAST_P for draw in draws)


def tell(found: Mapping[str, Figures]) -> Section:
    """What was found, for docs/validation.md."""
    claims, lines = [], []
    for name, figures in found.items():
        space = name.split("/")[1]
        claims += [_claim(space, figures), _uneven(space, figures)]
        for count in COUNTS:
            ps, means = ([draw[key] for draw in figures[count]] for key in ("p", "mean"))
            told = f"{passed(figures[count])} of {len(ps)}", f"{np.median(ps):.3f}", f"{min(ps):.2g}"
            lines.append((space, f"`{count}`", *told, f"{np.mean(means):.1f}"))
    heads = ("space", "figure", f"draws with p > {LEAST_P}", "median p", "least p", "mean")
    return Section(tuple(claims), f"{NOTE}\n{grid(heads, lines)}\n")


def _claim(space: str, figures: Figures) -> Claim:
    """The figure that verdicts go by."""
    count = passed(figures["by_family"])
    holds = count >= LEAST_DRAWS
    return Claim(
        f"`by_family` in {space} is calibrated: of unseen pictures, one in n lies in the nearest n-th",
        f"p > {LEAST_P} in {count} of {DRAWS} draws of {figures['pictures']} pictures",
        f"at least {LEAST_DRAWS}",
        holds,
        "verdicts go by it" if holds else "it is shown with the warning that it is not calibrated",
    )


def _uneven(space: str, figures: Figures) -> Claim:
    """The share by its definition, which large families bend."""
    count = passed(figures["percentile"])
    return Claim(
        f"`percentile` in {space} would do as well",
        f"p > {LEAST_P} in {count} of {DRAWS} draws",
        f"at least {LEAST_DRAWS}",
        count >= LEAST_DRAWS,
        "it would" if count >= LEAST_DRAWS else "it is told as the share that it is, and no verdict goes by it",
    )


NOTE = f"""For each of {DRAWS} seeded draws as many families as the demo holds out count as held out, and one picture
of each is asked how near it is. Since nothing but the draw sets these families apart (the encoders saw all pictures),
the answers must be spread evenly from 0 to 100: a Kolmogorov-Smirnov test against the uniform distribution has p >
{LEAST_P} in at least {LEAST_DRAWS} draws. `percentile` is the share of training *pictures* whose own nearest, its
family left out, is less similar; `by_family` the same share with every training *family* counting once. Half of the
corpus are skin tones of a few families, which lie near each other's: they make nearness look more usual than it is
for the next picture.
"""

PROOF = Proof(
    "calibration",
    "Calibration of the percentiles",
    tuple(Part(f"calibration/{space}", partial(measure, space), minutes=0.5) for space in ("clip", "vae")),
    tell,
)
