"""The page: a map that fills the window, and what floats above it."""

from __future__ import annotations

import itertools
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from explorer.atlas import Atlas
from explorer.columns import columns
from explorer.layout import LEVELS
from explorer.models.loader import demo_note
from explorer.models.references import Kind
from explorer.noising import usual_medium
from explorer.records import Relation, Space
from webapp import figures, foreign, ids
from webapp.panels import about, audits, clusters, filters, found, frame, here, nearest, studio, way
from webapp.panels.about import Facts
from webapp.panels.parts import Context
from webapp.pointcloud import PointCloud
from webapp.security import MAX_UPLOAD, UPLOADS
from webapp.site import Site
from webapp.strings import Words

TITLE = Words()("frame.title")

HOSTS = 6
"""Of the largest, in the dialog about the atlas."""

EXAMPLES = 6
EXAMPLE_LENGTH = 28
"""Captions longer than this make no chip, characters."""
LOOKED_AT = 64
"""Exemplars whose captions may become examples: many corpora have no short caption at all."""

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", sans-serif'


DARK = ["#f2f4f8", "#c9cfd9", "#a9b1be", "#77808f", "#343a46", "#262c37", "#1c212b", "#14181f", "#0f1217", "#0b0d12"]
"""Mantine's ten shades of its dark scheme, from words to ground; `assets/page.css` has the same."""


def layout(site: Site) -> dmc.MantineProvider:
    """Return the page as it stands before anybody has touched it."""
    return dmc.MantineProvider(
        html.Div(
            [*_stores(site), *_visible(site)],
            id=ids.SHELL,
            className="shell" if generator_of(site) else "shell no-generator",
            **{"data-sheet": "none", "data-box": "none", "data-drop": Words()("bring.drop")},
        ),
        id=ids.PROVIDER,
        forceColorScheme="dark",
        theme={
            "fontFamily": FONT,
            "primaryColor": "accent",
            "colors": {"accent": _shades(figures.ACCENT["dark"]), "dark": DARK},
            "primaryShade": {"light": 7, "dark": 5},
            "autoContrast": True,
            "fontSizes": {"xs": "12px", "sm": "14px", "md": "16px", "lg": "20px", "xl": "28px"},
            "defaultRadius": "md",
            "respectReducedMotion": True,
        },
    )


def context_of(site: Site) -> Context:
    """Return what the panels need to speak about this site."""
    atlas = site.atlas
    families = bool(atlas.family_sizes.max() > 1)
    return Context(atlas.version, relation_of(site), Words(), atlas.has_thumbnail, atlas.manifest.contact, families)


def relation_of(site: Site) -> Relation:
    """Return how the corpus stands to the generator in use."""
    return site.atlas.relation_to(generator_of(site))


def generator_of(site: Site) -> str | None:
    """Return the reference of the generator in use, None where nothing can be generated."""
    return next((part["reference"] for part in site.studio.state()["models"] if part["name"] == "generator"), None)


def examples_of(site: Site) -> list[str]:
    """Return prompts to try: short captions, one of each of the largest clusters; the demo generator has its own."""
    if generator_of(site) == Kind.DEMO:
        return Words()("studio.examples.demo").split("|")
    by_size = sorted(site.atlas.clusters(site.atlas.spaces[0]), key=lambda cluster: -cluster.size)
    ranks = itertools.zip_longest(*(cluster.exemplars for cluster in by_size))
    asked = [identity for identity in itertools.chain.from_iterable(ranks) if identity is not None][:LOOKED_AT]
    captions = (foreign.marked(record.caption).strip() for record in site.atlas.records(asked))
    short = dict.fromkeys(caption for caption in captions if 0 < len(caption) <= EXAMPLE_LENGTH)
    return list(short)[:EXAMPLES]


def _stores(site: Site) -> list[Any]:
    proposed = studio.Defaults(**site.studio.defaults())
    config = {
        "version": site.atlas.version,
        "spaces": list(site.atlas.spaces),
        "colors": list(_colors(site.atlas)),
        "steps": proposed.steps,
        "guidance": proposed.guidance,
        "pictures": site.atlas.has_thumbnails,
        "medium": usual_medium(site.atlas).value,
        "uploads": {"address": UPLOADS, "most": MAX_UPLOAD} if _offers(site).uploads else None,
    }
    return [
        dcc.Location(id=ids.ADDRESS, refresh=False),
        dcc.Store(id=ids.CONFIG, data=config),
        dcc.Store(
            id=ids.LIVE_TABLE,
            data={**Words().group("live"), "empty": Words()("studio.empty") if generator_of(site) else ""},
        ),
        dcc.Store(id=ids.BRING_TABLE, data=Words().group("bring")),
        dcc.Store(id=ids.WAY_TABLE, data=_way_words(site)),
        *(dcc.Store(id=name) for name in (*ids.ADDRESS_PARTS, ids.UPLOADED, ids.REVEALED)),
        dcc.Store(id=ids.THEME, storage_type="local"),
        dcc.Store(id=ids.HISTORY, storage_type="local", data=[]),
        dcc.Store(id=ids.HISTORY_KEYS, storage_type="local", data={}),
        dcc.Store(id=ids.MODELS),
    ]


def _way_words(site: Site) -> dict[str, str]:
    """Return the words of the way's scripts, `near` in the form that the corpus's relation to the generator allows."""
    words = Words()
    return {**words.group("way"), "near": words.ruled("way.near", relation_of(site))}


def _map(site: Site) -> html.Main:
    words = Words()
    manifest = site.atlas.manifest
    return html.Main(
        PointCloud(
            id=ids.MAP,
            meta=site.arrays.meta(),
            space=site.atlas.spaces[0],
            labels=names(site.atlas),
            palette={theme: list(colors) for theme, colors in figures.PALETTE.items()},
            accent=dict(figures.ACCENT),
            attribution=foreign.marked(manifest.attribution or manifest.title),
            texts=words.group("map"),
            ariaLabel=words("map.label"),
        ),
        className="ground",
    )


def names(atlas: Atlas) -> list[dict[str, Any]]:
    """Return the names of the clusters of both levels, at their places on each map."""
    return [
        label
        for space in map(atlas.space, atlas.spaces)
        for level in range(len(LEVELS))
        for label in figures.labels(
            atlas.clusters(space.name, level), figures.centers(space.points, space.clusters(level))
        )
    ]


def _visible(site: Site) -> list[Any]:
    """Return what is seen, in the order of the Tab key; the style sheet puts each part in its place."""
    context = context_of(site)
    heldout = bool((~site.atlas.train).any())
    facts = _facts(site)
    return [
        frame.top_bar(context, _offers(site)),
        filters.box(context, columns(site.atlas)),
        frame.bring_box(context.words),
        html.Div([_studio(site, context), clusters.panel(context)], className="column left"),
        _map(site),
        html.Div(
            [
                html.Div([], id=ids.LEGEND, className="legend"),
                way.panel(context, usual_medium(site.atlas)),
                found.panel(context, heldout),
                about.credit(facts.manifest),
            ],
            className="foot",
        ),
        html.Div([here.panel(context), nearest.panel(context)], className="column right"),
        frame.sheets(context.words),
        audits.modal(context),
        about.modal(context, facts),
    ]


def _offers(site: Site) -> frame.Offers:
    atlas, models = site.atlas, site.atlas.meta["models"]
    named = {space for space in atlas.spaces if (models.get(space) or {}).get("reference")}
    is_open = site.uploads is not None and len(named) == len(atlas.spaces)
    return frame.Offers(atlas.spaces, len(atlas), words=Space.CLIP in named, uploads=is_open, colors=_colors(atlas))


def _colors(atlas: Atlas) -> tuple[str, ...]:
    """Return what the map can be colored by.

    An axis needs a model for words; how well a map keeps neighbors was not counted by earlier programs.
    """
    asks = (atlas.meta["models"].get(Space.CLIP) or {}).get("reference") and Space.CLIP in atlas.spaces
    more = {"axis": asks, "overlap": _overlaps(atlas)}
    return ("cluster", "split", "similarity", *(name for name, is_there in more.items() if is_there))


def _overlaps(atlas: Atlas) -> dict[str, float]:
    """Return the share of neighbors that each map keeps, 0-1, of the spaces where it was counted."""
    told = {space: atlas.meta["spaces"][space].get("overlap") for space in atlas.spaces}
    return {space: share for space, share in told.items() if share is not None}


def _studio(site: Site, context: Context) -> html.Details:
    defaults = studio.Defaults(**site.studio.defaults()) if generator_of(site) else None
    return studio.panel(context, defaults, examples_of(site))


def _facts(site: Site) -> Facts:
    atlas = site.atlas
    named = {name: model.get("reference") for name, model in atlas.meta["models"].items() if model}
    named["generator"] = generator_of(site)
    models = {name: reference for name, reference in named.items() if reference}
    shown = atlas.allowed(None)
    return Facts(
        manifest=atlas.manifest,
        parts=atlas.contributions,
        created=str(atlas.meta.get("created", "")),
        images=len(atlas),
        heldout=int((~atlas.train).sum()),
        outcomes=atlas.meta.get("outcomes", {}),
        duplicates=atlas.meta.get("near_duplicates", {}),
        placed=_count(atlas, "placed"),
        flagged=int((atlas.flagged & shown).sum()),
        hosts=_hosts(atlas),
        clusters={space: len(atlas.clusters(space)) for space in atlas.spaces},
        overlaps=_overlaps(atlas),
        models=models,
        demo=Kind.DEMO in models.values(),
        note=demo_note(models.values(), atlas.manifest.kind),
    )


def _count(atlas: Atlas, condition: str) -> int:
    return int(atlas.query(f"SELECT count(*) AS n FROM records WHERE {condition}")["n"][0].as_py())


def _hosts(atlas: Atlas) -> dict[str, float]:
    """Return the largest hosts, and the share of all pictures that each has; empty where there is but one."""
    counted = "SELECT host, count(*) AS n FROM records WHERE host IS NOT NULL GROUP BY host ORDER BY n DESC, host"
    found = atlas.query(f"{counted} LIMIT {HOSTS}").to_pylist()
    return {row["host"]: row["n"] / len(atlas) for row in found} if len(found) > 1 else {}


def _shades(accent: str) -> list[str]:
    """Return Mantine's ten shades of a color, light to dark, the color itself the sixth."""
    channels = [int(accent[i : i + 2], 16) for i in (1, 3, 5)]

    def mixed(goal: int, part: float) -> str:
        return "#" + "".join(f"{round(channel + (goal - channel) * part):02x}" for channel in channels)

    lighter = [mixed(255, part) for part in (0.92, 0.76, 0.58, 0.38, 0.18)]
    return [*lighter, accent, *(mixed(0, part) for part in (0.1, 0.24, 0.38, 0.52))]
