"""What callbacks ask of the core, on a served atlas with tiny models."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from live import Live, is_kind, live

from explorer.denylist import DenyKind, hashed
from explorer.errors import QueryError
from explorer.landing import Agreement, AgreementName, ClusterPlace, Landing, SpaceLanding, Verdict, VerdictName
from explorer.records import Hit, Split, to_json
from explorer.search import search_id, search_text
from webapp.callbacks.map import compared
from webapp.callbacks.search import SHOWN, ask
from webapp.landings import landing_of, made

ONE = 1000 + 7 * 3  # a picture of the small atlas

HITS = tuple(
    Hit(1000 + 7 * row, 0.9 - row / 100, 50.0, Split.TRAIN, f"picture {row}", None, None, None, (1.0, 2.0, 3.0), 1)
    for row in range(4)
)
PLACE = ClusterPlace(1, "shapes", 0.8, 0.6, 2)
LANDING = Landing(
    {"clip": SpaceLanding((0.5, 1.5, 2.5), 0.25, 50.0, HITS, "latent", 40.0, PLACE, 0.5, 1.5, 9)},
    Verdict(VerdictName.TYPICAL, "because", {"nearness_clip": 40.0}, "a limit"),
    ("a note",),
    Agreement(AgreementName.NEITHER, "near is more", (1000,), "far apart"),
)


@pytest.mark.parametrize(
    ("split", "allowed"),
    [("train", {Split.TRAIN}), ("heldout", {Split.HELDOUT}), ("all", {Split.TRAIN, Split.HELDOUT})],
)
def test_words_find_what_the_core_finds_in_the_split_asked_for(served: Live, split: str, allowed: set[Split]) -> None:
    """The strip shows the core's own answer, from the splits that the switch names, whichever map is in view."""
    site = served.site
    for space in site.atlas.spaces:
        hits, name = ask(site, {"text": "red shape", "split": split}, space)
        chosen = None if split == "all" else Split(split)
        assert hits == search_text(site.atlas, site.models, "red shape", SHOWN, chosen)
        assert {hit.split for hit in hits} == allowed
        assert name == "red shape"


def test_a_picture_finds_its_like_in_the_space_of_the_map(served: Live) -> None:
    """Find similar asks the vectors of the map in view, leaves the picture out, and is named by its caption."""
    atlas = served.site.atlas
    for space in atlas.spaces:
        hits, name = ask(served.site, {"like": ONE, "split": "train"}, space)
        assert hits == search_id(atlas, ONE, space, SHOWN, Split.TRAIN)
        assert ONE not in {hit.id for hit in hits}
        assert name == atlas.record(ONE).caption


def test_a_picture_that_is_not_there_finds_nothing_but_a_reason(served: Live) -> None:
    """A link to a picture of another atlas is answered in words."""
    with pytest.raises(QueryError, match="not in this atlas"):
        ask(served.site, {"like": 1, "split": "train"}, "clip")


def test_a_landing_comes_back_from_its_json_as_it_was(served: Live) -> None:
    """What the workspace keeps becomes the same records again."""
    assert landing_of(served.site.atlas, json.loads(json.dumps(to_json(LANDING)))) == LANDING


def test_a_landing_that_an_earlier_program_kept_has_less_to_tell(served: Live) -> None:
    """Without the newer fields it opens all the same; variants that were listed one by one are folded."""
    kept = json.loads(json.dumps(to_json(LANDING)))
    del kept["agreement"], kept["verdict"]["numbers"], kept["verdict"]["limits"]
    for name in ("by_family", "cluster", "isolation", "realism", "kept"):
        del kept["spaces"]["clip"][name]
    for hit in kept["spaces"]["clip"]["hits"]:
        del hit["variants"]
        hit["family"] = "red-0" if hit["id"] < 1010 else None
    found = landing_of(served.site.atlas, kept)
    assert (found.agreement, found.verdict.limits, found.spaces["clip"].kept) == (None, "", None)
    assert [(hit.id, hit.variants) for hit in found.spaces["clip"].hits] == [(1000, 1), (1014, 0), (1021, 0)]


def test_takedowns_reach_landings_that_were_kept_before(tiny_atlas: Path, tmp_path: Path) -> None:
    """A picture that was taken down is no neighbor any more, in old landings too, and neither shared nor named."""
    copy = Path(shutil.copytree(tiny_atlas, tmp_path / "atlas"))
    with live(copy) as running:
        atlas = running.site.atlas
        gone = atlas.record(HITS[1].id)
        line = f'{{"kind": "key", "sha256": "{hashed(DenyKind.KEY, gone.key)}", "at": "2025-01-01T00:00:00Z"}}\n'
        (copy / "denylist.jsonl").write_text(line, "utf-8")
        rule = f"it agrees with training picture {gone.id} as a copy does: they agree"
        told = replace(
            LANDING,
            verdict=Verdict(VerdictName.COPY, rule, match=gone.id),
            agreement=Agreement(AgreementName.NEITHER, "near is more", (HITS[0].id, gone.id), "far apart"),
        )
        left = landing_of(atlas, to_json(told))
        assert [hit.id for hit in left.spaces["clip"].hits] == [hit.id for hit in HITS if hit.id != gone.id]
        assert left.agreement is not None
        assert left.agreement.shared == (HITS[0].id,)
        assert left.verdict.match is None
        assert (
            left.verdict.rule
            == "it agrees with a training picture that was taken down since as a copy does: they agree"
        )


def test_what_a_job_made_is_read_back_by_its_name(served: Live) -> None:
    """A finished job gives recipe and landing; an unknown or unfinished one gives nothing."""
    job = served.submit("a blue shape", seed=3, steps=2)
    heard = served.events(job)
    assert is_kind("done")(heard[-1])
    found = made(served.site, job)
    assert found is not None
    assert (found.recipe.prompt, found.recipe.seed, found.recipe.steps) == ("a blue shape", 3, 2)
    assert to_json(found.landing)["verdict"] == heard[-1]["landing"]["verdict"]
    assert set(found.landing.spaces) == set(served.site.atlas.spaces)
    assert made(served.site, "no-such-job") is None


def test_the_legend_names_what_similarity_is_measured_to(served: Live) -> None:
    """Words before a picture to be alike to, before the selection, before the generated picture."""
    atlas = served.site.atlas
    job = served.submit("a green shape", steps=1)
    served.events(job)
    asked = {"text": "teal", "split": "train"}
    like = {"like": ONE, "split": "train"}
    assert compared(served.site, asked, ONE, job) == "teal"
    assert compared(served.site, like, None, job) == atlas.record(ONE).caption
    assert compared(served.site, None, ONE, job) == atlas.record(ONE).caption
    assert compared(served.site, None, None, job) == "a green shape"
    assert compared(served.site, None, None, None) is None


def test_a_hit_without_a_percentile_survives_its_json(served: Live) -> None:
    """Unknown stays unknown."""
    bare = replace(LANDING, spaces={"clip": replace(LANDING.spaces["clip"], hits=(replace(HITS[0], percentile=None),))})
    assert landing_of(served.site.atlas, to_json(bare)) == bare
