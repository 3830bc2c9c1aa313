"""Where the seconds of encoding go: reading, decoding, the models, writing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from time import perf_counter, process_time, thread_time
from typing import Self


@dataclass(slots=True)
class Spent:
    """Seconds on the clock, and seconds of processors."""

    wall: float = 0.0
    cpu: float = 0.0

    def add(self, wall: float, cpu: float) -> None:
        """Count more of both."""
        self.wall += wall
        self.cpu += cpu

    @contextmanager
    def thread(self) -> Iterator[None]:
        """Count what is done inside, by this thread alone."""
        wall, cpu = perf_counter(), thread_time()
        try:
            yield
        finally:
            self.add(perf_counter() - wall, thread_time() - cpu)

    @contextmanager
    def process(self) -> Iterator[None]:
        """Count what is done inside, by all threads: a model's own are not to be told from others."""
        wall, cpu = perf_counter(), process_time()
        try:
            yield
        finally:
            self.add(perf_counter() - wall, process_time() - cpu)


@dataclass(slots=True)
class Timings:
    """What encoding took so far; one a shard is saved with it, and they add up.

    Attributes:
        reading: files or spooled downloads; the clock runs in a thread of its own.
        decoding: the workers' processors; on the clock only what the models waited for pictures.
        model: all models.
        writing: shards to the disk.
    """

    reading: Spent = field(default_factory=Spent)
    decoding: Spent = field(default_factory=Spent)
    model: Spent = field(default_factory=Spent)
    writing: Spent = field(default_factory=Spent)

    def add(self, other: Timings) -> None:
        """Count another's seconds too."""
        for part in fields(self):
            more: Spent = getattr(other, part.name)
            getattr(self, part.name).add(more.wall, more.cpu)

    def take(self) -> Timings:
        """What was counted since the last time; the count starts again."""
        taken = Timings()
        taken.add(self)
        for part in fields(self):
            setattr(self, part.name, Spent())
        return taken

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Part -> `wall` and `cpu`, seconds."""
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        return {name: {"wall": round(spent.wall, 6), "cpu": round(spent.cpu, 6)} for name, spent in parts.items()}

    @classmethod
    def from_dict(cls, parts: Mapping[str, Mapping[str, float]]) -> Self:
        """What `to_dict` gave."""
        return cls(**{name: Spent(spent["wall"], spent["cpu"]) for name, spent in parts.items()})
