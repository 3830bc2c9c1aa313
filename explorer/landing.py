"""Where a picture lands, in each space and in one word, and what may be said of it; frozen, as all records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from explorer.records import Hit, Point


class VerdictName(StrEnum):
    """How near a picture comes to its nearest training picture, in one word."""

    COPY = "copy"
    NEARER = "nearer"
    TYPICAL = "typical"
    FAR = "far"


class AgreementName(StrEnum):
    """In which spaces a picture comes nearer to its nearest training picture than is usual."""

    BOTH = "both"
    CLIP = "clip"
    VAE = "vae"
    NEITHER = "neither"


class Flag(StrEnum):
    """What published thresholds make of a similarity in `sscd`; see `explorer.copies.flag`."""

    REPLICATION = "replication"
    COPY = "copy"


class How(StrEnum):
    """How a copy was made of its original."""

    WHOLE = "whole"
    FLIPPED = "flipped"
    CROPPED = "cropped"
    CROPPED_FLIPPED = "cropped and flipped"
    FRAMED = "framed"
    FRAMED_FLIPPED = "framed and flipped"


@dataclass(frozen=True, slots=True)
class ClusterPlace:
    """The cluster that a picture lands in: the one that most of its 15 nearest training pictures are in.

    Attributes:
        cluster: its number, of the coarse level.
        label: its name.
        share: of those 15, how many are in it, 0-1.
        margin: the share without that of the runner-up, 0-1; 0 = as many are in another cluster.
        runner_up: the cluster that the second most are in; None where the others are in no cluster.
    """

    cluster: int
    label: str
    share: float
    margin: float
    runner_up: int | None


@dataclass(frozen=True, slots=True)
class SpaceLanding:
    """Where a picture lands in one space.

    What a landing does not have, because it was kept by an earlier program or too few pictures are there to tell it
    by, is None.

    Attributes:
        point: its place, map units.
        distance: map units to the nearest point of the corpus.
        percentile: of the similarity to its nearest training picture, 0-100; None where the training pictures have no
            measure of their own, being all of one family.
        hits: the nearest pictures by the vectors, most similar first, one of each family.
        via: `latent` where the generator's own latent was used, `picture` where the decoded picture was encoded anew.
        by_family: the same as `percentile` with every family counted once, however many variants it has.
        cluster: where it stands among the clusters; None also where none of its nearest is in any.
        isolation: how much nearer the nearest is than the next 49, see `explorer.nearness.isolation`.
        realism: see `explorer.nearness.Balls`.
        kept: of its 15 nearest training pictures by the vectors, how many are among the 15 nearest to its place.
        flag: what the thresholds of `sscd` make of the similarity to its nearest; None in every other space.
    """

    point: Point
    distance: float
    percentile: float | None
    hits: tuple[Hit, ...]
    via: str = "picture"
    by_family: float | None = None
    cluster: ClusterPlace | None = None
    isolation: float | None = None
    realism: float | None = None
    kept: int | None = None
    flag: Flag | None = None

    @property
    def nearness(self) -> float | None:
        """How near the nearest is, 0-100: counted by family where that is known, else by picture."""
        return self.percentile if self.by_family is None else self.by_family


@dataclass(frozen=True, slots=True)
class Match:
    """A picture of the corpus that a picture is a copy of; see `explorer.copies`.

    Attributes:
        bits: of 64, in which the two perceptual hashes differ that came nearest.
        score: the correlation of the two pictures laid over each other, at most 1; None where no thumbnail was kept and
            the hashes alone decided.
    """

    id: int
    bits: int
    how: How
    score: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A word for a landing.

    Attributes:
        name: the word.
        rule: what gave it, with its numbers.
        numbers: the numbers that the rule went by and those that it held them against, by name.
        limits: what it does not show.
        match: id of the picture that it is a copy of, which the rule names; None where it is of none, where the vectors
            alone say so, and where that picture was taken down since.
    """

    name: VerdictName
    rule: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    limits: str = ""
    match: int | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether the spaces say the same of a picture.

    Attributes:
        name: in which of them it is near.
        rule: what near means here, with the numbers.
        shared: ids of the hits in `clip` whose families are among the hits in `vae` too.
        says: what it means.
    """

    name: AgreementName
    rule: str
    shared: tuple[int, ...]
    says: str


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a picture lands in every space of an atlas; no agreement where it has not both spaces."""

    spaces: Mapping[str, SpaceLanding]
    verdict: Verdict
    notes: tuple[str, ...] = ()
    agreement: Agreement | None = None
