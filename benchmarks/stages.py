"""Building an atlas out of vectors, stage by stage, at three sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import atlases
from benchmarks.atlases import FOLDER
from benchmarks.parts import Part
from benchmarks.rows import Figure, Row, duration, held
from benchmarks.vectors import DIM, Data, source
from benchmarks.watch import Watched, watched

RUNS = {10_000: 3, 100_000: 3, 1_000_000: 1}
"""Size -> builds, of which the median counts."""
MINUTES = {10_000: 2.0, 100_000: 12.0, 1_000_000: 60.0}
MOST_SECONDS, MOST_BYTES = 3600.0, 16e9
"""What a million is promised."""
GIGA = 1e9
NOTE = """`latent-explorer index` in a process of its own, from nothing, watched from outside: its memory is the most
that the process and its workers held, pages that they share counted for each."""


def measure(data: Data, n: int) -> Iterator[Row]:
    """Builds from nothing, with `index` as a person runs it; then `verify`."""
    manifest, path = source(data, n), FOLDER / f"{data}-{n}"
    runs = [atlases.build(manifest, path) for _ in range(RUNS[n])]
    yield _whole(data, n, runs)
    yield _stages(data, n, runs)
    yield _size(data, n, path)


def _whole(data: Data, n: int, runs: Sequence[Watched]) -> Row:
    seconds, processor = median(run.seconds for run in runs), median(run.processor for run in runs)
    peak = max(run.peak for run in runs)
    bound = f"at most 60 min: {held(seconds, MOST_SECONDS)}; at most 16 GB: {held(peak, MOST_BYTES)}"
    return Row(
        f"`index` of {n:,} x {DIM}, {_of(runs)}",
        f"{duration(seconds)}, {duration(processor)} of processor, {peak / GIGA:.2f} GB",
        bar=bound if n == max(RUNS) else "",
        data=data.says,
        figures=(
            Figure("build", n, seconds, "s"),
            Figure("build, processor", n, processor, "s"),
            Figure("build, memory", n, peak / GIGA, "GB"),
        ),
    )


def _stages(data: Data, n: int, runs: Sequence[Watched]) -> Row:
    told = [atlases.told(run)["stages"] for run in runs]
    spent = {stage: median(each[stage] for each in told) for stage in told[-1]}
    return Row(
        f"its stages, {n:,}",
        ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in spent.items()),
        data=data.says,
        figures=tuple(Figure(f"build, stage {stage}", n, seconds, "s") for stage, seconds in spent.items()),
    )


def _size(data: Data, n: int, path: Path) -> Row:
    """What the atlas takes on the disk, and whether `verify` finds it whole."""
    run = watched(atlases.verb("verify", path))
    taken = sum(file.stat().st_size for file in (path / "versions").rglob("*") if file.is_file())
    is_whole = atlases.told(run)["ok"]
    return Row(
        f"the atlas of {n:,}, and `verify` of it",
        f"{taken / GIGA:.3f} GB, {duration(run.seconds)}",
        bar=f"ok: {'yes' if is_whole else 'NO'}",
        data=data.says,
        figures=(Figure("atlas on the disk", n, taken / GIGA, "GB"), Figure("verify", n, run.seconds, "s")),
    )


def _of(runs: Sequence[Watched]) -> str:
    return f"median of {len(runs)} builds" if len(runs) > 1 else "one build"


PARTS = tuple(
    Part(f"stages/{data}-{n}", partial(measure, data, n), MINUTES[n]) for data in Data for n in RUNS if n <= data.most
)
