"""Audits of whole sets of pictures: the list of them, and what one found; density and coverage lead."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import html

from explorer.audit.kept import Kept
from explorer.records import Record, Relation
from webapp import foreign, ids
from webapp.panels import audit_figures, parts
from webapp.panels.parts import Context
from webapp.strings import number, share

PROMPTS = 60
"""Of the ranking that the dialog lists; the tables that the command writes have all."""
THUMBNAIL = 56

LIST = "list"
"""What the address has in place of an audit's name while all of them are listed."""

Told = Mapping[str, Any]
Neighbor = Callable[[int | None], Record | None]


def modal(context: Context) -> dmc.Modal:
    """Return the dialog, closed; a callback fills it."""
    return dmc.Modal(
        html.Div(id=ids.AUDITS_BODY, className="about audits"),
        id=ids.AUDITS,
        title=context.words("audits.title"),
        size="min(1080px, 96vw)",
        opened=False,
        closeButtonProps={"aria-label": context.words("frame.close")},
    )


def listed(context: Context, kept: Sequence[Kept]) -> list[Any]:
    """Return the audits there are, the newest first, or how to make one."""
    words = context.words
    if not kept:
        return [parts.empty(words("audits.empty")), html.Pre(words("audits.command"), className="command")]
    return [html.P(words("audits.what"), className="fine"), html.Ul([_listed(context, each) for each in kept])]


def _listed(context: Context, kept: Kept) -> html.Li:
    told = kept.summary
    said = context.words("audits.counted", pictures=number(told["pictures"]), prompts=number(told["prompts"]))
    title = parts.deed(foreign.words(told["title"], 80), "audit", kept.name, className="text-button audit-name")
    return html.Li([title, html.Span([said, " · ", kept.created[:10]], className="count")], className="counted audit")


def gone(context: Context) -> list[Any]:
    """Return what is said of an audit that is not there."""
    return [parts.alarm(context, context.words("audits.gone")), _back(context)]


def audit(context: Context, told: Told, space: str, neighbor: Neighbor) -> list[Any]:
    """Return what an audit found.

    Args:
        told: its document; see `explorer.audit.document`.
        space: of the map in view.
        neighbor: what is known of a picture of the corpus; None where it was taken down.
    """
    words, shown = context.words, min(PROMPTS, len(told["ranking"]))
    return [
        _back(context),
        html.H2(foreign.words(told["title"], 120), className="audit-title"),
        html.P(_about(context, told), className="fine"),
        html.H3(words("audits.sets"), className="small-title"),
        *(audit_figures.sets(context, told, name) for name in told["spaces"]),
        html.H3(words("audits.verdicts"), className="small-title"),
        audit_figures.verdicts(context, told),
        *audit_figures.axes(context, told["axes"]),
        html.H3(words("audits.clusters", space=words(f"frame.space.{space}")), className="small-title"),
        audit_figures.clusters(context, told["spaces"].get(space, {}).get("clusters", ())),
        html.H3(words("audits.prompts"), className="small-title"),
        html.P(words("audits.prompts.hint", shown=number(shown), all=number(told["prompts"])), className="fine"),
        _prompts(context, told, space, neighbor),
        html.Ul([html.Li(limit) for limit in told["limits"]], className="limits caveats"),
    ]


def _back(context: Context) -> html.Button:
    return parts.deed(context.words("audits.back"), "audit", LIST, className="text-button")


def _about(context: Context, told: Told) -> list[Any]:
    """Return what was audited, and against what."""
    words = context.words
    said = [
        words("audits.counted", pictures=number(told["pictures"]), prompts=number(told["prompts"])),
        words(f"audits.source.{told['source']}"),
        words("audits.against", train=number(told["reference"]["train"]), heldout=number(told["reference"]["heldout"])),
        words("audits.version", version=told["atlas"]["version"]),
    ]
    if told["failed"]:
        said.append(words("audits.failed", count=number(told["failed"])))
    recipe = told["recipe"]
    named = [" · ", foreign.words(recipe["generator"], 80), f" · {recipe['revision']}"] if recipe else []
    return [" · ".join(said), *named]


def _prompts(context: Context, told: Told, space: str, neighbor: Neighbor) -> html.Div:
    """Return the ranked prompts, each with its nearest picture beside what that is near to."""
    rows = {row["row"]: row for row in told["rows"]}
    entries = [_prompt(context, told, entry, rows, space, neighbor) for entry in told["ranking"][:PROMPTS]]
    return html.Ol(entries, className="audit-prompts")


def _prompt(
    context: Context, told: Told, entry: Told, rows: Mapping[int, Told], space: str, neighbor: Neighbor
) -> html.Li:
    words, here = context.words, entry["spaces"].get(space) or next(iter(entry["spaces"].values()))
    row = rows.get(here["row"])
    record = neighbor(here["nearest"].get(space))
    prompt = foreign.words(entry["prompt"] or words("audits.noprompt"), 160, className="caption")
    said = [html.P(prompt), html.P(_nearness(context, told, here), className="nearness")]
    facts = [words("audits.seeds", count=entry["seeds"])] if entry["seeds"] > 1 else []
    if here["collapse"] is not None:
        facts.append(words("audits.collapse", value=f"{here['collapse']:.2f}"))
    facts += [f"{count} × {words(f'verdict.{name}')}" for name, count in entry["verdicts"].items()]
    said.append(html.P(" · ".join(facts), className="fine"))
    return html.Li(
        [
            _made(context, told["name"], row) if row and row["picture"] else None,
            parts.picture_button(context, record.id, record.caption, THUMBNAIL) if record else None,
            html.Div(said, className="card-words"),
        ],
        className="card",
    )


def _made(context: Context, name: str, row: Told) -> html.Button:
    """Return a picture of the audit; a click shows where it landed."""
    address = f"/api/audits/{name}/{row['row']}.webp"
    said = context.words("audits.fly")
    place = json.dumps({"points": row.get("point", {}), "imageUrl": address})
    image = html.Img(src=address, alt="", width=THUMBNAIL, height=THUMBNAIL)
    return parts.deed(image, "landed", place, title=said, className="picture-button made", **{"aria-label": said})


def _nearness(context: Context, told: Told, here: Told) -> str:
    words = context.words
    if here["similarity"] is None:
        return ""
    similarity = f"{here['similarity']:.2f}"
    if here["percentile"] is None:
        return words("audits.similarity", similarity=similarity)
    said = share(here["percentile"])
    return words.ruled("nearest.percentile", Relation(told["relation"]), similarity=similarity, share=said)
