"""A job: somebody's wish for a picture, where it stands, and what has happened to it so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from explorer.records import Recipe


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Job:
    """One wish for a picture.

    Attributes:
        id: a word that nobody can guess.
        created: ISO 8601, UTC.
        generation: the id of the picture, once there is one.
        error: why there is none, in one line.
    """

    id: str
    state: JobState
    recipe: Recipe
    created: str
    generation: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job; `seq` counts from 1."""

    seq: int
    kind: str
    data: Mapping[str, Any]
