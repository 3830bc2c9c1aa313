"""Models that load behind the page: what is being loaded, what is ready, what failed and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from threading import Lock
from typing import Any

from explorer.errors import ExplorerError

log = logging.getLogger(__name__)


class Phase(StrEnum):
    """How far a model is."""

    WAITING = "waiting"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Part:
    """A model to load.

    Attributes:
        name: the page's word for it, `clip` or `generator`.
        reference: which model, as the manifest or the command line names it.
        load: loads it and returns it; may take a minute.
    """

    name: str
    reference: str
    load: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class PartState:
    """How far one part is; `reason` says in one line why it failed."""

    name: str
    reference: str
    phase: Phase = Phase.WAITING
    reason: str | None = None


class Loader:
    """Loads parts one after the other in the thread that calls `run`; any thread may ask for `states`."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._states = {part.name: PartState(part.name, part.reference) for part in parts}
        self._loaded: dict[str, Any] = {}
        self._lock = Lock()

    def run(self) -> Iterator[PartState]:
        """Load every part; yields each state as it begins."""
        for part in self._parts:
            yield self._set(part.name, Phase.LOADING)
            yield self._load(part)

    def state(self, name: str) -> PartState | None:
        """How far a part is; None where this atlas has no such part."""
        with self._lock:
            return self._states.get(name)

    def states(self) -> list[dict[str, Any]]:
        """How far every part is, as plain dicts, in the order of loading."""
        with self._lock:
            return [asdict(state) for state in self._states.values()]

    def current(self) -> PartState | None:
        """The part that is being loaded."""
        with self._lock:
            return next((state for state in self._states.values() if state.phase is Phase.LOADING), None)

    def loaded(self, name: str) -> Any:  # noqa: ANN401 - whatever the part's `load` returned
        """The loaded part, or None."""
        with self._lock:
            return self._loaded.get(name)

    def _load(self, part: Part) -> PartState:
        try:
            loaded = part.load()
        except ExplorerError as error:
            return self._set(part.name, Phase.FAILED, str(error))
        except Exception as error:
            # A library's own fault (memory, a driver, a damaged file) must leave the page and the other parts alive.
            log.exception("the model %s (%s) does not load", part.name, part.reference)
            return self._set(part.name, Phase.FAILED, f"{type(error).__name__}: {first_line(error)}")
        with self._lock:
            self._loaded[part.name] = loaded
        return self._set(part.name, Phase.READY)

    def _set(self, name: str, phase: Phase, reason: str | None = None) -> PartState:
        with self._lock:
            state = self._states[name] = replace(self._states[name], phase=phase, reason=reason)
            return state


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, cut at 300 characters."""
    return (str(error).strip().splitlines() or ["no message"])[0][:300]
