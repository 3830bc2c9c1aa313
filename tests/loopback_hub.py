"""A hub of data sets on loopback: as much of Hugging Face's HTTP interface as streaming a data set takes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """A running hub with one data set.

    Attributes:
        url: for `HF_ENDPOINT`.
        asked: method and path of every request.
    """

    name: str
    folder: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def entry(self, path: Path) -> dict[str, Any]:
        """A file or folder as the hub lists it."""
        name = path.relative_to(self.folder).as_posix()
        oid = hashlib.sha1(name.encode()).hexdigest()
        if path.is_dir():
            return {"type": "directory", "oid": oid, "size": 0, "path": name}
        return {"type": "file", "oid": oid, "size": path.stat().st_size, "path": name}


@contextmanager
def hub(name: str, folder: Path) -> Iterator[Hub]:
    """Serve the files of a folder as the data set `name` until the block ends."""
    served = Hub(name, folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": served}))
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802 - http.server's word
        self._answer()

    def do_HEAD(self) -> None:  # noqa: N802
        self._answer()

    def do_POST(self) -> None:  # noqa: N802
        self._answer()

    def log_message(self, *_: Any) -> None:  # noqa: ANN401
        """Say nothing."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        api, files = f"/api/datasets/{self.hub.name}", f"/datasets/{self.hub.name}/resolve/"
        if path.startswith(files):
            self._file(self.hub.folder / path.removeprefix(files).partition("/")[2])
        elif path.startswith(f"{api}/tree/"):
            inside = self.hub.folder / path.removeprefix(f"{api}/tree/").partition("/")[2]
            found = inside.rglob("*") if "recursive=True" in self.path else inside.glob("*")
            self._json([self.hub.entry(each) for each in sorted(found)])
        elif path.startswith(f"{api}/paths-info/"):
            wanted = json.loads(body)["paths"] if body.startswith(b"{") else []
            self._json([self.hub.entry(self.hub.folder / each) for each in wanted if (self.hub.folder / each).exists()])
        elif path == api or path.startswith(f"{api}/revision/"):
            names = [each.relative_to(self.hub.folder).as_posix() for each in self.hub.folder.rglob("*")]
            self._json({"id": self.hub.name, "sha": COMMIT, "siblings": [{"rfilename": each} for each in names]})
        else:
            self._missing("RepoNotFound")

    def _file(self, path: Path) -> None:
        if not path.is_file():
            self._missing("EntryNotFound")
            return
        data = path.read_bytes()
        start, end = 0, len(data)
        if wanted := self.headers.get("Range"):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1 if last else end, end)
        self.send_response(206 if wanted else 200)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        self._send(data[start:end], "application/octet-stream")

    def _json(self, value: Any) -> None:  # noqa: ANN401
        self.send_response(200)
        self._send(json.dumps(value).encode(), "application/json")

    def _missing(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self._send(b"{}", "application/json")

    def _send(self, data: bytes, kind: str) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
