"""Results of the stages of a build, each in a folder of its own, named by a hash of all that it depends on.

A result is whole or absent: it is written beside its place and moved there by one rename. So a killed build goes on
where it was, a stage that is done is not done again, and one whose settings, inputs, models or libraries have changed
is.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from explorer.layout import sync_folder, write_atomic

_NOTE = "stage.json"


def digest(value: Any) -> str:  # noqa: ANN401 - anything that JSON can say
    """sha256 of a value of plain parts, arrays and dataclasses, hex; equal values give equal ones in every process."""
    return hashlib.sha256(_encoder().encode(value).encode()).hexdigest()


def digest_each(values: Iterable[Any]) -> str:
    """The same of values one after another, of which no two are in memory at a time; millions are no burden."""
    encode, total = _encoder().encode, hashlib.sha256()
    for value in values:
        total.update(encode(value).encode())
        total.update(b"\n")  # JSON in one line holds none, so the borders cannot shift
    return total.hexdigest()


def libraries(*names: str) -> dict[str, str]:
    """Versions of installed distributions, without importing them; those that are not installed are left out."""
    return {name: version for name in names if (version := _version(name)) is not None}


@functools.cache  # a build asks for the same few again and again, and each time a file of theirs would be parsed
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


class StageStore:
    """The folder of finished results; it knows which ones this build has asked for."""

    def __init__(self, root: Path) -> None:
        """Take over the folder from whoever had it before, without what they left unfinished."""
        self._root = root
        self._used: dict[str, Path] = {}
        for left in root.glob(".*"):
            _remove(left)

    def find(self, stage: str, inputs: Mapping[str, Any]) -> Path | None:
        """The folder of a stage's result, if it is done for these inputs."""
        folder = self._folder(stage, inputs)
        return folder if folder.is_dir() else None

    def remove(self, stage: str, inputs: Mapping[str, Any]) -> None:
        """Let a result be made again."""
        shutil.rmtree(self._folder(stage, inputs), ignore_errors=True)

    def result(self, stage: str, inputs: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
        """The folder of a stage's result; `make` fills an empty one if there is none yet.

        Args:
            stage: the stage's name.
            inputs: all that the result depends on.
            make: what to do; every file it leaves must be on the disk when it returns.
        """
        folder = self._folder(stage, inputs)
        self._used[folder.name] = folder
        if folder.is_dir():
            return folder
        unfinished = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
        unfinished.mkdir(parents=True)
        started = perf_counter()
        try:
            make(unfinished)
            note = {"stage": stage, "seconds": perf_counter() - started, "inputs": inputs}
            write_atomic(unfinished / _NOTE, json.dumps(note, default=_plain).encode())
            os.rename(unfinished, folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        sync_folder(self._root)
        return folder

    def seconds(self) -> dict[str, float]:
        """What each stage that this build has asked for took when it was done, whenever that was; in seconds."""
        spent: dict[str, float] = {}
        for folder in self._used.values():
            note = json.loads((folder / _NOTE).read_bytes())
            spent[note["stage"]] = spent.get(note["stage"], 0.0) + note["seconds"]
        return spent

    def sweep(self) -> None:
        """Remove the results that this build has not asked for."""
        for folder in self._root.iterdir():
            if folder.is_dir() and folder.name not in self._used:
                shutil.rmtree(folder)

    def clear(self) -> None:
        """Remove every result."""
        self._used.clear()
        self.sweep()

    @staticmethod
    def name(stage: str, inputs: Mapping[str, Any]) -> str:
        """The name of a result's folder."""
        return f"{stage}-{digest(inputs)[:32]}"

    def _folder(self, stage: str, inputs: Mapping[str, Any]) -> Path:
        return self._root / self.name(stage, inputs)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


@functools.cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(part.name for part in fields(kind))


def _encoder() -> json.JSONEncoder:
    return json.JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:  # noqa: ANN401 - what JSON cannot say by itself
    if isinstance(value, np.ndarray):
        content = np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
        return [value.dtype.str, value.shape, hashlib.sha256(content).hexdigest()]
    if is_dataclass(value) and not isinstance(value, type):
        return {name: getattr(value, name) for name in _names(type(value))}
    raise TypeError(f"{type(value).__name__} cannot be part of a stage's key")
