"""What a worker process does to be safe: it holds itself to little memory and time, and lets no error end its loop."""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from explorer.errors import PictureError, RejectReason

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost.

    Attributes:
        memory: bytes of address space beyond what a fresh worker has. Linux alone holds a worker to it.
        seconds: of waiting for one file.
    """

    memory: int = 2048 * MIB
    seconds: float = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What a call has given, or raised."""

    value: Any = None
    error: BaseException | None = None


def confine(limits: Limits) -> None:
    """Hold a fresh worker to its memory, and to Pillow's warnings about size as refusals."""
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        size = pages * resource.getpagesize() + limits.memory
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def all_held(limits: Limits, functions: Sequence[Callable[[], Any]]) -> list[Told]:
    """Make the calls of a pack in a worker, one after the other."""
    return [_held(limits, function) for function in functions]


def _held(limits: Limits, function: Callable[[], Any]) -> Told:
    """Make a call in a worker; whatever it raises becomes a `PictureError`."""
    _allow_seconds(limits.seconds)
    try:
        return Told(function())
    except PictureError as error:
        return Told(error=error)
    except MemoryError:
        room = f"decoding asked for more than {limits.memory // MIB:,} MiB"
        return Told(error=PictureError(RejectReason.DECODER, room))
    except BaseException as error:
        # A decoder lets out anything on a hostile file, panics of Rust libraries and what cannot be pickled among it;
        # each is that file's fault, and none may end the worker's loop.
        told = f"the picture cannot be decoded ({type(error).__name__}: {str(error)[:200]})"
        return Told(error=PictureError(RejectReason.DECODER, told))


def _allow_seconds(seconds: float) -> None:
    """Let the system end a worker that spins on with nobody left to stop it, its parent having been killed."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds) + 1, most))
