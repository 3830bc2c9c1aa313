"""The command line's own screen: progress on standard error, results on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable, Sized
from typing import Any, TextIO, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from webapp.documents import plain

T = TypeVar("T")


class Rate(TextColumn):
    """Items a second."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        """Write the rate, once there is one."""
        # Over all of the time: items come in bursts, a batch at once, which rich's own rate takes for their speed.
        if not task.elapsed or not task.completed:
            return Text("")
        speed = task.completed / task.elapsed
        return Text(f"{speed:,.0f}/s" if speed >= 10 else f"{speed:.2f}/s")


class Bars:
    """A `Progress` of stages, one bar each, with rate and time left; a line a stage where nobody watches."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeElapsedColumn(),
            TimeRemainingColumn(), console=self._console,
        )  # fmt: skip
        self._open = 0

    def track(self, items: Iterable[T], *, stage: str, total: int | None = None) -> Generator[T, None, None]:
        """Yield `items`, one step of the bar of `stage` each."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        self._open += 1
        self._bars.start()
        task, done = self._bars.add_task(stage, total=total), 0
        try:
            for done, item in enumerate(items, start=1):  # noqa: B007 - read after the loop
                yield item
                self._bars.advance(task)
            self._bars.update(task, total=done)
        finally:
            self._open -= 1
            if not self._open:
                self._bars.stop()
                self._forget_finished()

    def note(self, message: str) -> None:
        """Say one line, above the bars."""
        self._console.print(message, markup=False, soft_wrap=True)

    def _forget_finished(self) -> None:
        """Leave what is on the screen there, and start below it the next time."""
        for task in self._bars.task_ids:
            self._bars.remove_task(task)


def write_text(text: str, stream: TextIO) -> None:
    """Write lines; what the terminal's encoding has no character for is shown as a question mark."""
    encoding = stream.encoding or "utf-8"
    stream.write(f"{text.rstrip()}\n".encode(encoding, "replace").decode(encoding))
    stream.flush()


def write_json(document: Any, stream: TextIO) -> None:  # noqa: ANN401 - any JSON-like value
    """Write one JSON object and a line's end; ASCII, so that no terminal's encoding can refuse it."""
    stream.write(json.dumps(plain(document), allow_nan=False) + "\n")
    stream.flush()
