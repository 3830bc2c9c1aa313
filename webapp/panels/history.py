"""What was made in this browser: each picture with its recipe, its report, and a way to delete it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dash import html

from explorer.jobs import Job
from webapp import foreign, ids
from webapp.panels import parts
from webapp.panels.parts import Context
from webapp.strings import Words, number

FACE = 48
"""Side of a picture, CSS pixels."""
FIRST = 4
"""Entries that are seen; the rest unfolds."""
FACES = 24
"""Entries whose picture is shown: a browser loads those that are folded away too."""


@dataclass(frozen=True)
class Entry:
    """A job of this browser.

    Attributes:
        is_mine: whether this browser has the key that deletes its picture.
        is_reported: whether a report of it was kept.
    """

    job: Job
    is_mine: bool
    is_reported: bool

    @property
    def is_done(self) -> bool:
        """Whether its picture is in the workspace."""
        return self.job.generation is not None


def part(words: Words) -> list[Any]:
    """Return the history's place in the studio, before this browser has told what it remembers."""
    return [
        html.H3(words("studio.history"), className="small-title"),
        html.Div(parts.empty(words("studio.history.empty")), id=ids.HISTORY_TILES),
        html.P(id=ids.HISTORY_SAID, className="fine", role="status"),
    ]


def entries(context: Context, made: Sequence[Entry]) -> Any:  # noqa: ANN401 - as Dash has them
    """Return the history, newest first, or the words for an empty one."""
    if not made:
        return parts.empty(context.words("studio.history.empty"))
    listed = [_entry(context, each, at < FACES) for at, each in enumerate(made)]
    shown = html.Ol(listed[:FIRST], className="made")
    if len(made) <= FIRST:
        return shown
    more = context.words("studio.history.more", count=number(len(made) - FIRST))
    return [shown, html.Details([html.Summary(more), html.Ol(listed[FIRST:], className="made")], className="made-more")]


def _entry(context: Context, entry: Entry, has_face: bool) -> html.Li:
    words, recipe = context.words, entry.job.recipe
    told = words("studio.history.recipe", seed=recipe.seed, steps=recipe.steps, guidance=f"{recipe.guidance:g}")
    lines = [
        foreign.words(recipe.prompt, 80, className="one-line"),
        html.P(told, className="fine"),
        html.P(_ways(words, entry), className="made-ways") if entry.is_done else None,
    ]
    return html.Li([_face(words, entry, has_face), html.Div(lines, className="made-words")])


def _face(words: Words, entry: Entry, is_shown: bool) -> html.Button:
    key = "studio.history.open" if entry.is_done else "studio.history.running"
    name = words(key, prompt=foreign.quoted(entry.job.recipe.prompt, 120))
    address = f"/api/jobs/{entry.job.id}/image.png"
    picture = html.Img(src=address, alt="", width=FACE, height=FACE)
    blank = html.Span(className="made-blank" if entry.is_done else "made-blank made-running")
    face = picture if entry.is_done and is_shown else blank
    return parts.deed(face, "job", entry.job.id, title=name, className="picture-button", **{"aria-label": name})


def _ways(words: Words, entry: Entry) -> list[Any]:
    """Return what can be done with a finished picture."""
    job, ways = entry.job.id, []
    if entry.is_reported:
        hint = words("studio.history.report.hint")
        ways.append(parts.report_link(words("studio.history.report"), job, title=hint))
        ways.append(
            html.A(
                words("studio.history.json"),
                href=f"/api/jobs/{job}/report.json",
                download=f"latent-explorer-{job}.json",
                title=words("studio.history.json.hint"),
            )
        )
    if entry.is_mine:
        ways.append(_delete(words, job))
    return ways


def _delete(words: Words, job: str) -> html.Button:
    """Return the button that asks once more before it deletes; a script arms it."""
    asked = [
        html.Span(words("studio.history.delete"), className="unarmed"),
        html.Span(words("studio.history.sure"), className="armed"),
    ]
    said = {"data-done": words("studio.history.deleted"), "data-failed": words("studio.history.failed")}
    hint = words("studio.history.delete.hint")
    return parts.deed(asked, "delete-made", job, className="text-button delete", title=hint, **said)
