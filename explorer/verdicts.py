"""What may be said of a landing: one word for it, whether the spaces agree, and what neither of them shows.

A neighbor is a resemblance, not a cause. Near is told by how near training pictures come to each other, in each space
by itself; spaces are never averaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from explorer import copies
from explorer.landing import Agreement, AgreementName, Flag, How, Match, SpaceLanding, Verdict, VerdictName
from explorer.records import Relation, Space

NEARER_PERCENTILE = 95.0
FAR_PERCENTILE = 5.0

_BOTH = frozenset({Space.CLIP, Space.VAE})
_MEANINGS: Mapping[AgreementName, str] = {
    AgreementName.BOTH: "Like its nearest in subject, and in composition and colors too.",
    AgreementName.CLIP: "Of a like subject (CLIP), in another composition or other colors (VAE).",
    AgreementName.VAE: "Of like composition and colors (VAE), with another subject (CLIP).",
    AgreementName.NEITHER: "Neither in subject (CLIP) nor in composition and colors (VAE) nearer than is usual.",
}
_NAMES: Mapping[frozenset[Space], AgreementName] = {
    _BOTH: AgreementName.BOTH,
    frozenset({Space.CLIP}): AgreementName.CLIP,
    frozenset({Space.VAE}): AgreementName.VAE,
    frozenset(): AgreementName.NEITHER,
}


@dataclass(frozen=True, slots=True)
class Words:
    """What to call training pictures, one and many, and what a corpus that stands so to the generator cannot show.

    Attributes:
        one: a picture.
        many: several.
        nothing_near: what it means that nothing is near.
    """

    one: str
    many: str
    nothing_near: str

    @classmethod
    def of(cls, relation: Relation) -> Words:
        """Only what the generator is known to have seen is called a training picture."""
        if relation.is_training:
            return cls("training picture", "training pictures", _NOTHING_NEAR[relation])
        return cls("picture", "pictures in this collection", _NOTHING_NEAR[relation])


_NOTHING_NEAR: Mapping[Relation, str] = {
    Relation.ALL: "That nothing is near does not show that nothing was learned from these pictures.",
    Relation.SAMPLE: "These pictures are a sample of what the generator saw: that nothing is near proves nothing.",
    Relation.NONE: "The generator did not see these pictures: that nothing is near says nothing of those that it saw.",
    Relation.UNKNOWN: "Whether the generator saw these pictures is not known: that nothing is near proves nothing.",
}
_BENT = (
    "Percentiles count every picture alike, so many variants of one bend them; a verdict's rule says where it counts "
    "each family once."
)
_WHOLE_PICTURES = (
    "It does not show that nothing was copied: a part, a style or a template of which the rest varies is not seen by "
    "vectors of whole pictures."
)
_LIMITS: Mapping[VerdictName, str] = {
    VerdictName.COPY: "It does not show how the two came to be alike: both may follow a common motif or template, and "
    "drawings that look alike by design count as copies.",
    VerdictName.NEARER: "It is a resemblance, not a cause: it does not show that one was made from the other. By this "
    f"rule {100 - NEARER_PERCENTILE:.0f} % of the pictures here are nearer than usual to another too, in each space.",
    VerdictName.TYPICAL: _WHOLE_PICTURES,
    VerdictName.FAR: _WHOLE_PICTURES,
}


def verdict(spaces: Mapping[str, SpaceLanding], matches: Sequence[Match], words: Words) -> Verdict:
    """One word for a landing, the rule that gave it, its numbers, and what it does not show.

    Args:
        spaces: space -> where the picture lands in it; it goes by `SpaceLanding.nearness`.
        matches: the pictures that it is a copy of, the best first.
        words: what to call training pictures.
    """
    known = _known(spaces)
    numbers = {f"nearness_{space}": value for space, value in known.items()}
    if matches:
        copied = _said(VerdictName.COPY, _copied(matches[0], words), numbers | _measured(matches[0]), words)
        return replace(copied, match=matches[0].id)
    if any(landed.flag is Flag.COPY for landed in spaces.values()):
        rule = f"in sscd it is as similar to its nearest {words.one} as a copy (at least {copies.SSCD_COPY})"
        return _said(VerdictName.COPY, rule, numbers | {"sscd_copy": copies.SSCD_COPY}, words)
    if not known:
        return _said(VerdictName.TYPICAL, f"there are no other {words.many} to compare with", {}, words)
    told = " and ".join(f"{value:.1f} % in {space}" for space, value in known.items())
    counted = ", each family counted once" if all(spaces[space].by_family is not None for space in known) else ""
    share = f"more similar to its nearest than {told} of the {words.many} are to theirs{counted}"
    numbers |= {"nearer_from": NEARER_PERCENTILE, "far_to": FAR_PERCENTILE}
    if max(known.values()) >= NEARER_PERCENTILE:
        name, bounds = VerdictName.NEARER, f"in one space at least {NEARER_PERCENTILE:.0f} %"
    elif max(known.values()) <= FAR_PERCENTILE:
        name, bounds = VerdictName.FAR, f"in every space at most {FAR_PERCENTILE:.0f} %"
    else:
        name, bounds = VerdictName.TYPICAL, f"between {FAR_PERCENTILE:.0f} % and {NEARER_PERCENTILE:.0f} %"
    return _said(name, f"{share} ({bounds})", numbers, words)


def _copied(match: Match, words: Words) -> str:
    """What a picture agrees with as a copy does, and how that was found; what is drawn alike agrees so too."""
    how = "a copy" if match.how is How.WHOLE else f"a {match.how} copy"
    like = f"it agrees with {words.one} {match.id} as {how} does"
    if match.score is None:
        return f"{like}: their perceptual hashes differ in {match.bits} of 64 bits (at most {copies.CLOSE})"
    return f"{like}: {copies.RULE}; theirs correlate by {match.score:.3f}"


def _measured(match: Match) -> dict[str, float]:
    """The numbers of a copy, and those that they were held against."""
    if match.score is None:
        return {"bits": match.bits, "copy_bits": copies.CLOSE}
    return {"bits": match.bits, "score": match.score, "copy_score": copies.AGREEMENT}


def caveats(relation: Relation, family_sizes: npt.NDArray[np.int32]) -> list[str]:
    """What else a document must say of a corpus that stands so to the generator, its families int32 (f,) so large."""
    said = [] if relation is Relation.ALL else [_NOTHING_NEAR[relation]]
    return [*said, *([_BENT] if family_sizes.max(initial=0) > 1 else [])]


def agreement(spaces: Mapping[str, SpaceLanding]) -> Agreement | None:
    """Whether `clip` and `vae` say the same; None where one of them is missing or cannot tell near from far."""
    known = {space: value for space, value in _known(spaces).items() if space in _BOTH}
    if len(known) < len(_BOTH):
        return None
    near = frozenset(Space(space) for space, value in known.items() if value >= NEARER_PERCENTILE)
    kin = {hit.family or hit.id for hit in spaces[Space.VAE].hits}
    shared = tuple(hit.id for hit in spaces[Space.CLIP].hits if (hit.family or hit.id) in kin)
    numbers = " and ".join(f"{value:.1f} % in {space}" for space, value in known.items())
    rule = f"near is at least {NEARER_PERCENTILE:.0f} %; it has {numbers}"
    return Agreement(_NAMES[near], rule, shared, _MEANINGS[_NAMES[near]])


def _known(spaces: Mapping[str, SpaceLanding]) -> dict[str, float]:
    """How near the nearest is in each space that can tell near from far."""
    return {space: landed.nearness for space, landed in spaces.items() if landed.nearness is not None}


def _said(name: VerdictName, rule: str, numbers: Mapping[str, float], words: Words) -> Verdict:
    is_near = name in (VerdictName.COPY, VerdictName.NEARER)
    limits = _LIMITS[name] if is_near else f"{_LIMITS[name]} {words.nothing_near}"
    return Verdict(name, rule, numbers, limits)
