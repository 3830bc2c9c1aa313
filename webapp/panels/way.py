"""The way from noise, or into it: scrubbed step by step, compared, branched, and saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from explorer.records import Medium, Record, Schedule
from webapp import foreign, ids
from webapp.panels import parts
from webapp.panels.parts import Context
from webapp.strings import Words

NEIGHBOR = 48
"""Side of a neighbor's picture, CSS pixels."""

CHOICE = 44
"""Side of a picture that can be compared, CSS pixels: a fingertip."""

SEEDS, MOST_SEEDS = 3, 5
"""New seeds of a branch: proposed, and at most."""


def panel(context: Context, medium: Medium) -> html.Section:
    """Return the panel, out of sight until a way is opened.

    Args:
        medium: what is noised unless the visitor says otherwise.
    """
    words = context.words
    return html.Section(
        [
            _head(words, medium),
            html.P(id=ids.WAY_WORDS, className="way-words", role="status"),
            # scripts put the charts there, so that nobody loads plotly before a way is opened
            html.Div(
                [_picture(words), _neighbors(words), html.Div(id=ids.WAY_CHARTS, className="way-charts")],
                className="way-body",
            ),
            html.Div(id=ids.WAY_BESIDE, className="way-beside"),
            _slider(words),
            html.P(id=ids.WAY_MEANS, className="fine"),
            html.Div(id=ids.WAY_CHOICES, className="way-choices", hidden=True),
            *(dcc.Store(id=name) for name in (ids.WAY_NEAR, ids.WAY_CURVES, ids.WAY_FIGURES)),
        ],
        id=ids.WAY_PANEL,
        className="way",
        hidden=True,
        **{"aria-label": words("way.title.made")},
    )


def _picture(words: Words) -> html.Figure:
    return html.Figure(html.Img(id=ids.WAY_PREVIEW, src="", alt=words("way.preview")), className="way-picture")


def _neighbors(words: Words) -> html.Div:
    label = {"aria-label": words("way.neighbors")}
    return html.Div(id=ids.WAY_NEIGHBORS, className="way-neighbors", role="group", **label)


def _head(words: Words, medium: Medium) -> html.Div:
    close = words("way.close")
    seeds = dmc.NumberInput(
        id=ids.WAY_SEEDS, value=SEEDS, min=1, max=MOST_SEEDS, allowDecimal=False, size="xs", className="way-seeds",
        **{"aria-label": words("way.seeds")},
    )  # fmt: skip
    branch = parts.deed(words("way.branch"), "branch", 0, title=words("way.branch.hint"))
    compare = parts.deed(words("way.compare"), "beside", "", title=words("way.compare.hint"))
    return html.Div(
        [
            html.H2(words("way.title.made"), id=ids.WAY_TITLE, className="panel-title"),
            html.Div([branch, html.Span("×", **{"aria-hidden": "true"}), seeds, compare], className="way-made"),
            html.Div([_schedule(words), _medium(words, medium)], className="way-noise"),
            html.Span(id=ids.WAY_SAVE, className="way-save", role="group", **{"aria-label": words("way.save")}),
            parts.deed("×", "way-close", 0, className="close", title=close, **{"aria-label": close}),
        ],
        className="way-head",
    )


def _schedule(words: Words) -> dmc.SegmentedControl:
    return dmc.SegmentedControl(
        id=ids.WAY_SCHEDULE,
        data=[{"value": each.value, "label": words(f"way.schedule.{each.value}")} for each in Schedule],
        value=Schedule.SCALED_LINEAR.value,
        size="xs",
        radius="xl",
        **{"aria-label": words("way.schedule")},
    )


def _medium(words: Words, usual: Medium) -> dmc.SegmentedControl:
    return dmc.SegmentedControl(
        id=ids.WAY_MEDIUM,
        data=[{"value": each.value, "label": words(f"way.medium.{each.value}")} for each in Medium],
        value=usual.value,
        size="xs",
        radius="xl",
        display=None if usual is Medium.LATENTS else "none",  # without a VAE there are no latents to choose
        **{"aria-label": words("way.medium")},
    )


def _slider(words: Words) -> html.Div:
    play = words("way.play")
    return html.Div(
        [
            parts.deed(
                "▶", "play", 0, id=ids.WAY_PLAY, className="button way-play", title=play, **{"aria-label": play}
            ),
            html.Label(words("way.step"), htmlFor=ids.WAY_STEP, className="visually-hidden"),
            dcc.Input(id=ids.WAY_STEP, type="range", min=1, max=1, step=1, value=1, className="way-slider"),
        ],
        className="way-scrub",
    )


@dataclass(frozen=True)
class NearOne:
    """A picture near a step, and the cosine to it."""

    record: Record
    similarity: float


def neighbors(context: Context, near: Sequence[NearOne]) -> list[html.Figure]:
    """Return the pictures nearest to a step; each flies to its own."""
    return [
        html.Figure(
            [
                parts.picture_button(context, each.record.id, each.record.caption, NEIGHBOR),
                html.Figcaption(f"{each.similarity:.2f}", title=f"cosine {each.similarity:.6f}"),
            ]
        )
        for each in near
    ]


@dataclass(frozen=True)
class Choice:
    """A picture of this browser's that can be compared."""

    job: str
    prompt: str
    seed: int
    is_open: bool


def choices(context: Context, made: Sequence[Choice]) -> Any:  # noqa: ANN401 - as Dash has them
    """Return the pictures whose ways can be put beside the one that is open."""
    words = context.words
    if not made:
        return parts.empty(words("way.compare.none"))
    return [_choice(words, each) for each in made]


def _choice(words: Words, choice: Choice) -> html.Button:
    deed = "way.compare.leave" if choice.is_open else "way.compare.open"
    name = words(deed, prompt=foreign.quoted(choice.prompt, 80), seed=choice.seed)
    face = html.Img(src=f"/api/jobs/{choice.job}/image.png", alt="", width=CHOICE, height=CHOICE)
    look = {"title": name, "className": f"picture-button{' way-open' if choice.is_open else ''}"}
    return parts.deed(face, "beside", choice.job, **look, **{"aria-label": name})
