"""How many bytes a server sends, whoever asks for them: a door on loopback that passes everything on and counts.

A browser's own figures leave out what its workers ask for.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_BLOCK = 1 << 16


class Meter:
    """The door; a context manager.

    Attributes:
        url: to be opened in place of the server's.
        sent: bytes that the server has sent so far, headers included.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = parts._replace(netloc=f"127.0.0.1:{self._door.getsockname()[1]}").geturl()
        self.sent = 0
        self._counting = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._welcome, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._door.close()

    def _welcome(self) -> None:
        with suppress(OSError):  # the door was closed
            while True:
                guest, _ = self._door.accept()
                with suppress(OSError):  # the server takes no more: the guest is told by a closed line
                    server = socket.create_connection(self._server)
                    threading.Thread(target=self._pass, args=(guest, server, False), daemon=True).start()
                    threading.Thread(target=self._pass, args=(server, guest, True), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, is_counted: bool) -> None:
        with suppress(OSError):  # either side may hang up
            while block := source.recv(_BLOCK):
                if is_counted:  # before it is passed on: whoever has read all of an answer finds all of it counted
                    with self._counting:
                        self.sent += len(block)
                target.sendall(block)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
