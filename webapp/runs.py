"""One job while it runs: from its recipe to the picture in the workspace, every step said as it happens."""

from __future__ import annotations

import logging
from threading import Event

from explorer.errors import Cancelled, ExplorerError
from explorer.generate import Generation, Generator, StepImage, png_bytes
from explorer.jobs import Job, JobState
from explorer.pictures import thumbnail_webp
from explorer.records import to_json
from explorer.report.document import Document, Subject, document
from explorer.stamp import public
from webapp.events import Journal
from webapp.loading import first_line

STOPPED = "the server stopped before the picture was finished; generate it again with the same recipe"

log = logging.getLogger(__name__)


class Run:
    """The running job; `job` is what is run."""

    def __init__(self, job: Job, journal: Journal) -> None:
        self.job = job
        self._journal = journal
        self._previews: list[bytes] = []
        self._stop = Event()
        self._server_stops = False

    def cancel(self) -> None:
        """Let it end at its next step, because its visitor does not want it any more."""
        self._stop.set()

    def interrupt(self) -> None:
        """Let it end at its next step, because the server stops."""
        self._server_stops = True
        self._stop.set()

    def preview(self, step: int) -> bytes | None:
        """The picture after a step (1-based) as WebP; None before that step is done."""
        previews = self._previews
        return previews[step - 1] if 0 < step <= len(previews) else None

    def perform(self, generator: Generator) -> None:
        """Run to the end, whatever that is; only a workspace that cannot be written to raises."""
        recipe = generator.complete(self.job.recipe)
        try:
            self._journal.say(self.job.id, "running", {"recipe": to_json(public(recipe)), "steps": recipe.steps})
            made = generator.generate(recipe, on_step=self._step, cancelled=self._stop.is_set)
            self._keep(made, document(generator.atlas, generator.models, Subject.of(made)))
        except Cancelled:
            self._stopped()
        except ExplorerError as error:
            self.fail(str(error))
        except Exception as error:
            # Whatever torch or a driver throws ends this job and not the worker, for others wait.
            log.exception("job %s failed", self.job.id)
            self.fail(f"{type(error).__name__}: {first_line(error)}")

    def fail(self, reason: str) -> None:
        """End the job with a reason."""
        self._journal.end(self.job.id, JobState.FAILED, {"error": reason})

    def _stopped(self) -> None:
        if self._server_stops:
            self._journal.end(self.job.id, JobState.INTERRUPTED, {"error": STOPPED})
        else:
            self._journal.end(self.job.id, JobState.CANCELLED, {"step": len(self._previews)})

    def _step(self, image: StepImage) -> None:
        self._previews.append(thumbnail_webp(image.preview))
        preview = f"/api/jobs/{self.job.id}/steps/{len(self._previews)}.webp"
        data = {**to_json(image.trajectory), "steps": image.steps, "preview": preview}
        self._journal.say(self.job.id, "step", data)

    def _keep(self, made: Generation, report: Document) -> None:
        identity = self._journal.workspace.add_generation(
            png_bytes(made), made.recipe, made.landing, made.steps, self._previews, report
        )
        data = {
            "landing": to_json(made.landing),
            "decided": {space: to_json(each) for space, each in made.decided.items()},
            "recipe": to_json(public(made.recipe)),
            "image": f"/api/jobs/{self.job.id}/image.png",
            "generation": identity,
        }
        self._journal.end(self.job.id, JobState.DONE, data, generation=identity)
