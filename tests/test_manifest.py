"""Manifests: read, refused by name, written and read back."""

from __future__ import annotations

import datetime
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer import manifest
from explorer.errors import ManifestError
from explorer.kinds import KINDS, SECTIONS
from explorer.manifest import Fetch, Filter, Models, Safety, SplitRule
from explorer.records import Relation

SHIPPED = Path(__file__).parent.parent / "data_manifests"
HERE = Path("/corpora")

FULL = """
kind = "folder"
path = "pictures"
title = "My pictures"
licence_url = "https://example.org/licence"
date = 2024-05-01

[models]
generator = "stabilityai/sd-turbo"

[training]
relation = "sample"
generators = ["stabilityai/sd-turbo"]

[split]
share = 0.25
seed = 3

[columns]
page_url = "where"

[captions]
en = "title_en"

[folder]
recursive = false

[fetch]
contact = "https://museum.example/bot"
allow_networks = ["10.20.0.0/16"]
allow_ports = [8182]
timeout = 5

[safety]
blocklist = "blocked.txt"
"""


def parse(text: str) -> manifest.Manifest:
    return manifest.parse(text, base=HERE, file="test.toml")


def fault(text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        parse(text)
    return str(caught.value)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.name)
def test_shipped_manifests_are_right(path: Path) -> None:
    """Every manifest that the project ships passes its own check."""
    assert manifest.check(path) == []
    assert manifest.load(path).kind in KINDS


def test_every_key_becomes_a_typed_value() -> None:
    """A manifest's values arrive as named, typed parts."""
    found = parse(FULL)
    assert found.training.relation is Relation.SAMPLE
    assert found.split == SplitRule(share=0.25, seed=3)
    assert (found.columns, found.captions) == ({"page_url": "where"}, {"en": "title_en"})
    assert found.source == {"recursive": False}
    assert found.date == datetime.date(2024, 5, 1).isoformat()
    assert found.resolve("pictures") == HERE / "pictures"
    assert found.fetch == Fetch("https://museum.example/bot", 5, allow_networks=("10.20.0.0/16",), allow_ports=(8182,))
    assert found.contact == "https://museum.example/bot"
    assert found.safety == Safety(blocklist="blocked.txt")
    assert parse(
        'kind = "csv-join"\npath = "."\n[csv-join]\npictures = "a"\nimage_url = "b"\n[filter]\nlanguage = ["en"]'
    ).filter == Filter(language=("en",))


@pytest.mark.parametrize(
    ("name", "settings"),
    [("fetch", Fetch), ("filter", Filter), ("safety", Safety), ("split", SplitRule), ("models", Models)],
)
def test_a_table_of_the_schema_and_its_dataclass_have_the_same_keys(name: str, settings: type) -> None:
    """No key is checked and then dropped, and none is kept that no manifest may have."""
    assert {each.name for each in fields(settings)} == set(SECTIONS[name].keys)


def test_the_vae_is_the_generators_unless_it_is_named() -> None:
    """Without a key of its own the VAE follows the generator."""
    assert parse(FULL).models == Models(clip="demo", vae="stabilityai/sd-turbo", generator="stabilityai/sd-turbo")
    assert parse('kind = "openmoji"').models == Models()
    named = parse('kind = "openmoji"\n[models]\nvae = "./vae"\ngenerator = "./pipeline"')
    assert named.models == Models(vae="./vae", generator="./pipeline")


def test_name_and_title_fall_back_to_the_kind() -> None:
    """A manifest of one line still has a name to show."""
    assert (parse('kind = "openmoji"').name, parse('kind = "openmoji"').title) == ("openmoji", "openmoji")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "kind: found nothing; expected one of"),
        (
            'kind = "opnmoji"',
            "kind: found 'opnmoji'; expected one of openmoji, folder, parquet-urls, csv-join, huggingface,",
        ),
        ("kind = 3", "kind: found 3; expected one of"),
        ('kind = "openmoji"\nlicense = "MIT"', "license: found an unknown key; did you mean licence?"),
        ('kind = "openmoji"\n[model]\nclip = "demo"', "model: found an unknown key; did you mean models?"),
        ('kind = "openmoji"\n[training]\nrelation = "most"', "training.relation: found 'most'; expected one of all"),
        ('kind = "openmoji"\n[training]\ngenerators = "demo"', "training.generators: found 'demo'; expected a list"),
        (
            'kind = "openmoji"\n[split]\nshare = 1.5',
            "split.share: found 1.5; expected a number at least 0 and",
        ),
        ('kind = "openmoji"\n[split]\nseed = true', "split.seed: found True; expected a whole number at least 0"),
        (
            'kind = "openmoji"\n[split]\nshare = 0.1\ncolumn = "s"',
            "split: found column and share; expected at most",
        ),
        ('kind = "openmoji"\nmodels = "demo"', "models: found 'demo'; expected a table [models]"),
        ('kind = "openmoji"\nhomepage = "javascript:alert(1)"', "expected a link by http or https"),
        ('kind = "openmoji"\ndate = "May 2024"', "date: found 'May 2024'; expected a date, YYYY-MM-DD"),
        ('kind = "folder"', "path: found nothing; expected the path that kind folder reads"),
        (
            'kind = "folder"\npath = "."\n[folder]\nrecursiv = true',
            "folder.recursiv: found an unknown key; did you",
        ),
        ('kind = "openmoji"\n[folder]\nrecursive = true', "folder: found the table of kind folder; expected"),
        ("kind = ", "test.toml: not TOML"),
        (
            'kind = "openmoji"\n[fetch]\nallow_networks = ["10.0.0.0/8", "museum"]',
            "fetch.allow_networks: found ['10.0.0.0/8', 'museum']; expected a list of texts, each a network such as",
        ),
        (
            'kind = "openmoji"\n[fetch]\nallow_ports = [0]',
            "expected a list of whole numbers at least 1 and at most 65535",
        ),
        (
            'kind = "openmoji"\n[fetch]\nallow_ports = [true]',
            "fetch.allow_ports: found [True]; expected a list of whole",
        ),
        ('kind = "openmoji"\n[fetch]\nhonour_robots = false', "found an unknown key; did you mean honor_robots?"),
        ('kind = "folder"\npath = "."\n[filter]\nwidth_min = 3', "filter: found a table; expected none: kind folder"),
        ('kind = "csv-join"\npath = "."', "csv-join.pictures: found nothing; expected a text (1 more: manifest check"),
        ('kind = "embeddings"\npath = "."', "models.clip: found nothing; expected the open_clip model of the vectors"),
        (
            'kind = "embeddings"\npath = "."\n[models]\nclip = "a/b"\nvae = "c/d"',
            "models.vae: found 'c/d'; expected nothing: kind embeddings encodes no picture",
        ),
    ],
)
def test_a_fault_names_key_found_and_expected(text: str, words: str) -> None:
    """The one line of a fault says which key, what was found and what is allowed."""
    message = fault(text)
    assert message.startswith("test.toml: ")
    assert words in message
    assert "\n" not in message


def test_check_lists_every_fault_and_load_counts_them(tmp_path: Path) -> None:
    """`check` gives a line for each fault; `load` stops at the first and says how many follow."""
    path = tmp_path / "bad.toml"
    path.write_text('kind = "openmoji"\ncolour = 1\nauthor = 2\n[split]\nseed = -1\n')
    assert len(manifest.check(path)) == 3
    with pytest.raises(ManifestError, match=r"\(2 more: manifest check bad\.toml\)"):
        manifest.load(path)


def test_unreadable_files_are_explained(tmp_path: Path) -> None:
    """A missing file and one that is not UTF-8 are faults of one line, for `check` too."""
    assert "cannot be read" in manifest.check(tmp_path / "none.toml")[0]
    latin = tmp_path / "latin.toml"
    latin.write_bytes('title = "é"'.encode("latin-1"))
    assert "is not UTF-8" in manifest.check(latin)[0]
    marked = tmp_path / "marked.toml"
    marked.write_text('kind = "openmoji"\n', encoding="utf-8-sig")
    assert manifest.check(marked) == [], "editors that put a byte order mark before a file are forgiven"


def test_relative_paths_start_at_the_manifests_folder(tmp_path: Path) -> None:
    """A loaded manifest finds its files wherever the program runs."""
    (tmp_path / "m.toml").write_text('kind = "folder"\npath = "pictures"\n')
    found = manifest.load(tmp_path / "m.toml")
    assert found.resolve(found.path or "") == tmp_path.resolve() / "pictures"


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(
    kind=st.sampled_from(sorted(KINDS)),
    plain=st.dictionaries(st.sampled_from(["name", "title", "licence", "attribution", "author"]), texts),
    relation=st.sampled_from(list(Relation)),
    generators=st.lists(texts, max_size=3),
    share=st.floats(0, 1),
    captions=st.dictionaries(texts, texts, max_size=3),
    fetch=st.fixed_dictionaries(
        {}, optional={"contact": texts, "delay": st.floats(0, 9), "allow_ports": st.lists(st.integers(1, 65_535))}
    ),
    kept=st.fixed_dictionaries({}, optional={"language": st.lists(texts), "width_min": st.integers(1, 999)}),
)
def test_a_written_manifest_reads_back_the_same(
    kind: str,
    plain: dict[str, str],
    relation: Relation,
    generators: list[str],
    share: float,
    captions: dict[str, str],
    fetch: dict[str, object],
    kept: dict[str, object],
) -> None:
    """`dumps` and `to_dict` lose nothing, whatever the texts are."""
    document = {"kind": kind, "path": "p", **plain, "captions": captions, "split": {"share": share}}
    document[kind] = {name: "x" for name, key in KINDS[kind].keys.items() if key.required}
    document |= {"models": {"clip": "a/b"}, "fetch": fetch} | ({"filter": kept} if KINDS[kind].filters else {})
    document["training"] = {"relation": relation.value, "generators": generators}
    found = manifest.from_dict(document, base=HERE, file="test.toml")
    assert manifest.parse(manifest.dumps(found), base=HERE, file="test.toml") == found
    assert manifest.from_dict(manifest.to_dict(found), base=HERE, file="test.toml") == found
