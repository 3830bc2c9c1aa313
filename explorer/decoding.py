"""Strangers' files, decoded in processes of their own with little memory and little time: one that dies costs one file.

Pillow's decoders are C libraries with a long list of holes. A file that makes one crash, spin or swell takes its worker
with it: the file is refused with a reason, another worker takes the place, and the files beside it are none the worse.
"""

from __future__ import annotations

import functools
import math
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ParamSpec, Self, TypeVar
from weakref import WeakSet

from pebble import ProcessExpired, ProcessPool
from PIL import Image

from explorer.errors import BuildError, PictureError, RejectReason
from explorer.pictures import open_picture

if sys.platform == "win32":
    from multiprocessing.context import SpawnContext as _Start
    from multiprocessing.context import SpawnProcess as _Started
else:
    from multiprocessing.context import ForkServerContext as _Start
    from multiprocessing.context import ForkServerProcess as _Started

P = ParamSpec("P")
T = TypeVar("T")

MIB = 1 << 20
LIGHT = ("explorer.decoding", "scipy.fftpack")
"""What workers have loaded before they start; never torch, whose memory each of them would count as its own."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost.

    Attributes:
        memory: bytes of address space beyond what a fresh worker has. Linux alone holds a worker to it.
        seconds: of waiting for one file.
    """

    memory: int = 2048 * MIB
    seconds: float = 30.0


class Workers:
    """Processes that do what may go wrong; none is started before the first `submit`.

    They are never forked from a process with threads and models in it: a server without either starts them, or they
    start anew.
    """

    def __init__(self, processes: int | None = None, limits: Limits | None = None, preload: Sequence[str] = ()) -> None:
        """Prepare to start.

        Args:
            processes: how many; one a core that this process may use if None.
            limits: of every file.
            preload: light modules that the functions need, loaded once for all workers where the system allows it.
        """
        self._processes = processes or cores()
        self._limits = limits or Limits()
        self._preload = [*LIGHT, *preload]
        self._lock = threading.Lock()
        self._pool: ProcessPool | None = None
        self._proven: WeakSet[ProcessPool] = WeakSet()
        self._awaited: set[Future[Any]] = set()
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a module-level function in a worker.

        Returns:
            Its result, or a `PictureError`: the function's own, or one with `RejectReason.DECODER` where it raised
            anything else or its worker died, ran too long, or asked for too much memory.
        """
        answer: Future[T] = Future()
        self._awaited.add(answer)
        answer.add_done_callback(self._awaited.discard)
        self._send(answer, functools.partial(_held, self._limits, function, *args, **kwargs))
        return answer

    def close(self) -> None:
        """Stop every worker, whatever it is doing; what was not answered, or is asked from now on, is cancelled."""
        with self._lock:
            pool, self._pool, self._is_closed = self._pool, None, True
        for answer in tuple(self._awaited):
            answer.cancel()
        if pool is not None:
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()

    def _send(self, answer: Future[T], call: Callable[[], T]) -> None:
        with self._lock:
            if self._is_closed:
                answer.cancel()
                return
            pool = self._pool = self._pool or self._start()
        try:
            done = pool.schedule(call, timeout=self._limits.seconds)
        except RuntimeError:  # it broke after we looked
            self._start_again(pool, answer, call)
        else:
            done.add_done_callback(functools.partial(self._settle, pool, answer, call))

    def _start(self) -> ProcessPool:
        context = _Aloof()
        if sys.platform != "win32":
            context.set_forkserver_preload(self._preload)
        return ProcessPool(self._processes, initializer=_confine, initargs=(self._limits,), context=context)

    def _settle(self, pool: ProcessPool, answer: Future[T], call: Callable[[], T], done: Future[T]) -> None:
        """Pass on what a worker answered, or say in a `PictureError` why it did not."""
        if done.cancelled():
            answer.cancel()
            return
        error = done.exception()
        if isinstance(error, BrokenProcessPool):
            self._start_again(pool, answer, call)
            return
        self._proven.add(pool)
        if not answer.set_running_or_notify_cancel():
            return
        if error is None:
            answer.set_result(done.result())
        else:
            answer.set_exception(_explained(error, self._limits))

    def _start_again(self, pool: ProcessPool, answer: Future[T], call: Callable[[], T]) -> None:
        """Go on with fresh workers where these died between two files; give up where they never did anything."""
        with self._lock:
            if self._pool is pool:
                self._pool = None
        if pool in self._proven:
            self._send(answer, call)
            return
        answer.set_exception(
            BuildError(
                "the processes that decode pictures end as soon as they start; look for a limit on processes or memory "
                "(`ulimit -a`), and raise it"
            )
        )


class _AloofProcess(_Started):
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


class _Aloof(_Start):
    """Starts such processes."""

    Process = _AloofProcess


def isolated_picture(data: bytes) -> Image.Image:
    """Decode a picture that somebody sent, as `explorer.pictures.open_picture` does, in a process of its own.

    Raises:
        PictureError: as `open_picture` does, or the decoder died, ran too long or asked for too much memory.
    """
    return _one_worker().submit(open_picture, data).result()


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@functools.cache
def _one_worker() -> Workers:
    return Workers(1, Limits(seconds=10))


def _explained(error: BaseException, limits: Limits) -> BaseException:
    if isinstance(error, TimeoutError):
        return PictureError(RejectReason.DECODER, f"decoding took longer than {limits.seconds:g} seconds")
    if isinstance(error, ProcessExpired):
        return PictureError(RejectReason.DECODER, f"the decoder's process died (exit code {error.exitcode})")
    return error


def _confine(limits: Limits) -> None:
    """Hold a fresh worker to its memory, and to Pillow's warnings about size as refusals."""
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        size = pages * resource.getpagesize() + limits.memory
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _held(limits: Limits, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401 - anybody's
    """Call a function in a worker; whatever it raises comes out as a `PictureError`."""
    _allow_seconds(limits.seconds)
    try:
        return function(*args, **kwargs)
    except PictureError:
        raise
    except MemoryError as error:
        room = f"decoding asked for more than {limits.memory // MIB:,} MiB"
        raise PictureError(RejectReason.DECODER, room) from error
    except BaseException as error:
        # A decoder lets out anything on a hostile file, panics of Rust libraries and what cannot be pickled among it;
        # each is that file's fault, and none may end the worker's loop.
        told = f"the picture cannot be decoded ({type(error).__name__}: {str(error)[:200]})"
        raise PictureError(RejectReason.DECODER, told) from None


def _allow_seconds(seconds: float) -> None:
    """Let the system end a worker that spins on with nobody left to stop it, its parent having been killed."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds) + 1, most))
