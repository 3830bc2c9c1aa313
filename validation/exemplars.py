"""Proof 3: what a generator was taught last is found among the nearest neighbors of what it draws.

After S. Wang, A. Efros, J. Zhu, R. Zhang 2023, Evaluating Data Attribution for Text-to-Image Models (arXiv 2306.09345):
a generator is tuned on exemplars, so that these influenced what it draws by construction, and a ranking is asked for
them. It shows that nearness finds what was learned last and often, not what any picture was made from.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.rows import grid
from explorer.verdicts import NEARER_PERCENTILE
from indexer.demo.sheets import contact_sheet
from validation.calibration import rebuilt
from validation.drawing import Asked, Drawn, draw
from validation.parts import RUNS, Figures, Part
from validation.proofs import Claim, Proof, Section
from validation.statistics import Mask, chance_of_any, interval
from validation.tuning import BATCH, STEPS, generator, tuned
from validation.world import Floats, Rows, World, world

SETS, EXEMPLARS, SEEDS = 4, 5, 4
LOOKED_AT = 10
PHASES = ("before", "after")
SPACES = ("clip", "vae")


def measure(number: int) -> Figures:
    """Teach one set of held-out pictures, and rank them among the neighbors of what was drawn before and after."""
    own = world()
    rows = exemplars(own, number)
    asked = Asked.of(own, rows.repeat(SEEDS))
    folder = RUNS / "work" / f"exemplars-{number}"
    before = draw(generator(), asked, folder / "before")
    after = draw(tuned(own, rows, folder / "training", seed=number), asked, folder / "after")
    spaces = {
        space: {phase: ranks(own, space, made, rows) for phase, made in zip(PHASES, (before, after), strict=True)}
        for space in SPACES
    }
    for phase, made in zip(PHASES, (before, after), strict=True):
        made.write(_kept(number, phase))
    shutil.rmtree(folder)
    candidates = int(own.atlas.train.sum()) + len(rows)
    return {"candidates": candidates, "spaces": spaces}


def exemplars(world: World, number: int) -> Rows:
    """The rows int64 (k,) of one set: held-out pictures, no family twice over all sets."""
    rows = world.drawn_families(np.flatnonzero(~world.atlas.train), SETS * EXEMPLARS, np.random.default_rng(0))
    return rows[(number - 1) * EXEMPLARS : number * EXEMPLARS]


def ranks(world: World, space: str, made: Drawn, rows: Rows) -> dict[str, list[Any]]:
    """Where exemplars stand among the neighbors of pictures, in the ranking of all training pictures and the exemplars.

    Args:
        world: whose training pictures are ranked beside.
        space: in which.
        made: m pictures, asked for by the captions of exemplars.
        rows: int64 (k,), the exemplars.

    Returns:
        `own`: the rank, from 1, of the exemplar that the caption is of; `any`: that of the first of all; `by_family`:
        of the nearest in the ranking, as the app would tell it had the exemplars been indexed. m each.
    """
    vectors = world.vectors(space)
    ranked = np.concatenate([np.flatnonzero(world.atlas.train), rows])
    similar = made.vectors(world, space) @ vectors[ranked].T
    places = places_of(similar)[:, -len(rows) :]
    own = places[np.arange(len(places)), [int(np.flatnonzero(rows == row)[0]) for row in made.rows]]
    told = rebuilt(world, space, world.atlas.train).family_percentiles(similar.max(axis=1))
    return {"own": own.tolist(), "any": places.min(axis=1).tolist(), "by_family": np.round(told, 2).tolist()}


def places_of(similar: Floats) -> Rows:
    """The rank of each column in its row of similarities (m, n): int64 (m, n), 1 = the most similar."""
    order = np.argsort(-similar, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(1, similar.shape[1] + 1)[None, :], axis=1)
    return places


def tell(found: Mapping[str, Figures]) -> Section:
    """What was found, for docs/validation.md."""
    sets = list(found.values())
    chances = [1 / sets[0]["candidates"], *(chance_of_any(n, LOOKED_AT, sets[0]["candidates"]) for n in (1, EXEMPLARS))]
    figures = {
        space: {phase: joined([each["spaces"][space][phase] for each in sets]) for phase in PHASES} for space in SPACES
    }
    claims = [claim(space, each["before"]["own"], each["after"]["own"], chances[1]) for space, each in figures.items()]
    lines = [(space, phase, *_line(each[phase])) for space, each in figures.items() for phase in PHASES]
    lines.append(("", "by chance", *(f"{chance:.2%}" for chance in chances), ""))
    first = f"among the first {LOOKED_AT}"
    near = f"`by_family` at least {NEARER_PERCENTILE:.0f}"
    table = grid(("space", "teaching", "own exemplar first", f"own {first}", f"any of the set {first}", near), lines)
    called = [np.max([each[phase]["by_family"] for each in figures.values()], axis=0) for phase in PHASES]
    claims.append(called_nearer(*(percentiles >= NEARER_PERCENTILE for percentiles in called)))
    text = f"{NOTE}\n{table}\n\n{SHEET}:\n\n![{SHEET}](validation/exemplars.png)\n"
    return Section(tuple(claims), text, {"exemplars.png": sheet([int(name.split("/")[1]) for name in found])})


def joined(parts: Sequence[Mapping[str, list[Any]]]) -> dict[str, list[Any]]:
    """The same lists of several sets, one after the other."""
    return {name: [value for part in parts for value in part[name]] for name in parts[0]}


def _line(each: Mapping[str, list[Any]]) -> list[str]:
    """The cells of one space and phase."""
    own, some, nearness = (np.asarray(each[name]) for name in ("own", "any", "by_family"))
    return [_share(hits) for hits in (own == 1, own <= LOOKED_AT, some <= LOOKED_AT, nearness >= NEARER_PERCENTILE)]


def _share(hits: Mask) -> str:
    """How many, with an interval."""
    found = interval(int(hits.sum()), len(hits))
    return f"{hits.sum()} of {len(hits)} ({found.low:.0%} to {found.high:.0%})"


def claim(space: str, before: Sequence[int], after: Sequence[int], chance: float) -> Claim:
    """Whether nearness finds what was taught: more often than by chance, and than for the same captions before.

    Args:
        space: in which.
        before: ranks of each picture's own exemplar, of what was drawn before the teaching.
        after: the same of what was drawn after it.
        chance: of a rank that counts, 0-1.
    """
    earlier, later = (np.asarray(ranks) <= LOOKED_AT for ranks in (before, after))
    holds = bool(_low(later) > max(_high(earlier), chance))
    return Claim(
        f"in {space} the picture that a generator was taught is among the first {LOOKED_AT} neighbors of what it draws",
        f"{_share(later)}; before the teaching {_share(earlier)}; by chance {chance:.2%}",
        "its interval above both",
        holds,
        "neighbors are resemblances; that what was learned last and often is among them is said nowhere but here"
        if holds
        else "neighbors are resemblances; it is claimed nowhere that what was learned is among them",
    )


def called_nearer(before: Mask, after: Mask) -> Claim:
    """Whether the verdict tells what was just learned from what was not, by the space that is the nearer."""
    holds = _low(after) > _high(before)
    return Claim(
        "what a generator draws of a picture that it was just taught is called `nearer`",
        f"{_share(after)}; before the teaching {_share(before)}",
        "its interval above the other",
        holds,
        "`typical` and `far` do not show that nothing was learned" if holds else "`nearer` is no sign of learning",
    )


def _low(hits: Mask) -> float:
    return interval(int(hits.sum()), len(hits)).low


def _high(hits: Mask) -> float:
    return interval(int(hits.sum()), len(hits)).high


def sheet(numbers: Sequence[int]) -> bytes:
    """A contact sheet of some sets, PNG: each exemplar, and the first that was drawn of it before and after."""
    own = world()
    shown: list[Image.Image] = []
    captions: list[str] = []
    for number in numbers:
        drawn = [Drawn.read(_kept(number, phase)).images()[::SEEDS] for phase in PHASES]
        for row, *made in zip(exemplars(own, number), *drawn, strict=True):
            shown += [own.picture(int(row)), *made]
            captions += [own.entries[row].captions["en"], *PHASES]
    data = io.BytesIO()
    contact_sheet(shown, captions, columns=3 * EXEMPLARS, side=64).quantize(255).save(data, "PNG", optimize=True)
    return data.getvalue()


def _kept(number: int, phase: str) -> Path:
    """Where the pictures of a set lie."""
    return RUNS / "pictures" / f"exemplars-{number}-{phase}.npz"


SHEET = "Each exemplar, the first that was drawn for its caption before the teaching, and the first after it"
NOTE = f"""The demo's generator went on for {STEPS} steps of {BATCH} on {EXEMPLARS} held-out pictures at a time, with
the loss and the prompts of its training, and drew each one's caption with {SEEDS} seeds, before and after. The
ranking is of all training pictures and the {EXEMPLARS}; only these were not there before. *Before* is the control: a
generator that knows what a word means comes near a picture that it never saw. *Chance* is that of {LOOKED_AT} drawn
from the ranking. Intervals are Wilson's at 95 %, as if pictures were independent, which {SEEDS} seeds of one caption
are not quite. The last column is how many come as near as would be called `nearer`, had the exemplars been indexed.
"""

PROOF = Proof(
    "exemplars",
    "Exemplars that were taught",
    tuple(Part(f"exemplars/{number}", partial(measure, number), minutes=4) for number in range(1, SETS + 1)),
    tell,
)
