"""Pictures of the collection on their way into noise: worked out while somebody watches, and kept nowhere.

The same picture, schedule and seed give the same way again, so nothing is written down that a takedown would miss.
"""

from __future__ import annotations

import base64
from collections.abc import Generator, Mapping
from contextlib import closing
from threading import BoundedSemaphore
from typing import Any

from explorer.atlas import Atlas
from explorer.errors import QueueFull
from explorer.models.loader import Models
from explorer.noise_report import told
from explorer.noising import NoisedStep, NoisePlan, lost, noised
from explorer.pictures import thumbnail_webp
from explorer.records import to_json

AT_ONCE = 2
"""Ways that are worked out at a time; each takes a model's time at every step."""


class Noisings:
    """Works out ways into noise; for any thread."""

    def __init__(self, atlas: Atlas, models: Models, *, at_once: int = AT_ONCE) -> None:
        self._atlas, self._models = atlas, models
        self._room = BoundedSemaphore(at_once)

    def steps(self, plan: NoisePlan) -> Generator[NoisedStep]:
        """The steps of a way, each when it is asked for; closing the generator makes room for the next visitor.

        Raises:
            QueueFull: others are being worked out.
            QueryError, ModelError: as `noised` does.
        """
        if not self._room.acquire(blocking=False):
            raise QueueFull("other pictures are being noised; try again in a moment")
        try:
            yield from noised(self._atlas, self._models, plan)
        finally:
            self._room.release()

    def story(self, plan: NoisePlan) -> Generator[Mapping[str, Any]]:
        """The same as JSON objects, each with its picture; the last one says when the picture lost its place."""
        way: list[NoisedStep] = []
        with closing(self.steps(plan)) as steps:
            for step in steps:
                way.append(step)
                yield {"kind": "step", "steps": plan.steps + 1, "preview": _address(step), **told(step)}
        places = {space: to_json(each) for space, each in lost(way).items()}
        yield {"kind": "done", "lost": places, **to_json(way[0].plan)}


def _address(step: NoisedStep) -> str:
    """A step's picture as an address that holds it."""
    return f"data:image/webp;base64,{base64.b64encode(thumbnail_webp(step.picture)).decode()}"
