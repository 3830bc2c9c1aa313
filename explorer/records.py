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
