"""Proof 4: the percentile of a picture that nobody trained on is as likely to be any number as any other.

In every draw one family in ten, as many as the demo holds out, counts as held out, and the rest as training pictures.
The encoders saw all alike, so nothing else sets the two apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.rows import grid
from explorer.exact import knn
from explorer.layout import NEIGHBORS
from explorer.spaces import SpaceData
from explorer.verdicts import FAR_PERCENTILE, NEARER_PERCENTILE
from indexer.mapping import neighbors
from indexer.mapping.baseline import baseline
from validation.parts import Figures, Part
from validation.proofs import Claim, Proof, Section
from validation.statistics import Mask, Numbers, uniform_p
from validation.world import Rows, World, world

SPACES = ("clip", "vae")
COUNTS = {"by_family": SpaceData.family_percentiles, "percentile": SpaceData.percentiles}
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


def measure() -> Figures:
    """Of every draw and space: the p of both counts and their mean; of all draws: what the verdicts would be."""
    own = world()
    told: dict[str, dict[str, list[dict[str, Any]]]] = {space: {name: [] for name in COUNTS} for space in SPACES}
    nearest: list[Numbers] = []
    for seed in range(DRAWS):
        drawn = redrawn(own, seed)
        found = {space: percentiles(own, space, drawn) for space in SPACES}
        for space, counts in found.items():
            for name, each in counts.items():
                told[space][name].append({"seed": seed, "p": uniform_p(each), "mean": float(each.mean())})
        nearest.append(np.max([counts["by_family"] for counts in found.values()], axis=0))
    highest = np.concatenate(nearest)
    verdicts = {"nearer": int((highest >= NEARER_PERCENTILE).sum()), "far": int((highest <= FAR_PERCENTILE).sum())}
    return {"pictures": len(drawn.asked), "spaces": told, "verdicts": {**verdicts, "of": len(highest)}}


def percentiles(world: World, space: str, drawn: Redrawn) -> dict[str, Numbers]:
    """What the app would tell of the pictures asked, (q,) each, by the names of `COUNTS`."""
    data = rebuilt(world, space, drawn.train)
    nearest = knn(data.vectors, data.vectors[drawn.asked], 1, np.flatnonzero(drawn.train))[0][:, 0]
    return {name: count(data, nearest) for name, count in COUNTS.items()}


def passed(draws: Sequence[Mapping[str, Any]]) -> int:
    """In how many draws the distribution may be uniform."""
    return sum(draw["p"] > LEAST_P for draw in draws)


def tell(found: Mapping[str, Figures]) -> Section:
    """What was found, for docs/validation.md."""
    (figures,) = found.values()
    claims: list[Claim] = []
    lines: list[tuple[str, ...]] = []
    for space, counts in figures["spaces"].items():
        claims += [_calibrated(space, counts["by_family"], figures["pictures"]), _uneven(space, counts["percentile"])]
        for name, draws in counts.items():
            ps, means = ([draw[key] for draw in draws] for key in ("p", "mean"))
            told = f"{passed(draws)} of {len(draws)}", f"{np.median(ps):.3f}", f"{min(ps):.2g}"
            lines.append((space, f"`{name}`", *told, f"{np.mean(means):.1f}"))
    heads = ("space", "figure", f"draws with p > {LEAST_P}", "median p", "least p", "mean")
    text = f"{NOTE}\n{grid(heads, lines)}\n"
    return Section((*claims, _verdicts(**figures["verdicts"])), text)


def _calibrated(space: str, draws: Sequence[Mapping[str, Any]], pictures: int) -> Claim:
    """The figure that verdicts go by."""
    count = passed(draws)
    holds = count >= LEAST_DRAWS
    return Claim(
        f"`by_family` in {space} is calibrated: of unseen pictures, one in n lies in the nearest n-th",
        f"p > {LEAST_P} in {count} of {len(draws)} draws of {pictures} pictures",
        f"at least {LEAST_DRAWS}",
        holds,
        "verdicts go by it" if holds else "it is shown with the warning that it is not calibrated",
    )


def _uneven(space: str, draws: Sequence[Mapping[str, Any]]) -> Claim:
    """The share by its definition, which large families bend."""
    count = passed(draws)
    return Claim(
        f"`percentile` in {space} would do as well",
        f"p > {LEAST_P} in {count} of {len(draws)} draws",
        f"at least {LEAST_DRAWS}",
        count >= LEAST_DRAWS,
        "it would" if count >= LEAST_DRAWS else "it is told as the share that it is, and no verdict goes by it",
    )


def _verdicts(nearer: int, far: int, of: int) -> Claim:
    """How often a verdict is given to what it does not mean; by either of two spaces a tenth at most is nearer."""
    most = len(SPACES) * (100 - NEARER_PERCENTILE) / 100
    return Claim(
        "few pictures that nobody trained on are called `nearer`",
        f"{nearer / of:.1%} of {of:,}; `far` {far / of:.1%}",
        f"at most {most:.0%}, for {len(SPACES)} spaces of which either may say so",
        nearer / of <= most,
        "with `nearer` it tells how many of the pictures here are so by the same rule",
    )


NOTE = f"""For each of {DRAWS} seeded draws as many families as the demo holds out count as held out, and one picture
of each is asked how near it is. Since nothing but the draw sets these families apart (the encoders saw all pictures),
the answers must be spread evenly from 0 to 100: a Kolmogorov-Smirnov test against the uniform distribution has p >
{LEAST_P} in at least {LEAST_DRAWS} draws. `percentile` is the share of training *pictures* whose own nearest, its
family left out, is less similar; `by_family` the same share with every training *family* counting once. More than
half of the corpus are variants, mostly skin tones, of one family in six, and lie near those of others: they make
nearness look more usual than it is for the next picture.
"""

PROOF = Proof(
    "calibration",
    "Calibration of the percentiles",
    (Part("calibration/draws", measure),),
    tell,
)
