"""A picture's provenance as one JSON document: all that was found out, and all that it was found out with.

`docs/provenance.md` describes every key; a test holds the two together. Added keys keep the schema number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from PIL import Image

from explorer.atlas import Atlas
from explorer.errors import VersionGone
from explorer.landing import Landing
from explorer.models.loader import Models
from explorer.paper import SOFTWARE, software_version
from explorer.prompted import Prompted, prompted
from explorer.records import Recipe, Relation, TrajectoryStep, to_json
from explorer.stability import shifts
from explorer.stamp import public, public_name, stamped
from explorer.verdicts import caveats
from explorer.way import Decided

if TYPE_CHECKING:
    from explorer.generate import Generation

SCHEMA = 1
KIND = "provenance"

Document = dict[str, Any]

LIMITS = (
    "A neighbor is a resemblance, not a cause: nothing here says that a picture was made from another.",
    "Lists of neighbors come from the vectors, never from the map: distances on the map are UMAP's.",
)
RELATIONS: Mapping[Relation, str] = {
    Relation.ALL: "The generator was trained on these pictures, and only these (held-out ones excepted).",
    Relation.SAMPLE: "These pictures are a sample of what the generator was trained on.",
    Relation.NONE: "The generator was not trained on these pictures.",
    Relation.UNKNOWN: "Whether the generator was trained on these pictures is not known.",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is about.

    Attributes:
        picture: RGB.
        landing: where it lands.
        sha256: of the picture's file; None where there is no file.
        prompt: what it was made from, where that is known.
        recipe: what it was generated from here; None of a picture that somebody brought.
        steps: the way to it.
        decided: space -> from which step on the way keeps to what it ends with.
    """

    picture: Image.Image
    landing: Landing
    sha256: str | None = None
    prompt: str | None = None
    recipe: Recipe | None = None
    steps: Sequence[TrajectoryStep] = ()
    decided: Mapping[str, Decided] = field(default_factory=dict)

    @classmethod
    def of(cls, made: Generation) -> Subject:
        """A generated picture, whose file is the PNG that is kept of it."""
        digest = hashlib.sha256(stamped(made.image, made.recipe)).hexdigest()
        return cls(made.image, made.landing, digest, made.recipe.prompt, made.recipe, made.steps, made.decided)


def document(atlas: Atlas, models: Models, subject: Subject) -> Document:
    """Find out what a landing does not say by itself, and put all of it together.

    Raises:
        QueryError, ModelError: the atlas came without a model, or it does not load.
    """
    recipe = None if subject.recipe is None else public(subject.recipe)
    words = _words(atlas, models, subject)
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": {"name": SOFTWARE, "version": software_version()},
        "picture": _picture(subject),
        "recipe": None if recipe is None else asdict(recipe),
        "relation": _relation(atlas, subject.recipe),
        "landing": to_json(subject.landing),
        "prompt": None if words is None else to_json(words),
        "memorization": None if recipe is None else _memorization(subject.steps, recipe),
        "stability": [to_json(shift) for shift in shifts(atlas, models, subject.picture, subject.landing.spaces)],
        "decided": {space: to_json(each) for space, each in subject.decided.items()},
        "trajectory": [to_json(step) for step in subject.steps],
        "atlas": _atlas(atlas),
        "models": _models(atlas),
        "limits": [*LIMITS, *caveats(_relation_to(atlas, subject.recipe), atlas.family_sizes)],
    }


def _words(atlas: Atlas, models: Models, subject: Subject) -> Prompted | None:
    """What the prompt says by itself; None without one, and where the captions were removed beneath a server."""
    if not subject.prompt or not subject.prompt.strip():
        return None
    try:
        return prompted(atlas, models, subject.prompt, subject.picture, subject.landing)
    except VersionGone:  # a takedown deletes every older version; the picture is not lost for that
        return None


def _picture(subject: Subject) -> Document:
    picture = subject.picture
    pixels = hashlib.sha256(picture.tobytes()).hexdigest()
    return {"width": picture.width, "height": picture.height, "sha256": subject.sha256, "pixels_sha256": pixels}


def _relation_to(atlas: Atlas, recipe: Recipe | None) -> Relation:
    """How the corpus stands to the picture's generator; of a picture that was brought, to those that are named."""
    if recipe is None:
        return atlas.relation_to(None)
    return atlas.relation_to(recipe.generator, is_tuned=recipe.lora is not None)


def _relation(atlas: Atlas, recipe: Recipe | None) -> Document:
    relation = _relation_to(atlas, recipe)
    return {
        "to_generator": relation.value,
        "is_training": relation.is_training,
        "generators": [public_name(name) for name in atlas.training.generators],
        "says": RELATIONS[relation],
    }


def _memorization(steps: Sequence[TrajectoryStep], recipe: Recipe) -> Document:
    """How hard the prompt pulled, see `explorer.models.denoising.pull`; its mean over the steps is the signal."""
    pulls = [step.pull for step in steps if step.pull is not None]
    if pulls:
        return {"mean": sum(pulls) / len(pulls), "first": pulls[0], "pulls": pulls, "reason": None}
    if recipe.negative:
        reason = "a negative prompt took the place of no words, which the prompt is compared with"
    else:
        reason = "it was made without guidance, so the model was never asked without words"
    return {"mean": None, "first": None, "pulls": [], "reason": reason}


def _atlas(atlas: Atlas) -> Document:
    manifest = atlas.manifest
    return {
        "name": manifest.name,
        "title": manifest.title,
        "version": atlas.version,
        "created": atlas.meta["created"],
        "pictures": int(atlas.allowed(None).sum()),
        "training_pictures": int((atlas.train & atlas.allowed(None)).sum()),
        "licence": manifest.licence,
        "attribution": manifest.attribution,
        "homepage": manifest.homepage,
    }


def _models(atlas: Atlas) -> Document:
    """The models of the atlas, without this machine's folders."""
    return {
        role: {key: public_name(value) if key == "reference" and value else value for key, value in model.items()}
        for role, model in atlas.meta["models"].items()
        if model
    }
