"""The command line's documents as lines for people.

Captions, labels and links come from strangers: no control character of theirs reaches the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

RESEMBLANCE = "A neighbor is a resemblance, not a cause; the lists come from the vectors, never from the map."

Document = Mapping[str, Any]


def found(document: Document) -> str:
    """What `search` found."""
    return "\n".join([*_hits(document["hits"]), "", RESEMBLANCE]) if document["hits"] else "Nothing found."


def landed(document: Document) -> str:
    """Where `locate` put a picture."""
    report = [f"The report is {document['report']}"] if "report" in document else []
    return "\n".join([*_landing(document["landing"]), *report])


def generated(document: Document) -> str:
    """What `generate` made, and where it landed."""
    recipe = document["recipe"]
    head = [
        f"{document['image']}",
        f"{recipe['generator']}, seed {recipe['seed']}, {recipe['steps']} steps, guidance {recipe['guidance']:g}",
        "",
    ]
    told = [*head, *_landing(document["landing"])]
    for branch in document["branches"]:
        turn = branch["recipe"]["branches"][-1]
        verdict = branch["landing"]["verdict"]["name"]
        told.append(f"{branch['image']}: from step {turn['step']} with seed {turn['seed']}, {verdict}")
    return "\n".join(told)


def noised(document: Document) -> str:
    """How a picture left the cloud."""
    way = document["trajectory"]
    spaces = list(way[0]["points"])
    head = ["step", "noise %", *(f"{space} {what}" for space in spaces for what in ("similarity", "kept"))]
    rows = [[each["step"], round(100 * (1 - each["signal"] ** 2)), *_held(each, spaces)] for each in way]
    return "\n".join([*_table(head, rows), "", *map(_left, document["lost"].items()), RESEMBLANCE])


def clusters(document: Document) -> str:
    """The clusters of a space."""
    head = ("cluster", "parent", "size", "label") if document.get("level") else ("cluster", "size", "label")
    rows = [[plain(str(each[name])) for name in head] for each in document["clusters"]]
    return "\n".join(_table(head, rows)) if rows else "This map has no clusters."


def exported(document: Document) -> str:
    """What `export` wrote."""
    return f"{document['rows']:,} rows in {document['path']}"


def state(document: Document) -> str:
    """What there is in an atlas, and what an unfinished build has so far."""
    told = _state(document) if document["version"] else ["No version is live yet."]
    unfinished = document["unfinished"]
    if unfinished:
        told.append(
            f"unfinished: {unfinished['encoded']:,} of {unfinished['rows']:,} rows are encoded, "
            f"{unfinished['pending']:,} are pending; the same `index` goes on"
        )
    return "\n".join(told)


def timings(parts: Mapping[str, Mapping[str, float]]) -> str:
    """What each part of encoding took."""
    return ", ".join(f"{part} {spent['wall']:.1f} s (processors {spent['cpu']:.1f} s)" for part, spent in parts.items())


def _state(document: Document) -> list[str]:
    """The live version."""
    told = [
        f"{plain(document['title'])}: {document['images']:,} pictures, {document['heldout']:,} of them held out, "
        f"{document['placed']:,} appended",
        f"version   {document['version']}, made {document['created']}",
    ]
    for name, space in document["spaces"].items():
        told.append(f"{name:<9} {space['dim']} dimensions, {document['clusters'][name]} clusters")
        if "measured_at" in space:
            told.append(f"          neighbors and map as measured with {space['measured_at']:,} pictures, at the build")
        if space.get("overlap") is not None:
            told.append(f"          the map keeps {space['overlap']:.0%} of the neighbors")
        told += _search(space["search"]) if "search" in space else ()
    for role, model in document["models"].items():
        told.append(f"{role + ' is':<9} {plain((model or {}).get('reference') or 'none')}")
    told += [f"{plain(name):<9} {count:,}" for name, count in document["outcomes"].items()]
    told += [line for part in document["manifests"] for line in _manifest(part)]
    near = document["near_duplicates"]
    told.append(f"near-duplicates: {near['pictures']:,} pictures in {near['families']:,} families")
    told += [f"{host['share']:>6.1%}  {plain(host['host'])} ({host['pictures']:,})" for host in document["hosts"]]
    if document["timings"]:
        told.append(f"encoding took {timings(document['timings'])}")
    return told


def _search(chosen: Document) -> Iterator[str]:
    """How a space is searched, and what that was measured to be worth."""
    parameters = ", ".join(f"{name} {value}" for name, value in chosen["parameters"].items())
    times = f", p50 {chosen['p50_ms']:g} ms, p99 {chosen['p99_ms']:g} ms" if "p50_ms" in chosen else ""
    how = f"{chosen['kind']} ({parameters})" if parameters else chosen["kind"]
    when = f", measured with {chosen['measured_at']:,} pictures" if "measured_at" in chosen else ""
    yield f"          searched {how}: recall@10 {chosen['recall']:.3f} on {chosen['queries']:,} queries{times}{when}"


def _manifest(part: Document) -> Iterator[str]:
    """A manifest that the pictures are from, and what its rows were held to."""
    how = f"appended {part['appended_at']}" if part["appended_at"] else "its own"
    licence = plain(part["licence"] or "licence unknown")
    dated = f"of {part['date']}" if part["date"] else "undated"
    yield (
        f"manifest  {plain(part['title'])}, {how}: {part['outcomes'].get('indexed', 0):,} pictures; {part['kind']}, "
        f"{dated}, {licence}; relation to the generator {part['relation']}"
    )
    yield from (f"          {key} = {plain(str(value))}" for key, value in part["thresholds"].items())


def verified(document: Document) -> str:
    """Whether an atlas is whole."""
    return "\n".join(document["problems"]) or "Every file is as it was published."


def plain(text: str) -> str:
    """A stranger's text on one line; what would steer the terminal is shown as a mark."""
    return "".join(each if each.isprintable() else "\ufffd" for each in " ".join(text.split()))


def _held(step: Document, spaces: Sequence[str]) -> Iterator[str]:
    for space in spaces:
        yield f"{step['similarity'][space]:.3f}"
        yield f"{step['kept'][space]} of {step['own'][space]}"


def _left(lost: tuple[str, Document]) -> str:
    space, steps = lost
    if steps["neighbors"] is None:
        return f"{space}: at least half of its neighbors stay its own to the end"
    return f"{space}: from step {steps['neighbors']} on fewer than half of its neighbors are its own"


def _landing(landing: Document) -> Iterator[str]:
    for name, space in landing["spaces"].items():
        place = ", ".join(f"{value:.2f}" for value in space["point"])
        yield f"{name}: lands at ({place}), {space['distance']:.2f} from the nearest point of the map"
        yield from _standing(space)
        yield from _hits(space["hits"])
        yield ""
    yield f"{landing['verdict']['name']}: {landing['verdict']['rule']}. {landing['verdict']['limits']}".rstrip()
    if agreement := landing["agreement"]:
        yield f"near in {agreement['name']}: {agreement['rule']}. {agreement['says']}"
    yield from landing["notes"]
    yield RESEMBLANCE


def _standing(space: Document) -> Iterator[str]:
    """Among which pictures a landing stands, and how true the map is there."""
    if cluster := space["cluster"]:
        yield (
            f"  {cluster['share']:.0%} of its nearest are in cluster {cluster['cluster']} ({plain(cluster['label'])}), "
            f"{cluster['margin']:.0%} more than in the next"
        )
    if space["by_family"] is not None:
        yield (
            f"  nearer to its nearest than {space['by_family']:.1f} % of the pictures are to theirs, "
            f"each family counted once ({space['percentile']:.1f} % counting every picture)"
        )
    if space["flag"]:
        yield f"  by the thresholds of sscd its nearest is a {space['flag']}"
    if space["kept"] is not None:
        yield f"  here the map keeps {space['kept']} of 15 neighbors"


def _hits(hits: Sequence[Document]) -> Iterator[str]:
    rows = [
        (
            hit["id"],
            f"{hit['similarity']:.3f}",
            "" if hit["percentile"] is None else f"{hit['percentile']:.1f}",
            hit["split"],
            "" if hit["cluster"] is None else hit["cluster"],
            plain(hit["caption"]),
            plain(hit["page_url"] or hit["image_url"] or ""),
        )
        for hit in hits
    ]
    return _table(("id", "similarity", "percentile", "split", "cluster", "caption", "source"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Columns of numbers to the right, of words to the left; the last is never padded."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    words = [any(isinstance(row[at], str) and not _is_number(row[at]) for row in rows) for at in range(len(head))]
    for line in (head, *cells):
        padded = [
            cell if at + 1 == len(head) else cell.ljust(widths[at]) if words[at] else cell.rjust(widths[at])
            for at, cell in enumerate(line)
        ]
        yield "  ".join(padded).rstrip()


def _is_number(cell: object) -> bool:
    return str(cell).replace(".", "", 1).replace("-", "", 1).isdigit() or cell == ""
