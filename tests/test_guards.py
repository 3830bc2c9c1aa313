"""The list of guards fits the code, and taking one out is seen for what it is; `make guards` takes out all of them."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from guards import TABLE, Cut, Guard, GuardError, guards, problems, with_table
from removals import Baseline, Copy, Removals

CODE = "def bounded(number):\n    if number > 9:\n        return 9\n    return number\n"
TESTS = """
from thing import bounded

def test_bounded():
    assert bounded(10) == 9

def test_nothing():
    assert bounded(1) == 1

def test_broken():
    assert bounded(1) == 2
"""
ENDLESS = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
time.sleep(600)
"""
GUARD = Guard(
    "a number has a bound", "0", (Cut("thing.py", "number > 9", "False"),), ("tests/test_thing.py::test_bounded",)
)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A tree of one guard and four tests."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "thing.py").write_text(CODE)
    (tmp_path / "tests" / "conftest.py").write_text("")
    (tmp_path / "tests" / "test_thing.py").write_text(TESTS)
    return Copy(tmp_path)


def test_the_list_fits_the_code() -> None:
    """Each text that a removal replaces stands in its file once, and each test that must go red exists."""
    listed = guards()
    assert len(listed) > 150
    assert list(problems(listed)) == []


def test_the_table_of_the_manual_is_the_list() -> None:
    """docs/reliability.md names every guard of the list and its tests; `make guards` writes it."""
    document = TABLE.read_text("utf-8")
    assert with_table(document, guards()) == document


def test_what_does_not_fit_is_named() -> None:
    """A text that is not there or stands there twice, a change that changes nothing, and a test that is not there."""
    cut = Cut("tests/guards.py", "class GuardError", "class GuardError")
    listed = [
        replace(GUARD, name="same", cuts=(cut,), red=()),
        replace(GUARD, name="none", cuts=(replace(cut, old="not " + "here"),), red=()),
        replace(GUARD, name="many", cuts=(replace(cut, old="GuardError"),), red=()),
        replace(GUARD, name="test", cuts=(), red=("tests/test_guards.py::test_nowhere", "tests/none.py::test_x")),
    ]
    told = [line.partition(":")[0] for line in problems([*listed, listed[3]])]
    assert told == ["test", "same", "none", "many", *["test"] * 4]


def test_a_removal_is_red_or_said_to_be_green(copy: Copy) -> None:
    """A test that fails without its guard is red, and known by then; one that passes is named; the code is put back."""
    removals = Removals(copy.root / "state.json")
    assert removals.todo([GUARD], copy.root) == [GUARD]
    assert removals.remove(GUARD, copy) is None
    assert Removals.read(removals.file).todo([GUARD], copy.root) == []
    idle = replace(GUARD, red=(*GUARD.red, "tests/test_thing.py::test_nothing"))
    assert removals.remove(idle, copy) == "stayed green without it: tests/test_thing.py::test_nothing"
    assert (copy.root / "thing.py").read_text() == CODE
    (copy.root / "thing.py").write_text(f"# other\n{CODE}")
    assert removals.todo([GUARD], copy.root) == [GUARD]


def test_what_proves_nothing_is_no_red(copy: Copy) -> None:
    """Code that cannot be loaded, a text that is not there, and a test that fails anyway are faults of their own."""
    removals = Removals(copy.root / "state.json")
    syntax = replace(GUARD, cuts=(replace(GUARD.cuts[0], new="("),))
    assert str(removals.remove(syntax, copy)).startswith("pytest ended with 4")
    absent = replace(GUARD, cuts=(replace(GUARD.cuts[0], old="number > 10"),))
    assert "found 'number > 10' 0 times" in str(removals.remove(absent, copy))
    broken = "tests/test_thing.py::test_broken"
    both = [GUARD, replace(GUARD, red=(*GUARD.red, broken))]
    baseline = Baseline(both, copy)
    sound, unsound = (baseline.fault(guard) for guard in both)
    assert sound is None
    assert str(unsound).startswith(f"{broken} fails with every guard in its place")
    assert removals.red == {}


def test_tests_that_take_too_long_are_ended_with_all_that_they_started(copy: Copy) -> None:
    """The harness ends by itself; a process that a test has started and left is gone by then."""
    output = copy.root / "output.txt"
    with pytest.raises(GuardError, match="took longer than 2 s"):
        copy.ended([sys.executable, "-c", ENDLESS], output, limit=2)
    child = int(output.read_text())
    deadline = time.monotonic() + 10
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
