"""The prompts of an audit: out of a file, or captions of the corpus, those of the largest families first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from explorer.atlas import Atlas
from explorer.errors import QueryError
from explorer.recipes import MAX_PROMPT
from explorer.records import Split

_AT_ONCE = 256
"""Families whose captions are read at a time: most audits need no more."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a picture is generated from; `id` names the picture whose caption it is, None where it is none's."""

    text: str
    id: int | None = None


def read(file: Path) -> tuple[Prompt, ...]:
    """The prompts of a file, one a line; blank lines and repeated ones are left out.

    Raises:
        QueryError: the file cannot be read, has no prompt, or one that is too long.
    """
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise QueryError(f"{file}: cannot be read ({error.strerror}); expected prompts, one a line") from error
    except UnicodeDecodeError as error:
        raise QueryError(f"{file}: is not UTF-8 (byte {error.start:,}); save it as text, one prompt a line") from error
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_PROMPT:
            raise QueryError(f"{file}, line {number}: expected at most {MAX_PROMPT:,} characters, found {len(line):,}")
    texts = dict.fromkeys(line.strip() for line in lines if line.strip())
    if not texts:
        raise QueryError(f"{file}: found no prompt; expected one a line")
    return tuple(Prompt(text) for text in texts)


def captions(atlas: Atlas, count: int, seed: int = 0) -> tuple[Prompt, ...]:
    """Captions of training pictures, one a family, those of the largest families first, the same text once.

    What stands in a corpus many times is what a generator remembers best (Somepalli 2022, arXiv 2212.03860); so the
    largest families come first, and equally large ones in a random order.

    Args:
        atlas: the corpus.
        count: how many.
        seed: of the order among equally large families.

    Raises:
        QueryError: there are fewer.
    """
    if count < 1:
        raise QueryError(f"found --captions {count}; expected 1 or more")
    texts: dict[str, Prompt] = {}
    for ids in _by_family(atlas, seed):
        for record in atlas.records(ids):
            text = record.caption.strip()[:MAX_PROMPT]
            if record.captions and text:
                texts.setdefault(text, Prompt(text, record.id))
        if len(texts) >= count:
            return tuple(texts.values())[:count]
    raise QueryError(f"found {len(texts):,} different captions of training pictures; ask for no more: --captions N")


def _by_family(atlas: Atlas, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """The id of each family's first picture that may be shown, some at a time, the largest families first."""
    rows = np.flatnonzero(atlas.allowed(Split.TRAIN) & ~atlas.flagged)
    _, first, sizes = np.unique(atlas.families[rows], return_index=True, return_counts=True)
    shuffled = np.random.default_rng(seed).permutation(len(first))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    for start in range(0, len(order), _AT_ONCE):
        yield atlas.ids[rows[first[order[start : start + _AT_ONCE]]]]
