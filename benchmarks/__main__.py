"""`make bench`: measure part by part, each kept when it is done, and write docs/benchmarks.md and docs/scaling.md.

`python -m benchmarks` goes on where it was interrupted; where every part is there already, it begins anew.
`python -m benchmarks NAME...` measures sections or parts, whether they are there or not, and prints their tables;
with `--write` nothing is measured, and both pages are written out of what is there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

from benchmarks import report
from benchmarks.parts import Part, kept
from benchmarks.rows import duration
from benchmarks.sections import chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; the exit code."""
    told = _words().parse_args(arguments)
    try:
        parts = chosen(told.names)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if told.list:
        sys.stdout.write("".join(_line(part) for part in parts))
        return 0
    failed = [] if told.write else _measure(told, parts)
    if told.write or not told.names:
        report.write()
    elif not told.alone:
        sys.stdout.write(report.tables(parts))
    sys.stderr.write("".join(f"not measured: {part.command}\n" for part in failed))
    return 1 if failed else 0


def _words() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    words.add_argument("names", metavar="NAME", nargs="*", help="a section, or one part of it; by default all")
    words.add_argument("--list", action="store_true", help="the parts, and how long each takes")
    words.add_argument("--write", action="store_true", help="measure nothing; write the tables of what is kept")
    words.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    return words


def _measure(told: argparse.Namespace, parts: Sequence[Part]) -> list[Part]:
    """Measure each part in a process of its own; return those that failed."""
    if told.alone:
        for part in parts:
            part.run()
        return []
    missing = [part for part in parts if kept(part.name) is None]
    failed = []
    for part in parts if told.names or not missing else missing:
        sys.stderr.write(f"{part.command}: about {duration(60 * part.minutes)}\n")
        if subprocess.run([sys.executable, "-m", "benchmarks", part.name, "--alone"], check=False).returncode:
            failed.append(part)
    return failed


def _line(part: Part) -> str:
    result = kept(part.name)
    took = f"took {duration(result.seconds)} on {result.day} at {result.commit}" if result else "not measured"
    return f"{part.name:<28} about {duration(60 * part.minutes):<9} {took}\n"


if __name__ == "__main__":
    sys.exit(main())
