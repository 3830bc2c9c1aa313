"""Processes that are started aloof from the program: by a server without its threads and models, or anew."""

from __future__ import annotations

import sys
import threading
from types import ModuleType

if sys.platform == "win32":
    from multiprocessing.context import SpawnContext as _Start
    from multiprocessing.context import SpawnProcess as _Started
else:
    from multiprocessing.context import ForkServerContext as _Start
    from multiprocessing.context import ForkServerProcess as _Started


class _Process(_Started):
    """A process that does not load the program's main module, as Python's own would.

    That module may hold torch, or be a script that starts its work again when it is loaded.
    """

    _swapping = threading.Lock()

    def start(self) -> None:
        with self._swapping:
            main = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                super().start()
            finally:
                sys.modules["__main__"] = main


class Aloof(_Start):
    """Starts such processes."""

    Process = _Process
