"""The table of words: complete in every language, used, and careful with what numbers and relations allow."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest

from explorer.records import Relation
from webapp import strings
from webapp.english import ENGLISH
from webapp.strings import LANGUAGES, Words, share

WEBAPP = Path(strings.__file__).parent


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def literals() -> set[str]:
    """Return every string constant of webapp/, and for f-strings the part before the first blank."""
    found: set[str] = set()
    for path in sorted(WEBAPP.rglob("*.py")):
        if path.name == "english.py" or "node_modules" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_keys_and_blanks(language: str) -> None:
    """A language is a table with English's keys, each with the same blanks."""
    table = LANGUAGES[language]
    assert table.keys() == ENGLISH.keys()
    assert {key: blanks(text) for key, text in table.items()} == {key: blanks(text) for key, text in ENGLISH.items()}


def test_every_key_in_the_code_is_in_the_table() -> None:
    """No panel asks for words that are not there."""
    prefixes = {key.split(".")[0] for key in ENGLISH}
    pattern = re.compile(rf"({'|'.join(sorted(prefixes))})(\.[a-z_]+)+")
    asked = {text for text in literals() if pattern.fullmatch(text)}
    known = set(ENGLISH) | {key.rpartition(".")[0] for key in ENGLISH if key.endswith((".training", ".corpus"))}
    assert not asked - known, sorted(asked - known)


def test_every_word_is_used() -> None:
    """No words stand in the table that no panel shows."""
    used = literals()
    groups = {"live", "map", "bring", "way"}  # handed to the scripts whole
    whole = {text for text in used if text.endswith(".")}
    unused = [
        key
        for key in ENGLISH
        if key.split(".")[0] not in groups
        and key not in used
        and key.rpartition(".")[0] not in used
        and not any(key.startswith(prefix) for prefix in whole)
    ]
    assert not unused, unused


@pytest.mark.parametrize(
    ("percentile", "words"),
    [
        (0.0, "almost none"),
        (0.99, "almost none"),
        (1.0, "1 %"),
        (97.9, "97 %"),
        (99.0, "99.0 %"),
        (99.99, "99.9 %"),
        (100.0, "100 %"),
    ],
)
def test_a_percentile_in_words_never_claims_more_than_was_measured(percentile: float, words: str) -> None:
    """Percentiles are rounded down."""
    assert share(percentile) == words


@pytest.mark.parametrize("relation", Relation)
def test_only_all_and_sample_may_be_called_training_pictures(relation: Relation) -> None:
    """The relation of the corpus to the generator rules the words."""
    said = Words().ruled("nearest.title", relation)
    assert ("training" in said) == (relation in (Relation.ALL, Relation.SAMPLE))


def test_no_words_claim_a_cause() -> None:
    """A neighbor is a resemblance: nothing on the page says that a picture was made from another."""
    claims = re.compile(r"made from|copied from|based on|derived|inspired by", re.IGNORECASE)
    allowed = {"about.limits.resemblance"}  # it says that no picture is
    assert not [key for key, text in ENGLISH.items() if claims.search(text) and key not in allowed]
