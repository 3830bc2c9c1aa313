"""What lies in a workspace: its tables, and what their rows are."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from explorer.jobs import Job, JobState
from explorer.records import Recipe
from explorer.scrub import list_without, story_without

SCHEMA = 1

NAMING = (
    ("generations", "landing", story_without),
    ("generations", "trajectory", story_without),
    ("reports", "document", story_without),
    ("events", "data", story_without),
    ("selections", "ids", list_without),
)
"""Table and column of every JSON that may name pictures of the corpus, and what takes some of them out of it."""

TABLES = """
CREATE TABLE IF NOT EXISTS generations (
    id INTEGER PRIMARY KEY AUTOINCREMENT, created TEXT NOT NULL, png BLOB NOT NULL,
    recipe TEXT NOT NULL, landing TEXT NOT NULL, trajectory TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS previews (
    generation INTEGER NOT NULL REFERENCES generations, step INTEGER NOT NULL, webp BLOB NOT NULL,
    PRIMARY KEY (generation, step)
);
CREATE TABLE IF NOT EXISTS reports (
    generation INTEGER PRIMARY KEY REFERENCES generations, document TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, recipe TEXT NOT NULL,
    created TEXT NOT NULL, generation INTEGER REFERENCES generations, error TEXT
);
CREATE TABLE IF NOT EXISTS makers (job TEXT PRIMARY KEY REFERENCES jobs (id), digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    job TEXT NOT NULL REFERENCES jobs (id), seq INTEGER NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (job, seq)
);
CREATE TABLE IF NOT EXISTS selections (name TEXT PRIMARY KEY, created TEXT NOT NULL, ids TEXT NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Generation:
    """A generated picture and what was found out about it.

    Attributes:
        landing: as `records.to_json` gives it.
        trajectory: the same, one entry a step.
    """

    id: int
    created: str
    recipe: Recipe
    landing: Mapping[str, Any]
    trajectory: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Selection:
    """Pictures of the corpus that somebody gathered under a name."""

    name: str
    created: str
    ids: tuple[int, ...]


def job_of(row: sqlite3.Row) -> Job:
    """A row of `jobs`."""
    recipe = Recipe.of(json.loads(row["recipe"]))
    return Job(row["id"], JobState(row["state"]), recipe, row["created"], row["generation"], row["error"])


def generation_of(row: sqlite3.Row) -> Generation:
    """A row of `generations`, without its picture."""
    recipe = Recipe.of(json.loads(row["recipe"]))
    return Generation(row["id"], row["created"], recipe, json.loads(row["landing"]), json.loads(row["trajectory"]))


def dumps(value: Any) -> str:  # noqa: ANN401 - plain values
    """Plain values as a column of JSON; ValueError where a number is none that JSON has."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def digest(key: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(key.encode()).hexdigest()


def now() -> str:
    """The time, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
