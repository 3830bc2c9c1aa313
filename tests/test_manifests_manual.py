"""docs/manifests.md and the schema say the same, key by key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from explorer import manifest
from explorer.kinds import KINDS, SECTIONS
from explorer.manifest import Fetch, Filter, Models, Safety, SplitRule
from explorer.schema import Key
from indexer.sources import tables

MANUAL = Path(__file__).parent.parent / "docs" / "manifests.md"
HEADS = {"At the top": "", **{f"[{name}]": name for name in SECTIONS if name}, **{name: name for name in KINDS}}
DEFAULTS: Mapping[str, object] = {
    "fetch": Fetch(), "filter": Filter(), "safety": Safety(), "models": Models(), "split": SplitRule()
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One key as the manual has it."""

    value: str
    default: str
    says: str


def manual() -> dict[str, dict[str, Line]]:
    """Table -> key -> what the manual says of it."""
    found: dict[str, dict[str, Line]] = {}
    name = None
    for line in MANUAL.read_text("utf-8").splitlines():
        if line.startswith("#"):
            name = HEADS.get(line.lstrip("# "))
        elif name is not None:
            found.setdefault(name, {})
            if cells := re.fullmatch(r"\| `(\w+)` \| (.+?) \| ?(.*?) ?\| (.+) \|", line):
                found[name][cells[1]] = Line(cells[2], cells[3], cells[4])
    return found


def schema() -> dict[str, Mapping[str, Key]]:
    return {
        **{name: table.keys for name, table in SECTIONS.items()},
        **{name: kind.keys for name, kind in KINDS.items()},
    }


def test_the_manual_has_every_key_and_no_other() -> None:
    """Nothing may be written into a manifest that the manual does not explain, and nothing in it is a fault."""
    assert {name: set(lines) for name, lines in manual().items()} == {
        name: set(keys) for name, keys in schema().items()
    }


@pytest.mark.parametrize("name", schema())
def test_the_manual_says_what_each_value_must_be(name: str) -> None:
    """Type, bounds, allowed values and need are those of the schema."""
    for key, line in manual()[name].items():
        expected = schema()[name][key]
        assert line.value == expected.expected + (" (needed)" if expected.required else ""), f"{name}.{key}"


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_manual_gives_the_real_defaults(name: str) -> None:
    """A default in the manual is what happens without the key."""
    for key, line in manual()[name].items():
        value = getattr(DEFAULTS[name], key)
        if value not in (None, ()) and (name, key) != ("models", "vae"):
            told = (
                str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else value
            )
            assert line.default == f"`{told}`", f"{name}.{key}"


def test_the_manual_names_every_alias() -> None:
    """The names by which columns are found are those that the manual lists, in their order."""
    for meaning, aliases in tables.ALIASES.items():
        assert re.findall(r"`(\w+)`", manual()["columns"][meaning].default) == list(aliases), meaning


def test_the_manuals_example_passes_its_own_check() -> None:
    """What a reader copies is right."""
    (example,) = re.findall(r"```toml\n(.*?)```", MANUAL.read_text("utf-8"), re.DOTALL)
    assert manifest.parse(example, base=MANUAL.parent, file="example.toml").fetch.contact


def test_the_manual_shows_a_manifest_for_every_kind() -> None:
    """Each kind has a shipped manifest to start from."""
    shipped = MANUAL.parent.parent / "data_manifests"
    assert {manifest.load(path).kind for path in shipped.glob("*.toml")} == set(KINDS)
