"""Conditions on records: read from words, held against columns, answered as plain Python answers them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_atlas import PER_GROUP, SmallAtlas

from explorer.atlas import Atlas
from explorer.columns import COLUMNS, Column, Kind, columns
from explorer.denylist import DenyKind, hashed
from explorer.errors import QueryError
from explorer.filters import LONGEST, MOST, OPERATORS, Filter, Operator, matching, parse, parse_all, where
from explorer.records import Record

ODD = 'a/b~c "d" = e'
INJECTIONS = ("'; DROP TABLE hidden; --", '" OR true OR "', "') OR 1=1 --", "%", "\\", "$1", "?")


def varied(record: Record) -> Record:
    """A record in which every column is unknown somewhere, and a column of the source holds several types."""
    number = (record.id - 1000) // 7
    mixed = (None, number, f"{number}", f"n{number}", number % 4 == 0, {"deep": number}, float(number) / 2)
    return replace(
        record,
        author=(None, "Ada", "ada lovelace", INJECTIONS[number % len(INJECTIONS)])[number % 4],
        width=(None, 8 * number)[number % 2],
        tags=() if number % 5 == 0 else (*record.tags, "x, y"),
        captions={} if number % 7 == 0 else dict(record.captions),
        placed=number % 3 == 0,
        punsafe=number / 60,
        extra={"mixed": mixed[number % 7], ODD: number, "NSFW": "UNLIKELY", "even": number % 2 == 0},
    )


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """A small atlas whose columns are as uneven as a stranger's."""
    return Atlas.open(SmallAtlas(change=varied).write(tmp_path_factory.mktemp("filters") / "small"))


def found(atlas: Atlas, *conditions: str) -> list[int]:
    mask = matching(atlas, parse_all(conditions))
    return sorted(atlas.ids[mask].tolist())


def expected(atlas: Atlas, holds: Callable[[Record], Any]) -> list[int]:
    return sorted(record.id for record in atlas.records(atlas.ids) if holds(record))


def number_of(value: Any) -> float | None:  # noqa: ANN401 - whatever the source holds
    try:
        return None if isinstance(value, (bool, dict)) or value is None else float(value)
    except ValueError:
        return None


COMPARED: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.IS: operator.eq,
    Operator.IS_NOT: operator.ne,
    Operator.AT_LEAST: operator.ge,
    Operator.AT_MOST: operator.le,
    Operator.ABOVE: operator.gt,
    Operator.BELOW: operator.lt,
}


@pytest.mark.parametrize("sign", COMPARED)
def test_numbers_compare_as_numbers(atlas: Atlas, sign: Operator) -> None:
    """A number of the atlas's own, and what reads as one in the source's, compare by value; unknown never matches."""
    holds = COMPARED[sign]
    assert found(atlas, f"width {sign} 96") == expected(atlas, lambda r: r.width is not None and holds(r.width, 96))
    if sign is Operator.IS_NOT:
        return
    mixed = expected(atlas, lambda r: (n := number_of(r.extra["mixed"])) is not None and holds(n, 15))
    assert found(atlas, f"mixed {sign} 15") == found(atlas, f"extra.mixed {sign} 1.5e1") == mixed
    assert mixed


@pytest.mark.parametrize("sign", COMPARED)
def test_texts_compare_as_texts(atlas: Atlas, sign: Operator) -> None:
    """A text column takes what is written for a text, even where it looks like a number."""
    holds = COMPARED[sign]
    assert found(atlas, f'author {sign} "Ada"') == expected(
        atlas, lambda r: r.author is not None and holds(r.author, "Ada")
    )
    assert found(atlas, f"key {sign} 7") == expected(atlas, lambda r: holds(r.key, "7"))


def test_contains_looks_past_the_case_and_never_over_two_texts(atlas: Atlas) -> None:
    """`~` finds a part of a text, of one tag, of a caption in any language."""
    assert found(atlas, "author ~ ADA") == expected(atlas, lambda r: r.author and "ada" in r.author.lower())
    assert found(atlas, "tags ~ HAP") == expected(atlas, lambda r: any("hap" in tag for tag in r.tags))
    assert found(atlas, "caption ~ 形") == expected(atlas, lambda r: any("形" in text for text in r.captions.values()))
    assert found(atlas, "caption ~ Blue") == expected(atlas, lambda r: "blue" in r.captions.get("en", ""))
    assert found(atlas, "tags ~ shapex") == found(atlas, "tags ~ redshape") == []
    assert found(atlas, "mixed ~ n1") == expected(atlas, lambda r: "n1" in str(r.extra["mixed"]))


def test_several_texts_are_asked_one_by_one(atlas: Atlas) -> None:
    """`=` finds a row one of whose tags or captions it is."""
    assert found(atlas, "tags = red") == expected(atlas, lambda r: "red" in r.tags)
    assert found(atlas, 'tags = "x, y"') == expected(atlas, lambda r: "x, y" in r.tags)
    assert found(atlas, 'caption = "形状 3"') == expected(atlas, lambda r: "形状 3" in r.captions.values())


def test_unknown_can_be_asked_for_and_meets_nothing_else(atlas: Atlas) -> None:
    """`= null` and `!= null` share out all rows, for every column; a quoted null is the word."""
    empty = {"author": None, "width": None, "tags": (), "captions": {}}
    for name, nothing in empty.items():
        column = "caption" if name == "captions" else name
        unknown = expected(atlas, lambda r: getattr(r, name) == nothing)  # noqa: B023 - asked at once
        assert found(atlas, f"{column} = null") == unknown
        assert sorted([*unknown, *found(atlas, f"{column} != null")]) == sorted(atlas.ids.tolist())
    assert found(atlas, "mixed = null") == expected(atlas, lambda r: r.extra["mixed"] is None)
    assert found(atlas, 'author = "null"') == []


def test_truths(atlas: Atlas) -> None:
    """True and false are values of their own, in the source's columns too."""
    assert found(atlas, "placed = true") == found(atlas, "placed != false") == expected(atlas, lambda r: r.placed)
    assert found(atlas, "even = false") == expected(atlas, lambda r: not r.extra["even"])


def test_conditions_all_hold(atlas: Atlas) -> None:
    """Several filters leave what each of them leaves; none leaves everything."""
    both = found(atlas, "placed = true", "width > 100")
    assert both == sorted(set(found(atlas, "placed = true")) & set(found(atlas, "width > 100")))
    assert found(atlas) == sorted(atlas.ids.tolist())


def test_odd_names_of_columns(atlas: Atlas) -> None:
    """A column of the source may be named with blanks, quotes, slashes and operators."""
    quoted = '"a/b~c \\"d\\" = e"'
    assert found(atlas, f"{quoted} < 3") == expected(atlas, lambda r: r.extra[ODD] < 3)
    assert str(parse(f"{quoted} < 3")) == '"extra.a/b~c \\"d\\" = e" < 3'


@pytest.mark.parametrize("value", INJECTIONS)
def test_values_are_bound_and_never_part_of_the_statement(atlas: Atlas, value: str) -> None:
    """What would change a statement is a text to look for, and finds the rows that hold it."""
    for sign in ("=", "~"):
        made = Filter("author", Operator(sign), value, value)
        assert value not in where([made]).sql.replace("?", "") or value == "?"
        assert value in where([made]).parameters
        held = operator.eq if sign == "=" else operator.contains
        ids = sorted(atlas.ids[matching(atlas, [parse(str(made))])].tolist())
        assert ids == expected(atlas, lambda r: r.author is not None and held(r.author, value))  # noqa: B023
    assert len(atlas.query("SELECT id FROM records")) == len(atlas)


def test_what_was_taken_down_is_never_found(tmp_path: Path) -> None:
    """A takedown reaches filters at once."""
    root = SmallAtlas().write(tmp_path / "small")
    atlas = Atlas.open(root)
    line = f'{{"kind": "key", "sha256": "{hashed(DenyKind.KEY, "red-0")}", "at": "2025-01-01T00:00:00Z"}}\n'
    (root / "denylist.jsonl").write_text(line, "utf-8")
    assert found(atlas, "tags = red") == [1000 + 7 * row for row in range(1, PER_GROUP)]


UNSAFE = (
    "punsafe > 0.4", "punsafe >= 0.4", "punsafe = 0.9", "punsafe != 0", "punsafe = null", "punsafe != null",
    "NSFW = NSFW", "extra.NSFW != UNLIKELY", "extra.is_unsafe = true", "safety_label ~ x",
)  # fmt: skip


@pytest.mark.parametrize("text", UNSAFE)
def test_nothing_filters_towards_unsafe_pictures(text: str) -> None:
    """What would gather flagged pictures is refused as it is read; what leads away from them is not."""
    with pytest.raises(QueryError, match="nothing is filtered"):
        parse(text)


def test_away_from_unsafe_pictures_is_allowed(atlas: Atlas) -> None:
    """Punsafe takes a greatest value."""
    assert found(atlas, "punsafe <= 0.25") == expected(atlas, lambda r: r.punsafe <= 0.25)


WRONG = {
    "": "expected COLUMN",
    "width": "expected COLUMN",
    "width >": "expected COLUMN",
    "> 3": "expected COLUMN",
    "author = a\nb": "expected COLUMN",
    'author = "a': "expected COLUMN",
    'author = "\\q"': "escape",
    "author = " + "x" * LONGEST: "at most 500",
    "width = wide": "expected a number for width",
    "placed = 1": "expected true or false for placed",
    "tags > a": "expected one of ~ = != after tags",
    "width ~ 1": "after width",
    "author > null": "only be asked for by",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_condition_is_refused_in_one_line(text: str) -> None:
    """Each fault says what was found and what was expected."""
    with pytest.raises(QueryError, match=WRONG[text]) as error:
        parse(text)
    assert "\n" not in str(error.value)


def test_an_unknown_column_is_named_with_those_there_are(atlas: Atlas) -> None:
    """A typing error is no empty answer."""
    with pytest.raises(QueryError, match="no column 'widht'; expected one of caption, .*extra.even"):
        matching(atlas, parse_all(["widht > 3"]))
    with pytest.raises(QueryError, match=f"at most {MOST}"):
        parse_all(["width > 3"] * (MOST + 1))


def test_columns_are_those_that_some_picture_knows(atlas: Atlas) -> None:
    """The list has the atlas's own and the source's with what they hold; none tells how unsafe a picture is."""
    listed = columns(atlas)
    assert Column("tags", Kind.TEXTS) in listed and Column("width", Kind.NUMBER) in listed
    names = [column.name for column in listed]
    assert not {"aesthetic", "pwatermark", "fetched_at", "punsafe", "extra.NSFW"} & set(names)
    own = {column.name: column.kind for column in listed if column.name.startswith("extra.")}
    assert own == {f"extra.{ODD}": Kind.NUMBER, "extra.even": Kind.BOOL, "extra.mixed": Kind.TEXT}
    for column in listed:
        assert matching(atlas, [Filter(column.name, Operator.IS_NOT, None, "null")]).any()


words = st.one_of(st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), min_size=1, max_size=20),
                  st.sampled_from(["null", "true", "12", "-1.5e3", "inf", "nan", "0x1f", *INJECTIONS]))  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    column=st.one_of(st.sampled_from(sorted(set(COLUMNS) - {"punsafe"})), words),
    sign=st.sampled_from(Operator),
    value=words,
)
def test_a_condition_reads_back_as_it_was_written(column: str, sign: Operator, value: str) -> None:
    """`str` of a filter is read as the same filter, for any column and value."""
    for text in (f"{column} {sign} {value}", f"{quoted(column)}{sign}{quoted(value)}"):
        try:
            made = parse(text)
        except QueryError:
            continue
        assert parse(str(made)) == made
        assert made.kind is None or made.operator in OPERATORS[made.kind]


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_the_manuals_examples_are_conditions() -> None:
    """Every example of docs/filters.md is read, and as what it says it is."""
    manual = (Path(__file__).parent.parent / "docs" / "filters.md").read_text("utf-8")
    examples = [parse(line.split("`")[1]) for line in manual.splitlines() if line.startswith("| `")]
    assert {made.operator for made in examples} >= {Operator.CONTAINS, Operator.IS, Operator.AT_LEAST, Operator.BELOW}
    assert [made.column for made in examples][-2:] == ["extra.date of birth", "placed"]
