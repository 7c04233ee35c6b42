"""YAML as a catalog writes it: which text is which value, and where each key stands."""

from datetime import date, datetime
from typing import Any

import pytest

from valtag_assets.spec.yaml_text import LinedList, LinedMap, YamlError, read_yaml


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("28", 28),
        ("-3", -3),
        ("0", 0),
        ("0x1F", 31),
        ("0.50", 0.5),
        ("1e3", 1000.0),
        (".inf", float("inf")),
        ("true", True),
        ("~", None),
        ("2024-02-29", date(2024, 2, 29)),
        ("2024-02-29 06:05:04", datetime(2024, 2, 29, 6, 5, 4)),
        ('"28"', "28"),
        ("!!str 28", "28"),
        # Each of these is something else in older YAML, or to a careless reader.
        ("06:00", "06:00"),
        ("yes", "yes"),
        ("no", "no"),
        ("007", "007"),
        ("16_25", "16_25"),
        ("30d", "30d"),
        ("-", "-"),
        ("+", "+"),
        ("1.2.3", "1.2.3"),
        ("2024-02-30", "2024-02-30"),
        ("２８", "２８"),
        ("上海", "上海"),
    ],
)
def test_a_scalar_is_the_value_it_looks_like_and_text_otherwise(written: str, value: Any) -> None:
    found = read_yaml(f"a: {written}\n" if written != "-" else 'a: "-"\n')["a"]
    assert (found, type(found)) == (value, type(value))


def test_every_key_and_item_knows_its_line() -> None:
    found = read_yaml("a: 1\n\nb:\n  - x\n  - {c: 2,\n     d: 3}\n")
    assert isinstance(found, LinedMap) and found.lines == {"a": 1, "b": 3}
    items = found["b"]
    assert isinstance(items, LinedList) and items.lines == [4, 5]
    assert items[1].lines == {"c": 5, "d": 6}


def test_merged_keys_give_way_to_written_ones_and_keep_no_line_here() -> None:
    found = read_yaml("- &one {a: 1, b: 1}\n- &two {b: 2, c: 2}\n- <<: [*one, *two]\n  a: 3\n")
    assert found[2] == {"a": 3, "b": 1, "c": 2}
    assert found[2].lines == {"a": 4}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: *c\n", 2, "*c stands for nothing"),
        ("a: 1\nb: &b [*b]\n", 2, "*b stands for nothing"),
        ("a: 1\nb: !python/object:os.system x\n", 2, "is not used in a catalog"),
        ("a: 1\nb: !!int x\n", 2, "is not used in a catalog"),
        ("a: 1\n? [b]\n: 2\n", 2, "a key must be a single word"),
        ("a: 1\n<<: 2\n", 2, "<< takes a block"),
        ("a: 1\n---\nb: 2\n", 2, "a second document"),
        ("a: 1\n\tb: 2\n", 2, "never with tabs"),
        ("a: 1\nb: c: d\n", 2, "mapping values are not allowed"),
        ("a: é\x07\n", 1, "U+0007"),
        ("a: " + "[" * 500 + "]" * 500, 1, "nested too deep"),
    ],
)
def test_what_is_no_catalog_text_is_told_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(YamlError) as told:
        read_yaml(text)
    assert told.value.line == line and said in str(told.value)
