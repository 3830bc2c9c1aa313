"""The studio: prompt, recipe, the running job, and what was made in this browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dash_mantine_components as dmc
from dash import dcc, html

from webapp import foreign, ids
from webapp.panels import history, parts
from webapp.panels.parts import Context
from webapp.strings import Words


@dataclass(frozen=True)
class Defaults:
    """What the studio proposes for the generator in use.

    Attributes:
        steps: denoising steps.
        guidance: classifier-free guidance scale.
        seed: where the dice start.
    """

    steps: int = 25
    guidance: float = 4.0
    seed: int = 7


def panel(context: Context, defaults: Defaults | None, examples: Sequence[str]) -> html.Details:
    """Return the panel, ready for a first prompt.

    Args:
        defaults: None where nothing can be generated.
    """
    words = context.words
    missing = defaults is None
    return parts.panel(
        ids.STUDIO,
        words("studio.title"),
        [
            _prompt(words),
            _examples(words, examples),
            _recipe(words, defaults or Defaults()),
            _run(words, missing),
            html.Div(parts.empty(words("studio.none")) if missing else None, id=ids.STUDIO_ERROR),
            html.P(id=ids.MODELS_WORDS, className="fine models", role="status"),
            _live(words, "" if missing else words("studio.empty")),
            *history.part(words),
            dcc.Store(id=ids.SUBMITTED),
            dcc.Store(id=ids.LIVE),
            dcc.Store(id=ids.DONE),
        ],
        open=not missing,
    )


def _prompt(words: Words) -> dmc.Textarea:
    return dmc.Textarea(
        id=ids.PROMPT,
        label=words("studio.prompt"),
        placeholder=words("studio.prompt.placeholder"),
        autosize=True,
        minRows=2,
        maxRows=5,
        size="sm",
        attributes={"input": {"maxLength": 2000}},
    )


def _examples(words: Words, examples: Sequence[str]) -> html.Div:
    chips = [parts.deed(foreign.words(text, 40), "prompt", text, className="chip") for text in examples]
    return html.Div(chips, className="chips", role="group", **{"aria-label": words("studio.examples")})


def _recipe(words: Words, defaults: Defaults) -> html.Div:
    dice = dmc.ActionIcon(
        html.Span("⚄", **{"aria-hidden": "true"}),
        id=ids.DICE,
        n_clicks=0,
        variant="default",
        size="input-sm",
        attributes={"root": {"title": words("studio.dice")}},
        **{"aria-label": words("studio.dice")},
    )
    seed = dmc.NumberInput(
        id=ids.SEED,
        label=words("studio.seed"),
        value=defaults.seed,
        min=0,
        max=2**32 - 1,
        allowDecimal=False,
        hideControls=True,
        size="sm",
    )
    steps = dmc.NumberInput(
        id=ids.STEPS,
        label=words("studio.steps"),
        value=defaults.steps,
        min=1,
        max=150,
        allowDecimal=False,
        size="sm",
    )
    guidance = dmc.NumberInput(
        id=ids.GUIDANCE,
        label=words("studio.guidance"),
        value=defaults.guidance,
        min=0,
        max=30,
        step=0.5,
        size="sm",
    )
    return html.Div([html.Div([seed, dice], className="seed"), steps, guidance], className="recipe")


def _run(words: Words, disabled: bool) -> html.Div:
    generate = dmc.Button(
        words("studio.generate"), id=ids.GENERATE, n_clicks=0, size="sm", disabled=disabled, className="generate"
    )
    cancel = dmc.Button(
        words("studio.cancel"),
        id=ids.CANCEL,
        n_clicks=0,
        size="sm",
        variant="default",
        disabled=True,
        className="cancel",
    )
    return html.Div([generate, cancel], className="run")


def _live(words: Words, empty: str) -> html.Div:
    """Return what scripts fill while a job runs; `empty` is said before there is one."""
    preview = html.Img(id=ids.LIVE_PREVIEW, src="", alt=words("studio.preview"), className="live-preview")
    nearest = html.Img(id=ids.LIVE_NEAREST, src="", alt=words("live.nearest"))
    bar = dmc.Progress(
        id=ids.LIVE_BAR, value=0, size="sm", className="live-bar", **{"aria-label": words("studio.title")}
    )
    said = html.P(empty, id=ids.LIVE_WORDS, className="live-words", role="status")
    return html.Div(
        [
            preview,
            html.Div(
                [said, bar, html.Div([nearest, html.Span(words("live.nearest"))], className="live-nearest")],
                className="live-beside",
            ),
        ],
        id=ids.LIVE_BOX,
        className="live live-idle",
    )
