"""Where a data set lies, a folder or the hub, and what of it may be opened: nothing that lies anywhere else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from explorer.errors import ExplorerError, ManifestError
from explorer.manifest import Manifest
from indexer.sources.hub import PREFIX, looks_like

CARDS = ("README.md", ".huggingface.yaml")
MAX_CARD = 1024 * 1024

_SAVED = ("dataset_dict.json", "state.json")
_HEAD = re.compile(r"\s*---[ \t]*\n(.*?)\n---", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a data set lies.

    Attributes:
        address: a folder, or org/name on the hub.
        root: what the names of its files begin with.
        revision: the hub's commit; None for a folder.
    """

    address: str
    root: str
    revision: str | None = None

    @classmethod
    def of(cls, manifest: Manifest) -> Place:
        """The place that a manifest names, its card read and held to it.

        Raises:
            ManifestError: there is none, or its card names files that are not its own.
        """
        named = manifest.path or ""
        folder, name = manifest.resolve(named), named.removeprefix(PREFIX)
        if named != name or (not folder.exists() and looks_like(name)):
            place = _on_the_hub(name, manifest.source.get("revision"))
        elif folder.is_dir():
            place = cls(str(folder.resolve()), f"{folder.resolve()}/")
        else:
            raise ManifestError(f"path: found no folder {folder}; name one, or a data set of the hub as org/name")
        for card in CARDS:
            _review(place._card(card), f"{named}/{card}")
        return place

    @property
    def is_saved(self) -> bool:
        """Whether `save_to_disk` wrote it."""
        return self.revision is None and any((Path(self.address) / name).is_file() for name in _SAVED)

    def hold(self, files: Iterable[str]) -> None:
        """Refuse files that are not the data set's own.

        Raises:
            ManifestError: one is not.
        """
        for file in files:
            if not self.owns(file):
                raise ManifestError(f"path: the data set would read {file[:200]}; expected files under {self.root}")

    def owns(self, file: str) -> bool:
        """Whether a file lies in the data set, or in an archive in it such as `zip://a.png::/folder/a.zip`."""
        hops = file.split("::")
        is_plain = ".." not in PurePosixPath(hops[-1]).parts
        return hops[-1].startswith(self.root) and is_plain and all(hop.startswith("zip://") for hop in hops[:-1])

    def read(self, file: str, most: int) -> bytes | None:
        """At most so many bytes of a file that the data set owns; None for any other."""
        import fsspec

        if not self.owns(file):
            return None
        with explained(file), fsspec.open(file, "rb") as handle:
            return bytes(handle.read(most))

    def stamp(self, files: Iterable[str]) -> str:
        """A text that differs whenever one of the files may; a commit of the hub never changes."""
        digest = hashlib.sha256()
        for file in files:
            digest.update(f"{file}\0".encode("utf-8", "surrogateescape"))
            if self.revision is None:
                status = Path(file.split("::")[-1]).stat()
                digest.update(f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}\0".encode())
        return digest.hexdigest()[:32]

    def _card(self, name: str) -> str:
        """The text of a card; nothing where there is none."""
        path = Path(self.address) / name if self.revision is None else _downloaded(self.address, name, self.revision)
        if path is None or not path.is_file():
            return ""
        with path.open(encoding="utf-8-sig", errors="replace") as handle:
            return handle.read(MAX_CARD)


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what the library raises into one line.

    Raises:
        ManifestError: in place of it.
    """
    try:
        yield
    except ExplorerError:
        raise
    # The library and the readers below it raise nearly anything for a bad file or an absent network: OSError,
    # ValueError, RuntimeError, KeyError, Arrow's, YAML's, the hub's and its own errors.
    except Exception as error:
        words = " ".join(str(error).split())[:300] or type(error).__name__
        raise ManifestError(
            f"{where}: cannot be read ({words}); expected a data set of Parquet, Arrow or picture files that needs no "
            "script, on the hub or in a folder"
        ) from error


def hush() -> None:
    """Ask the libraries not to write on the process's streams."""
    import datasets
    import huggingface_hub.utils as hub_utils

    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    datasets.disable_progress_bars()
    hub_utils.disable_progress_bars()


def _on_the_hub(name: str, revision: str | None) -> Place:
    """A data set of the hub at the commit that its revision names now, so that no file changes on the way."""
    from huggingface_hub import HfApi

    with explained(f"path: {name} on the hub"):
        commit = HfApi().dataset_info(name, revision=revision).sha
    return Place(name, f"hf://datasets/{name}@{commit}/", commit)


def _downloaded(name: str, file: str, commit: str) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    with explained(f"path: {name}/{file} on the hub"):
        try:
            return Path(hf_hub_download(name, file, repo_type="dataset", revision=commit))
        except EntryNotFoundError:
            return None


def _review(card: str, where: str) -> None:
    """Refuse a card that names files which are not the data set's own, before anything looks for them.

    Raises:
        ManifestError: it does, or cannot be understood.
    """
    head = _HEAD.match(card)
    text = head[1] if head else "" if where.endswith(".md") else card
    try:
        said = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ManifestError(f"path: {where} is not YAML ({str(error)[:80]}); mend it or take it out") from error
    configs = said.get("configs") if isinstance(said, dict) else None
    for name in _texts(configs):
        if "://" in name or "::" in name or name.startswith(("/", "~")) or ".." in re.split(r"[/\\]", name):
            raise ManifestError(f"path: {where} names {name[:200]!r}; expected files of the data set itself")


def _texts(document: Any) -> Iterator[str]:  # noqa: ANN401 - whatever YAML holds
    """Every text in a document, at any depth; what aliases repeat is looked at once."""
    waiting, seen = [document], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value.values() if isinstance(value, dict) else value)
