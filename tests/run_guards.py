"""`make guards`: take each guard out of a copy of the code and see its tests go red; goes on where it was stopped."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from guards import TABLE, Guard, guards, problems, with_table
from removals import Baseline, Copy, Removals


def main() -> int:
    """Go through the list; 1 where a guard's tests did not go red."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--only", default="", help="guards whose name has this in it")
    parser.add_argument("--anew", action="store_true", help="those too that went red before")
    parser.add_argument("--state", type=Path, default=Path("runs/guards.json"), help="what is known so far")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the tests that run are ended too
    listed = guards()
    chosen = [guard for guard in listed if args.only in guard.name]
    removals = Removals(args.state) if args.anew else Removals.read(args.state)
    with Copy.of() as copy:
        wrong = list(problems(chosen, copy.root))
        fitting = [guard for guard in chosen if not list(problems([guard], copy.root))]
        wrong += _removed(removals.todo(fitting, copy.root), removals, copy)
        left = len(removals.todo(fitting, copy.root)) + len(chosen) - len(fitting)
    for line in wrong:
        say(f"WRONG  {line}")
    if not wrong and not args.only:
        TABLE.write_text(with_table(TABLE.read_text("utf-8"), listed), "utf-8")
    say(f"{len(chosen) - left} of {len(chosen)} guards: their tests go red without them")
    return 1 if wrong else 0


def _removed(todo: Sequence[Guard], removals: Removals, copy: Copy) -> list[str]:
    """Take out one guard after the other; what is wrong, a line each."""
    baseline, wrong = Baseline(todo, copy), []
    for number, guard in enumerate(todo, 1):
        started = time.monotonic()
        fault = baseline.fault(guard) or removals.remove(guard, copy)
        wrong += [f"{guard.name}: {fault}"] if fault else []
        say(f"{number}/{len(todo)} {time.monotonic() - started:5.1f} s  {guard.name}: {fault or 'red'}")
    return wrong


def say(line: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
