"""`make validate`: measure part by part, each kept when it is done, and write docs/validation.md.

`python -m validation` goes on where it was interrupted; where every part is there already, it takes all of it away,
pictures and atlas too, and begins anew.
`python -m validation NAME...` measures proofs or parts, whether they are there or not; with `--write` nothing is
measured, and the page is written out of what is there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.rows import duration
from validation import page
from validation.parts import Part, kept, take_away
from validation.roll import PROOFS, chosen


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
    if not told.write:
        if not told.names and all(kept(part) for part in parts):
            take_away()
        for part in parts if told.names else [part for part in parts if kept(part) is None]:
            sys.stderr.write(f"{part.command}: about {duration(60 * part.minutes)}\n")
            part.run()
    page.write(PROOFS)
    return 0


def _words() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(prog="python -m validation", description=__doc__)
    words.add_argument("names", metavar="NAME", nargs="*", help="a proof, or one part of it; by default all")
    words.add_argument("--list", action="store_true", help="the parts, and how long each takes")
    words.add_argument("--write", action="store_true", help="measure nothing; write the page of what is kept")
    return words


def _line(part: Part) -> str:
    result = kept(part)
    took = f"took {duration(result.seconds)} on {result.day} at {result.commit}" if result else "not measured"
    return f"{part.name:<24} about {duration(60 * part.minutes):<9} {took}\n"


if __name__ == "__main__":
    sys.exit(main())
