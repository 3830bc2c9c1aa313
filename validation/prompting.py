"""Does a caption that was learned pull harder than one that was not; and how much of a landing hangs on details?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from benchmarks.rows import grid
from explorer.models.generator import GeneratorModel
from explorer.records import Recipe
from explorer.stability import Shift, shifts
from validation.parts import Figures, Part
from validation.proofs import Claim, Proof, Section
from validation.statistics import Numbers
from validation.tuning import generator
from validation.world import Rows, World, world

COUNT = 100
"""Captions of either kind, one a family."""
STEPS = 10
SEED = 5
SURE = 0.01


@dataclass(frozen=True, slots=True)
class Contest:
    """How two samples compare.

    Attributes:
        harder: the share of pairs in which the first is greater, ties half; 0.5 says neither.
        p: of as great a share if both were drawn alike (Mann-Whitney, one-sided).
    """

    harder: float
    p: float

    @classmethod
    def of(cls, first: Numbers, second: Numbers) -> Contest:
        """Two samples (n,) and (m,)."""
        found = stats.mannwhitneyu(first, second, alternative="greater")
        return cls(float(found.statistic) / (len(first) * len(second)), float(found.pvalue))


def measure_pull() -> Figures:
    """How hard captions pull that the generator learned, that it never saw, and signs that mean nothing."""
    own, rng = world(), np.random.default_rng(SEED)
    model = generator()
    train = own.atlas.train
    kinds = {
        "learned": captions(own, np.flatnonzero(train), rng),
        "unseen": captions(own, np.flatnonzero(~train), rng),
        "meaningless": tuple(_letters(rng) for _ in range(COUNT)),
    }
    pulls = {kind: np.array([pull(model, text, seed) for seed, text in enumerate(of)]) for kind, of in kinds.items()}
    against = {kind: Contest.of(pulls["learned"], each) for kind, each in pulls.items() if kind != "learned"}
    return {
        "pulls": {kind: _spread(each) for kind, each in pulls.items()},
        "against": {kind: {"harder": each.harder, "p": each.p} for kind, each in against.items()},
    }


def _spread(pulls: Numbers) -> dict[str, float]:
    median, low, high = float(np.median(pulls)), float(pulls.min()), float(pulls.max())
    return {"median": median, "low": low, "high": high, "n": len(pulls)}


def captions(own: World, rows: Rows, rng: np.random.Generator) -> tuple[str, ...]:
    """The English captions of `COUNT` of some rows, one a family."""
    drawn = own.drawn_families(rows, COUNT, rng)
    return tuple(own.entries[row].captions["en"] for row in drawn)


def pull(model: GeneratorModel, prompt: str, seed: int) -> float:
    """The mean over the steps of how hard a prompt pulls, with the generator's own guidance."""
    side = model.defaults.side
    recipe = Recipe(prompt, seed=seed, steps=STEPS, guidance=model.defaults.guidance, width=side, height=side)
    return float(np.mean([step.pull for step in model.denoise(recipe) if step.pull is not None]))


def measure_firmness() -> Figures:
    """How far the landings of pictures that the generator never saw move when they are changed a little."""
    own, rng = world(), np.random.default_rng(SEED)
    rows = own.drawn_families(np.flatnonzero(~own.atlas.train), COUNT, rng)
    told = [shifts(own.atlas, own.models, own.picture(row), own.atlas.spaces) for row in rows]
    by_change = {change[0].change: change for change in zip(*told, strict=True)}
    return {
        "pictures": len(rows),
        "changes": {change: _firmness(found) for change, found in by_change.items()},
    }


def _firmness(found: tuple[Shift, ...]) -> dict[str, dict[str, float]]:
    spaces = {}
    for space in found[0].spaces:
        each = [shift.spaces[space] for shift in found]
        spaces[space] = {
            "same": float(np.mean([one.is_nearest_same for one in each])),
            "kept": float(np.mean([one.kept / one.k for one in each])),
            "moved": float(np.median([one.of_radius for one in each])),
        }
    return spaces


def _letters(rng: np.random.Generator) -> str:
    """Three words of drawn letters."""
    return " ".join("".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), size=6)) for _ in range(3))


def tell(found: Mapping[str, Figures]) -> Section:
    """What was found, for docs/validation.md."""
    claims, text = [], []
    if figures := found.get("prompting/pull"):
        claims.append(_pulled(figures))
        heads = ("prompts", "n", "median", "least", "most", "the learned pull harder", "p")
        text.append(f"{PULL}\n{grid(heads, [_row(kind, figures) for kind in figures['pulls']])}\n")
    if figures := found.get("prompting/firmness"):
        claims += _firm(figures)
        columns = ("change", "space", "nearest stays", "of the nearest 12 stay", "moved, median")
        rows = [
            (change, space, f"{each['same']:.0%}", f"{each['kept']:.0%}", f"{100 * each['moved']:.2g}% of the radius")
            for change, spaces in figures["changes"].items()
            for space, each in spaces.items()
        ]
        text.append(f"{FIRM.format(count=figures['pictures'])}\n{grid(columns, rows)}\n")
    return Section(tuple(claims), "\n".join(text))


def _row(kind: str, figures: Figures) -> tuple[str, ...]:
    pulls, against = figures["pulls"][kind], figures["against"].get(kind)
    compared = (f"{against['harder']:.0%} of pairs", f"{against['p']:.3f}") if against else ("", "")
    return (kind, str(pulls["n"]), *(f"{pulls[key]:.2f}" for key in ("median", "low", "high")), *compared)


def _pulled(figures: Figures) -> Claim:
    unseen, count = figures["against"]["unseen"], figures["pulls"]["learned"]["n"]
    holds = unseen["p"] < SURE
    return Claim(
        "a caption that the generator learned pulls harder than one that it never saw",
        f"in {unseen['harder']:.0%} of pairs, p = {unseen['p']:.3f} ({count} captions of either kind)",
        f"p under {SURE}",
        holds,
        "the pull is told beside its limits, and no verdict goes by it"
        if holds
        else "the pull is told to compare prompts by, with no word on what was learned, and no verdict goes by it",
    )


def _firm(figures: Figures) -> list[Claim]:
    return [
        Claim(
            f"the nearest in {space} stays the nearest when a picture is {CHANGED[change]}",
            f"{each['same']:.0%} of {figures['pictures']} pictures",
            "",
            None,
            "every report tells it of its own picture",
        )
        for change, spaces in figures["changes"].items()
        for space, each in spaces.items()
    ]


CHANGED = {"jpeg": "saved as JPEG of quality 75", "noise": "lightly noised"}
PULL = f"""The mean over {STEPS} steps of how hard a prompt pulls (see provenance.md), for captions of training
families, of held-out families, one each of as many families, and for drawn letters. Memorization in the sense of Wen et
al. is of single pictures that were seen again and again; here none was, so this says nothing of memorized prompts. It
says whether having been learned shows in the pull at all.
"""
FIRM = """{count} held-out pictures, one a family, each located as it is, as JPEG of quality 75, and with noise of
standard deviation 4 of 255.
"""

PROOF = Proof(
    "prompting",
    "Prompts, and what details do",
    (Part("prompting/pull", measure_pull, minutes=3), Part("prompting/firmness", measure_firmness, minutes=1)),
    tell,
)
