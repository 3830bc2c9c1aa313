"""The parts that a validation consists of: each is measured alone and kept, so that an interrupted run goes on."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.parts import ROOT, commit
from benchmarks.rows import machine
from explorer.layout import write_atomic

RUNS = ROOT / "runs" / "validation"
"""Where everything lies that a validation makes: the atlas, pictures, results."""
_NAME = re.compile(r"[a-z]+/[a-z0-9-]+")

Figures = Mapping[str, Any]
"""What was measured, as JSON takes it."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some figures that are measured together.

    Attributes:
        name: `proof/rest`; also where its result is kept.
        measure: measures; where it takes long it keeps what it has, and goes on from there when it is called again.
        minutes: what to expect on two quiet cores.
        revision: raised when the figures would be others, or have other names: what was kept of an earlier one counts
            as not measured.
    """

    name: str
    measure: Callable[[], Figures]
    minutes: float = 1.0
    revision: int = 1

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"found a part named {self.name!r}; expected proof/rest in small letters, digits and -")

    @property
    def command(self) -> str:
        """What a person types to measure it."""
        return f"python -m validation {self.name}"

    def run(self) -> Result:
        """Measure, and keep the result."""
        started = time.perf_counter()
        figures = self.measure()
        seconds = time.perf_counter() - started
        today = date.today().isoformat()
        result = Result(self.name, self.revision, figures, commit(), today, round(seconds, 1), machine())
        result.keep()
        return result


@dataclass(frozen=True, slots=True)
class Result:
    """What a part gave.

    Attributes:
        name: the part's.
        revision: the part's, when it was measured.
        figures: what was measured.
        commit: the code that was measured; with a + where files differed from it.
        day: when, as an ISO date.
        seconds: what measuring took, without what an interrupted run before it had done.
        machine: what it was measured on.
    """

    name: str
    revision: int
    figures: Figures
    commit: str
    day: str
    seconds: float
    machine: str

    def keep(self) -> None:
        """Write it where `kept` finds it."""
        path = _path(self.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(asdict(self), ensure_ascii=False, indent=1, allow_nan=False).encode())


def kept(part: Part) -> Result | None:
    """The result of a part; None where there is none of its revision that can be read."""
    try:
        result = Result(**json.loads(_path(part.name).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return result if result.revision == part.revision else None


def take_away() -> None:
    """Remove all that was made: all of it or nothing, so that no figure of an earlier run is taken for one of this."""
    gone = RUNS.with_name(f".{RUNS.name}-gone")
    shutil.rmtree(gone, ignore_errors=True)
    RUNS.rename(gone)
    shutil.rmtree(gone)


def _path(name: str) -> Path:
    return RUNS / "results" / f"{name}.json"
