"""docs/scaling.md: what 10 and 100 million pictures need, computed from the growth that was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.growth import Growth, told
from benchmarks.parts import ROOT
from benchmarks.rows import grid
from benchmarks.vectors import DIM, Data

TARGET = ROOT / "docs" / "scaling.md"
SIZES = (10_000_000, 100_000_000)
STAGE, BUILD, MEMORY, DISK = "build, stage ", "build", "build, memory", "atlas on the disk"
MEMORIES = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
"""GB that machines have."""
POSITION, VECTOR = 3 * 2, DIM * 2
"""Bytes of a point on its way to the page, and of a stored vector."""
HEAD = """# Ten and a hundred million

Computed by `make bench` from the growth in [benchmarks.md](benchmarks.md): a fixed cost and what grows as n^e, through
the three largest sizes that were measured. It is an extrapolation: past the measured sizes memory can run out, caches
stop holding, and another kind of index may win, so read it as an order of magnitude.
Measured on {data}; the largest size was {largest:,}, on two cores.

"""


def write(grown: Iterable[Growth]) -> None:
    """Write the page, where anything says what it should."""
    chosen = _chosen(grown)
    if chosen:
        TARGET.write_text(page(chosen), "utf-8")


def page(grown: Sequence[Growth]) -> str:
    """The page, in Markdown.

    Args:
        grown: one growth a series.
    """
    data = ", ".join(dict.fromkeys(growth.data or "drawn points" for growth in grown))
    head = HEAD.format(data=data, largest=max(max(growth.values) for growth in grown))
    needs = "\n".join(f"- {line}" for n in SIZES for line in _needs(grown, n))
    return f"{head}{_table(grown)}\n\n## What that means\n\n{needs}\n"


def _chosen(grown: Iterable[Growth]) -> list[Growth]:
    """One growth a series: that to the largest size, and of two on the real distribution."""
    best: dict[str, Growth] = {}
    for growth in grown:
        known = best.get(growth.series)
        if known is None or _weight(growth) > _weight(known):
            best[growth.series] = growth
    return list(best.values())


def _weight(growth: Growth) -> tuple[int, bool]:
    return max(growth.values), growth.data == Data.CLIP.says


def _table(grown: Sequence[Growth]) -> str:
    heads = ["measured", "largest measured", "exponent", *(f"{n // 10**6} million" for n in SIZES)]
    lines = []
    for growth in grown:
        largest = max(growth.values)
        now = f"{told(growth.values[largest], growth.unit)} at {largest:,}"
        then = (told(growth.curve.at(n), growth.unit) for n in SIZES)
        lines.append([growth.series, now, f"{growth.curve.exponent:.2f}", *then])
    return grid(heads, lines)


def _needs(grown: Sequence[Growth], n: int) -> Iterable[str]:
    """Sentences about one size: the machine, the time and where it goes, the disk, the page."""
    by = {growth.series: growth for growth in grown}
    many = f"{n // 10**6} million"
    if BUILD in by and MEMORY in by:
        memory = by[MEMORY].curve.at(n) * {"GB": 1.0, "MB": 1e-3}[by[MEMORY].unit]
        spent = told(by[BUILD].curve.at(n), by[BUILD].unit)
        yield f"{many}, building: {spent} on these two cores, and {_machine(memory)}."
    stages = {name: growth.curve.at(n) for name, growth in by.items() if name.startswith(STAGE)}
    if stages:
        slowest, whole = sorted(stages, key=lambda name: -stages[name])[:2], sum(stages.values())
        shares = " and ".join(f"`{name.removeprefix(STAGE)}` {stages[name] / whole:.0%}" for name in slowest)
        yield f"{many}, where the time goes: {shares}; a faster machine or another method there comes first."
    vectors = told(n * VECTOR, "B")
    disk = f" of {told(by[DISK].curve.at(n), by[DISK].unit)} on the disk" if DISK in by else ""
    yield (
        f"{many}, searching: the vectors alone are {vectors}{disk}; they and the index are memory-mapped, and stay "
        f"fast while the memory holds them: {_machine(2 * n * VECTOR / 1e9)}, or codes of fewer bytes, checked against "
        "the vectors."
    )
    yield (
        f"{many}, the page: {told(n * POSITION, 'B')} of positions, {n / 10**6:.0f} times those of a million; the "
        "cloud has to come as a sample first, and by region as the camera comes nearer."
    )


def _machine(gigabytes: float) -> str:
    fitting = [size for size in MEMORIES if size >= gigabytes]
    if not fitting:
        return f"more memory ({told(gigabytes, 'GB')}) than one machine has"
    return f"a machine of {fitting[0]} GB ({told(gigabytes, 'GB')} needed)"
