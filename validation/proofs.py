"""What a proof is: parts that measure, and words that say whether a claim holds and what the app says then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from validation.parts import Figures, Part


@dataclass(frozen=True, slots=True)
class Claim:
    """One line of the table at the head of docs/validation.md.

    Attributes:
        says: what is claimed.
        found: the figure, with its sample size.
        bar: what it must reach; empty where the figure is told and held against nothing.
        holds: whether it does; None where there is no bar.
        so: what the app says because of it.
    """

    says: str
    found: str
    bar: str
    holds: bool | None
    so: str


@dataclass(frozen=True, slots=True)
class Section:
    """What a proof found.

    Attributes:
        claims: its lines of the table.
        text: Markdown below its heading.
        pictures: the files that the text shows, by their names in the folder `validation` beside the page.
    """

    claims: tuple[Claim, ...]
    text: str
    pictures: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proof:
    """A claim of the app, and how it is held against the truth.

    Attributes:
        name: how its parts' names begin.
        title: the heading.
        parts: what it measures.
        tell: makes words of the figures of the parts that were measured, by their names.
    """

    name: str
    title: str
    parts: tuple[Part, ...]
    tell: Callable[[Mapping[str, Figures]], Section]
