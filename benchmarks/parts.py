"""The parts that the benchmarks consist of: each is measured alone and kept, so that an interrupted run goes on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from benchmarks.rows import Figure, Row, machine
from explorer.layout import write_atomic

ROOT = Path(__file__).parent.parent
RUNS = ROOT / "runs" / "bench"
"""Where everything lies that the benchmarks make: vectors, sources, atlases, peers, results."""
RESULTS = RUNS / "results"
_NAME = re.compile(r"[a-z0-9]+/[a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows that are measured together.

    Attributes:
        name: `section/rest`; also where its result is kept.
        measure: measures; run in a process of its own.
        minutes: what to expect on two quiet cores.
    """

    name: str
    measure: Callable[[], Iterable[Row]]
    minutes: float = 1.0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"found a part named {self.name!r}; expected section/rest in small letters, digits and -")

    @property
    def command(self) -> str:
        """What a person types to measure it."""
        return f"python -m benchmarks {self.name}"

    def run(self) -> Result:
        """Measure in this process, and keep the result."""
        load, started = _load(), time.perf_counter()
        rows = tuple(self.measure())
        seconds = time.perf_counter() - started
        result = Result(self.name, rows, commit(), date.today().isoformat(), load, seconds, machine())
        result.keep()
        return result


@dataclass(frozen=True, slots=True)
class Result:
    """What a part gave.

    Attributes:
        name: the part's.
        rows: what was measured.
        commit: the code that was measured; with a + where files differed from it.
        day: when, as an ISO date.
        load: processes that wanted a core in the minute before, on average; None where the system does not say.
        seconds: what measuring took.
        machine: what it was measured on.
    """

    name: str
    rows: tuple[Row, ...]
    commit: str
    day: str
    load: float | None
    seconds: float
    machine: str

    def keep(self) -> None:
        """Write it where `kept` finds it."""
        path = _path(self.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(asdict(self), ensure_ascii=False, indent=1).encode())


def kept(name: str) -> Result | None:
    """The result of a part; None where there is none that can be read."""
    try:
        told = json.loads(_path(name).read_bytes())
        rows = tuple(
            Row(**row | {"figures": tuple(Figure(**figure) for figure in row["figures"])}) for row in told["rows"]
        )
        return Result(**told | {"rows": rows})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _path(name: str) -> Path:
    return RESULTS / f"{name}.json"


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def commit() -> str:
    """The checked-out commit, shortened; `unknown` outside a checkout."""
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    answered = subprocess.run(asked, capture_output=True, text=True, check=False)
    return answered.stdout.strip() if answered.returncode == 0 else "unknown"
