"""The page as components: complete, named, reachable, and with strangers' words as text only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from dash.development.base_component import Component
from live import Live

from explorer.filters import Filter, Operator
from explorer.jobs import Job, JobState
from explorer.landing import Agreement, AgreementName, ClusterPlace, Landing, SpaceLanding, Verdict, VerdictName
from explorer.records import Cluster, Hit, Recipe, Record, Relation, Split
from webapp import ids, layout
from webapp.panels import about, clusters, filters, found, frame, here, history, landing, nearest, parts
from webapp.panels.clusters import Listed
from webapp.panels.here import Shown
from webapp.panels.history import Entry
from webapp.panels.parts import Context
from webapp.strings import Words

HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.\x00"
FINGERTIP = 44  # CSS pixels

CONTEXT = Context("v1", Relation.ALL, Words())
RECORD = Record(
    id=7,
    key="k",
    split=Split.HELDOUT,
    captions={"en": "a cat", "zh": "猫"},
    tags=("pet", "fur"),
    group="animals",
    image_url="https://pictures.example/7.png",
    page_url="https://pictures.example/7",
    author="Ada",
    licence="CC BY 4.0",
    licence_url="https://creativecommons.org/licenses/by/4.0/",
    extra={"year": 1900, "nothing": None},
)
VERDICT = Verdict(VerdictName.TYPICAL, "rule")
JOB = Job("job", JobState.DONE, Recipe("a cat"), "2025-01-01T00:00:00+00:00", generation=1)
LANDING = Landing(
    {
        "clip": SpaceLanding((0.0, 0.0, 0.0), 0.25, 97.4, (), by_family=91.2, kept=9),
        "vae": SpaceLanding((0.0, 0.0, 0.0), 0.5, 40.0, ()),
    },
    Verdict(VerdictName.NEARER, "more similar than most", limits="It shows no cause."),
    agreement=Agreement(AgreementName.CLIP, "near is at least 95 %", (7, 8), "Of a like subject."),
)
HIT = Hit(7, 0.931234, 97.4, Split.TRAIN, "a cat", RECORD.image_url, RECORD.page_url, "CC BY 4.0", (0.0, 0.0, 0.0), 1)


def walk(component: Any) -> Iterator[Component]:  # noqa: ANN401 - whatever children are
    """Every component of a tree, in the order of the page."""
    if isinstance(component, list | tuple):
        for child in component:
            yield from walk(child)
    elif isinstance(component, Component):
        yield component
        for slot in ("children", "leftSection", "rightSection"):
            yield from walk(getattr(component, slot, None))


def text(component: Any) -> str:  # noqa: ANN401
    """The words that a tree shows."""
    if isinstance(component, list | tuple):
        return " ".join(map(text, component))
    if isinstance(component, Component):
        return text(getattr(component, "children", None))
    return "" if component is None else str(component)


def kind(component: Component) -> str:
    return type(component).__name__


@pytest.fixture(scope="module")
def page(served: Live) -> Any:  # noqa: ANN401
    """The whole page of a served atlas."""
    return layout.layout(served.site)


def test_ids_are_unique_and_all_of_them_are_there(page: Any) -> None:  # noqa: ANN401
    """Each name in ids.py belongs to exactly one component."""
    named = [component.id for component in walk(page) if getattr(component, "id", None)]
    assert len(named) == len(set(named))
    declared = {value for name, value in vars(ids).items() if name.isupper() and isinstance(value, str)}
    assert declared == set(named)


def test_every_control_has_a_name(page: Any) -> None:  # noqa: ANN401
    """Buttons, inputs and links say what they are, to eyes or to a screen reader."""
    controls = {"Button", "ActionIcon", "TextInput", "Textarea", "NumberInput", "Select", "SegmentedControl", "A"}
    nameless = [
        component
        for component in walk(page)
        if kind(component) in controls
        and not (getattr(component, "aria-label", None) or getattr(component, "label", None) or text(component).strip())
    ]
    assert not nameless


def test_every_picture_has_a_text_or_stands_in_a_named_button(page: Any) -> None:  # noqa: ANN401
    """No image is without an alternative; an empty one is decoration inside a control with a name."""
    trees = [page, here.picture(CONTEXT, Shown(RECORD, None)), nearest.cards(CONTEXT, [HIT], "clip")]
    for component in walk(trees):
        if kind(component) == "Img":
            assert getattr(component, "alt", None) is not None


def test_the_search_line_says_how_many_pictures_there_are(page: Any) -> None:  # noqa: ANN401
    """A visitor learns at the first glance what there is to search."""
    line = next(component for component in walk(page) if getattr(component, "id", None) == ids.SEARCH)
    assert line.placeholder == "Search 60 pictures, or drop one here"


def test_the_studio_offers_six_prompts_of_training_captions(served: Live) -> None:
    """The example prompts are short captions of the corpus, all different."""
    offered = layout.examples_of(served.site)
    captions = {record.caption for record in served.site.atlas.records(served.site.atlas.ids)}
    assert len(set(offered)) == layout.EXAMPLES == 6
    assert set(offered) <= captions


def test_relation_holds_only_for_the_generators_that_the_manifest_names(served: Live) -> None:
    """A corpus that is all of what one generator saw is of unknown relation to another."""
    assert served.site.atlas.manifest.training.relation is Relation.ALL
    assert layout.generator_of(served.site) not in served.site.atlas.manifest.training.generators
    assert layout.relation_of(served.site) is Relation.UNKNOWN


def test_a_neighbor_says_its_nearness_in_words_and_exactly_on_hover() -> None:
    """The card has the sentence of the look, and the exact values as its title."""
    said = next(c for c in walk(nearest.cards(CONTEXT, [HIT], "clip")) if getattr(c, "className", "") == "nearness")
    assert said.children == "0.93, closer than 97 % of training pictures are to their own nearest"
    assert said.title == "cosine 0.931234, percentile 97.400"


def test_the_three_sentences_stand_below_every_list_of_neighbors() -> None:
    """Resemblance and not cause; vectors and not map; a sample proves nothing."""
    for relation in Relation:
        said = text(nearest.cards(replace(CONTEXT, relation=relation), [HIT], "clip"))
        assert "a resemblance, not a cause" in said
        assert "comes from the CLIP vectors" in said
        assert "nothing near” proves nothing" in said


@pytest.mark.parametrize("relation", [Relation.ALL, Relation.NONE, Relation.UNKNOWN])
def test_only_a_sample_is_called_one(relation: Relation) -> None:
    """That the model saw these pictures and more is said where it is known, below lists and in the limits alike."""
    said = [text(nearest.cards(replace(CONTEXT, relation=each), [HIT], "clip")) for each in (relation, Relation.SAMPLE)]
    assert ["This collection is a sample of what the model saw" in each for each in said] == [False, True]
    limits = [about._limits(replace(CONTEXT, relation=each), demo=True) for each in (relation, Relation.SAMPLE)]
    assert ["is a sample of what the model saw" in " ".join(each) for each in limits] == [False, True]


def test_where_there_are_variants_percentages_come_with_a_warning() -> None:
    """A corpus with families says below its lists what they do to percentiles; another has nothing to say."""
    assert "bend them" in text(nearest.cards(replace(CONTEXT, families=True), [HIT], "clip"))
    assert "bend them" not in text(nearest.cards(CONTEXT, [HIT], "clip"))


@pytest.mark.parametrize("relation", [Relation.NONE, Relation.UNKNOWN])
def test_without_the_relation_nothing_is_called_training(relation: Relation) -> None:
    """Only with `all` or `sample` are neighbors called training pictures."""
    said = text(nearest.cards(replace(CONTEXT, relation=relation), [HIT], "clip"))
    assert "training" not in said
    assert "of the pictures here" in said


def test_held_out_pictures_are_marked_and_never_called_training() -> None:
    """Every hit carries its split."""
    card = text(nearest.cards(CONTEXT, [replace(HIT, split=Split.HELDOUT)], "clip")[0])
    assert "held out" in card
    assert "training" not in card.replace("training pictures are to their own nearest", "")


@pytest.mark.parametrize(("relation", "is_known"), [(each, each is Relation.ALL) for each in Relation])
def test_only_a_generator_of_these_pictures_alone_is_said_not_to_have_seen_the_rest(
    relation: Relation, is_known: bool
) -> None:
    """What a corpus holds out of its index a generator may have seen all the same, unless it saw this corpus alone."""
    badge = parts.split_badge(replace(CONTEXT, relation=relation), Split.HELDOUT)
    assert ("training of the generator" in badge.title) is is_known


def test_thumbnails_that_can_be_clicked_are_no_smaller_than_a_fingertip() -> None:
    """Wherever a thumbnail is a button, its sides have 44 pixels."""
    cluster = Cluster("clip", 0, 1, "cats", 3, (7,))
    trees = [
        nearest.cards(CONTEXT, [HIT], "clip"),
        found.cards(CONTEXT, [HIT], "cat"),
        clusters.rows(CONTEXT, [Listed(cluster, (Cluster("clip", 1, 0, "kittens", 2, (7,), 1),))], {7: "a cat"}),
        history.entries(CONTEXT, [Entry(JOB, True, True)]),
    ]
    pictures = [c for c in walk(trees) if kind(c) == "Img"]
    assert len(pictures) == 4
    assert min(min(picture.width, picture.height) for picture in pictures) >= FINGERTIP


def test_here_shows_all_that_is_known_and_leaves_out_what_is_not() -> None:
    """Caption in every language, tags, group, split, licence, author, source, and the source's own columns."""
    said = text(here.picture(CONTEXT, Shown(RECORD, Cluster("clip", 0, 1, "cats", 3, ()))))
    for part in ("a cat", "猫", "pet", "fur", "animals", "held out", "CC BY 4.0", "Ada", "cats", "year", "1900"):
        assert part in said
    assert "pictures.example ↗" in said
    assert "nothing" not in said
    bare = text(here.picture(CONTEXT, Shown(Record(id=1, key="k", split=Split.TRAIN), None)))
    assert "unknown" in bare


def test_a_flagged_picture_is_blurred_until_somebody_asks() -> None:
    """Here shows the blurred thumbnail and a button; only once revealed does it ask for the picture itself."""
    veiled = here.picture(CONTEXT, Shown(RECORD, None, flagged=True))
    bare = here.picture(CONTEXT, Shown(RECORD, None, flagged=True, revealed=True))
    addresses = [[c.src for c in walk(tree) if kind(c) == "Img"] for tree in (veiled, bare)]
    assert addresses == [["/api/v/v1/thumbnail/7.webp"], ["/api/v/v1/thumbnail/7.webp?reveal=1"]]
    assert [getattr(c, "data-to") for c in walk(veiled) if getattr(c, "data-do", None) == "reveal"] == ["7"]
    assert not [c for c in walk(bare) if getattr(c, "data-do", None) == "reveal"]
    assert "flagged" in text(nearest.cards(CONTEXT, [replace(HIT, flagged=True)], "clip"))


def test_a_landing_says_verdict_limits_agreement_and_the_map_s_truth() -> None:
    """The facts are of the map in view; what an earlier program kept has fewer of them."""
    placed = replace(LANDING.spaces["clip"], cluster=ClusterPlace(1, "cats", 0.8, 0.6, 2))
    told = text(landing.box(CONTEXT, replace(LANDING, spaces={**LANDING.spaces, "clip": placed}), "clip"))
    for part in (
        *("Nearer than usual", "Why: more similar than most.", "It shows no cause."),
        *("Near in CLIP alone", "Of a like subject. In both lists of neighbors: 2."),
        *("97 % of training pictures", "91 % with each family counted once"),
        *("cats", "80 % of its nearest, 60 % more than of the next cluster", "0.25 map units"),
        "here the map keeps 9 of 15 neighbors",
    ):
        assert part in told, part
    other = text(landing.box(CONTEXT, LANDING, "vae"))
    assert "0.50 map units" in other
    assert not [part for part in ("cats", "counted once", "here the map keeps") if part in other]
    bare = Landing({}, Verdict(VerdictName.TYPICAL, "rule"), ("a note",))
    assert text(landing.box(CONTEXT, bare, "clip")).split("  ")[0] == "Verdict As near as usual Why: rule."


def test_how_well_a_map_keeps_neighbors_is_said_of_a_picture_and_of_all(served: Live, page: Any) -> None:  # noqa: ANN401
    """One picture's count stands in its facts, the map's share in the dialog, and the map can be colored by it."""
    assert "keeps 9 of its 15 neighbors" in text(here.picture(CONTEXT, Shown(RECORD, None, kept=9)))
    assert "neighbors" not in text(here.picture(CONTEXT, Shown(RECORD, None)))
    assert "25 % of neighbors in CLIP, 25 % of neighbors in VAE" in text(page)
    control = next(component for component in walk(page) if getattr(component, "id", None) == ids.COLOR_CONTROL)
    assert [kind["value"] for kind in control.data] == ["cluster", "split", "similarity", "axis", "overlap"]
    assert "all 15" in text(frame.legend(CONTEXT, "overlap"))
    assert served.client.get(f"{served.version}/clip/overlap.bin").status_code == 200


def test_without_the_relation_a_landing_calls_nothing_training() -> None:
    """The words about nearness keep to what is known of the generator."""
    assert "training" not in text(landing.box(replace(CONTEXT, relation=Relation.UNKNOWN), LANDING, "clip"))


def test_without_a_page_the_archive_is_offered_beside_the_picture() -> None:
    """A picture whose page nobody knows links to itself and to the archive; others to their page alone."""
    lone = replace(RECORD, page_url=None)
    links = [c.href for c in walk(here.picture(CONTEXT, Shown(lone, None))) if kind(c) == "A"]
    assert links[:2] == [RECORD.image_url, f"https://web.archive.org/web/*/{RECORD.image_url}"]
    known = [c.href for c in walk(here.picture(CONTEXT, Shown(RECORD, None))) if kind(c) == "A"]
    assert known[0] == RECORD.page_url
    assert not any("archive" in link for link in known)


def test_what_is_unknown_or_special_of_a_picture_is_said() -> None:
    """Fetched copies bear their date, placed rows a mark, missing licences the word unknown, a contact its line."""
    record = replace(RECORD, licence=None, fetched_at="2026-11-22T01:02:03Z", placed=True)
    context = replace(CONTEXT, contact="ada@pictures.example")
    tree = here.picture(context, Shown(record, None))
    said = text(tree)
    for part in ("fetched copy, 2026-11-22", "placed later", "unknown", "taken down"):
        assert part in said
    assert "mailto:ada@pictures.example" in [c.href for c in walk(tree) if kind(c) == "A"]
    assert "licence unknown" in text(nearest.cards(CONTEXT, [replace(HIT, licence=None)], "clip"))
    assert "+3 variants" in text(nearest.cards(CONTEXT, [replace(HIT, variants=3)], "clip"))


def test_without_thumbnails_captions_take_their_place() -> None:
    """An atlas of links alone asks for no picture: a card shows its caption, Here says that none is kept."""
    context = replace(CONTEXT, pictured=lambda _: False)
    trees = [nearest.cards(context, [HIT], "clip"), found.cards(context, [HIT], "cat")]
    shown = here.picture(context, Shown(RECORD, None))
    assert not [c for c in walk([trees, shown]) if kind(c) == "Img"]
    assert all(
        "a cat" in text([c for c in walk(tree) if getattr(c, "className", "") == "picture-words"]) for tree in trees
    )
    assert "No picture is kept" in text(shown)


def hostile_trees() -> list[Any]:
    """Every panel with a stranger's words in every place."""
    record = replace(
        RECORD,
        captions={"en": HOSTILE, "zh": HOSTILE + "2"},
        tags=(HOSTILE,),
        group=HOSTILE,
        author=HOSTILE,
        licence=HOSTILE,
        page_url="javascript:alert(1)",
        image_url="data:text/html,x",
        licence_url="javascript:alert(1)",
        extra={HOSTILE: HOSTILE},
    )
    hit = replace(HIT, caption=HOSTILE, licence=HOSTILE, page_url="javascript:alert(1)", image_url="vbscript:x")
    cluster = Cluster("clip", 0, 1, HOSTILE, 3, (7,))
    recipe = Recipe(HOSTILE)
    evil = replace(CONTEXT, pictured=lambda _: False, contact=HOSTILE)
    landed = replace(LANDING.spaces["clip"], cluster=ClusterPlace(1, HOSTILE, 0.6, 0.2, None))
    evil_landing = replace(LANDING, spaces={"clip": landed})
    return [
        here.picture(evil, Shown(record, cluster, flagged=True, own=True)),
        here.made(CONTEXT, "job", recipe, landing.box(CONTEXT, evil_landing, "clip")),
        nearest.cards(evil, [replace(hit, variants=3)], "clip"),
        found.cards(CONTEXT, [hit], HOSTILE),
        found.cards(CONTEXT, [], HOSTILE),
        found.head(CONTEXT, HOSTILE, 1, like=False),
        clusters.rows(CONTEXT, [Listed(cluster, (Cluster("clip", 1, 0, HOSTILE, 2, (7,), 1),), 2)], {7: HOSTILE}),
        history.entries(CONTEXT, [Entry(replace(JOB, recipe=recipe), True, True)]),
        frame.legend(CONTEXT, "similarity", HOSTILE),
        filters.chips(CONTEXT, [Filter(f"extra.{HOSTILE}", Operator.IS, HOSTILE, HOSTILE)]),
        found.filtered_cards(evil, [record], [True]),
    ]


def test_strangers_words_are_isolated_text_with_nothing_invisible() -> None:
    """Wherever a caption, label, tag, prompt or column is shown, it is text in a bdi or between isolates, marked."""
    shown = 0
    for tree in hostile_trees():
        for component in walk(tree):
            assert kind(component) not in {"Markdown", "DangerouslySetInnerHTML", "Iframe"}
            words = getattr(component, "children", None)
            if isinstance(words, str) and "onerror" in words:
                assert kind(component) == "Bdi" or "\u2068" in words
                assert "\u202e" not in words
                assert "\x00" not in words
                shown += 1
    assert shown >= 15


def test_no_link_of_strangers_leaves_http() -> None:
    """A javascript:, data: or vbscript: link is no link."""
    links = [c.href for c in walk(hostile_trees()) if kind(c) == "A"]
    assert all(link.startswith(("/api/", "https://")) for link in links), links
    assert not any("javascript" in link for link in links)


def test_links_to_sources_open_new_tabs_that_know_nothing() -> None:
    """Every link that leaves has target and rel."""
    trees = [here.picture(CONTEXT, Shown(RECORD, None)), nearest.cards(CONTEXT, [HIT], "clip")]
    leaving = [c for c in walk(trees) if kind(c) == "A" and c.href.startswith("http")]
    assert len(leaving) >= 3
    assert {(link.target, link.rel) for link in leaving} == {("_blank", "noopener noreferrer nofollow")}


def test_empty_panels_say_what_would_fill_them(page: Any) -> None:  # noqa: ANN401
    """No panel is blank before anything was chosen."""
    for name in (ids.FOUND_CARDS, ids.HERE_BODY, ids.NEAREST_BODY, ids.HISTORY_TILES, ids.LIVE_WORDS):
        panel = next(component for component in walk(page) if getattr(component, "id", None) == name)
        assert len(text(panel)) > 20, name
