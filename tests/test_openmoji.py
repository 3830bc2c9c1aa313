"""The demo's corpus: names, families, the split, and renders."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from explorer.errors import PictureError, RejectReason
from explorer.records import Split
from indexer.sources import emojibase
from indexer.sources.base import SourceRow
from indexer.sources.openmoji import HELDOUT_SHARE, OpenMojiSource, split_of


@pytest.fixture(scope="module")
def source() -> OpenMojiSource:
    return OpenMojiSource()


@pytest.fixture(scope="module")
def rows(source: OpenMojiSource) -> dict[str, SourceRow]:
    return {row.key: row for row in source.rows()}


def test_every_named_emoji_is_there_once(source: OpenMojiSource, rows: dict[str, SourceRow]) -> None:
    """About four thousand rows in a fixed order, each with a name, a group, a licence and a page of its own."""
    listed = list(source.rows())
    assert [row.key for row in listed] == list(rows) == sorted(rows)
    assert 4_000 <= len(rows) <= 4_300
    assert all(row.captions["en"] and row.group and row.licence == "CC BY-SA 4.0" for row in listed)
    assert len({row.page_url for row in listed}) == len(listed)
    assert sum("zh" in row.captions for row in listed) >= 3_900


def test_a_row_says_what_emojibase_and_openmoji_say(rows: dict[str, SourceRow]) -> None:
    """Names and tags come in both languages; a skin tone bears its base's tags."""
    cat, fist = rows["1F431"], rows["1F44A-1F3FB"]
    assert cat.captions == {"en": "cat face", "zh": "猫脸"}
    assert "cat" in cat.tags["en"] and "猫" in cat.tags["zh"]
    assert cat.group == "animals & nature"
    assert cat.page_url == "https://openmoji.org/library/emoji-1F431/"
    assert cat.extra["emoji"] == "🐱"
    assert fist.captions["en"] == "oncoming fist: light skin tone"
    assert fist.tags == rows["1F44A"].tags


def test_pictures_without_a_real_name_are_left_out(rows: dict[str, SourceRow]) -> None:
    """OpenMoji's inventions have no name; a character that Unicode alone names has Unicode's."""
    assert not [key for key in rows if key.startswith(("E0", "E1", "F"))]
    assert rows["2654"].captions == {"en": "white chess king"}


def test_a_family_is_an_emoji_with_its_skin_tones(rows: dict[str, SourceRow]) -> None:
    """Skin tones and mixed couples join their base; gendered emoji are emoji of their own."""
    assert rows["1F44A-1F3FB"].family == rows["1F44A"].family
    couple = [row for row in rows.values() if row.captions["en"].startswith("women holding hands")]
    assert len(couple) > 20 and len({row.family for row in couple}) == 1
    woman, man = (rows[f"{code}-200D-1F52C"].family for code in ("1F469", "1F468"))
    assert woman != man


def test_no_family_is_in_both_splits(rows: dict[str, SourceRow]) -> None:
    """One family in ten is held out, whole; the choice depends on the family alone."""
    splits = defaultdict(set)
    for row in rows.values():
        splits[row.family].add(row.split)
        assert row.family is not None and row.split is split_of(row.family)
    assert all(len(found) == 1 for found in splits.values())
    share = Counter(next(iter(found)) for found in splits.values())[Split.HELDOUT] / len(splits)
    assert abs(share - HELDOUT_SHARE) < 0.02


def test_renders_are_on_white(source: OpenMojiSource, rows: dict[str, SourceRow]) -> None:
    """64 px for the models, 256 px for the screen, rendered and not enlarged."""
    data = source.read(rows["2764"])
    decoded = source.decoder(data)
    small, large = decoded.picture, decoded.thumbnail
    assert (small.mode, small.size, large.size) == ("RGB", (64, 64), (256, 256))
    assert small.getpixel((0, 0)) == large.getpixel((255, 255)) == (255, 255, 255)
    red, green, _ = large.getpixel((128, 128))
    assert red > 180 and green < 120
    enlarged = np.asarray(small.resize((256, 256)), float)
    assert np.abs(enlarged - np.asarray(large, float)).max() > 100


def test_what_cannot_be_rendered_has_a_reason(tmp_path: Path, rows: dict[str, SourceRow]) -> None:
    """A missing file and a broken one are told apart."""
    broken = OpenMojiSource(tmp_path)
    with pytest.raises(PictureError) as missing:
        broken.read(rows["1F431"])
    assert missing.value.reason is RejectReason.MISSING
    with pytest.raises(PictureError) as undecodable:
        broken.decoder(b"<svg")
    assert undecodable.value.reason is RejectReason.DECODER


def test_no_two_families_are_drawn_alike(source: OpenMojiSource, rows: dict[str, SourceRow]) -> None:
    """No held-out picture has a twin in training: `openmoji_alike` names every pair of equal renders."""
    families: dict[bytes, str | None] = {}
    for row in rows.values():
        picture = source.open(row).tobytes()
        assert families.setdefault(picture, row.family) == row.family, row.key


def test_the_table_is_written_from_emojibase(tmp_path: Path) -> None:
    """`write_table` keeps labels, tags and groups of both languages, and names skin tones by their own label."""
    package = tmp_path / "emojibase-data"
    words = {"en": ("hand", "light hand", "palm", "people", "hands"), "zh": ("手", "浅色手", "掌", "人", "手部")}
    for language, (label, tone, tag, group, subgroup) in words.items():
        skins = [{"hexcode": "270B-1F3FB", "label": tone}]
        entry = {"hexcode": "270B-FE0F", "label": label, "tags": [tag], "group": 1, "subgroup": 2, "skins": skins}
        messages = {"groups": [{"key": "g", "message": group}], "subgroups": [{"key": "s", "message": subgroup}]}
        messages["groups"].append({"key": "component", "message": "component"})
        _write(package / language / "data.json", [entry])
        _write(package / language / "messages.json", messages)
    _write(package / "meta" / "groups.json", {"groups": {"1": "g"}, "subgroups": {"2": "s"}})
    _write(package / "package.json", {"version": "1.2.3"})
    emojibase.write_table(package, tmp_path / "table.json")
    table = emojibase.read_table(tmp_path / "table.json")
    assert list(table) == ["270B", "270B-1F3FB"]
    toned = table["270B-1F3FB"]
    assert (toned.base, toned.labels) == ("270B", {"en": "light hand", "zh": "浅色手"})
    assert toned.tags == {"en": ("palm",), "zh": ("掌",)}
    assert (toned.group, toned.subgroup) == ({"en": "people", "zh": "人"}, {"en": "hands", "zh": "手部"})


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
