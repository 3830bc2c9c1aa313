"""Brute force: against numpy in float64, alike on every machine where it is wide, in bounded memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from explorer import exact
from explorer.exact import compare, knn, largest


def test_of_equal_scores_the_first_columns_are_the_largest() -> None:
    """Ties are broken by column, at the edge of what is kept as well as inside it."""
    scores = np.random.default_rng(0).integers(0, 9, size=(200, 400)).astype(np.float32)
    scores[:, ::50] = -np.inf
    values, places = largest(scores, 15)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :15]
    assert np.array_equal(places, expected)
    assert np.array_equal(values, np.take_along_axis(scores, expected, axis=1))


def test_threads_share_one_bound_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The more processors there are, the fewer cosines each of them holds at a time; all are found all the same."""
    vectors = np.random.default_rng(1).normal(size=(300, 8)).astype(np.float16)
    held: list[int] = []
    monkeypatch.setattr(exact, "_CELLS", 4 * 300 * 10)
    monkeypatch.setattr(exact, "processors", lambda: 4)
    seen = np.zeros(300)

    def use(block: slice, scores: np.ndarray, start: int) -> None:
        held.append(scores.size)
        seen[block] += scores.shape[1]

    compare(vectors, vectors, use)
    assert max(held) == 300 * 10
    assert (seen == 300).all()


@pytest.mark.parametrize(("told", "most"), [("max 100000", 64), ("150000 100000", 2), ("50000 100000", 1), ("", 64)])
def test_a_containers_share_of_time_bounds_the_threads(
    told: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota of one and a half processors is worth two threads, however many processors the machine has."""
    (tmp_path / "cpu.max").write_text(told)
    monkeypatch.setattr(exact, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(sys, "platform", "linux")
    assert exact.processors.__wrapped__() == most


_FOUND = """
import hashlib, numpy as np
from explorer.exact import knn
from explorer.partition import Partition
rng = np.random.default_rng(2)
vectors = rng.normal(size=(1500, 96)).repeat(2, axis=0)
vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
cut = Partition.of(vectors, 32, wide=True)
similarities, rows = knn(vectors, vectors[:500], 20, wide=True)
print(hashlib.sha256(b"".join(each.tobytes() for each in (similarities, rows, cut.centers, cut.lists))).hexdigest())
"""


def test_wide_sums_are_the_same_whatever_multiplies() -> None:
    """Neighbors and lists have the same bytes with the kernels of two kinds of processors, numpy's own and BLAS's."""
    plain = {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512_SKX"}
    found = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _FOUND],
            env={**os.environ, **kind},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for kind in ({}, plain)
    }
    assert len(found) == 1


def test_wide_cosines_are_those_of_float64() -> None:
    """Of float16 vectors, and to the last bit of float32, unnormalized queries included."""
    rng = np.random.default_rng(3)
    vectors = (rng.normal(size=(400, 33)) / 6).astype(np.float16)
    similarities, rows = knn(vectors, vectors[:50], 7, wide=True)
    queries = vectors[:50].astype(np.float64)
    scores = queries @ vectors.T.astype(np.float64) / np.sqrt((queries**2).sum(axis=1))[:, None]
    expected = np.argsort(-scores.astype(np.float32), axis=1, kind="stable")[:, :7]
    assert np.array_equal(rows, expected)
    assert np.array_equal(similarities, np.take_along_axis(scores.astype(np.float32), expected, axis=1))
