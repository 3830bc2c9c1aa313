"""The emojibase table: names, tags and groups of every emoji, in English and Chinese.

`write_table` turns the npm package emojibase-data (MIT, with Unicode's notice) into one compact JSON file beside
this module. The build hook imports this file by its path, so it needs the standard library alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "zh")
TABLE = Path(__file__).with_name("emojibase.json")
_COMPONENT = "component"


@dataclass(frozen=True)
class EmojiEntry:
    """What emojibase knows of one emoji; mappings are by language, "en" and "zh"."""

    code: str
    base: str
    labels: Mapping[str, str]
    tags: Mapping[str, tuple[str, ...]]
    group: Mapping[str, str]
    subgroup: Mapping[str, str]


def plain_code(code: str) -> str:
    """Drop the variation selector FE0F, in which emojibase's and OpenMoji's spellings of one emoji differ."""
    return "-".join(part for part in code.upper().split("-") if part != "FE0F")


def read_table(path: Path = TABLE) -> dict[str, EmojiEntry]:
    """Read a table that `write_table` wrote; the keys are plain codes."""
    table = json.loads(path.read_text(encoding="utf-8"))
    groups, subgroups = table["groups"], table["subgroups"]
    entries = {}
    for code, base, group, subgroup, labels, tags in table["emoji"]:
        entries[code] = EmojiEntry(
            code=code,
            base=base,
            labels=_by_language(labels),
            tags={language: tuple(words) for language, words in _by_language(tags).items()},
            group=_by_language(groups[group]),
            subgroup=_by_language(subgroups[subgroup]) if subgroup else {},
        )
    return entries


def write_table(emojibase_dir: Path, out: Path) -> None:
    """Write the table `out` from the unpacked npm package emojibase-data at `emojibase_dir`."""
    data = {language: _load(emojibase_dir / language / "data.json") for language in LANGUAGES}
    table = {
        "version": _load(emojibase_dir / "package.json")["version"],
        "groups": _messages(emojibase_dir, "groups"),
        "subgroups": _messages(emojibase_dir, "subgroups"),
        "emoji": list(_emoji_rows(data, _load(emojibase_dir / "meta" / "groups.json"))),
    }
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    out.write_text(text + "\n", encoding="utf-8")


def _emoji_rows(data: Mapping[str, Any], meta: Mapping[str, Any]) -> Iterator[list[Any]]:
    """One row an emoji and one a skin tone: code, base, group, subgroup, labels, tags; the last two by language.

    A skin tone bears its base's tags: emojibase gives it none of its own.
    """
    others = [{entry["hexcode"]: entry for entry in data[language]} for language in LANGUAGES]
    for entry in data["en"]:
        base = entry["hexcode"]
        bases = [entries.get(base, {}) for entries in others]
        tags = [found.get("tags", []) for found in bases]
        group = meta["groups"].get(str(entry.get("group")), _COMPONENT)
        subgroup = meta["subgroups"].get(str(entry.get("subgroup")))
        yield [plain_code(base), plain_code(base), group, subgroup, [found.get("label") for found in bases], tags]
        tones = [{tone["hexcode"]: tone["label"] for tone in found.get("skins", [])} for found in bases]
        for code in tones[0]:
            labels = [found.get(code) for found in tones]
            yield [plain_code(code), plain_code(base), group, subgroup, labels, tags]


def _messages(emojibase_dir: Path, kind: str) -> dict[str, list[str]]:
    """Names of the groups or subgroups: key -> one name a language."""
    tables = [
        {message["key"]: message["message"] for message in _load(emojibase_dir / language / "messages.json")[kind]}
        for language in LANGUAGES
    ]
    return {key: [table[key] for table in tables] for key in tables[0]}


def _by_language(values: list[Any]) -> dict[str, Any]:
    return {language: value for language, value in zip(LANGUAGES, values, strict=True) if value}


def _load(path: Path) -> Any:  # noqa: ANN401 - JSON is what it is
    return json.loads(path.read_text(encoding="utf-8"))
