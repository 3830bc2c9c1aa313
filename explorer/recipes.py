"""What a recipe may ask for."""

from __future__ import annotations

from collections.abc import Sequence

from explorer.errors import QueryError, UsageError
from explorer.records import Branch, Recipe

MAX_PROMPT = 2_000
MAX_STEPS = 150
MAX_GUIDANCE = 30.0
MAX_SEED = 2**32 - 1
MIN_SIDE, MAX_SIDE, SIDE_UNIT = 32, 1024, 8
MAX_BRANCHES = 8
"""Turns of one way; at each of them any number of ways may part."""


def check_recipe(recipe: Recipe) -> None:
    """Hold a recipe against what a generator takes.

    Raises:
        QueryError: a value is out of its bounds; the message names it, its value and its bounds.
    """
    if not 1 <= len(recipe.prompt.strip()) or len(recipe.prompt) > MAX_PROMPT or len(recipe.negative) > MAX_PROMPT:
        longest = max(len(recipe.prompt), len(recipe.negative))
        raise QueryError(f"prompt: expected 1 to {MAX_PROMPT:,} characters, found {longest:,}")
    bounds = {
        "seed": (recipe.seed, 0, MAX_SEED),
        "steps": (recipe.steps, 1, MAX_STEPS),
        "guidance": (recipe.guidance, 0, MAX_GUIDANCE),
    }
    for name, (value, least, most) in bounds.items():
        if not least <= value <= most:  # NaN is in no bounds
            raise QueryError(f"{name}: expected {least:,} to {most:,}, found {value:,}")
    for name, side in (("width", recipe.width), ("height", recipe.height)):
        if side is not None and (side % SIDE_UNIT or not MIN_SIDE <= side <= MAX_SIDE):
            raise QueryError(f"{name}: expected a multiple of {SIDE_UNIT} from {MIN_SIDE} to {MAX_SIDE}, found {side}")
    _check_branches(recipe.branches)


def fan(texts: Sequence[str]) -> tuple[tuple[Branch, ...], ...]:
    """The ways that `STEP:SEED,SEED,...`, once a turn, asks for: all share the turns before the last, which fans out.

    Raises:
        UsageError: a text has another form, or an earlier turn has several seeds.
    """
    turns = [_turn(text) for text in texts]
    if any(len(turn) > 1 for turn in turns[:-1]):
        raise UsageError("--branch: found several seeds before the last branch; only the last one fans out")
    before = tuple(turn[0] for turn in turns[:-1])
    return tuple((*before, branch) for branch in (turns[-1] if turns else ()))


def _turn(text: str) -> tuple[Branch, ...]:
    step, _, seeds = text.partition(":")
    if not all(part.isdecimal() for part in (step, *seeds.split(","))):
        raise UsageError(f"--branch: found {text!r}; expected STEP:SEED,SEED,... such as 10:1,2,3")
    return tuple(Branch(int(step), int(seed)) for seed in seeds.split(","))


def _check_branches(branches: Sequence[Branch]) -> None:
    """Hold branches against their bounds; how many steps there are is known to the scheduler alone."""
    if len(branches) > MAX_BRANCHES:
        raise QueryError(f"branch: expected at most {MAX_BRANCHES} one after the other, found {len(branches)}")
    before = 0
    for branch in branches:
        if branch.step <= before:
            raise QueryError(f"branch: expected a step after step {before}, found {branch.step}")
        if not 0 <= branch.seed <= MAX_SEED:
            raise QueryError(f"branch: expected a seed from 0 to {MAX_SEED:,}, found {branch.seed:,}")
        before = branch.step
