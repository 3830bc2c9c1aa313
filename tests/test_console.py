"""What the command line shows beside its result: bars, notes, and JSON that any terminal takes."""

from __future__ import annotations

import io
import json

import pytest
from rich.progress import Task, TaskID

from webapp.console import Bars, Rate, write_json, write_text


def test_each_stage_leaves_a_line_with_its_count() -> None:
    """Where nobody watches, a stage that is done leaves its name and its count, and the next begins below it."""
    screen = io.StringIO()
    bars = Bars(screen)
    assert list(bars.track(range(3), stage="encode")) == [0, 1, 2]
    assert list(bars.track(iter("ab"), stage="neighbors")) == ["a", "b"]
    lines = screen.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["encode", "neighbors"]
    assert "3/3" in lines[0] and "2/2" in lines[1]


def test_a_stage_inside_a_stage_is_shown_too() -> None:
    """Stages may lie in each other; the screen is let go when the outermost ends."""
    screen = io.StringIO()
    bars = Bars(screen)
    assert [list(bars.track(range(2), stage="inner")) for _ in bars.track(range(2), stage="outer")] == [[0, 1]] * 2
    shown = screen.getvalue()
    assert shown.count("outer") == 1 and shown.count("inner") == 2


def test_a_stage_that_breaks_off_lets_the_screen_go() -> None:
    """After an exception in the middle of a stage the next stage and the next note are written all the same."""
    screen = io.StringIO()
    bars = Bars(screen)
    with pytest.raises(RuntimeError):
        for _ in bars.track(range(5), stage="encode"):
            raise RuntimeError
    bars.note("what came of it " * 20)
    assert ("what came of it " * 20).strip() in screen.getvalue(), "a note is one line, however long"
    assert list(bars.track(range(1), stage="again")) == [0]


def test_a_rate_is_of_all_the_time_and_not_of_a_burst() -> None:
    """Items that come a batch at once, as from a model, are not told as if the model had been as quick."""
    task = Task(TaskID(0), "encode", total=1000, completed=500, _get_time=lambda: 100.0)
    task.start_time = 0.0
    assert Rate().render(task).plain == "5.00/s"
    task.completed = 0
    assert Rate().render(task).plain == ""


def test_text_is_written_whatever_the_terminal_takes() -> None:
    """A caption in another script does not end a search on a terminal that has no such letters."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", newline="")
    write_text("1  \u732b  caf\u00e9\n\n", out)
    assert out.buffer.getvalue() == b"1  ?  caf\xe9\n"


def test_json_is_one_object_in_ascii() -> None:
    """A result is one line that every JSON reader takes, whatever words and numbers are in it."""
    out = io.StringIO()
    write_json({"caption": "猫\n\ud83d", "percentile": float("nan"), "point": (1.0, float("inf"))}, out)
    assert out.getvalue().isascii() and out.getvalue().count("\n") == 1
    assert json.loads(out.getvalue()) == {"caption": "猫\n\ud83d", "percentile": None, "point": [1.0, None]}
