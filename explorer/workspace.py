"""What people make with an atlas: generated pictures, the jobs that make them, and selections.

All lies in one SQLite file, so several threads may write and other processes read at the same time. A job's life is
written down as numbered events, so that whoever knows its id can follow it from anywhere and at any time.
"""

from __future__ import annotations

import hmac
import json
import secrets
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from explorer.database import Database
from explorer.errors import QueryError
from explorer.jobs import Event, Job, JobState
from explorer.kept import NAMING, SCHEMA, TABLES, Generation, Selection, digest, dumps, generation_of, job_of, now
from explorer.landing import Landing
from explorer.records import Recipe, TrajectoryStep, to_json

FILE = "workspace.sqlite"
MAX_SELECTION = 1_000_000


class Workspace:
    """A workspace, opened; every method may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, folder: Path | str) -> Workspace:
        """Open the workspace of a folder; make it if there is none.

        Raises:
            AtlasError: it cannot be opened, or is of another schema.
        """
        return cls(Database(Path(folder) / FILE, TABLES, SCHEMA))

    def close(self) -> None:
        """Close the file; nothing can be asked afterwards."""
        self._database.close()

    def add_job(self, recipe: Recipe) -> Job:
        """Write down a new job, queued."""
        job = Job(secrets.token_urlsafe(16), JobState.QUEUED, recipe, now())
        with self._database.change() as connection:
            connection.execute(
                "INSERT INTO jobs (id, state, recipe, created) VALUES (?, ?, ?, ?)",
                (job.id, job.state, dumps(asdict(recipe)), job.created),
            )
        return job

    def job(self, identity: str) -> Job | None:
        """One job, None if there is none of that id."""
        row = self._database.row("SELECT * FROM jobs WHERE id = ?", identity)
        return job_of(row) if row else None

    def jobs(self, limit: int = 50) -> list[Job]:
        """The newest jobs, newest first."""
        return [job_of(row) for row in self._database.rows("SELECT * FROM jobs ORDER BY number DESC LIMIT ?", limit)]

    def claim(self, job: str) -> str:
        """Make the key of a job's maker, by which its picture can be deleted; only its digest is kept."""
        key = secrets.token_urlsafe(16)
        with self._database.change() as connection:
            connection.execute("INSERT INTO makers VALUES (?, ?)", (job, digest(key)))
        return key

    def is_maker(self, job: str, key: str) -> bool:
        """Whether a key is that of a job's maker."""
        row = self._database.row("SELECT digest FROM makers WHERE job = ?", job)
        return row is not None and hmac.compare_digest(row["digest"], digest(key))

    def set_job(
        self, identity: str, state: JobState, *, generation: int | None = None, error: str | None = None
    ) -> bool:
        """Change where a job stands; False, and no change, where it has ended or there is none."""
        with self._database.change() as connection:
            return _set_job(connection, identity, state, generation, error)

    def end_job(
        self,
        identity: str,
        state: JobState,
        data: Mapping[str, Any],
        *,
        generation: int | None = None,
        error: str | None = None,
    ) -> Event | None:
        """Write down a job's end, its state and its last event at once.

        Returns:
            the event, its kind the state; None where the job had ended before, which stands.
        """
        with self._database.change() as connection:
            if not _set_job(connection, identity, state, generation, error):
                return None
            return _add_event(connection, identity, state, data)

    def interrupt_unfinished(self, error: str) -> list[str]:
        """End every job that waits or runs, because nobody runs it any more; return their ids, oldest first."""
        states = (JobState.QUEUED, JobState.RUNNING)
        with self._database.change() as connection:
            rows = connection.execute("SELECT id FROM jobs WHERE state IN (?, ?) ORDER BY number", states).fetchall()
            for row in rows:
                _set_job(connection, row["id"], JobState.INTERRUPTED, None, error)
                _add_event(connection, row["id"], JobState.INTERRUPTED, {"error": error})
        return [row["id"] for row in rows]

    def add_event(self, job: str, kind: str, data: Mapping[str, Any]) -> Event:
        """Write down that something happened to a job."""
        with self._database.change() as connection:
            return _add_event(connection, job, kind, data)

    def events(self, job: str, after: int = 0) -> list[Event]:
        """What happened to a job after event number `after`, in order."""
        sql = "SELECT seq, kind, data FROM events WHERE job = ? AND seq > ? ORDER BY seq"
        return [Event(row["seq"], row["kind"], json.loads(row["data"])) for row in self._database.rows(sql, job, after)]

    def add_generation(
        self,
        png: bytes,
        recipe: Recipe,
        landing: Landing,
        trajectory: Sequence[TrajectoryStep],
        previews: Sequence[bytes] = (),
        report: Mapping[str, Any] | None = None,
    ) -> int:
        """Keep a generated picture with the pictures of its steps (WebP, the first is step 1) and its report.

        Returns:
            its id.
        """
        texts = (dumps(asdict(recipe)), dumps(to_json(landing)), dumps([to_json(step) for step in trajectory]))
        with self._database.change() as connection:
            added = connection.execute(
                "INSERT INTO generations (created, png, recipe, landing, trajectory) VALUES (?, ?, ?, ?, ?)",
                (now(), png, *texts),
            )
            identity = added.lastrowid or 0  # always a number after an INSERT
            steps = [(identity, step, preview) for step, preview in enumerate(previews, 1)]
            connection.executemany("INSERT INTO previews VALUES (?, ?, ?)", steps)
            if report is not None:
                connection.execute("INSERT INTO reports VALUES (?, ?)", (identity, dumps(report)))
        return identity

    def generation(self, identity: int) -> Generation:
        """One generated picture; QueryError if there is none of that id."""
        sql = "SELECT id, created, recipe, landing, trajectory FROM generations WHERE id = ?"
        return generation_of(self._found(identity, sql))

    def generations(self, limit: int = 50) -> list[Generation]:
        """The newest generated pictures, newest first."""
        sql = "SELECT id, created, recipe, landing, trajectory FROM generations ORDER BY id DESC LIMIT ?"
        return [generation_of(row) for row in self._database.rows(sql, limit)]

    def picture(self, identity: int) -> bytes:
        """A generated picture itself, PNG; QueryError if there is none of that id."""
        return bytes(self._found(identity, "SELECT png FROM generations WHERE id = ?")["png"])

    def preview(self, identity: int, step: int) -> bytes | None:
        """The picture of a step (1-based), WebP; None if it was not kept."""
        row = self._database.row("SELECT webp FROM previews WHERE generation = ? AND step = ?", identity, step)
        return bytes(row["webp"]) if row else None

    def report(self, identity: int) -> dict[str, Any] | None:
        """A picture's provenance as one document; None if none was kept."""
        row = self._database.row("SELECT document FROM reports WHERE generation = ?", identity)
        return json.loads(row["document"]) if row else None

    def has_report(self, identity: int) -> bool:
        """Whether a report of a picture was kept."""
        return self._database.row("SELECT 1 FROM reports WHERE generation = ?", identity) is not None

    def delete_generation(self, identity: int) -> bool:
        """Delete a picture, its steps, its report, and its job with all its events; False if there is none such.

        Their bytes are gone too, out of the file and out of its journal.
        """
        with self._database.change() as connection:
            made = "(SELECT id FROM jobs WHERE generation = ?)"
            for table in ("events", "makers"):
                connection.execute(f"DELETE FROM {table} WHERE job IN {made}", (identity,))
            for table in ("jobs", "previews", "reports"):
                connection.execute(f"DELETE FROM {table} WHERE generation = ?", (identity,))
            is_gone = connection.execute("DELETE FROM generations WHERE id = ?", (identity,)).rowcount == 1
        self._database.empty_journal()
        return is_gone

    def save_selection(self, name: str, ids: Sequence[int]) -> Selection:
        """Keep a selection; one of the same name is replaced.

        Raises:
            QueryError: the name is blank or long, or there are too many pictures.
        """
        if not 1 <= len(name.strip()) <= 200:
            raise QueryError(f"found a name of {len(name.strip())} characters; expected 1 to 200")
        if len(ids) > MAX_SELECTION:
            raise QueryError(f"found {len(ids):,} pictures; a selection holds at most {MAX_SELECTION:,}")
        selection = Selection(name.strip(), now(), tuple(map(int, ids)))
        with self._database.change() as connection:
            values = (selection.name, selection.created, dumps(selection.ids))
            connection.execute("INSERT OR REPLACE INTO selections VALUES (?, ?, ?)", values)
        return selection

    def selections(self) -> list[Selection]:
        """Every selection, by name."""
        rows = self._database.rows("SELECT * FROM selections ORDER BY name")
        return [Selection(row["name"], row["created"], tuple(json.loads(row["ids"]))) for row in rows]

    def delete_selection(self, name: str) -> bool:
        """Delete a selection; False if there is none of that name."""
        with self._database.change() as connection:
            return connection.execute("DELETE FROM selections WHERE name = ?", (name,)).rowcount == 1

    def forget(self, ids: Collection[int]) -> int:
        """Leave no trace of pictures of the corpus, in what is kept and in the file's unused pages.

        Returns:
            how many landings, trajectories, events and selections named one.

        Raises:
            AtlasError: SQLite cannot write, or another process does not let go of the file.
        """
        changed = 0
        with self._database.change() as connection:
            for table, column, without in NAMING:
                for number, text in connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
                    before = json.loads(text)
                    after = without(before, ids)
                    if after != before:
                        change = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
                        changed += connection.execute(change, (dumps(after), number)).rowcount
        self._database.erase()
        return changed

    def _found(self, identity: int, sql: str) -> sqlite3.Row:
        row = self._database.row(sql, identity)
        if row is None:
            raise QueryError(f"found no generated picture {identity}; it was deleted, or is of another workspace")
        return row


def _set_job(
    connection: sqlite3.Connection, identity: str, state: JobState, generation: int | None, error: str | None
) -> bool:
    """Change a job that has not ended; the end of a job is final, whoever else reports one."""
    changed = connection.execute(
        "UPDATE jobs SET state = ?, generation = ?, error = ? WHERE id = ? AND state IN (?, ?)",
        (state, generation, error, identity, JobState.QUEUED, JobState.RUNNING),
    )
    return changed.rowcount == 1


def _add_event(connection: sqlite3.Connection, job: str, kind: str, data: Mapping[str, Any]) -> Event:
    last = connection.execute("SELECT coalesce(max(seq), 0) FROM events WHERE job = ?", (job,)).fetchone()[0]
    event = Event(last + 1, str(kind), data)
    connection.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (job, event.seq, event.kind, dumps(data)))
    return event
