"""What several panels are made of: the panel's frame, a picture that can be clicked, badges, links, exports."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from dash import html

from explorer.formats import FORMATS
from explorer.links import web_link
from explorer.records import Hit, Relation, Split
from webapp import foreign
from webapp.strings import Words, number, share

_MAIL = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")

ARCHIVE = "https://web.archive.org/web/*/"
"""Followed by an address: the Internet Archive's list of its copies."""


@dataclass(frozen=True)
class Context:
    """What every panel needs to speak and to link.

    Attributes:
        version: of the atlas; it stands in every link to its data.
        relation: of the corpus to the generator in use.
        pictured: whether the atlas has a thumbnail of a picture.
        contact: whom to ask for a takedown.
        families: whether there are variants of pictures, which count as often as they are in percentiles.
    """

    version: str
    relation: Relation
    words: Words
    pictured: Callable[[int], bool] = lambda picture: True
    contact: str | None = None
    families: bool = False

    def thumbnail(self, picture: int) -> str | None:
        """Return the address of a picture's thumbnail, None where there is none."""
        return f"/api/v/{self.version}/thumbnail/{picture}.webp" if self.pictured(picture) else None

    def export(self, kind: str, **choice: object) -> str:
        """Return the address of an export of a choice of pictures."""
        return f"/api/v/{self.version}/export?{urlencode({'format': kind, **choice})}"


def panel(name: str, title: Any, children: Any, open: bool = True) -> html.Details:  # noqa: ANN401, A002 - as Dash has it
    """Return a floating panel that its title puts away."""
    summary = html.Summary(html.H2(title, className="panel-title"), className="panel-head")
    return html.Details(
        [summary, html.Div(children, className="panel-body")],
        id=name,
        open=open,
        className=f"panel panel-{name}",
    )


def empty(words: str) -> html.P:
    """Return what an empty panel says: what would fill it."""
    return html.P(words, className="empty")


def alarm(context: Context, detail: str) -> html.Div:
    """Return an error: what happened and what to do, as text that can be selected and copied."""
    return html.Div([html.Strong(context.words("error.title")), html.P(detail)], className="alarm", role="alert")


def deed(children: Any, do: str, to: int | str, **attributes: Any) -> html.Button:  # noqa: ANN401 - as Dash has them
    """Return a button that does `do` to `to`; `assets/actions.js` has the deeds.

    Lists hold hundreds of these. They have no id and no callback of their own, since Dash looks at every component that
    a pattern could match whenever anything changes: one listener serves them all.
    """
    given = {"className": "button", **attributes, "data-do": do, "data-to": str(to)}
    return html.Button(children, type="button", disable_n_clicks=True, **given)


def report_link(children: Any, job: str, **attributes: Any) -> html.A:  # noqa: ANN401 - as Dash has them
    """Return a link to the report of what a job made; a page of its own, in a new tab."""
    return html.A(children, href=f"/api/jobs/{job}/report.html", target="_blank", rel="noopener", **attributes)


def picture_button(context: Context, picture: int, caption: str, size: int) -> html.Button:
    """Return a thumbnail that flies to its picture; `size` is its side on the screen, at least a fingertip.

    Where the atlas keeps no picture, its caption takes the place.
    """
    name = context.words("nearest.open", caption=foreign.shortened(foreign.marked(caption), 120))
    address = context.thumbnail(picture)
    if address:
        face: Any = html.Img(src=address, alt="", width=size, height=size)
    else:
        square = {"width": f"{size}px", "height": f"{size}px"}
        face = html.Span(foreign.words(caption, size // 2), className="picture-words", style=square)
    return deed(face, "open", picture, title=name, className="picture-button", **{"aria-label": name})


def split_badge(context: Context, split: Split) -> html.Span:
    """Return the split of a picture in the words that the relation allows."""
    words = context.words
    if split is Split.HELDOUT:
        hint = "split.heldout.hint.all" if context.relation is Relation.ALL else "split.heldout.hint"
        return html.Span(words("split.heldout"), title=words(hint), className="badge badge-heldout")
    return html.Span(words.ruled("split.train", context.relation), className="badge")


def flag_badge(context: Context) -> html.Span:
    """Return what marks a picture that is kept behind a blur."""
    hint = context.words("here.flagged.hint")
    return html.Span(context.words("nearest.flagged"), title=hint, className="badge badge-flagged")


def source_links(context: Context, page_url: str | None, image_url: str | None) -> list[html.A]:
    """Return a link to the picture's page, with the real host as its words; empty where no web address is known.

    Where the page is not known: one to the picture itself, and one to the archive's copies of it, which may tell more.
    """
    page, image = web_link(page_url), web_link(image_url)
    address = page or image
    if address is None:
        return []
    host = foreign.host(address)
    title = context.words("here.source.title", host=host)
    links = [foreign.link(address, context.words("here.source.open", host=host), title=title, className="source")]
    if page is None:
        title = context.words("here.archive.title")
        links.append(
            foreign.link(f"{ARCHIVE}{address}", context.words("here.archive"), title=title, className="archive")
        )
    return [link for link in links if link is not None]


def contact(address: str) -> html.A | html.Bdi:
    """Return whom to ask: a link where it is a page or a mail address, else the words."""
    shown = foreign.words(address, 80)
    if _MAIL.fullmatch(address):
        return html.A(shown, href=f"mailto:{address}")
    return foreign.link(address, shown) or shown


def nearness(context: Context, hit: Hit) -> html.P:
    """Return a similarity and what it means; the exact values are its title."""
    words = context.words
    similarity = f"{hit.similarity:.2f}"
    if hit.percentile is None:
        said = words("found.fits", similarity=similarity)
        exact = words("nearest.exact.text", similarity=hit.similarity)
    else:
        said = words.ruled("nearest.percentile", context.relation, similarity=similarity, share=share(hit.percentile))
        exact = words("nearest.exact", similarity=hit.similarity, percentile=hit.percentile)
    return html.P(said, title=exact, className="nearness")


def exports(context: Context, label: str, name: str, flagged: int = 0, **choice: object) -> html.Details:
    """Return links, unfolded by a word, that save a choice of pictures in each format.

    Args:
        flagged: how many of the choice are flagged as unsafe, and so left out.
    """
    links = [
        html.A(context.words(f"export.{kind}"), href=context.export(kind, **choice), download=f"{name}.{kind}")
        for kind in FORMATS
    ]
    summary = html.Summary(context.words("export.label"), title=label, **{"aria-label": label})
    left = html.Span(context.words("export.left", count=number(flagged)), className="fine") if flagged else None
    return html.Details([summary, html.Span([*links, left], className="export-links")], className="export")
