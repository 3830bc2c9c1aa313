"""`python own_process.py MODULE FUNCTION JSON`: call a function of a test's in a process of its own, print its answer.

This file imports nothing until it runs: the workers of every build load the main module too.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__)


def call(module: str, function: str, **settings: Any) -> Any:
    """Call `module.function(**settings)` in a fresh process; settings and answer are JSON."""
    command = [sys.executable, str(HERE), module, function, json.dumps(settings, default=str)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Call what the command line names."""
    module, function, settings = sys.argv[1:]
    answer = getattr(importlib.import_module(module), function)(**json.loads(settings))
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
