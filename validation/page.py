"""docs/validation.md, out of the results that are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.parts import ROOT
from benchmarks.rows import duration, grid
from explorer.layout import write_atomic
from validation.parts import Result, kept
from validation.proofs import Claim, Proof

TARGET = ROOT / "docs" / "validation.md"
HEAD = """# Validation

Whether what the app says of nearness is true, held against a world where the truth is known: the embedded default.
Its generator was trained on the families of the split `train` alone, so one family in ten is what it never saw; CLIP
and VAE saw all pictures, so nothing else sets the two apart. `make validate` makes every figure of this page anew,
part by part, and goes on where it was interrupted; the command below a section measures it alone. Where a claim
fails, the app's words change: the last column is what follows for them.

What holds here holds for emoji of 64 pixels and the small models that drew them. It shows that the measures do what
they say; it does not carry their figures to another corpus.
"""


def write(proofs: Iterable[Proof], target: Path | None = None) -> None:
    """Write the page of everything that was measured so far, and its pictures; to `TARGET` where no other is named."""
    target = target or TARGET
    texts: list[str] = []
    claims: list[Claim] = []
    results: list[Result] = []
    missing: list[str] = []
    for proof in proofs:
        found = [result for part in proof.parts if (result := kept(part))]
        missing += [part.name for part in proof.parts if kept(part) is None]
        results += found
        if found:
            section = proof.tell({result.name: result.figures for result in found})
            claims += section.claims
            for name, data in section.pictures.items():
                _shown(target, name, data)
            texts.append(f"## {proof.title}\n\n{section.text}\n{_measured(proof, found)}\n")
    if not results:
        return
    machines = "; or on ".join(dict.fromkeys(result.machine for result in results))
    texts = [HEAD, f"{_table(claims)}\n", f"Measured on {machines}.\n", *texts]
    if missing:
        texts.append(f"Not measured here: {', '.join(missing)}.\n")
    write_atomic(target, "\n".join(texts).encode())


def _shown(target: Path, name: str, data: bytes) -> None:
    folder = target.with_suffix("")
    folder.mkdir(exist_ok=True)
    write_atomic(folder / name, data)


def _table(claims: Iterable[Claim]) -> str:
    words = {True: "yes", False: "NO", None: ""}
    lines = [(each.says, each.found, each.bar, words[each.holds], each.so) for each in claims]
    return grid(("claim", "found", "bar", "holds", "so the app says"), lines)


def _measured(proof: Proof, results: Sequence[Result]) -> str:
    """When and at which commits a section was measured, and how to measure it again."""
    told = dict.fromkeys(f"{result.day} at {result.commit}" for result in results)
    took = duration(sum(result.seconds for result in results))
    return f"`python -m validation {proof.name}`: {took}, {', '.join(told)}."
