"""Text and links that strangers wrote: shown as they are, and nothing more.

Captions, labels, tags, file names and prompts are children of components, never HTML or Markdown. Each stands in a
`<bdi>`, so that its direction of writing ends with it; what would be invisible is shown as a mark.
"""

from __future__ import annotations

import unicodedata
from typing import Any
from urllib.parse import urlsplit

from dash import html

from explorer.links import web_link

_FIRST_PICTURE_OF_CONTROL = 0x2400  # U+2400 SYMBOL FOR NULL; the others follow in the order of ASCII
_JOINERS = {"\u200c", "\u200d"}  # without them Persian, Hindi and many emoji are misspelled


def marked(text: str) -> str:
    """Return `text` with control, direction and other invisible characters as visible marks.

    Line breaks and tabs become spaces; ASCII controls their Unicode pictures; all else `⟨U+XXXX⟩`.
    """
    return "".join(map(_mark, text))


def _mark(char: str) -> str:
    if char in "\n\r\t":
        return " "
    if unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} or char in _JOINERS:
        return char
    code = ord(char)
    return chr(_FIRST_PICTURE_OF_CONTROL + code) if code < 0x20 else f"⟨U+{code:04X}⟩"


def shortened(text: str, length: int) -> str:
    """Return at most `length` characters of `text`, the last an ellipsis where something was cut."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def quoted(text: str, length: int = 40) -> str:
    """Return a stranger's words for use inside a sentence of ours: marked, cut, isolated, in quotation marks."""
    return f"“\u2068{shortened(marked(text), length)}\u2069”"


def words(text: str, length: int = 300, **attributes: Any) -> html.Bdi:  # noqa: ANN401 - attributes of the element
    """Return a stranger's words as an element; the whole of a cut text is its title."""
    whole = marked(text)
    title = {"title": shortened(whole, 2000)} if len(whole) > length else {}
    return html.Bdi(shortened(whole, length), **title, **attributes)


def host(url: str) -> str:
    """Return the real host of a link, in the ASCII form that no look-alike letter can forge."""
    name = urlsplit(url).hostname or ""
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return name.encode("unicode_escape").decode("ascii")


def link(url: str | None, children: Any, **attributes: Any) -> html.A | None:  # noqa: ANN401 - as Dash has them
    """Return a link that opens `url` in a new tab and tells it nothing, or None where `url` is no link."""
    address = web_link(url)
    if address is None:
        return None
    return html.A(children, href=address, target="_blank", rel="noopener noreferrer nofollow", **attributes)
