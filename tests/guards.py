"""The list of guards, and what taking one out means; the list itself is guards.toml, `make guards` goes through it."""

from __future__ import annotations

import ast
import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LIST = Path(__file__).with_name("guards.toml")
TABLE = ROOT / "docs" / "reliability.md"
_BEGIN, _END = "<!-- guards: begin, written by `make guards` -->", "<!-- guards: end -->"


class GuardError(Exception):
    """The list does not fit the code, or a removal could not be judged."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One change of the code.

    Attributes:
        file: from the root of the repository.
        old: the text that stands there, once.
        new: what takes its place.
    """

    file: str
    old: str
    new: str

    def made(self, root: Path) -> str:
        """The file's text with the change.

        Raises:
            GuardError: the old text is not there, or more than once.
        """
        text = (root / self.file).read_text("utf-8")
        count = text.count(self.old)
        if count != 1:
            raise GuardError(f"{self.file}: found {self.old!r} {count} times; expected it once: mend guards.toml")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Guard:
    """Something that keeps a fault from doing harm.

    Attributes:
        name: what it does, in the words of the table.
        row: numbers of ../shared/THREATS.md, or the promise of issue B.
        cuts: that take it out; several where one guard stands behind another.
        red: tests, each of which must fail without it; of one with parameters some case.
        note: why several are taken out together.
    """

    name: str
    row: str
    cuts: tuple[Cut, ...]
    red: tuple[str, ...]
    note: str = ""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Guard:
        """Read an entry of the list."""
        cuts = tuple(
            Cut(**each) for each in ({name: told[name] for name in ("file", "old", "new")}, *told.get("with", ()))
        )
        return cls(told["name"], str(told["row"]), cuts, tuple(told["red"]), told.get("note", ""))

    def key(self, root: Path) -> str:
        """Stands for the entry, the files that it changes, and those of its tests."""
        digest = hashlib.sha256(json.dumps(asdict(self)).encode())
        for file in sorted({cut.file for cut in self.cuts} | {test.split("::")[0] for test in self.red}):
            digest.update((root / file).read_bytes())
        return digest.hexdigest()


def guards(path: Path = LIST) -> tuple[Guard, ...]:
    """The list, in its order."""
    return tuple(map(Guard.of, tomllib.loads(path.read_text("utf-8"))["guard"]))


def problems(listed: Sequence[Guard], root: Path = ROOT) -> Iterator[str]:
    """What of the list does not fit the code, a line each; nothing is run to find out."""
    names = [guard.name for guard in listed]
    yield from (f"{name}: stands there twice" for name in sorted({name for name in names if names.count(name) > 1}))
    for guard in listed:
        for cut in guard.cuts:
            try:
                if cut.made(root) == (root / cut.file).read_text("utf-8"):
                    yield f"{guard.name}: nothing of {cut.file} changes"
            except GuardError as error:
                yield f"{guard.name}: {error}"
        for test in guard.red:
            file, _, function = test.partition("::")
            if function.partition("[")[0] not in _tests(root / file):
                yield f"{guard.name}: there is no test {test}"


@lru_cache
def _tests(path: Path) -> frozenset[str]:
    """The test functions of a file; none where there is no such file."""
    if not path.is_file():
        return frozenset()
    found = (node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.FunctionDef))
    return frozenset(node.name for node in found if node.name.startswith("test_"))


def table(listed: Sequence[Guard]) -> str:
    """The list as a table in Markdown."""
    lines = ["| taken out | threat | what went red |", "|---|---|---|"]
    for guard in listed:
        tests = dict.fromkeys(test.partition("[")[0].removeprefix("tests/") for test in guard.red)
        what = f"{guard.name} ({guard.note})" if guard.note else guard.name
        lines.append(f"| {what} | {guard.row} | {', '.join(f'`{test}`' for test in tests)} |")
    return "\n".join(lines)


def with_table(document: str, listed: Sequence[Guard]) -> str:
    """A document with the table between its two marks."""
    before, _, rest = document.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise GuardError(f"found no {_BEGIN} and {_END} in the document; put the two lines where the table is to stand")
    return f"{before}{_BEGIN}\n\n{table(listed)}\n\n{_END}{after}"
