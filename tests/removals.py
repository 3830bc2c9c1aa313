"""Guards are taken out of a copy of the code, one at a time, and their tests run there: they must go red."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from guards import ROOT, Guard, GuardError

from explorer.layout import write_atomic

_COPIED = ("explorer", "indexer", "webapp", "tests", "data_manifests", "pyproject.toml")
_LEFT = shutil.ignore_patterns("__pycache__", "node_modules", "screenshots")
LIMIT = 300.0
"""Seconds for the tests of one guard, after which they are ended and nothing is known."""
_TEST_LIMIT = 120
"""Seconds for one test, after which it has failed."""
_FIXTURE = re.compile(r"@pytest\.fixture.*\ndef (\w+)")


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of some tests.

    Attributes:
        passed: node ids.
        failed: node id -> the first line of why.
        others: skipped, or broken before they began.
    """

    passed: frozenset[str]
    failed: dict[str, str]
    others: frozenset[str]


@dataclass
class Copy:
    """A copy of the tree that may be changed."""

    root: Path

    @classmethod
    @contextmanager
    def of(cls, tree: Path = ROOT) -> Iterator[Copy]:
        """Copy what the tests need, for as long as the block lasts."""
        with tempfile.TemporaryDirectory(prefix="guards-", ignore_cleanup_errors=True) as folder:
            for name in _COPIED:
                if (tree / name).is_dir():
                    shutil.copytree(tree / name, Path(folder, name), ignore=_LEFT)
                else:
                    shutil.copyfile(tree / name, Path(folder, name))
            yield cls(Path(folder))

    @contextmanager
    def without(self, guard: Guard) -> Iterator[None]:
        """Take a guard out for as long as the block lasts."""
        files = {cut.file: (self.root / cut.file).read_bytes() for cut in guard.cuts}
        try:
            for cut in guard.cuts:
                (self.root / cut.file).write_text(cut.made(self.root), "utf-8")
            yield
        finally:
            for file, content in files.items():
                (self.root / file).write_bytes(content)

    def run(self, tests: Sequence[str], limit: float = LIMIT) -> Ran:
        """Run tests of the copy, in a process group of its own that does not outlive this call.

        Raises:
            GuardError: they cannot be collected, or take too long.
        """
        report, output = self.root / "report.xml", self.root / "output.txt"
        report.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", f"--timeout={_TEST_LIMIT}"]
        command += ["-p", "no:cacheprovider", "-p", "no:dash", "--hypothesis-seed=0", *self._light(tests), *tests]
        code = self.ended(command, output, limit)
        if code not in (0, 1) or not report.exists():
            raise GuardError(f"pytest ended with {code}: {output.read_text('utf-8', 'replace')[-600:]}")
        return _told(report)

    def ended(self, command: Sequence[str], output: Path, limit: float) -> int:
        """Run a command to its end; its exit code. Whatever it has started and left goes with it.

        Raises:
            GuardError: it takes too long.
        """
        environment = {**os.environ, "PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}
        environment |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        with output.open("wb") as told:
            process = subprocess.Popen(
                command, cwd=self.root, env=environment, stdout=told, stderr=told, start_new_session=True
            )
            try:
                return process.wait(limit)
            except subprocess.TimeoutExpired as error:
                raise GuardError(f"the tests took longer than {limit:.0f} s; cut so that they end") from error
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _light(self, tests: Sequence[str]) -> list[str]:
        """Tests that need no fixture that all share start in half the time without what makes those."""
        shared = set(_FIXTURE.findall((self.root / "tests" / "conftest.py").read_text("utf-8")))
        words = {word for file in _files(tests) for word in re.findall(r"\w+", (self.root / file).read_text("utf-8"))}
        return [] if shared & words else ["--noconftest"]


@dataclass
class Removals:
    """What is known of the guards so far; kept in a file, so that who is stopped goes on.

    Attributes:
        file: where it is kept.
        red: key of a guard -> test that failed without it -> why.
    """

    file: Path
    red: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Removals:
        """What the file holds; nothing where there is none."""
        return cls(file, json.loads(file.read_bytes()) if file.exists() else {})

    def todo(self, guards: Sequence[Guard], root: Path = ROOT) -> list[Guard]:
        """Guards of whose removal nothing is known, as the code is now."""
        return [guard for guard in guards if guard.key(root) not in self.red]

    def remove(self, guard: Guard, copy: Copy) -> str | None:
        """Take a guard out and see its tests go red, or say in a line what is wrong."""
        key = guard.key(copy.root)
        try:
            with copy.without(guard):
                ran = copy.run(guard.red)
        except GuardError as error:
            return str(error)
        green = [test for test in guard.red if not _of(test, ran.failed)]
        if green:
            return f"stayed green without it: {', '.join(green)}"
        self.red[key] = ran.failed
        write_atomic(self.file, json.dumps(self.red, indent=1).encode())
        return None


class Baseline:
    """The tests of guards as the code is; those of a file run together, when the first of them is asked for.

    That a test fails without a guard would prove nothing if it failed with it, too.
    """

    def __init__(self, guards: Sequence[Guard], copy: Copy) -> None:
        self._copy = copy
        self._tests = dict.fromkeys(test for guard in guards for test in guard.red)
        self._faults: dict[str, str] = {}
        self._files: set[str] = set()

    def fault(self, guard: Guard) -> str | None:
        """Which test of a guard does not pass, and why, in a line; None where all do."""
        for file in _files(guard.red):
            if file not in self._files:
                self._files.add(file)
                self._run([test for test in self._tests if test.startswith(f"{file}::")])
        broken = [f"{test} {self._faults[test]}" for test in guard.red if test in self._faults]
        return next(iter(broken), None)

    def _run(self, tests: Sequence[str]) -> None:
        try:
            ran = self._copy.run(tests, limit=4 * LIMIT)
        except GuardError as error:
            self._faults |= dict.fromkeys(tests, str(error))
            return
        for test in tests:
            failed = [ran.failed[each] for each in _of(test, ran.failed)]
            if failed or not _of(test, ran.passed):
                self._faults[test] = f"fails with every guard in its place: {failed[0]}" if failed else "did not run"


def _files(tests: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(test.partition("::")[0] for test in tests))


def _of(test: str, ran: Collection[str]) -> list[str]:
    """Those of some node ids that are a test, or cases of it."""
    return [each for each in ran if each == test or each.startswith(f"{test}[")]


def _told(report: Path) -> Ran:
    """What pytest's report says of each test."""
    passed, failed, others = set(), {}, set()
    for case in ElementTree.parse(report).iter("testcase"):
        test = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        failure = case.find("failure")
        if failure is not None:
            failed[test] = (failure.get("message") or "").splitlines()[0][:200] if failure.get("message") else ""
        elif len(case) and case[0].tag in ("error", "skipped"):
            others.add(test)
        else:
            passed.add(test)
    return Ran(frozenset(passed), failed, frozenset(others))
