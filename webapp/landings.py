"""Pictures of the visitor's and where they landed; takedowns since then are left out of their neighbors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from explorer.atlas import Atlas
from explorer.errors import QueryError
from explorer.landing import Agreement, AgreementName, ClusterPlace, Flag, Landing, SpaceLanding, Verdict, VerdictName
from explorer.records import Hit, Recipe, Split
from explorer.scrub import story_without, unnamed
from explorer.variants import folded
from webapp.site import Site


@dataclass(frozen=True, slots=True)
class Made:
    """A picture that was generated here."""

    job: str
    recipe: Recipe
    landing: Landing


def made(site: Site, job: str) -> Made | None:
    """Return what a job made, None where it made nothing (yet, or any more)."""
    workspace = site.studio.workspace
    found = workspace.job(job)
    if found is None or found.generation is None:
        return None
    generation = workspace.generation(found.generation)
    return Made(job, generation.recipe, landing_of(site.atlas, generation.landing))


@dataclass(frozen=True, slots=True)
class Brought:
    """A picture that the visitor brought."""

    upload: str
    landing: Landing


Own = Made | Brought
"""A picture of the visitor's that stands in the map."""


def own_of(site: Site, job: str | None, upload: str | None) -> Own | None:
    """Return what a job made or a visitor brought, None where there is none (yet, or any more)."""
    if upload:
        found = site.uploads.get(upload) if site.uploads else None
        return Brought(upload, _without_hidden(site.atlas, found.landing)) if found else None
    return made(site, job) if job else None


def _without_hidden(atlas: Atlas, landing: Landing) -> Landing:
    spaces = {
        name: replace(space, hits=folded(atlas, (hit for hit in space.hits if _is_shown(atlas, hit.id))))
        for name, space in landing.spaces.items()
    }
    verdict, agreement = landing.verdict, landing.agreement
    if verdict.match is not None and not _is_shown(atlas, verdict.match):
        verdict = replace(verdict, match=None, rule=unnamed(verdict.rule, verdict.match))
    if agreement:
        agreement = replace(agreement, shared=tuple(each for each in agreement.shared if _is_shown(atlas, each)))
    return replace(landing, spaces=spaces, verdict=verdict, agreement=agreement)


def _is_shown(atlas: Atlas, identity: int) -> bool:
    """Whether a picture is in the atlas still, and nobody has denied it."""
    try:
        atlas.row(identity)
    except QueryError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Hidden:
    """The ids of all pictures that nobody is shown: taken down since, or not in this version of the atlas (any more).

    What was kept elsewhere than in the atlas may name pictures that no takedown has reached there.
    """

    atlas: Atlas

    def __contains__(self, identity: object) -> bool:
        """Whether a picture is one of them; what is no id is none."""
        return isinstance(identity, int) and not _is_shown(self.atlas, identity)


def story_of(atlas: Atlas, kept: Any) -> Any:  # noqa: ANN401 - a JSON document
    """A report, a trajectory or an event's data as it may be shown now; see `explorer.scrub`."""
    return story_without(kept, _Hidden(atlas))


def landing_of(atlas: Atlas, kept: Mapping[str, Any]) -> Landing:
    """Return a landing from its JSON; it may come from another version of the atlas, whose ids still hold.

    One that an earlier program kept has less to tell.
    """
    spaces = {name: _space(space) for name, space in kept["spaces"].items()}
    verdict = Verdict(**{**kept["verdict"], "name": VerdictName(kept["verdict"]["name"])})
    agreed = kept.get("agreement")
    agreement = agreed and Agreement(
        **{**agreed, "name": AgreementName(agreed["name"]), "shared": tuple(agreed["shared"])}
    )
    return _without_hidden(atlas, Landing(spaces, verdict, tuple(kept.get("notes", ())), agreement))


def _space(kept: Mapping[str, Any]) -> SpaceLanding:
    cluster = kept.get("cluster")
    made = {
        "point": tuple(kept["point"]),
        "hits": tuple(map(_hit, kept["hits"])),
        "cluster": cluster and ClusterPlace(**cluster),
        "flag": Flag(kept["flag"]) if kept.get("flag") else None,
    }
    return SpaceLanding(**{**kept, **made})


def _hit(kept: Mapping[str, Any]) -> Hit:
    return Hit(**{**kept, "split": Split(kept["split"]), "point": tuple(kept["point"])})
