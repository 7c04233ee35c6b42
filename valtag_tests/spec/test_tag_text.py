"""Blocks put into a file of tags: everything that was there stays, to the byte."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valtag_assets.spec.tag_text import NoPlace, category_text, tag_text, with_tags, with_windows
from valtag_assets.spec.yaml_text import flow_yaml, read_yaml
from valtag_tests.soundness.code import PACKAGE

SPEND: dict[str, Any] = {
    "code": "spend",
    "title": {"zh": "消费金额", "en": "Spend: all of it"},
    "type": "decimal(18,2)",
    "value": {"fact": "orders", "agg": "sum", "of": "amount", "where": "status = 'paid'"},
    "windows": ["all", "30d"],
    "domain": {"min": 0},
    "empty": 0,
    "checks": [{"coverage": 0.5, "severity": "warn"}],
}
TIER: dict[str, Any] = {
    "code": "spend_tier",
    "title": {"zh": "消费档", "en": "no"},
    "type": "text",
    "band": {
        "of": "spend",
        "steps": [{"code": "low", "title": {"zh": "1e5", "en": "16_25"}}, {"code": "b", "from": 1}],
    },
}
FILES = sorted((PACKAGE / "catalogs").glob("*/tags/*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.parent.name}.{file.stem}")
def test_every_line_of_a_shipped_file_stays_as_it_is(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    more = with_tags(text, [SPEND, TIER])
    added = more.splitlines()
    for line in text.splitlines():
        added.remove(line)
    assert added == (tag_text(SPEND, 2) + tag_text(TIER, 2)).splitlines()
    before, after = read_yaml(text), read_yaml(more)
    assert [tag for tag in after["tags"] if tag not in (SPEND, TIER)] == before["tags"]
    assert after["tags"].index(TIER) == after["tags"].index(SPEND) + 1
    assert {**after, "tags": None} == {**before, "tags": None}


def test_a_tag_goes_to_the_end_of_its_branch_behind_the_notes_of_the_last_one_there() -> None:
    text = """\
category: x
tags:
# money first
- code: a
  group: 金额
  type: text   # not a number
    # a note on a

# then the rest
- code: b
  group: 订单
"""
    more = with_tags(text, [{**SPEND, "group": "金额"}, {"code": "c", "type": "text"}])
    assert [tag["code"] for tag in read_yaml(more)["tags"]] == ["a", "spend", "b", "c"]
    note = more.index("    # a note on a\n")
    assert more[note:].startswith("    # a note on a\n- code: spend\n")
    assert more.endswith("- code: c\n  type: text\n")


def test_the_line_ends_of_the_file_are_kept_and_a_last_line_without_one_gets_it() -> None:
    more = with_tags("category: x\r\ntags:\r\n  - code: a\r\n    type: text", [SPEND])
    assert more.count("\n") == more.count("\r\n") == 4 + len(tag_text(SPEND, 2).splitlines())
    assert read_yaml(more)["tags"][1] == SPEND


def test_a_text_over_several_lines_is_not_cut() -> None:
    text = "tags:\n  - code: a\n    value: >-\n      case when a\n      # no comment\n      end\n\nlaws: []\n"
    more = with_tags(text, [SPEND])
    assert read_yaml(more)["tags"][0] == read_yaml(text)["tags"][0]
    assert read_yaml(more)["tags"][1] == SPEND and read_yaml(more)["laws"] == []


@pytest.mark.parametrize(
    "text", ["tags: []\n", "tags: [{code: a}]\n", "category: x\n", "old: &a [{code: a}]\ntags: *a\n", "tags: 1\n"]
)
def test_tags_that_are_no_list_of_blocks_are_refused(text: str) -> None:
    with pytest.raises(NoPlace):
        with_tags(text, [SPEND])


def test_windows_are_added_to_those_a_tag_has() -> None:
    text = "tags:\n  - code: a\n    windows: [all, 30d]  # both\n    empty: 0\n  - code: b\n    type: text\n"
    assert with_windows(text, "a", ["mtd"]) == text.replace("30d]", "30d, mtd]")
    assert with_windows(text, "b", ["7d"]) == text + "    windows: [all, 7d]\n"
    with pytest.raises(NoPlace):
        with_windows("tags:\n  - {code: a, type: text}\n", "a", ["7d"])


def test_a_whole_file_says_what_it_was_given() -> None:
    heading = {
        "category": "x",
        "title": {"zh": "类", "en": "X"},
        "refresh": {"schedule": "daily", "deadline": "06:00"},
    }
    assert read_yaml(category_text(heading, [SPEND, TIER])) == {**heading, "tags": [SPEND, TIER]}


@given(
    st.text()
    | st.sampled_from(["1e5", "016", "16_25", "no", "~", "06:00", "2024-01-31", "=", "", "a\nb", "#x", "\x85"])
)
def test_any_text_is_read_back_as_it_was(text: str) -> None:
    if all(character.isprintable() or character in "\n\t" for character in text):
        assert read_yaml(f"a: {flow_yaml({'en': text})}\n") == {"a": {"en": text}}
        assert read_yaml(f"a: {flow_yaml(text)}\n") == {"a": text}
