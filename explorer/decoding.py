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
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar
from weakref import WeakSet

from pebble import ProcessExpired, ProcessPool
from PIL import Image

from explorer.aloof import Aloof
from explorer.errors import BuildError, PictureError, RejectReason
from explorer.pictures import open_picture

P = ParamSpec("P")
T = TypeVar("T")

MIB = 1 << 20
LIGHT = ("explorer.decoding",)
"""What workers have loaded before they start; never torch, whose memory each of them would count as its own."""
_PACK = 8
_PACK_BYTES = 512 * 1024
"""At most so many calls, with so many bytes of files, go to a worker at a time."""
_WAITING_BYTES = 64 * MIB
"""Of files that wait for workers; from there on they are said to be busy, however few the files are."""
_AHEAD = 2
"""Packs on their way for each worker: one that it works on, one that it finds when it is done."""


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
class _Call:
    """What is to be called in a worker, who waits for it, and the bytes that go there with it."""

    answer: Future[Any]
    function: Callable[[], Any]
    size: int


_Pack = tuple[_Call, ...]
"""Calls that go to a worker together, and whose results come back together: small files are no journey each."""


class Workers:
    """Processes that do what may go wrong; none is started before the first `submit`.

    They are never forked from a process with threads and models in it: a server without either starts them, or they
    start anew. While all are busy, calls wait and then go in packs; where a worker dies of a pack or takes too long,
    each of its calls is made again, alone.
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
        self._waiting, self._waiting_bytes = deque[_Call](), 0
        self._under_way = 0
        self._sent: dict[ProcessPool, set[_Pack]] = {}
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a module-level function in a worker; twice, if another's call that went with it ended the worker.

        Returns:
            Its result, or a `PictureError`: the function's own, or one with `RejectReason.DECODER` where it raised
            anything else or its worker died, ran too long, or asked for too much memory.
        """
        answer: Future[T] = Future()
        self._awaited.add(answer)
        answer.add_done_callback(self._awaited.discard)
        size = sum(len(each) for each in args if isinstance(each, bytes))
        with self._lock:
            self._waiting.append(_Call(answer, functools.partial(function, *args, **kwargs), size))
            self._waiting_bytes += size
        self._send_waiting()
        return answer

    @property
    def is_busy(self) -> bool:
        """Whether calls wait, enough for all workers, or with as many bytes of files as should be held."""
        return len(self._waiting) >= _PACK * self._processes or self._waiting_bytes >= _WAITING_BYTES

    def close(self) -> None:
        """Stop every worker, whatever it is doing; what was not answered, or is asked from now on, is cancelled."""
        with self._lock:
            pool, self._pool, self._is_closed = self._pool, None, True
        for answer in tuple(self._awaited):
            answer.cancel()
        if pool is not None:
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()

    def _send_waiting(self) -> None:
        """Send what waits, as far as the workers are not busy."""
        while pack := self._next_pack():
            self._send(pack)

    def _next_pack(self) -> _Pack:
        """Take from what waits: enough to be worth the way, and no more than leaves as much for each other worker."""
        with self._lock:
            if not self._is_closed and self._under_way >= _AHEAD * self._processes:
                return ()
            calls, size = list[_Call](), 0
            most = min(_PACK, -(-len(self._waiting) // self._processes))
            while self._waiting and len(calls) < most and (not calls or size + self._waiting[0].size <= _PACK_BYTES):
                calls.append(self._waiting.popleft())
                size += calls[-1].size
            self._waiting_bytes -= size
            self._under_way += bool(calls)
            return tuple(calls)

    def _send(self, pack: _Pack) -> None:
        """Send a pack that is counted as under way."""
        with self._lock:
            if not self._is_closed:
                pool = self._pool = self._pool or self._start()
                self._sent.setdefault(pool, set()).add(pack)
        if self._is_closed:
            for call in pack:
                call.answer.cancel()
            return
        work = functools.partial(_all_held, self._limits, tuple(call.function for call in pack))
        try:
            done = pool.schedule(work, timeout=self._limits.seconds)
        except (RuntimeError, OSError) as error:  # it broke after we looked, or cannot start
            self._start_again(pool, error)
        else:
            done.add_done_callback(functools.partial(self._settle, pool, pack))

    def _start(self) -> ProcessPool:
        context = Aloof()
        if sys.platform != "win32":
            context.set_forkserver_preload(self._preload)
        return ProcessPool(self._processes, initializer=_confine, initargs=(self._limits,), context=context)

    def _settle(self, pool: ProcessPool, pack: _Pack, done: Future[list[_Told]]) -> None:
        """Pass on what a worker answered, or say in a `PictureError` why it did not."""
        error = None if done.cancelled() else done.exception()
        if isinstance(error, BrokenProcessPool):
            self._start_again(pool, error)
            return
        with self._lock:
            if pack not in self._sent.get(pool, ()):  # it has been sent again
                return
            self._sent[pool].remove(pack)
            self._under_way += len(pack) - 1 if error and len(pack) > 1 else -1
        if not done.cancelled():
            self._proven.add(pool)
        if done.cancelled():
            for call in pack:
                call.answer.cancel()
        elif error is None:
            for call, told in zip(pack, done.result(), strict=True):
                _tell(call.answer, told)
        elif len(pack) > 1:  # one of them is at fault, and nobody knows which
            for call in pack:
                self._send((call,))
        else:
            _tell(pack[0].answer, _Told(error=_explained(error, self._limits)))
        self._send_waiting()

    def _start_again(self, pool: ProcessPool, error: BaseException) -> None:
        """Go on with fresh workers where these died between two files; give up where they never did anything.

        A pool that breaks forgets what still waits in it, so all that was sent there is taken up here at once.
        """
        with self._lock:
            if self._pool is pool:
                self._pool = None
            packs = self._sent.pop(pool, set())
            is_proven = pool in self._proven
            self._under_way -= 0 if is_proven else len(packs)
        for pack in packs:
            if is_proven:
                self._send(pack)
                continue
            for call in pack:
                _tell(call.answer, _Told(error=_unstartable(error)))
        self._send_waiting()


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


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """What a call has given, or raised."""

    value: Any = None
    error: BaseException | None = None


def _tell(answer: Future[Any], told: _Told) -> None:
    """Pass it on to whoever still waits for it."""
    if not answer.set_running_or_notify_cancel():
        return
    if told.error is None:
        answer.set_result(told.value)
    else:
        answer.set_exception(told.error)


def _explained(error: BaseException, limits: Limits) -> BaseException:
    if isinstance(error, TimeoutError):
        return PictureError(RejectReason.DECODER, f"decoding took longer than {limits.seconds:g} seconds")
    if isinstance(error, ProcessExpired):
        return PictureError(RejectReason.DECODER, f"the decoder's process died (exit code {error.exitcode})")
    return error


def _unstartable(error: BaseException) -> BuildError:
    said = f" ({error})" if isinstance(error, OSError) else ""
    return BuildError(
        f"the processes that decode pictures end as soon as they start{said}; look for a limit on processes, files or "
        "memory (`ulimit -a`), and raise it"
    )


def _confine(limits: Limits) -> None:
    """Hold a fresh worker to its memory, and to Pillow's warnings about size as refusals."""
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        size = pages * resource.getpagesize() + limits.memory
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _all_held(limits: Limits, functions: Sequence[Callable[[], Any]]) -> list[_Told]:
    """Make the calls of a pack in a worker, one after the other."""
    return [_held(limits, function) for function in functions]


def _held(limits: Limits, function: Callable[[], Any]) -> _Told:
    """Make a call in a worker; whatever it raises becomes a `PictureError`."""
    _allow_seconds(limits.seconds)
    try:
        return _Told(function())
    except PictureError as error:
        return _Told(error=error)
    except MemoryError:
        room = f"decoding asked for more than {limits.memory // MIB:,} MiB"
        return _Told(error=PictureError(RejectReason.DECODER, room))
    except BaseException as error:
        # A decoder lets out anything on a hostile file, panics of Rust libraries and what cannot be pickled among it;
        # each is that file's fault, and none may end the worker's loop.
        told = f"the picture cannot be decoded ({type(error).__name__}: {str(error)[:200]})"
        return _Told(error=PictureError(RejectReason.DECODER, told))


def _allow_seconds(seconds: float) -> None:
    """Let the system end a worker that spins on with nobody left to stop it, its parent having been killed."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds) + 1, most))
