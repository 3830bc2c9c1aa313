"""The studio: one owner of the generator, and the jobs that wait for it.

A job is a recipe with a name nobody can guess. It waits in a bounded queue, first come first served; one worker thread
holds the generator and runs them one by one. All that a job says and makes lies in the workspace, so whoever knows its
name can follow it from anywhere, at any time. A process that dies leaves its jobs `interrupted`.

Every event is a JSON object with `seq` (1, 2, ...) and `kind`; beside these:

| kind | data |
|---|---|
| queued | place: jobs before it, the running one included (0 = next); said anew whenever it changes |
| loading | model: what the job waits for, `clip` or `generator` |
| running | recipe, steps |
| step | what a `TrajectoryStep` has, by space where it has one value a space; steps, preview (URL) |
| done | landing, decided {space: {family, cluster}}, recipe (complete), image (URL), generation (its id in the
         workspace) |
| failed, interrupted | error: one line |
| cancelled | step: the last one that was done |

The last three rows end a job.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Condition, Thread
from typing import Any

from explorer.errors import ModelError, QueryError, QueueFull
from explorer.jobs import Job, JobState
from explorer.recipes import check_recipe
from explorer.records import Recipe
from explorer.workspace import Workspace
from webapp.events import Journal
from webapp.loading import Loader, Part, PartState, Phase
from webapp.runs import STOPPED, Run

CAPACITY = 8
"""Jobs that may wait beside the one that runs."""

STOP_SECONDS = 5.0
"""How long a stop waits for the running step to end."""


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A job that was taken in.

    Attributes:
        place: how many come before it.
        key: its maker's, by which the picture can be deleted; told once, and to nobody else.
    """

    job: str
    place: int
    key: str


class Studio:
    """Takes recipes in, runs them one by one, and says how far each is; for any thread.

    Args:
        workspace: where jobs, events and pictures are kept.
        parts: the models to load; the one named `generator` is a `Generator`. Without it nothing can be generated.
        capacity: how many jobs may wait.
        calm: seconds before anything is loaded, where no job comes: what imports the models' libraries holds up
            everything else in the process.
    """

    def __init__(
        self, workspace: Workspace, parts: Iterable[Part], *, capacity: int = CAPACITY, calm: float = 0.0
    ) -> None:
        self.workspace = workspace
        self.journal = Journal(workspace)
        self._loader = Loader(tuple(parts))
        self._capacity, self._calm = capacity, calm
        self._waiting: deque[Job] = deque()
        self._run: Run | None = None
        self._ended: Run | None = None  # the last one: a browser may still ask for a step that it has just heard of
        self._closing = False
        self._changed = Condition()
        self._worker = Thread(target=self._work, name="studio", daemon=True)

    def __enter__(self) -> Studio:
        """Mark what an earlier process left behind, and start loading."""
        self.workspace.interrupt_unfinished(STOPPED)
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the running job at its next step, mark every unfinished one, and end the streams."""
        with self._changed:
            self._closing = True
            if self._run:
                self._run.interrupt()
            self._changed.notify()
        self._worker.join(STOP_SECONDS)
        self.workspace.interrupt_unfinished(STOPPED)
        self.journal.bell.close()

    def submit(self, recipe: Recipe) -> Ticket:
        """Take a recipe in.

        Raises:
            QueryError: the recipe is out of bounds, or this atlas names no generator.
            ModelError: the generator did not load.
            QueueFull: as many jobs wait as may wait.
        """
        check_recipe(recipe)
        _check_characters(recipe)
        generator = self._usable()
        with self._changed:
            if len(self._waiting) >= self._capacity:
                raise QueueFull(f"{self._capacity} pictures wait already, as many as may; try again in a minute")
            job = self.workspace.add_job(replace(recipe, generator=generator.reference))
            place = len(self._waiting) + (self._run is not None)
            self.journal.say(job.id, "queued", {"place": place})
            self._say_loading([job])
            self._waiting.append(job)
            self._changed.notify()
        return Ticket(job.id, place, self.workspace.claim(job.id))

    def cancel(self, job: str) -> JobState | None:
        """Take a waiting job out of the queue, or let the running one stop at its next step.

        Returns:
            the job's state after that; None for an unknown job.
        """
        with self._changed:
            if self._run and self._run.job.id == job:
                self._run.cancel()
            for waiting in [found for found in self._waiting if found.id == job]:
                self._waiting.remove(waiting)
                self.journal.end(job, JobState.CANCELLED, {"step": 0})
                self._say_places()
        found = self.workspace.job(job)
        return found.state if found else None

    def place(self, job: str) -> int | None:
        """How many jobs come before a waiting job; None if it does not wait."""
        with self._changed, suppress(ValueError):
            return [waiting.id for waiting in self._waiting].index(job) + (self._run is not None)
        return None

    def preview(self, job: str, step: int) -> bytes | None:
        """The picture after a step (1-based) as WebP, from the running job, the last one, or the workspace."""
        with self._changed:
            in_memory = next((run for run in (self._run, self._ended) if run and run.job.id == job), None)
        if in_memory:
            return in_memory.preview(step)
        found = self.workspace.job(job)
        return self.workspace.preview(found.generation, step) if found and found.generation is not None else None

    def state(self) -> dict[str, Any]:
        """How far the models are and how long the queue is, as a JSON object."""
        with self._changed:
            length = len(self._waiting) + (self._run is not None)
        return {
            "models": self._loader.states(),
            "queue": {"length": length, "capacity": self._capacity},
            "defaults": self.defaults() or None,
        }

    def defaults(self) -> dict[str, Any]:
        """The generator's own steps and guidance; empty until it is loaded."""
        generator = self._loader.loaded("generator")
        return {"steps": generator.default_steps, "guidance": generator.default_guidance} if generator else {}

    def _usable(self) -> PartState:
        """The generator, loaded or loading."""
        state = self._loader.state("generator")
        if state is None:
            raise QueryError("this atlas names no generator, so it makes no pictures; serve it with --generator REF")
        if state.phase is Phase.FAILED:
            raise ModelError(f"the generator {state.reference} did not load: {state.reason}")
        return state

    def _work(self) -> None:
        """Load the models, then run one job after the other until the studio closes."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing, self._calm)
        for state in self._loader.run():
            if self._closing:
                return
            if state.phase is Phase.LOADING:
                with self._changed:
                    self._say_loading(self._waiting)
        while (run := self._next()) is not None:
            try:
                self._carry_out(run)
            except Exception:
                # The workspace cannot be written to (a full disk): the job is lost, the others may have more luck.
                log.exception("what became of job %s could not be written down", run.job.id)
            with self._changed:
                self._ended, self._run = run, None

    def _next(self) -> Run | None:
        """Wait for a job; None when the studio closes."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            self._run = None if self._closing else Run(self._waiting.popleft(), self.journal)
            return self._run

    def _carry_out(self, run: Run) -> None:
        with self._changed:
            self.workspace.set_job(run.job.id, JobState.RUNNING)
            self._say_places()
        try:
            self._usable()
        except ModelError as error:
            run.fail(str(error))
        else:
            run.perform(self._loader.loaded("generator"))

    def _say_places(self) -> None:
        for place, job in enumerate(self._waiting, start=int(self._run is not None)):
            self.journal.say(job.id, "queued", {"place": place})

    def _say_loading(self, jobs: Iterable[Job]) -> None:
        """Tell jobs what they wait for."""
        if current := self._loader.current():
            for job in jobs:
                self.journal.say(job.id, "loading", {"model": current.name})


def _check_characters(recipe: Recipe) -> None:
    """Refuse halves of a UTF-16 pair: JSON may hold them, but no file and no tokenizer takes them."""
    try:
        f"{recipe.prompt}{recipe.negative}".encode()
    except UnicodeEncodeError as error:
        raise QueryError("prompt: found half of a UTF-16 pair, which is no character; type it again") from error
