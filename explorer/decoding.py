"""Strangers' files, decoded in processes of their own with little memory and little time: one that dies costs one file.

Pillow's decoders are C libraries with a long list of holes. A file that makes one crash, spin or swell takes its worker
with it: the file is refused with a reason, another worker takes the place, and the files beside it are none the worse.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, Self, TypeVar

from pebble import ProcessExpired, ProcessPool
from PIL import Image

from explorer.aloof import Aloof
from explorer.confinement import MIB, Limits, Told, all_held, confine
from explorer.errors import BuildError, PictureError, RejectReason
from explorer.pictures import open_picture

P = ParamSpec("P")
T = TypeVar("T")

LIGHT = ("explorer.decoding",)
"""What workers have loaded before they start; never torch, whose memory each of them would count as its own."""
_PACK = 8
_PACK_BYTES = 512 * 1024
"""At most so many calls, with so many bytes of files, go to a worker at a time."""
_WAITING_BYTES = 64 * MIB
"""Of files that wait for workers; from there on they are said to be busy, however few the files are."""
_BARREN = 3
"""So many times in a row all workers end without an answer, and then no more are started."""
_LOOK_SECONDS = 1.0
"""How often somebody looks whether a pool broke without a word."""
_AHEAD = 2
"""Packs on their way for each worker: one that it works on, one that it finds when it is done."""


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """What is to be called in a worker, who waits for it, and the bytes that go there with it.

    Attributes:
        was_blamed: whether a worker's death has been laid to this call alone before.
    """

    answer: Future[Any]
    function: Callable[[], Any]
    size: int
    was_blamed: bool = False


_Pack = tuple[_Call, ...]
"""Calls that go to a worker together, and whose results come back together: small files are no journey each."""


class Workers:
    """Processes that do what may go wrong; none is started before the first `submit`.

    They are never forked from a process with threads and models in it: a server without either starts them, or they
    start anew. While all are busy, calls wait and then go in packs; where a worker dies of a pack or takes too long,
    each of its calls is made again, alone. One that a worker died of alone is made once more before it is refused.
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
        self._barren = 0
        self._awaited: set[Future[Any]] = set()
        self._waiting, self._waiting_bytes = deque[_Call](), 0
        self._under_way = 0
        self._sent: dict[ProcessPool, set[_Pack]] = {}
        self._closed = threading.Event()
        self._watching: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a module-level function in a worker; again, where a worker ended that another's call may have ended.

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
            pool, self._pool = self._pool, None
            self._closed.set()
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
            if not self._closed.is_set() and self._under_way >= _AHEAD * self._processes:
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
            if not self._closed.is_set():
                pool = self._pool = self._pool or self._start()
                self._sent.setdefault(pool, set()).add(pack)
        if self._closed.is_set():
            for call in pack:
                call.answer.cancel()
            return
        work = functools.partial(all_held, self._limits, tuple(call.function for call in pack))
        try:
            done = pool.schedule(work, timeout=self._limits.seconds)
        except (RuntimeError, OSError) as error:  # it broke after we looked, or cannot start
            self._start_again(pool, error)
        else:
            done.add_done_callback(functools.partial(self._settle, pool, pack))

    def _start(self) -> ProcessPool:
        if self._watching is None:
            self._watching = threading.Thread(target=self._watch, name="watch-workers", daemon=True)
            self._watching.start()
        context = Aloof()
        if sys.platform != "win32":
            context.set_forkserver_preload(self._preload)
        return ProcessPool(self._processes, initializer=confine, initargs=(self._limits,), context=context)

    def _watch(self) -> None:
        """Take up what was sent to a pool while it broke: pebble forgets a call that comes just then."""
        while not self._closed.wait(_LOOK_SECONDS):
            with self._lock:
                pools = tuple(self._sent)
            for pool in pools:
                if not pool.active:
                    self._start_again(pool, BrokenProcessPool("all of them ended"))

    def _settle(self, pool: ProcessPool, pack: _Pack, done: Future[list[Told]]) -> None:
        """Pass on what a worker answered, or say in a `PictureError` why it did not."""
        error = None if done.cancelled() else done.exception()
        if isinstance(error, BrokenProcessPool):
            self._start_again(pool, error)
            return
        again = _again(pack, error) if error else ()
        with self._lock:
            if pack not in self._sent.get(pool, ()):  # it has been sent again
                return
            self._sent[pool].remove(pack)
            self._under_way += len(again) - 1
        if not done.cancelled():
            self._barren = 0
        if done.cancelled():
            for call in pack:
                call.answer.cancel()
        elif error is None:
            for call, told in zip(pack, done.result(), strict=True):
                _tell(call.answer, told)
        elif not again:
            _tell(pack[0].answer, Told(error=_explained(error, self._limits)))
        for call in again:
            self._send((call,))
        self._send_waiting()

    def _start_again(self, pool: ProcessPool, error: BaseException) -> None:
        """Go on with fresh workers; give up where none did anything, several times in a row.

        A pool that breaks forgets what still waits in it, so all that was sent there is taken up here at once. It
        breaks where all workers died between two files, and where one died of a file before pebble read that it had
        begun: so once is no proof that workers cannot start.
        """
        with self._lock:
            if self._pool is pool:
                self._pool = None
                self._barren += 1
            packs = self._sent.pop(pool, set())
            is_over = self._barren >= _BARREN
            self._under_way -= len(packs) if is_over else 0
        for pack in packs:
            if not is_over:
                self._send(pack)
                continue
            for call in pack:
                _tell(call.answer, Told(error=_unstartable(error)))
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


def _tell(answer: Future[Any], told: Told) -> None:
    """Pass it on to whoever still waits for it."""
    if not answer.set_running_or_notify_cancel():
        return
    if told.error is None:
        answer.set_result(told.value)
    else:
        answer.set_exception(told.error)


def _again(pack: _Pack, error: BaseException) -> _Pack:
    """The calls of a pack without an answer that are to be made once more, each alone.

    Of several one is at fault, and nobody knows which. A single one may have been done: pebble lays a death to any call
    of the worker whose answer it has not read yet, also while the worker was at the next one.
    """
    if len(pack) == 1 and (pack[0].was_blamed or not isinstance(error, ProcessExpired)):
        return ()
    return tuple(replace(call, was_blamed=len(pack) == 1) for call in pack)


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
