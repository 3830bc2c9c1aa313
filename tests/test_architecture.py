"""ARCHITECTURE.md draws the layers; these tests hold the imports to the drawing."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("explorer", "indexer", "webapp")


@dataclass(frozen=True)
class Layers:
    """The drawing: module name -> height; a module may import only what stands lower."""

    height: dict[str, int]

    @classmethod
    def read(cls) -> Layers:
        """Read the fenced `layers` block: one line a layer, lowest first, modules by their full names."""
        block = re.search(r"```layers\n(.*?)```", (ROOT / "ARCHITECTURE.md").read_text("utf-8"), re.DOTALL)
        assert block, "ARCHITECTURE.md has no ```layers block"
        height: dict[str, int] = {}
        for level, line in enumerate(block.group(1).splitlines()):
            for name in line.split():
                assert name not in height, f"{name} is drawn twice"
                height[name] = level
        return cls(height)


def modules() -> dict[str, Path]:
    """Return every module of the three packages by its full name."""
    found: dict[str, Path] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "node_modules" in path.parts:
                continue
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            if parts[-1] == "__init__":
                parts.pop()
            found[".".join(parts)] = path
    return found


def imports(name: str, path: Path, known: set[str]) -> set[str]:
    """Return the modules of ours that `path` imports anywhere, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            deeper = {f"{node.module}.{alias.name}" for alias in node.names}
            submodules = deeper & known
            found |= submodules
            if deeper - submodules:
                found.add(node.module)
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{name} uses a relative import, which this test does not follow")
    return found & known


def test_every_module_is_drawn_and_every_drawn_module_exists() -> None:
    """The drawing and the folders name the same modules."""
    assert set(Layers.read().height) == set(modules())


def test_imports_run_one_way() -> None:
    """No module imports its own height or higher."""
    layers, known = Layers.read(), modules()
    wrong = [
        f"{name} imports {other}"
        for name, path in known.items()
        for other in imports(name, path, set(known))
        if other != name and layers.height[other] >= layers.height[name]
    ]
    assert not wrong, "\n".join(wrong)


def test_outside_worlds_meet_the_project_in_one_place() -> None:
    """faiss, UMAP, three.js' host Dash, and torch are imported only where ARCHITECTURE.md says."""
    allowed = {
        "faiss": ("explorer.indexes",),
        "umap": ("indexer.mapping.project",),
        "torch": ("explorer.models", "explorer.generate", "indexer.demo"),
        "diffusers": ("explorer.models", "explorer.generate", "indexer.demo"),
        "open_clip": ("explorer.models", "indexer.demo"),
        "dash": ("webapp",),
        "duckdb": ("explorer.table",),
    }
    wrong = []
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for imported in (n.split(".")[0] for n in names):
                homes = allowed.get(imported)
                if homes and not any(name == home or name.startswith(home + ".") for home in homes):
                    wrong.append(f"{name} imports {imported}")
    assert not wrong, "\n".join(wrong)
