"""DATA_CARD.md: what an atlas was made of, by whom it may be used, what was left out and why; for people to read.

Source: M. Pushkarna, A. Zaldivar, O. Kjartansson, Data Cards, 2022 (arXiv 2204.01075), for what such a card should say.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from explorer.contributions import Contribution, contributions
from explorer.errors import RejectReason
from explorer.records import Split

HOSTS = 10
COLUMNS = ("host", "placed", "split")
"""Of `records.parquet`, what the card is made from."""
_RULES = {
    RejectReason.FILTERED: "outside the manifest's filters",
    RejectReason.UNSAFE: "punsafe over the line, or unknown",
    RejectReason.WITHDRAWN: "not in the list that the corpus was intersected with",
    RejectReason.BLOCKED: "named by the blocklist",
    RejectReason.DENIED: "taken down",
    RejectReason.ROBOTS: "robots.txt asks to stay away; honored",
    RejectReason.OPTED_OUT: "X-Robots-Tag opts out; honored",
}

Meta = Mapping[str, Any]


def text(meta: Meta, records: pa.Table) -> str:
    """The card of a version.

    Args:
        meta: what its `atlas.json` says.
        records: its `records.parquet`, at least `COLUMNS`.
    """
    own, *others = contributions(meta)
    parts = [
        _head(meta),
        _section("Source", _source(own, meta["manifest"].get("path"))),
        _section("Which rows", _rows(own)),
        _section("What became of them", _outcomes(meta["outcomes"])),
        _section("Fetching", _fetching(own.manifest)),
        *(_section(f"Appended: {_plain(each.title)}", _appended(each)) for each in others),
        _section("Hosts", _hosts(records)),
        _section("Same pictures", _near(meta)),
        _section("Models", _models(meta)),
        _section("How they are placed", _placed(meta, records)),
        _section("What it cannot say", _limits()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(meta: Meta) -> str:
    manifest = meta["manifest"]
    return f"# {_plain(manifest.get('title') or manifest['kind'])}\n\n{meta['outcomes']['indexed']:,} pictures."


def _section(title: str, lines: Iterator[str]) -> str:
    body = "\n".join(lines)
    return f"## {title}\n\n{body}" if body else ""


def _source(part: Contribution, path: str | None = None) -> Iterator[str]:
    manifest = part.manifest
    told = {
        "kind": manifest["kind"],
        "path": path,
        "date of the corpus": manifest.get("date") or "unknown",
        "licence": manifest.get("licence") or "unknown, unless a picture's own record names one",
        "licence text": manifest.get("licence_url"),
        "attribution": manifest.get("attribution"),
        "home page": manifest.get("homepage"),
        "contact for takedowns": part.contact,
        "relation to a generator's training": part.training.relation.value,
    }
    yield from (f"- {name}: {_plain(value)}" for name, value in told.items() if value)


def _rows(part: Contribution) -> Iterator[str]:
    """Thresholds, draws, overrides."""
    chosen = part.selection
    yield f"- rows read from the source: {part.read:,}"
    if chosen.get("sample") is not None:
        yield f"- drawn by chance: {chosen['sample']:,} of them (seed {chosen['seed']})"
    if chosen.get("limit") is not None:
        yield f"- at most {chosen['limit']:,}, the first ones"
    yield from (f"- `{key}`: {_plain(_told(value))}" for key, value in part.held.items())
    columns = ", ".join(f"{meaning} from {_plain(name)}" for meaning, name in part.columns.items())
    if columns:
        yield f"- columns found: {columns}"


def _appended(part: Contribution) -> Iterator[str]:
    """All of that, of a manifest whose rows joined later."""
    yield f"- appended at: {part.at}"
    yield from _source(part)
    yield from _rows(part)
    outcomes = ", ".join(f"{name} {count:,}" for name, count in part.outcomes.items())
    yield f"- what became of them: {outcomes}"
    yield from _fetching(part.manifest)


def _outcomes(outcomes: Mapping[str, int]) -> Iterator[str]:
    yield "| outcome | rows | |\n|---|---:|---|"
    for name, count in outcomes.items():
        reason = name.removeprefix("rejected:")
        meaning = _RULES.get(RejectReason(reason), "") if reason != name else ""
        yield f"| {name} | {count:,} | {meaning}".rstrip() + " |"
    yield f"| sum | {sum(outcomes.values()):,} | |"


def _fetching(manifest: Meta) -> Iterator[str]:
    """How the web was met; what was opened beyond it is named."""
    fetch = manifest.get("fetch")
    if not fetch:
        return
    for key, label in (("honor_robots", "robots.txt"), ("honor_opt_out", "X-Robots-Tag")):
        yield f"- {label}: {'honored' if fetch.get(key, True) else '**not honored**, by the manifest'}"
    yield f"- networks opened beyond the public internet: {_told(fetch.get('allow_networks')) or 'none'}"
    yield f"- ports opened beside 80 and 443: {_told(fetch.get('allow_ports')) or 'none'}"


def _hosts(records: pa.Table) -> Iterator[str]:
    """The largest ones, with their share; a corpus that one host fills is that host's."""
    hosts = _counts(records["host"].drop_null())
    if not hosts:
        return
    yield "| host | pictures | share |\n|---|---:|---:|"
    for host, count in sorted(hosts.items(), key=lambda item: (-item[1], item[0]))[:HOSTS]:
        yield f"| {_plain(host)} | {count:,} | {count / records.num_rows:.1%} |"
    yield f"| all {len(hosts):,} | {hosts.total():,} | {hosts.total() / records.num_rows:.1%} |"


def _near(meta: Meta) -> Iterator[str]:
    near, options = meta["near_duplicates"], meta["settings"]["families"]
    yield (
        f"{near['pictures']:,} pictures are near-duplicates of others and share {near['families']:,} families that "
        "the source does not name: equal bytes (of ready-made vectors: equal vectors), or perceptual hashes that "
        f"differ in at most {options['bits']} of 64 bits and vectors whose cosine is {options['similarity']:g} or more."
    )


def _models(meta: Meta) -> Iterator[str]:
    for role, model in meta["models"].items():
        if model and model.get("reference"):
            revision = f", revision {_plain(model['revision'])}" if model.get("revision") else ""
            yield f"- {role}: {_plain(model['reference'])}{revision}"


def _placed(meta: Meta, records: pa.Table) -> Iterator[str]:
    joined = _counts(records["placed"])[True]
    heldout = _counts(records["split"])[Split.HELDOUT.value]
    layouts = ", ".join(f"{space} by {told['layout']}" for space, told in meta["spaces"].items())
    yield f"- the map is fitted on {records.num_rows - heldout - joined:,} pictures: {layouts}"
    yield f"- placed among them afterwards: {heldout:,} held out, {joined:,} appended"


def _limits() -> Iterator[str]:
    yield "A neighbor is a resemblance, not a cause."
    yield "Distances on the map are UMAP's; every list of neighbors comes from the vectors."
    yield "That nothing is near proves nothing: the corpus is at most a part of what a generator saw."


def _counts(column: pa.ChunkedArray) -> Counter[Any]:
    """Value -> how often it stands in a column, counted without a Python object a row."""
    return Counter({each["values"]: each["counts"] for each in column.value_counts().to_pylist()})


def _told(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "" if value is None else json.dumps(value)


def _plain(value: object) -> str:
    """A stranger's words on one line, without what Markdown or a terminal would obey."""
    words = "".join(each if each.isprintable() else "\ufffd" for each in " ".join(str(value).split()))
    return "".join(f"\\{each}" if each in "\\`*_[]<>|#!" else each for each in words)
