"""Text and links that strangers wrote: shown as they are, and nothing more.

Captions, labels, tags, file names and prompts are children of components, never HTML or Markdown. Each stands in a
`<bdi>`, so that its direction of writing ends with it; what would be invisible is shown as a mark.
"""

from __future__ import annotations

from typing import Any

from dash import html

from explorer.links import host as host
from explorer.links import web_link
from explorer.words import marked as marked
from explorer.words import shortened as shortened


def quoted(text: str, length: int = 40) -> str:
    """Return a stranger's words for use inside a sentence of ours: marked, cut, isolated, in quotation marks."""
    return f"“\u2068{shortened(marked(text), length)}\u2069”"


def words(text: str, length: int = 300, **attributes: Any) -> html.Bdi:  # noqa: ANN401 - attributes of the element
    """Return a stranger's words as an element; the whole of a cut text is its title."""
    whole = marked(text)
    title = {"title": shortened(whole, 2000)} if len(whole) > length else {}
    return html.Bdi(shortened(whole, length), **title, **attributes)


def link(url: str | None, children: Any, **attributes: Any) -> html.A | None:  # noqa: ANN401 - as Dash has them
    """Return a link that opens `url` in a new tab and tells it nothing, or None where `url` is no link."""
    address = web_link(url)
    if address is None:
        return None
    return html.A(children, href=address, target="_blank", rel="noopener noreferrer nofollow", **attributes)
