"""Runs the app on this machine's loopback: the address, the lock, and a clean end."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from anyio import to_thread
from filelock import FileLock, Timeout
from starlette.types import ASGIApp

from explorer.errors import ExplorerError
from webapp.security import is_loopback_name

DEFAULT_PORT = 8050
TRIED_PORTS = 50
GRACE_SECONDS = 3


class Server(uvicorn.Server):
    """uvicorn's server, which says when it is ready and ends its streams before it waits for them."""

    def __init__(self, app: ASGIApp, ready: Callable[[], None], stopping: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,  # nobody's word is taken for where a request came from
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._ready = ready
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, which would never end by themselves, then the rest."""
        await to_thread.run_sync(self._stopping)
        await super().shutdown(sockets)


def run(app: ASGIApp, listening: socket.socket, *, ready: Callable[[], None], stopping: Callable[[], None]) -> None:
    """Serve until Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt), listening:  # uvicorn raises it again when all is closed
        Server(app, ready, stopping).run([listening])


def listen(host: str, port: int | None) -> socket.socket:
    """Take an address of this machine.

    Args:
        host: a loopback name or address.
        port: the port, 0 for any free one; None for 8050 or, where that is taken, the next free one.

    Raises:
        ExplorerError: the host is not loopback, or the port is taken.
    """
    check_host(host)
    ports = range(DEFAULT_PORT, DEFAULT_PORT + TRIED_PORTS) if port is None else (port,)
    for candidate in ports:
        try:
            return _bind(host.strip("[]"), candidate)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ExplorerError(f"{host}:{candidate} cannot be served: {error.strerror}") from error
    if port is None:
        raise ExplorerError(f"ports {ports[0]} to {ports[-1]} are all taken; name a free one: --port N")
    raise ExplorerError(f"port {port} is taken by another program; name another: --port N, or leave --port out")


def check_host(host: str) -> None:
    """Refuse every address that others than this machine can reach.

    Raises:
        ExplorerError: the host is not loopback.
    """
    if not is_loopback_name(host.strip("[]")):
        raise ExplorerError(
            f"--host {host}: this version serves this machine alone; expected 127.0.0.1, ::1 or localhost "
            "(from elsewhere, open a tunnel: ssh -L 8050:localhost:8050)"
        )


def url(listening: socket.socket, host: str) -> str:
    """The address to open in a browser."""
    name = host.strip("[]")
    with contextlib.suppress(ValueError):
        name = f"[{name}]" if ipaddress.ip_address(name).version == 6 else name
    return f"http://{name}:{listening.getsockname()[1]}/"


@contextlib.contextmanager
def sole_owner(workspace: Path, url: str) -> Iterator[None]:
    """Hold a workspace for one server at a time: two would each take the other's jobs for dead.

    The lock is the operating system's, so it ends with the process, however that ends.

    Raises:
        ExplorerError: another process serves it; the message says where.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    note = workspace / "server.json"
    lock = FileLock(workspace / "server.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ExplorerError(f"{_who(note)}; open that, or keep a workspace of its own: --workspace DIR") from None
    try:
        note.write_text(json.dumps({"pid": os.getpid(), "url": url}), "utf-8")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _who(note: Path) -> str:
    try:
        found = json.loads(note.read_text("utf-8"))
        return f"this workspace is served already at {found['url']} (process {found['pid']})"
    except (OSError, ValueError, KeyError):  # it is just starting or stopping
        return "this workspace is served already by another process"


def _bind(host: str, port: int) -> socket.socket:
    """Listen on one address; a name under .localhost means 127.0.0.1, whatever the system's resolver says."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = ipaddress.ip_address("127.0.0.1")
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    return socket.create_server((str(address), port), family=family)
