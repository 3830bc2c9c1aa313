"""Proof 1: the data-copying test tells a copier from a generator that copies nothing, and what it says of the demo's.

Source: C. Meehan, K. Chaudhuri, S. Dasgupta 2020, A Non-Parametric Test to Detect Data-Copying in Generative Models
(arXiv 2004.05675).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.planted import recoded
from benchmarks.rows import grid
from explorer.audit.copying import PER_CELL, data_copying
from explorer.records import Split
from explorer.words import chance
from validation.drawing import Asked, Drawn, drawn_to
from validation.parts import RUNS, Figures, Part
from validation.proofs import Claim, Proof, Section
from validation.statistics import Integers, Numbers, p_of_least
from validation.tuning import generator
from validation.world import Floats, Rows, World, world

SUBSETS, HALVES = 999, 20
STRONG, LEAST = 0.001, 0.01
"""A p below the first is what a copier must have and no half of the held-out pictures may; below the second it is told
as a finding. Above one less that, the opposite is."""
COPIER = "a copier: training pictures saved as JPEG of quality 30"
CAPTIONS = {Split.TRAIN: "the generator, training captions", Split.HELDOUT: "the generator, held-out captions"}
SPACES = ("clip", "vae")


def draw(split: Split) -> Figures:
    """Draw the pictures for the captions of one split: of as many families as are held out, one picture each."""
    own = world()
    rows = own.drawn_families(_rows(own, split), len(_heldout(own)), np.random.default_rng(0))
    made = drawn_to(generator(), Asked.of(own, rows), _path(split))
    return {"pictures": len(made)}


def drawn(split: Split) -> Drawn:
    """The pictures for the captions of one split, drawn now where they are not there yet."""
    if not _path(split).is_file():
        draw(split)
    return Drawn.read(_path(split))


def measure(space: str) -> Figures:
    """The test in one space: of the generator, of a copier, and of the held-out pictures against themselves."""
    own = world()
    vectors, families = own.vectors(space), own.atlas.families
    train, heldout = _rows(own, Split.TRAIN), _heldout(own)
    copied = own.drawn_families(train, len(heldout), np.random.default_rng(1))
    made = {CAPTIONS[split]: drawn(split).vectors(own, space) for split in Split}
    made[COPIER] = own.embed(space, [recoded(own.picture(int(row)), "JPEG", 30) for row in copied])
    prompted = {CAPTIONS[split]: families[drawn(split).rows] for split in Split} | {COPIER: np.full(len(copied), -1)}
    subsets = Subsets(own, vectors, heldout)
    tests = []
    for name, each in made.items():
        found = data_copying(vectors[train], vectors[heldout], each)
        told = {"c_t": found.c_t, "p": found.p, "nearer": found.nearer, "cells": len(found.cells)}
        tests.append({"pictures": name, "count": len(each), **told, "subsets": subsets.test(each, prompted[name])})
    halves = [data_copying(vectors[train], *_halves(vectors[heldout], seed)).p for seed in range(HALVES)]
    return {"train": len(train), "heldout": len(heldout), "tests": tests, "halves": halves}


def _halves(vectors: Floats, seed: int) -> list[Floats]:
    return np.array_split(np.random.default_rng(seed).permutation(vectors), 2)


class Subsets:
    """Whether held-out pictures lie farther from generated ones than as many training pictures do.

    Distances to two sets can be compared only where the sets are alike but for what is asked: so the held-out pictures,
    one a family, are held against training pictures, one each of as many families, drawn again and again.
    """

    def __init__(self, world: World, vectors: Floats, heldout: Rows) -> None:
        """Draw the subsets of the rows of `vectors` (n, d); `heldout` (h,) are the others."""
        self._families, self._heldout, self._vectors = world.atlas.families, heldout, vectors
        train = _rows(world, Split.TRAIN)
        draws = (world.drawn_families(train, len(heldout), np.random.default_rng(seed)) for seed in range(SUBSETS))
        self._drawn = list(draws)

    def test(self, made: Floats, prompted: Integers) -> dict[str, float]:
        """The mean distance to the nearest held-out picture, of all subsets to the nearest of theirs, and how rare.

        Args:
            made: (m, d), unit length.
            prompted: int (m,), the family that each picture was asked for, which is left out; -1 = none.

        Returns:
            `to_heldout` and `to_subsets`, Euclidean, and `p`: the share of subsets that lie as far as the held-out.
        """
        apart = distances(made, self._vectors)
        apart[prompted[:, None] == self._families[None, :]] = np.inf
        means = [float(apart[:, rows].min(axis=1).mean()) for rows in (self._heldout, *self._drawn)]
        return {
            "to_heldout": means[0],
            "to_subsets": float(np.mean(means[1:])),
            "p": p_of_least(-means[0], [-mean for mean in means[1:]]),
        }


def distances(vectors: Floats, others: Floats) -> Numbers:
    """Euclidean distances (m, n) of unit vectors."""
    return np.sqrt(np.maximum(2 - 2 * vectors @ others.T, 0))


def tell(found: Mapping[str, Figures]) -> Section:
    """What was found, for docs/validation.md."""
    measured = {name.split("/")[1]: figures for name, figures in found.items() if name.split("/")[1] in SPACES}
    claims: list[Claim] = []
    lines: list[tuple[str, ...]] = []
    for space, figures in measured.items():
        claims += _claims(space, figures)
        for test in figures["tests"]:
            each = test["subsets"]
            apart = f"{each['to_heldout']:.3f}", f"{each['to_subsets']:.3f}", f"{each['p']:.3f}"
            scores = f"{test['c_t']:+.1f}", chance(test["p"]), f"{test['nearer']:.0%}"
            lines.append((space, test["pictures"], str(test["count"]), *scores, *apart))
    heads = ("space", "pictures", "n", "C_T", "p", "nearer", "to held-out", "to as many training", "p of favor")
    sizes = "".join(_sizes(space, each) for space, each in measured.items())
    return Section(tuple(claims), f"{NOTE}\n{grid(heads, lines)}\n\n{sizes}" if measured else "")


def _sizes(space: str, figures: Figures) -> str:
    cells, halves = figures["tests"][0]["cells"], figures["halves"]
    least, most = min(halves), max(halves)
    fewer = max(figures["heldout"] // 2 // PER_CELL, 1)
    return (
        f"In {space}: {figures['train']:,} training pictures in {cells} cells, {figures['heldout']} held-out ones, one "
        f"a family. One half of these against the other, {len(halves)} times, in {fewer} "
        f"{'cell' if fewer == 1 else 'cells'}: p of {least:.3f} to {most:.3f}.\n"
    )


def _claims(space: str, figures: Figures) -> list[Claim]:
    tests, halves = {test["pictures"]: test for test in figures["tests"]}, figures["halves"]
    copier, own = tests[COPIER], tests[CAPTIONS[Split.TRAIN]]
    return [
        Claim(
            f"the data-copying test in {space} finds a copier, and takes no unseen pictures for one",
            f"p {chance(copier['p'])} for the copier; at least {min(halves):.3f} for halves of the held-out",
            f"under {STRONG}; at least {STRONG}",
            copier["p"] < STRONG <= min(halves),
            "an audit tells C_T and p, with its sample sizes",
        ),
        Claim(
            f"the demo's generator copies, by {space}",
            f"C_T {own['c_t']:+.1f}, p {chance(own['p'])} (n = {own['count']}); that it favors what it saw: "
            f"p {chance(own['subsets']['p'])}",
            "",
            None,
            f"C_T and p as they are; here {meaning(own['p'])}",
        ),
    ]


def meaning(p: float) -> str:
    """What may be said of a set of pictures by the p that they are no nearer than held-out ones."""
    if p < LEAST:
        return "its pictures come nearer to what it saw than new pictures do: a sign of copying"
    if p > 1 - LEAST:
        return "its pictures come less near to what it saw than new pictures do: no sign of copying, no proof of none"
    return "its pictures come about as near to what it saw as new pictures do: no sign of copying, no proof of none"


def _rows(world: World, split: Split) -> Rows:
    return np.flatnonzero(world.atlas.train == (split is Split.TRAIN))


def _heldout(world: World) -> Rows:
    """The yardstick: one picture of every held-out family."""
    return world.one_a_family(_rows(world, Split.HELDOUT), np.random.default_rng(0))


def _path(split: Split) -> Path:
    return RUNS / "pictures" / f"{split}.npz"


NOTE = f"""*C_T* compares, cell by cell, how near generated and held-out pictures come to the training pictures: far
below 0, the generated ones are nearer than pictures that nobody trained on, and *p* is how probable so low a C_T is
where they are not. *Nearer* is the share of pairs in which the generated one is (50 % says neither). Both are
distances to one and the same set.

The last three columns turn the question round, with two sets of one size: is the generator nearer to what it saw? The
mean distance to the nearest of the held-out pictures is held against that to as many training pictures, one each of
as many families, drawn {SUBSETS} times; the family that a picture was asked for is left out on both sides. *p of
favor* is the share of draws that lie as far as the held-out pictures: small where the generator favors what it saw.
"""

PROOF = Proof(
    "copying",
    "Data copying",
    (
        *(Part(f"copying/{split}", partial(draw, split), minutes=3) for split in Split),
        *(Part(f"copying/{space}", partial(measure, space), minutes=0.5) for space in SPACES),
    ),
    tell,
)
