"""The proofs, in the order of docs/validation.md."""

from __future__ import annotations

from collections.abc import Sequence

from validation import calibration, copies, copying, exemplars, placing, prompting
from validation.parts import Part

PROOFS = (copying.PROOF, copies.PROOF, exemplars.PROOF, calibration.PROOF, placing.PROOF, prompting.PROOF)


def chosen(names: Sequence[str]) -> list[Part]:
    """The parts that are meant: of a proof by its name, one by its own, every one where nothing is named.

    Raises:
        ValueError: there is no such proof or part.
    """
    parts: list[Part] = []
    for name in names or [proof.name for proof in PROOFS]:
        found = [part for proof in PROOFS for part in proof.parts if name in (proof.name, part.name)]
        if not found:
            known = ", ".join(proof.name for proof in PROOFS)
            raise ValueError(f"found no part named {name}; expected a proof ({known}) or a part that --list shows")
        parts += found
    return parts
