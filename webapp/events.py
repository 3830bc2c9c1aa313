"""A job's events: written down once, and followed by any number of tabs that may leave and join again.

The events lie in the workspace, numbered; the bell only says that there may be new ones. So a tab that was closed, or
a page that was reloaded, asks for what came after the last number it saw (`Last-Event-ID`).

Source: HTML standard, section 9.2, Server-sent events (html.spec.whatwg.org).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

from anyio import to_thread

from explorer.jobs import Event, JobState
from explorer.workspace import Workspace
from webapp.documents import dumps, plain

HEARTBEAT_SECONDS = 15.0
"""A comment is sent after so much silence, so that a closed tab is noticed and no proxy gives up."""

TERMINAL = frozenset(state.value for state in JobState if state.ended)


class Bell:
    """Wakes waiting streams from any thread; closing it ends them."""

    def __init__(self) -> None:
        self.closed = False
        self._listeners: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._lock = Lock()

    def ring(self) -> None:
        """Let every stream look for new events."""
        with self._lock:
            for loop, event in self._listeners:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        """Let every stream say what there is to say, and end, since the server stops."""
        self.closed = True
        self.ring()

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """An event of the running loop that is set at each ring while the block lasts."""
        listener = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._listeners.add(listener)
        try:
            yield listener[1]
        finally:
            with self._lock:
                self._listeners.discard(listener)


class Journal:
    """Writes events down in the workspace and rings."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.bell = Bell()

    def say(self, job: str, kind: str, data: Mapping[str, Any]) -> None:
        """Write down that something happened."""
        self.workspace.add_event(job, kind, plain(data))
        self.bell.ring()

    def end(self, job: str, state: JobState, data: Mapping[str, Any], *, generation: int | None = None) -> None:
        """Write down a job's end: its state and its last event, both or neither."""
        self.workspace.end_job(job, state, plain(data), generation=generation, error=data.get("error"))
        self.bell.ring()

    async def follow(self, job: str, after: int) -> AsyncIterator[Event | None]:
        """Yield a job's events whose number is greater than `after`, old ones first, until its last.

        Yields:
            None where nothing happened for `HEARTBEAT_SECONDS`.
        """
        with self.bell.listening() as rung:
            while True:
                rung.clear()  # before looking, so that a ring while looking is not lost
                closed = self.bell.closed
                for event in await to_thread.run_sync(self.workspace.events, job, after):
                    yield event
                    after = event.seq
                    if event.kind in TERMINAL:
                        return
                if closed:
                    return
                try:
                    await asyncio.wait_for(rung.wait(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield None


def message(event: Event | None) -> bytes:
    """An event as bytes of an event stream; None is a comment that only keeps the connection."""
    if event is None:
        return b": still here\n\n"
    data = dumps({"seq": event.seq, "kind": event.kind, **event.data})
    return f"id: {event.seq}\nevent: {event.kind}\ndata: {data}\n\n".encode()
