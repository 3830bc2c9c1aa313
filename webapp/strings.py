"""The page's words, looked up in one table a language: ``words("found.title", count="12")``.

A language is a table with the same keys and the same blanks as `webapp.english`, which a test holds it to.
"""

from __future__ import annotations

from collections.abc import Mapping

from explorer.records import Relation
from explorer.words import share as share
from webapp.english import ENGLISH

LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": ENGLISH}


class Words:
    """The page's words in one language."""

    def __init__(self, language: str = "en") -> None:
        self.language = language
        self._table = LANGUAGES[language]

    def __call__(self, key: str, **blanks: object) -> str:
        """Return the words at `key` with its blanks filled; an unknown key or blank raises KeyError."""
        text = self._table[key]
        return text.format(**blanks) if blanks else text

    def group(self, prefix: str) -> dict[str, str]:
        """Return all words below `prefix`, keyed by what follows it; blanks stay open for the scripts."""
        return {key[len(prefix) + 1 :]: text for key, text in self._table.items() if key.startswith(f"{prefix}.")}

    def ruled(self, key: str, relation: Relation, **blanks: object) -> str:
        """Return the form of `key` that the corpus's relation to the generator allows.

        Only with `all` or `sample` are neighbors called training pictures.
        """
        return self(f"{key}.{'training' if relation.is_training else 'corpus'}", **blanks)


def number(value: int) -> str:
    """Return a count with its thousands set apart."""
    return f"{value:,}"
