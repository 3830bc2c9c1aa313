"""What the benchmarks consist of, in the order of docs/benchmarks.md; a module is imported when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from benchmarks.parts import Part


@dataclass(frozen=True, slots=True)
class Section:
    """Some parts under one heading.

    Attributes:
        name: how its parts' names begin.
        title: the heading.
        module: of `benchmarks`, with `PARTS` and perhaps a `NOTE`: what must be known to read the table.
    """

    name: str
    title: str
    module: str

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its parts, in order."""
        return tuple(self._import().PARTS)

    @property
    def note(self) -> str:
        """What must be known to read its table."""
        return str(getattr(self._import(), "NOTE", ""))

    def _import(self) -> ModuleType:
        return importlib.import_module(f"benchmarks.{self.module}")


SECTIONS = (
    Section("demo", "Build of the demo", "demo"),
    Section("fetching", "Fetching", "fetching"),
    Section("encoding", "Encoding", "encoding"),
    Section("questions", "Search and placement on the demo", "questions"),
    Section("locating", "Locating a picture", "locating"),
    Section("generation", "Generation", "generation"),
    Section("page", "Page of the demo", "page"),
    Section("stages", "Build at scale", "stages"),
    Section("maps", "Maps and placement at scale", "maps"),
    Section("sameness", "Two builds of one corpus", "sameness"),
    Section("search", "Search at scale", "search"),
    Section("serving", "Serving at scale", "serving"),
    Section("frames", "Frames", "frames"),
    Section("near", "Frames with thumbnails", "near"),
    Section("cloud", "From opening to the whole cloud", "peers"),
)


def chosen(names: Sequence[str]) -> list[Part]:
    """The parts that are meant: of a section by its name, one by its own, every one where nothing is named.

    Raises:
        ValueError: there is no such section or part.
    """
    parts: list[Part] = []
    for name in names or [section.name for section in SECTIONS]:
        sections = [section for section in SECTIONS if section.name == name.split("/")[0]]
        found = [part for section in sections for part in section.parts if name in (section.name, part.name)]
        if not found:
            known = ", ".join(section.name for section in SECTIONS)
            raise ValueError(f"found no part named {name}; expected a section ({known}) or a part that --list shows")
        parts += found
    return parts
