"""Appends that are killed: a parent with the libraries loaded forks a child for each, and says how each one ended.

`python killed_appends.py PLAN.json` reads a list of runs and prints one line of JSON for each: its exit code, negative
for a signal, and how many steps on the disk it took.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import color_encoders
from killed_builds import Counter, manifest, options

from indexer.editing.append import append


def run(plan: dict[str, Any]) -> dict[str, Any]:
    """Append in a child.

    Args:
        plan: `atlas` and `folder`; `die_at` the step to die before.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        counter = Counter(plan.get("die_at"))
        models = color_encoders.encoders()
        append(Path(plan["atlas"]), manifest(Path(plan["folder"])), options(), encoders=models)
        told = {"steps": counter.count, "current": counter.current, "encoded": models[0].pictures}
        os.write(writing, json.dumps(told).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"code": code, **(json.loads(told) if told else {})}


if __name__ == "__main__":
    for each in json.loads(Path(sys.argv[1]).read_text()):
        sys.stdout.write(json.dumps(run(each)) + "\n")
        sys.stdout.flush()
