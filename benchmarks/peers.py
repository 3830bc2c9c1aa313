"""The whole cloud in a browser: this page, Embedding Atlas and plotly's scatter3d, with the same number of points.

Each is opened with an empty cache in the same Chromium, software rendering. A page is whole at the first look from
which on no look differs from the last, see `visits`; bytes are counted on the line, workers included. Embedding Atlas
gets what it asks for: a Parquet file with two columns of coordinates; it runs from its newest release, in an
environment of its own beside the packages that are here. scatter3d gets an HTML file as plotly writes it.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import threading
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from socket import create_connection, create_server
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import Browser
from playwright.sync_api import Error as BrowserError

from benchmarks import drawn
from benchmarks.page import served
from benchmarks.parts import RUNS, Part
from benchmarks.rows import Figure, Row, held
from benchmarks.visits import Visit, visit
from explorer.atlas import Atlas
from tests.chromium import chromium

SIZES = {10_000: 3.0, 100_000: 5.0, 600_000: 12.0, 1_000_000: 20.0}
"""Points -> minutes."""
VISITS = 3
"""Of which the median counts."""
MOST_BYTES = 10e6
"""What a million points may cost."""
FOLDER = RUNS / "peers"
NOTE = """Embedding Atlas draws its cloud with WebGPU and `shader-f16`, which Chromium's software adapter does not have:
its page, table and charts come to rest without the cloud, and its time is a lower bound. It moves all that it needs
either way."""
START = 60.0
"""Seconds that a peer's server is given."""

OURS = "document.querySelector('#map')?.dataset.ready === 'true'"
COUNTED = "document.body?.innerText.includes('{n:,} points')"
PLOTTED = "document.querySelector('.gl-container canvas') !== null"
"""When each page has its points, in JavaScript."""

Server = Callable[[], AbstractContextManager[str]]


def measure(n: int) -> Iterator[Row]:
    """All three with n points, one after the other."""
    root = drawn.atlas(n)
    points = np.asarray(Atlas.open(root).space(drawn.SPACE).points)
    floor = n * 3 * 2
    with chromium() as browser:
        ours = _visits(browser, partial(served, root), OURS)
        assert ours is not None, "the page did not come to rest"
        yield Row(
            f"this page, {n:,} points",
            _told(ours),
            f"the positions themselves, int16: {floor / 1e6:.2f} MB",
            ours.sent / floor,
            f"at most 10 MB: {held(ours.sent, MOST_BYTES)}" if n == max(SIZES) else "",
            drawn.SAYS,
            _figures("this page", n, ours),
        )
        peers = (
            ("Embedding Atlas", _atlas_release(), partial(embedding_atlas, points), COUNTED.format(n=n)),
            ("scatter3d", f"plotly {version('plotly')}", partial(scatter3d, points), PLOTTED),
        )
        for name, release, server, ready in peers:
            yield _against(name, release, n, ours, _visits(browser, server, ready) if release else None)


def _against(name: str, release: str | None, n: int, ours: Visit, theirs: Visit | None) -> Row:
    what = f"bytes and time to the whole cloud, {n:,} points"
    if release is None:
        return Row(what, _told(ours), f"{name} cannot be installed here", data=drawn.SAYS)
    if theirs is None:
        return Row(what, _told(ours), f"{name} ({release}) does not come to rest", data=drawn.SAYS)
    return Row(
        what,
        _told(ours),
        f"{name} ({release}): {_told(theirs)}",
        ours.sent / theirs.sent,
        f"in {ours.seconds / theirs.seconds:.2f} of its time",
        drawn.SAYS,
        _figures(name, n, theirs),
    )


def _told(made: Visit) -> str:
    return f"{made.sent / 1e6:.2f} MB, {made.seconds:.1f} s"


def _figures(name: str, n: int, made: Visit) -> tuple[Figure, ...]:
    return (
        Figure(f"whole cloud, {name}, bytes", n, made.sent / 1e6, "MB"),
        Figure(f"whole cloud, {name}, time", n, made.seconds, "s"),
    )


def _visits(browser: Browser, server: Server, ready: str) -> Visit | None:
    """The medians of several visits; None where a page breaks or never rests."""
    try:
        with server() as url:
            made = [visit(browser, url, ready) for _ in range(VISITS)]
    except (BrowserError, TimeoutError) as error:
        sys.stderr.write(f"{error}\n")
        return None
    return Visit(median(each.seconds for each in made), round(median(each.sent for each in made)))


@contextmanager
def embedding_atlas(points: np.ndarray) -> Iterator[str]:
    """Embedding Atlas on the first two coordinates of (n, 3) points."""
    path = FOLDER / f"points-{len(points)}.parquet"
    columns = {"id": np.arange(len(points)), "x": points[:, 0], "y": points[:, 1]}
    pq.write_table(pa.table(columns), path)
    port = _free_port()
    command = [FOLDER / "embedding-atlas" / "bin" / "embedding-atlas", path, "--x", "x", "--y", "y"]
    command += ["--disable-projection", "--port", str(port), "--no-auto-port"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as process:
        try:
            _await(port, process)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()


@contextmanager
def scatter3d(points: np.ndarray) -> Iterator[str]:
    """The scatter3d of plotly, of (n, 3) points, as `write_html` writes it."""
    import plotly.graph_objects as go

    folder = FOLDER / f"scatter3d-{len(points)}"
    folder.mkdir(parents=True, exist_ok=True)
    x, y, z = points.T
    trace = go.Scatter3d(x=x, y=y, z=z, mode="markers", marker={"size": 1})
    go.Figure(trace).write_html(folder / "index.html", include_plotlyjs="directory")
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the method that it replaces
        """Say nothing."""


def _atlas_release() -> str | None:
    """The release of Embedding Atlas in its environment, made where there is none; None where that fails.

    What the environment has not, it takes from this one: its libraries for models would be gigabytes, unused here.
    """
    home = FOLDER / "embedding-atlas"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        venv.create(home, with_pip=True, clear=True)
        packages = next((home / "lib").glob("python*/site-packages"))
        (packages / "beside.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
        install = [python, "-m", "pip", "install", "--quiet"]
        if any(
            subprocess.run([*install, *words], capture_output=True, check=False).returncode
            for words in (["--no-deps", "embedding-atlas"], ["inquirer"])
        ):
            return None
        (home / "ready").touch()
    asked = "from importlib.metadata import version; print(version('embedding-atlas'))"
    return subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True).stdout.strip()


def _free_port() -> int:
    with create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server listens.

    Raises:
        TimeoutError: it ended, or it does not in time.
    """
    deadline = time.monotonic() + START
    while process.poll() is None and time.monotonic() < deadline:
        try:
            create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the peer's server does not answer")


PARTS = tuple(Part(f"cloud/{n}", partial(measure, n), minutes) for n, minutes in SIZES.items())
