"""The nouns of an atlas: records, hits, landings, clusters, recipes; frozen, and the same for every reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

Point = tuple[float, float, float]
"""A place on a map, in map units."""


class Space(StrEnum):
    """A function from a picture to a unit vector."""

    CLIP = "clip"
    VAE = "vae"
    SSCD = "sscd"


class Split(StrEnum):
    """Whether the generator may have seen a picture."""

    TRAIN = "train"
    HELDOUT = "heldout"


class Relation(StrEnum):
    """How a corpus stands to the generator in use; it rules the words on the screen."""

    ALL = "all"
    SAMPLE = "sample"
    NONE = "none"
    UNKNOWN = "unknown"

    @property
    def is_training(self) -> bool:
        """Whether neighbors may be called training pictures."""
        return self in (Relation.ALL, Relation.SAMPLE)


class Schedule(StrEnum):
    """How noise grows over the steps; see `explorer.noising.signal`."""

    LINEAR = "linear"
    SCALED_LINEAR = "scaled_linear"
    COSINE = "cosine"


class Medium(StrEnum):
    """What noise is added to: a picture's latents, as a latent diffusion model does, or its pixels."""

    LATENTS = "latents"
    PIXELS = "pixels"


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
    """What its authors' thresholds make of a similarity in `sscd`; see `explorer.copies.flag`."""

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


def caption_of(captions: Mapping[str, str], key: str) -> str:
    """What a picture is called: its English caption, else the first there is, else its key."""
    return captions.get("en") or next(iter(captions.values()), "") or key


@dataclass(frozen=True, slots=True)
class Record:
    """One picture of the corpus; `None` means unknown."""

    id: int
    key: str
    split: Split
    family: str | None = None
    captions: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    group: str | None = None
    image_url: str | None = None
    page_url: str | None = None
    host: str | None = None
    author: str | None = None
    licence: str | None = None
    licence_url: str | None = None
    width: int | None = None
    height: int | None = None
    aesthetic: float | None = None
    punsafe: float | None = None
    pwatermark: float | None = None
    sha256: str | None = None
    phash: str | None = None
    fetched_at: str | None = None
    placed: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def caption(self) -> str:
        """See `caption_of`."""
        return caption_of(self.captions, self.key)


@dataclass(frozen=True, slots=True)
class Hit:
    """A picture of the corpus that a question found.

    Attributes:
        similarity: cosine to the query.
        percentile: 0-100, the share of training pictures whose own nearest (family left out) is less similar than
            this; None for text queries.
        point: its place on the map of the space that was asked.
        cluster: its cluster there; None outside all clusters.
        flagged: whether it is to be shown behind a blur; see `explorer.safety`.
        variants: how many further pictures of its family it stands for; 0 where each picture is listed by itself.
    """

    id: int
    similarity: float
    percentile: float | None
    split: Split
    caption: str
    image_url: str | None
    page_url: str | None
    licence: str | None
    point: Point
    cluster: int | None
    family: str | None = None
    flagged: bool = False
    variants: int = 0


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
    """

    name: VerdictName
    rule: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    limits: str = ""


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


@dataclass(frozen=True, slots=True)
class Cluster:
    """A group of pictures close to each other on one map; `exemplars` are ids, the most central first.

    Attributes:
        level: 0 = coarse, 1 = fine.
        parent: the coarse cluster that a fine one is a part of; None of a coarse one.
    """

    space: str
    level: int
    cluster: int
    label: str
    size: int
    exemplars: tuple[int, ...]
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """A turn on the way from noise: after `step` (1-based) the noise is drawn anew from `seed`."""

    step: int
    seed: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a picture was generated from; the same recipe gives the same picture.

    Attributes:
        branches: where its way turns off that of the same recipe without them, in order.
    """

    prompt: str
    negative: str = ""
    seed: int = 0
    steps: int = 25
    guidance: float = 4.0
    generator: str = "demo"
    lora: str | None = None
    revision: str | None = None
    width: int | None = None
    height: int | None = None
    branches: tuple[Branch, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """A recipe from its JSON."""
        return cls(**{**document, "branches": tuple(Branch(**each) for each in document.get("branches", ()))})


@dataclass(frozen=True, slots=True)
class Near:
    """A picture near a step of a way, and the cosine to it."""

    id: int
    similarity: float


@dataclass(frozen=True, slots=True)
class TrajectoryStep:
    """One denoising step: where the predicted clean picture stands on each map.

    Attributes:
        step: 1-based.
        timestep: of the scheduler.
        points: space -> place, map units.
        nearest: space -> id of the nearest training picture by the vectors.
        similarity: space -> cosine to it.
        pull: how hard the prompt pulled, see `explorer.models.denoising.pull`; None without guidance.
        neighbors: space -> the nearest training pictures, most similar first.
        percentile: space -> of `similarity`, 0-100; None where it has no meaning. See `Hit`.
        distance: space -> map units to the nearest point of the corpus.
        entropy: space -> bits, of the clusters of the nearest training pictures; see `explorer.way.entropy`.
        cluster: space -> the one that most of them are in; None where that is none.
        via: space -> `latent` or `picture`, as in `SpaceLanding`.
    """

    step: int
    timestep: float
    points: Mapping[str, Point]
    nearest: Mapping[str, int]
    similarity: Mapping[str, float]
    pull: float | None = None
    neighbors: Mapping[str, tuple[Near, ...]] = field(default_factory=dict)
    percentile: Mapping[str, float | None] = field(default_factory=dict)
    distance: Mapping[str, float] = field(default_factory=dict)
    entropy: Mapping[str, float] = field(default_factory=dict)
    cluster: Mapping[str, int | None] = field(default_factory=dict)
    via: Mapping[str, str] = field(default_factory=dict)


def to_json(value: Any) -> Any:  # noqa: ANN401 - any of the records above
    """Return a record as plain dicts and lists that `json.dumps` takes."""
    return asdict(value)
