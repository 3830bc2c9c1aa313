"""The report: one document that its manual describes, and a page of it that loads nothing, runs nothing, and prints."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser
from small_atlas import SmallAtlas

from explorer import paper
from explorer.atlas import Atlas
from explorer.denylist import DenyKind, hashed
from explorer.errors import QueryError, UsageError
from explorer.generate import Generation, Generator, png_bytes
from explorer.landing import (
    Agreement,
    AgreementName,
    ClusterPlace,
    Flag,
    How,
    Landing,
    Match,
    SpaceLanding,
    Verdict,
    VerdictName,
)
from explorer.library import Atlas as Library
from explorer.models.loader import Models
from explorer.prompted import CaptionHit, Prompted
from explorer.provenance import locate
from explorer.records import Branch, Hit, Near, Recipe, Record, Relation, Space, Split, TrajectoryStep
from explorer.report.document import SCHEMA, Subject, document
from explorer.report.file import check_name, write_file
from explorer.report.folder import write_report
from explorer.report.page import curves, gathered, render, shown_steps
from explorer.scrub import story_without
from explorer.stability import CHANGES, Shift, SpaceShift
from explorer.stamp import public_name
from explorer.verdicts import Words, verdict
from explorer.way import Decided
from webapp.cli import main

MANUAL = Path(__file__).parent.parent / "docs/provenance.md"
HOSTILE = '<img src=x onerror="alert(1)">\u202e"quoted" & \x00 {{ 7 * 7 }}'
Document = dict[str, Any]


class Elements(HTMLParser):
    """Every element of a page with its attributes, and what stands in its style element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.style, self.words = "", ""
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.style += data
        else:
            self.words += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


@pytest.fixture(scope="module")
def atlas(tiny_atlas: Path) -> Atlas:
    return Atlas.open(tiny_atlas)


@pytest.fixture(scope="module")
def generator(atlas: Atlas) -> Generator:
    return Generator.load(None, atlas, device="cpu")


@pytest.fixture(scope="module")
def made(generator: Generator) -> Generation:
    return generator.generate(generator.recipe("red shape 3", steps=10, seed=7))


@pytest.fixture(scope="module")
def told(generator: Generator, made: Generation) -> Document:
    """A report as it comes back from where it was kept."""
    kept: Document = json.loads(
        json.dumps(document(generator.atlas, generator.models, Subject.of(made)), allow_nan=False)
    )
    return kept


def page_of(atlas: Atlas, told: Document, picture: Image.Image) -> str:
    return render(told, gathered(atlas, told, picture, {}))


def keys(value: Any) -> Iterator[str]:
    """Every key of a document, but for those that are names of something: spaces, roles of models, numbers by name."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name not in ("clip", "vae", "sscd", "generator"):
                yield name
            if name != "numbers":
                yield from keys(each)
    elif isinstance(value, list):
        for each in value:
            yield from keys(each)


def test_the_manual_describes_every_key(told: Document) -> None:
    """Whatever a report holds stands in docs/provenance.md by its name."""
    known = set(re.findall(r"`([a-z_0-9]+)`", MANUAL.read_text("utf-8")))
    assert set(keys(told)) <= known, sorted(set(keys(told)) - known)
    assert (told["schema"], told["kind"]) == (SCHEMA, "provenance")


def described(text: str) -> set[str]:
    """Every name that stands in code's letters in a text."""
    return set(re.findall(r"`([a-z_0-9]+)`", text))


def names(record: Any) -> set[str]:
    """The fields of a dataclass."""
    return {each.name for each in fields(record)}


class Manual:
    """docs/provenance.md by its chapters."""

    def __init__(self) -> None:
        parts = re.split(r"^## (.+)$", MANUAL.read_text("utf-8"), flags=re.MULTILINE)
        self.chapters = dict(zip((each.strip("`") for each in parts[1::2]), parts[2::2], strict=True))

    def tables(self, chapter: str) -> list[dict[str, str]]:
        """The tables of a chapter, each name of the first column -> what its row says of it."""
        found = []
        for table in re.findall(r"(?:^\|.*\n)+", self.chapters[chapter], flags=re.MULTILINE):
            rows = [line.split("|", 2)[1:] for line in table.splitlines()[2:]]
            found.append({name: said for first, said in rows for name in described(first)})
        return found


def test_the_manual_s_tables_are_the_records(told: Document) -> None:
    """Every table of docs/provenance.md has exactly the keys of what it describes: none is missing, none is stale."""
    manual = Manual()
    (top,) = manual.tables("The document")
    assert set(top) == set(told) | {"image"}
    assert described(top["software"]) == set(told["software"]) and described(top["picture"]) == set(told["picture"])
    assert described(top["atlas"]) == set(told["atlas"])
    assert set(told["models"]["vae"]) | set(told["models"]["clip"]) <= described(top["models"])
    assert described(manual.chapters["recipe"]) == names(Recipe) | names(Branch)
    assert set(told["relation"]) <= described(manual.chapters["relation"]) >= {each.value for each in Relation}

    spaces, hits, numbers = manual.tables("landing")
    assert set(spaces) == names(SpaceLanding) and set(hits) == names(Hit) and set(numbers) == verdict_numbers()
    assert names(ClusterPlace) <= described(spaces["cluster"])
    around = described(re.sub(r"^\|.*$", "", manual.chapters["landing"], flags=re.MULTILINE))
    assert names(Landing) | names(Verdict) | names(Agreement) <= around
    assert {each.value for each in (*VerdictName, *AgreementName)} <= around

    (prompt,) = manual.tables("prompt")
    assert set(prompt) == names(Prompted) and names(CaptionHit) <= described(prompt["captions"])
    assert set(told["memorization"]) <= described(manual.chapters["memorization"])
    (shift,) = manual.tables("stability")
    assert set(shift) == names(SpaceShift) and names(Shift) <= described(manual.chapters["stability"])
    (step,) = manual.tables("trajectory")
    assert set(step) == names(TrajectoryStep) | {"image"} and names(Near) <= described(step["neighbors"])
    assert names(Decided) <= described(manual.chapters["trajectory"])


def verdict_numbers() -> set[str]:
    """The names of all numbers that any verdict has."""
    standing = {space: SpaceLanding((0.0, 0.0, 0.0), 0.0, 50.0, ()) for space in Space}
    flagged = {Space.SSCD: replace(standing[Space.SSCD], flag=Flag.COPY)}
    copy = Match(7, 2, How.WHOLE, 0.9)
    cases = [(standing, ()), (standing, (copy,)), (standing, (replace(copy, score=None),)), (flagged, ())]
    words = Words.of(Relation.ALL)
    return {name for spaces, matches in cases for name in verdict(spaces, matches, words).numbers}


def test_a_report_carries_what_it_was_measured_with(told: Document, made: Generation, atlas: Atlas) -> None:
    """Recipe, revision, models, version and relation are in it, and no folder of this machine."""
    assert told["recipe"]["prompt"] == "red shape 3" and told["recipe"]["revision"] == made.recipe.revision
    assert told["atlas"]["version"] == atlas.version and told["atlas"]["training_pictures"] == int(atlas.train.sum())
    assert told["models"]["clip"]["reference"] == Path(atlas.meta["models"]["clip"]["reference"]).name
    assert told["picture"]["sha256"] == hashlib.sha256(png_bytes(made)).hexdigest()
    assert told["picture"]["pixels_sha256"] == hashlib.sha256(made.image.tobytes()).hexdigest()
    assert [shift["change"] for shift in told["stability"]] == list(CHANGES)
    assert str(Path(made.recipe.generator).parent) not in json.dumps(told)


@pytest.mark.parametrize(
    ("reference", "shown"),
    [
        ("demo", "demo"), ("org/name", "org/name"), ("hf-hub:org/name", "hf-hub:org/name"),
        ("ViT-B-32/tag", "ViT-B-32/tag"),
        ("/home/ada/models/sd", "sd"), ("~/models/sd.safetensors", "sd.safetensors"), ("./ada/sd", "sd"),
        ("../ada/sd", "sd"), ("local-dir:/home/ada/clip", "clip"), ("local-dir:ada/clip", "clip"),
    ],
)  # fmt: skip
def test_no_folder_of_this_machine_is_named(reference: str, shown: str) -> None:
    """Models of a hub keep their names; of a local one the last part is told."""
    assert public_name(reference) == shown


def test_the_signal_is_the_mean_over_the_steps(told: Document, made: Generation, generator: Generator) -> None:
    """With guidance it is the mean of what every step has; without, and against other words, null with a why."""
    pulls = [step.pull for step in made.steps]
    assert None not in pulls
    signal = told["memorization"]
    assert signal["pulls"] == pulls and signal["first"] == pulls[0] and signal["reason"] is None
    assert signal["mean"] == pytest.approx(sum(filter(None, pulls)) / len(pulls))
    for change, why in (({"guidance": 0.0}, "without guidance"), ({"negative": "gray"}, "negative prompt")):
        other = generator.generate(replace(generator.recipe("red shape 3", steps=1), **change))
        found = document(generator.atlas, generator.models, Subject.of(other))["memorization"]
        assert found["mean"] is None and found["pulls"] == [] and why in found["reason"]


def test_the_relation_is_that_to_the_generator_in_use(atlas: Atlas, told: Document, made: Generation) -> None:
    """What the manifest says holds for those that it names; a tuned one saw more than these pictures."""
    assert atlas.training.generators == ("demo",) and atlas.training.relation is Relation.ALL
    assert told["relation"]["to_generator"] == "unknown" and not told["relation"]["is_training"]
    page = page_of(atlas, told, made.image)
    assert "Nearest pictures in this collection in CLIP" in page and "Nearest training pictures" not in page
    assert atlas.relation_to("demo") is Relation.ALL
    assert atlas.relation_to("demo", is_tuned=True) is Relation.SAMPLE
    assert atlas.relation_to(None) is Relation.ALL


def test_the_library_tells_the_same(tiny_atlas: Path, made: Generation) -> None:
    """`Atlas.report` gives the document of any picture, with the prompt's side where the words are given."""
    asked = Library.open(tiny_atlas)
    told = asked.report(made.image, "red shape 3")
    assert told["landing"]["verdict"]["name"] == asked.locate(made.image).verdict.name
    assert told["prompt"]["captions"][0]["is_same"] and told["recipe"] is None
    assert asked.report(made.image)["prompt"] is None


@pytest.fixture(scope="module")
def brought(atlas: Atlas, made: Generation) -> Document:
    models = Models(atlas, "cpu")
    subject = Subject(made.image, locate(atlas, models, made.image), "ab" * 32)
    kept: Document = json.loads(json.dumps(document(atlas, models, subject)))
    return kept


def test_a_picture_that_was_brought_has_no_recipe(brought: Document, atlas: Atlas, made: Generation) -> None:
    """No prompt, no pull and no way; its neighbors are training pictures of the generators that the manifest names."""
    assert [brought[key] for key in ("recipe", "prompt", "memorization", "trajectory")] == [None, None, None, []]
    page = page_of(atlas, brought, made.image)
    assert "Nearest training pictures in CLIP" in page and "ab" * 32 in page
    assert "How hard the prompt pulled" not in page and "The way from noise" not in page


def test_the_page_stands_alone(atlas: Atlas, told: Document, made: Generation) -> None:
    """No script, no style but the one that the policy names, pictures as data, links by http with no way back."""
    page = Elements(page_of(atlas, told, made.image))
    names = [name for name, _ in page.found]
    assert "script" not in names and "link" not in names and names.count("style") == 1
    attributes = [(name, value) for _, found in page.found for name, value in found.items()]
    assert not [name for name, _ in attributes if name.startswith("on") or name == "style"]
    sources = [value or "" for name, value in attributes if name == "src"]
    assert len(sources) > 20 and all(each.startswith("data:image/webp;base64,") for each in sources)
    links = [found for name, found in page.found if name == "a"]
    assert links and all((found["href"] or "").startswith("https://pictures.example/") for found in links)
    assert {found["rel"] for found in links} == {"noopener noreferrer nofollow"}
    policy = next(found["content"] for _, found in page.found if found.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy is not None and policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:;")


def hostile(record: Record) -> Record:
    return replace(
        record, captions={"en": HOSTILE}, licence=HOSTILE, page_url="javascript:alert(1)", image_url="data:text/html,x"
    )


def test_what_strangers_wrote_stays_text(tmp_path: Path, atlas: Atlas, generator: Generator) -> None:
    """Captions, licences, links and prompts make no element, no link and no template; what is invisible is marked."""
    dims = {space: atlas.space(space).vectors.shape[1] for space in atlas.spaces}
    bad = SmallAtlas(dims=dims, extra_meta={"models": atlas.meta["models"]}, change=hostile).write(tmp_path / "bad")
    other = Generator(Atlas.open(bad), generator._model, generator.models)
    made = other.generate(other.recipe(HOSTILE, steps=1))
    told = document(other.atlas, other.models, Subject.of(made))
    page = Elements(page_of(other.atlas, told, made.image))
    assert [found for name, found in page.found if name == "img" and found.get("src") == "x"] == []
    assert "a" not in [name for name, _ in page.found]
    assert "⟨U+202E⟩" in page.words and "{{ 7 * 7 }}" in page.words
    assert "\u202e" not in page.words and "\x00" not in page.words
    assert not [name for _, found in page.found for name in found if name == "onerror"]


def flagged(record: Record) -> Record:
    return replace(record, punsafe=0.9)


def test_what_is_flagged_is_blurred(tmp_path: Path, atlas: Atlas, generator: Generator) -> None:
    """Of a flagged neighbor the page holds the blurred thumbnail alone, and says so."""
    dims = {space: atlas.space(space).vectors.shape[1] for space in atlas.spaces}
    unsafe = SmallAtlas(dims=dims, extra_meta={"models": atlas.meta["models"]}, change=flagged).write(tmp_path / "bad")
    other = Generator(Atlas.open(unsafe), generator._model, generator.models)
    made = other.generate(other.recipe("a cat", steps=1))
    told = document(other.atlas, other.models, Subject.of(made))
    page = page_of(other.atlas, told, made.image)
    shown = {hit["id"] for space in told["landing"]["spaces"].values() for hit in space["hits"]}
    for identity in shown:
        assert paper.data_uri(other.atlas.thumbnail(identity)) not in page
    assert page.count("Flagged as unsafe, blurred") >= len(shown)


def test_held_out_neighbors_are_marked(atlas: Atlas, made: Generation) -> None:
    """A held-out picture among the hits bears its mark."""
    models = Models(atlas, "cpu")
    both = locate(atlas, models, made.image, k=60, split=None)
    heldout = sum(hit.split is Split.HELDOUT for space in both.spaces.values() for hit in space.hits)
    told = document(atlas, models, Subject(made.image, both))
    assert heldout > 0 and page_of(atlas, told, made.image).count(">held out<") == heldout


def test_a_takedown_reaches_a_report_that_was_kept(
    tiny_atlas: Path, tmp_path: Path, told: Document, made: Generation
) -> None:
    """A neighbor that was taken down since is not in the document, its thumbnail not in the page."""
    copy = Path(shutil.copytree(tiny_atlas, tmp_path / "atlas"))
    opened = Atlas.open(copy)
    hits = told["landing"]["spaces"]["clip"]["hits"]
    gone = next(hit for hit in hits if hit["caption"] != told["recipe"]["prompt"])
    digest = hashed(DenyKind.KEY, opened.record(gone["id"]).key)
    line = f'{{"kind": "key", "sha256": "{digest}", "at": "2025-01-01T00:00:00Z"}}\n'
    before = paper.data_uri(opened.thumbnail(gone["id"]))
    assert before in page_of(opened, told, made.image)
    (copy / "denylist.jsonl").write_text(line, "utf-8")
    assert before not in page_of(opened, told, made.image)
    left = story_without(told, {gone["id"]})
    assert f'"id": {gone["id"]},' not in json.dumps(left)
    assert gone["caption"] not in page_of(opened, left, made.image)


def test_a_takedown_reaches_what_a_picture_was_a_copy_of(told: Document, atlas: Atlas, made: Generation) -> None:
    """The verdict keeps its word and its numbers; nothing of the document names the picture any more."""
    rule = "it agrees with training picture 987654 as a copy does: laid over each other"
    numbers = {"bits": 1, "score": 0.99}
    said = {"name": "copy", "rule": rule, "numbers": numbers, "limits": "no cause", "match": 987_654}
    kept = told | {"landing": told["landing"] | {"verdict": said}}
    assert story_without(kept, {1}) == kept
    left = story_without(kept, {987_654})
    assert "987654" in page_of(atlas, kept, made.image) and "987654" not in json.dumps(left)
    assert (left["landing"]["verdict"]["name"], left["landing"]["verdict"]["numbers"]) == ("copy", numbers)
    assert "it agrees with a training picture that was taken down since as a copy does" in page_of(
        atlas, left, made.image
    )


def test_some_steps_stand_for_the_way() -> None:
    """At most eight, the first and the last among them, in order and evenly apart."""
    for count in (0, 1, 8, 9, 25, 150):
        shown = [step["step"] for step in shown_steps({"trajectory": [{"step": at} for at in range(1, count + 1)]})]
        assert len(shown) == min(count, 8) == len(set(shown)) and shown == sorted(shown)
        assert not count or (shown[0], shown[-1]) == (1, count)


def test_curves_tell_what_is_known_of_the_way(told: Document, brought: Document) -> None:
    """Each has a value a step; one of which nothing is known is left out, and so are all where there is no way."""
    similarity = curves(told)["Similarity to the nearest, by step"]
    assert similarity["clip"] == [step["similarity"]["clip"] for step in told["trajectory"]]
    unknown = [step | {"similarity": {}, "percentile": {"clip": None}} for step in told["trajectory"]]
    assert not {title for title in curves(told | {"trajectory": unknown}) if "imilarity" in title}
    assert curves(brought) == {}


def test_a_chart_is_drawn_to_one_scale() -> None:
    """Zero lies at the bottom unless something is below it; what is unknown is left out and leaves its place."""
    drawn = paper.lines({"clip": [0.0, None, 1.0], "vae": [0.5, 0.5, 0.5]})
    assert (drawn.low, drawn.high) == (0.0, 1.0)
    assert dict(drawn.points) == {"clip": "0.0,72.0 320.0,0.0", "vae": "0.0,36.0 160.0,36.0 320.0,36.0"}
    assert paper.lines({"clip": [-1.0, 1.0]}).points["clip"] == "0.0,72.0 320.0,0.0"
    assert paper.lines({"clip": []}).points == {"clip": ""} and paper.lines({"clip": [0.0]}).points["clip"] == "0.0,0.0"


def test_the_folder_has_both(generator: Generator, made: Generation, tmp_path: Path) -> None:
    """`generate` leaves the document and its page beside the picture, with the pictures of its steps in them."""
    write_report(tmp_path / "out", made, generator)
    kept = json.loads((tmp_path / "out/report.json").read_text())
    page = Elements((tmp_path / "out/report.html").read_text("utf-8"))
    assert kept["image"] == "picture.png" and kept["trajectory"][0]["image"] == "steps/0001.png"
    alt = [found.get("alt") for name, found in page.found if name == "img"]
    assert [each for each in alt if each and each.startswith("The picture after step")][-1].endswith(
        str(len(made.steps))
    )


def test_a_report_is_written_whole_or_not_at_all(
    atlas: Atlas, brought: Document, made: Generation, tmp_path: Path
) -> None:
    """The name says which kind; a name that is taken, has no folder or says nothing is refused before any work."""
    for name in ("report.json", "Report.HTML"):
        check_name(tmp_path / name)
        write_file(tmp_path / name, atlas, brought, made.image)
    assert json.loads((tmp_path / "report.json").read_text()) == brought
    assert (tmp_path / "Report.HTML").read_text("utf-8").startswith("<!doctype html>")
    with pytest.raises(UsageError, match=r"expected a name that ends in .html or .json"):
        check_name(tmp_path / "report.pdf")
    with pytest.raises(QueryError, match="is there already"):
        check_name(tmp_path / "report.json")
    with pytest.raises(QueryError, match="there is no folder"):
        check_name(tmp_path / "nowhere/report.json")
    with pytest.raises(QueryError, match="cannot be written .*; name another file"):
        check_name(tmp_path / f"{'long' * 100}.json")
    (tmp_path / "link.json").symlink_to(tmp_path / "nowhere/to.json")
    with pytest.raises(QueryError, match="is there already"):
        check_name(tmp_path / "link.json")
    (tmp_path / "link.json").unlink()
    with pytest.raises(QueryError, match=r"cannot be written \(.*\); name another file"):
        write_file(tmp_path / "report.json/inside.json", atlas, brought, made.image)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Report.HTML", "report.json"]


def test_locate_writes_a_report(
    tiny_atlas: Path, made: Generation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`locate --report` says where it is; with --prompt the prompt's side is in it; --prompt needs it."""
    made.image.save(tmp_path / "picture.png")
    words = ["locate", str(tiny_atlas), str(tmp_path / "picture.png"), "--device", "cpu"]
    report = tmp_path / "report.json"
    assert main([*words, "--report", str(report), "--prompt", "red shape 3", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    kept = json.loads(report.read_text())
    assert said["report"] == str(report) and said["landing"] == kept["landing"]
    assert kept["prompt"]["captions"][0]["is_same"] and kept["recipe"] is None
    assert kept["picture"]["sha256"] == hashlib.sha256((tmp_path / "picture.png").read_bytes()).hexdigest()
    assert main([*words, "--report", str(tmp_path / "report.html")]) == 0
    assert f"The report is {tmp_path / 'report.html'}" in capsys.readouterr().out
    assert main([*words, "--report", str(report)]) == 1
    for wrong in (["--prompt", "a cat"], ["--report", "report.pdf"]):
        with pytest.raises(SystemExit, match="2"):
            main([*words, *wrong])


def test_a_picture_out_of_a_pipe_is_read_once(tiny_atlas: Path, made: Generation, tmp_path: Path) -> None:
    """The report has the sha256 of the bytes that were located, though they cannot be read a second time."""
    data = png_bytes(made)
    reading, writing = os.pipe()
    feeder = threading.Thread(target=lambda: (os.write(writing, data), os.close(writing)))
    feeder.start()
    report = tmp_path / "report.json"
    words = ["locate", str(tiny_atlas), f"/dev/fd/{reading}", "--device", "cpu", "--report", str(report), "--json"]
    try:
        assert main(words) == 0
    finally:
        feeder.join()
        os.close(reading)
    assert json.loads(report.read_text())["picture"]["sha256"] == hashlib.sha256(data).hexdigest()


def test_the_file_asks_nobody_and_prints(
    generator: Generator, made: Generation, tmp_path: Path, browser: Browser
) -> None:
    """Opened from the disk in a real browser it requests nothing, complains of nothing, and every picture is there."""
    write_report(tmp_path / "out", made, generator)
    address = (tmp_path / "out/report.html").as_uri()
    page = browser.new_page(viewport={"width": 900, "height": 1200})
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(address)
    assert [each for each in asked if not each.startswith("data:")] == [address] and complaints == []
    sizes = [image.bounding_box() for image in page.locator("img").all()]
    assert len(sizes) > 20 and all(size and size["width"] >= 40 and size["height"] >= 40 for size in sizes)
    assert page.locator(".cards").first.evaluate("list => getComputedStyle(list).display") == "grid"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()
