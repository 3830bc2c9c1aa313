"""A manifest: which corpus, whose, under which licence, seen through which models; TOML held against a schema.

`explorer.kinds` is the schema; here its documents become typed values.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import tomli_w

from explorer.errors import ManifestError
from explorer.kinds import KINDS, SECTIONS, Kind
from explorer.records import Relation
from explorer.schema import Table, problems


@dataclass(frozen=True, slots=True)
class Models:
    """Model references; see `explorer.models.references`. The VAE is the generator's unless named; SSCD is optional."""

    clip: str = "demo"
    vae: str = "demo"
    generator: str = "demo"
    sscd: str | None = None


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
class Fetch:
    """How pictures are fetched from their links.

    Attributes:
        contact: mail address or page by which hosts can reach who fetches; nothing is fetched without one.
        timeout: seconds for a picture in all, redirects included.
        max_bytes: of a picture's file.
        redirects: that are followed.
        in_flight: requests at a time.
        per_host: requests at a time to one host.
        delay: seconds between two requests to one host.
        retries: further tries after a fault that may pass.
        allow_networks: CIDR of networks that are not public and may be reached all the same.
        allow_ports: beside 80 and 443.
        honor_robots: whether robots.txt is honored.
        honor_opt_out: whether the opt-outs in X-Robots-Tag are honored.
    """

    contact: str | None = None
    timeout: float = 20.0
    max_bytes: int = 20_000_000
    redirects: int = 5
    in_flight: int = 1000
    per_host: int = 2
    delay: float = 0.0
    retries: int = 1
    allow_networks: tuple[str, ...] = ()
    allow_ports: tuple[int, ...] = ()
    honor_robots: bool = True
    honor_opt_out: bool = True


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows of the source to keep; `None` and `()` ask for nothing. What is unknown passes no bound."""

    aesthetic_min: float | None = None
    punsafe_max: float | None = None
    pwatermark_max: float | None = None
    similarity_min: float | None = None
    width_min: int | None = None
    height_min: int | None = None
    language: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Safety:
    """Which rows may be used at all.

    Attributes:
        intersect_with: a file of the rows that may be used, such as Re-LAION's research-safe ones; no other is.
        intersect_on: the column that this file and the source share; None: that of the links.
        blocklist: a file of hashes and links that are never used.
        accept_pre_2024_links_without_safety_review: go on where LAION's withdrawn links would stop the build.
    """

    intersect_with: str | None = None
    intersect_on: str | None = None
    blocklist: str | None = None
    accept_pre_2024_links_without_safety_review: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """A corpus as its maker describes it.

    Attributes:
        base: the folder that relative paths start from.
        columns: column of the atlas -> column of the source.
        captions: language -> column of the source.
        contact: whom to ask for a takedown; by default the contact of `fetch`.
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
    contact: str | None = None
    models: Models = field(default_factory=Models)
    training: Training = field(default_factory=Training)
    split: SplitRule = field(default_factory=SplitRule)
    fetch: Fetch = field(default_factory=Fetch)
    filter: Filter = field(default_factory=Filter)
    safety: Safety = field(default_factory=Safety)
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
    fetch = Fetch(**_frozen(document.get("fetch", {})))
    return Manifest(
        **{"contact": fetch.contact, **plain},
        base=base,
        models=Models(**models),
        training=Training(Relation(training.get("relation", Relation.UNKNOWN)), tuple(training.get("generators", ()))),
        split=SplitRule(**document.get("split", {})),
        fetch=fetch,
        filter=Filter(**_frozen(document.get("filter", {}))),
        safety=Safety(**document.get("safety", {})),
        columns=document.get("columns", {}),
        captions=document.get("captions", {}),
        source=document.get(document["kind"], {}),
    )


def to_dict(manifest: Manifest) -> dict[str, Any]:
    """A manifest as plain values, without what is unset and without the folder it lay in."""
    document = {key: value for key, value in asdict(manifest).items() if key not in ("base", "source")}
    document["training"] = {"relation": manifest.training.relation.value, "generators": [*manifest.training.generators]}
    for name in ("split", "fetch", "filter", "safety"):
        document[name] = _chosen(getattr(manifest, name))
    if KINDS[manifest.kind].embeds:
        del document["models"]["vae"]
    if manifest.models.sscd is None:
        del document["models"]["sscd"]
    document[manifest.kind] = dict(manifest.source)
    return {key: value for key, value in document.items() if value not in (None, {})}


def dumps(manifest: Manifest) -> str:
    """A manifest as TOML that `parse` reads back."""
    return tomli_w.dumps(to_dict(manifest))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror}); name a manifest file") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error


def _document(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"{file}: not TOML: {error}") from error


def _frozen(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table with its lists as tuples, as the dataclasses keep them."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


def _chosen(settings: SplitRule | Fetch | Filter | Safety) -> dict[str, Any]:
    """The settings that differ from the defaults, as plain values."""
    values = {each.name: getattr(settings, each.name) for each in fields(settings)}
    default = type(settings)()
    chosen = {name: value for name, value in values.items() if value != getattr(default, name)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()}


def _problems(document: Mapping[str, Any], file: str) -> list[str]:
    """Every fault of a document, kind first: without a kind the rest has no meaning."""
    kind = KINDS.get(document["kind"]) if isinstance(document.get("kind"), str) else None
    sections = dict(SECTIONS)
    if kind is not None:
        sections[str(document["kind"])] = Table(kind.keys)
    found = [] if kind is None else [*_kind_problems(kind, document)]
    strange = KINDS.keys() - sections.keys() if kind is not None else set()
    found += problems({key: value for key, value in document.items() if key not in strange}, sections)
    return [f"{file}: {problem}" for problem in found]


def _kind_problems(kind: Kind, document: Mapping[str, Any]) -> Iterator[str]:
    """What the keys must be together, beyond what each must be by itself."""
    name = document["kind"]
    if kind.path and "path" not in document:
        yield f"path: found nothing; expected the path that kind {name} reads"
    for other in sorted(KINDS.keys() & document.keys() - {name}):
        yield f"{other}: found the table of kind {other}; expected that of kind {name} alone"
    if not kind.filters and "filter" in document:
        yield f"filter: found a table; expected none: kind {name} has no columns to filter by"
    models = document.get("models", {})
    if not kind.embeds or not isinstance(models, Mapping):
        return
    if "clip" not in models:
        yield "models.clip: found nothing; expected the open_clip model of the vectors, such as ViT-B-32/openai"
    for space in sorted({"sscd", "vae"} & models.keys()):
        yield f"models.{space}: found {str(models[space])[:60]!r}; expected nothing: kind {name} encodes no picture"
