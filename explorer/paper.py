"""Pages that stand alone: one file with its styles and pictures in it, which loads nothing, runs nothing, and prints.

A page is a template of `templates/` that extends `paper.html`. Its Content-Security-Policy allows this one style sheet
and pictures as data, so that even words that slipped through the escaping could neither run nor call anybody. Style
attributes are not allowed either: a template says what it means by classes.

Sources: Content Security Policy 3 (w3.org/TR/CSP3), RFC 2397 (data URLs).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata, resources
from typing import Any

import jinja2
from markupsafe import Markup

from explorer.links import host, web_link
from explorer.words import chance, marked, share, shortened

SOFTWARE = "latent-explorer"
WIDTH, HEIGHT = 320, 72
"""Of a chart's plane, in its own units."""
LONGEST = 400
"""Characters of a stranger's words that are shown."""


def render(template: str, /, **values: Any) -> str:  # noqa: ANN401 - whatever the template asks for
    """A template of `templates/` as a whole page; a name that it asks for and that is not given raises."""
    return _environment().get_template(template).render(values)


def software_version() -> str:
    """The version of this program; 0 in a checkout that is not installed."""
    try:
        return metadata.version(SOFTWARE)
    except metadata.PackageNotFoundError:
        return "0"


def data_uri(picture: bytes) -> str:
    """A WebP or PNG picture as a link that holds it."""
    kind = "png" if picture.startswith(b"\x89PNG") else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a chart, to one scale.

    Attributes:
        low: the value at the bottom.
        high: the value at the top.
        points: name -> SVG's `points` over `WIDTH` x `HEIGHT`.
    """

    low: float
    high: float
    points: Mapping[str, str]


def lines(series: Mapping[str, Sequence[float | None]]) -> Lines:
    """Values by step as lines from left to right, from 0 (or the least below it) up; what is unknown is left out."""
    known = [value for values in series.values() for value in values if value is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    return Lines(low, high, {name: _points(values, low, high) for name, values in series.items()})


def _points(values: Sequence[float | None], low: float, high: float) -> str:
    across, span = WIDTH / max(len(values) - 1, 1), high - low or 1.0
    known = ((at, value) for at, value in enumerate(values) if value is not None)
    return " ".join(f"{at * across:.1f},{HEIGHT * (high - value) / span:.1f}" for at, value in known)


def _shown(text: object, length: int = LONGEST) -> str:
    """A stranger's words on one line, without anything that is not to be seen."""
    return shortened(marked(str(text)), length)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("explorer"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = resources.files("explorer").joinpath("templates/paper.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    styles = f"style-src 'sha256-{digest}'"
    environment.globals |= {
        "style": Markup(style),
        "policy": f"default-src 'none'; {styles}; img-src data:; base-uri 'none'; form-action 'none'",
        "software": SOFTWARE,
        "version": software_version(),
        "lines": lines,
        "chart_width": WIDTH,
        "chart_height": HEIGHT,
    }
    environment.filters |= {
        "shown": _shown,
        "link": web_link,
        "host": host,
        "share": share,
        "chance": chance,
        "data_uri": data_uri,
    }
    return environment
