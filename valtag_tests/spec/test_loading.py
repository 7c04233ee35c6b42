"""Files that are no valid catalog files: each mistake with its file, its line and a way out."""

from pathlib import Path
from typing import Any

import pytest

from valtag_assets.spec.loading import CatalogFile, read_file
from valtag_assets.spec.project import Project
from valtag_tests import kit
from valtag_tests.kit import problems

TAGS = """\
category: t
title: {zh: 类, en: Class}
tags:
  - code: order_count
    title: {zh: 订单数, en: Orders}
    type: integer
    value: {fact: orders, agg: count}
"""


def in_tags(folder: Path, text: Any) -> list[str]:
    return problems(folder, {"tags/t.yaml": text})


def test_a_sound_catalog_has_no_problem(tmp_path: Path) -> None:
    assert in_tags(tmp_path, TAGS) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "    type: integer",
            "    typ: integer",
            "tags/t.yaml:6: tags[order_count].typ: unknown key 'typ'; did you mean 'type'?",
        ),
        (
            "    type: integer",
            "    type: intger",
            "tags/t.yaml:6: tags[order_count].type: unknown type 'intger'; types are",
        ),
        ("    type: integer", "    type: 5", "tags/t.yaml:6: tags[order_count].type: a type is written as text"),
        ("    type: integer", "    type: decimal(40,2)", "tags/t.yaml:6: tags[order_count].type: 'decimal(40,2)'"),
        ("    type: integer\n", "", "tags/t.yaml:4: tags[order_count]: 'type' is missing"),
        (
            "agg: count}",
            "agg: cuont}",
            "tags/t.yaml:7: tags[order_count].value.agg: 'cuont' is none of count, count_distinct,",
        ),
        (
            "agg: count}",
            "agg: count, wehre: gift}",
            "tags/t.yaml:7: tags[order_count].value.wehre: unknown key 'wehre'; did you mean 'where'?",
        ),
        ("agg: count}", "agg: sum}", "tags/t.yaml:7: tags[order_count].value: agg sum needs of"),
        ("agg: count}", "agg: count, of: brand}", "agg count takes no of"),
        ("agg: count}", "agg: count, k: 3}", "k belongs to agg top_k or list, not to count"),
        ("agg: count}", "agg: sum, of: amount, ties: [count()]}", "ties belongs to agg top or top_k, not to sum"),
        ("agg: count}", "agg: quantile, of: amount}", "agg quantile needs q"),
        ("{fact: orders, agg: count}", "{master: members, of: city, where: is_vip}", "where is for facts"),
        ("{fact: orders, agg: count}", "{agg: count}", "value reads either a fact or a master"),
        (
            "{fact: orders, agg: count}",
            "[orders]",
            "tags/t.yaml:7: tags[order_count].value: must be a block with keys: agg, by",
        ),
        ("code: order_count", "code: 订单数", "'订单数' is no code: codes are lower-case ASCII letters"),
        ("code: order_count", 'code: "order_count\\n"', "is no code"),
        (
            "    type: integer",
            "    type: integer\n    windows: [30]",
            "tags/t.yaml:7: tags[order_count].windows[1]: Input should be a valid string (here: 30)",
        ),
        (
            "    type: integer",
            "    type: integer\n    windows: [30d, 3m]",
            "unknown window '3m'; windows are all, Nd",
        ),
        (
            "    type: integer",
            "    type: integer\n    windows: [30d, 30d]",
            "windows must name at least one window, and none of them twice",
        ),
        (
            "    type: integer",
            "    type: integer\n    domain: {min: 5, max: 1}",
            "domain: min 5.0 is not below max 1.0",
        ),
        ("    type: integer", "    type: integer\n    domain: {min: .nan}", "domain: min nan"),
        (
            "    type: integer",
            "    type: integer\n    owner: me",
            "owner 'me' is neither an e-mail address nor team:name",
        ),
        (
            "title: {zh: 订单数, en: Orders}",
            "title: {zh: 订单数}",
            "tags/t.yaml:5: tags[order_count].title: 'en' is missing",
        ),
        ("tags:\n", "tags: []\nlaws:\n", "tags/t.yaml:"),
    ],
)
def test_a_mistake_is_told_with_line_place_and_a_way_out(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in TAGS
    found = in_tags(tmp_path, TAGS.replace(old, new))
    assert any(expected in line for line in found), found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "tags/t.yaml:1: must hold keys and values at its top level (category, checks,"),
        ("# nothing\n", "it is empty"),
        ("- a\n- b\n", "it is a list"),
        ("just text\n", "it is a str"),
        (TAGS + "category: u\n", 'tags/t.yaml:8: is no valid YAML: found duplicate key "category"'),
        (TAGS.replace("    type: integer", "\ttype: integer"), "tags/t.yaml:6: is no valid YAML: "),
        (
            TAGS.replace("{fact: orders, agg: count}", "{fact: orders, agg: count"),
            "tags/t.yaml:8: is no valid YAML: ",
        ),
        (TAGS + "---\n" + TAGS, "is no valid YAML: "),
        (TAGS.replace("订单数", "订单数\x00"), "tags/t.yaml:5: holds a character YAML does not allow (U+0000)"),
        ("[" * 1200, "tags/t.yaml:1: is nested too deep"),
        ("category: &a [*a]\n", "tags/t.yaml:"),
        (
            "a: &a [x, x]\n"
            + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)),
            "once its anchors are written out",
        ),
    ],
    ids=["empty", "comment", "list", "text", "duplicate", "tab", "open", "two", "nul", "deep", "itself", "bomb"],
)
def test_a_file_that_is_no_catalog_file_is_one_clear_line(tmp_path: Path, text: str, expected: str) -> None:
    found = in_tags(tmp_path, text)
    assert any(expected in line for line in found), found
    assert all("\n" not in line for line in found)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("code: order_count", f"code: {'x' * 1_000_000}"),
        ("type: integer", f"type: {'x' * 1_000_000}"),
        ("agg: count", f"agg: {'x' * 1_000_000}"),
        ("fact: orders", f"fact: {'x' * 1_000_000}"),
        ("fact: orders", f"fact: orders, where: {'x' * 1_000_000}"),
        ("fact: orders", f"fact: orders, where: \"amount = '{'x' * 1_000_000}'\""),
        ("fact: orders", f"fact: orders, where: amount > {'9' * 1_000_000}"),
        ("fact: orders", f"fact: orders, where: '{'(' * 1_000_000}'"),
        ("fact: orders", f"fact: orders, where: {' or '.join(['amount > 1'] * 70_000)}"),
    ],
    ids=["code", "type", "choice", "name", "field", "literal", "number", "nesting", "chain"],
)
def test_a_megabyte_where_a_word_belongs_is_one_readable_line(tmp_path: Path, old: str, new: str) -> None:
    assert old in TAGS
    found = in_tags(tmp_path, TAGS.replace(old, new))
    assert len(found) == 1
    assert found[0].startswith("tags/t.yaml:") and len(found[0]) < 1500


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
def test_a_file_that_is_not_utf8_says_so(tmp_path: Path, encoding: str) -> None:
    (line,) = in_tags(tmp_path, TAGS.encode(encoding))
    assert line.startswith("tags/t.yaml:") and "is not UTF-8 (byte" in line


def test_the_line_of_a_wrong_byte_is_told(tmp_path: Path) -> None:
    (line,) = in_tags(tmp_path, TAGS.encode().replace("订单数".encode(), "订单数".encode("gb18030")))
    assert line.startswith("tags/t.yaml:5: is not UTF-8")


def test_a_byte_order_mark_windows_line_ends_and_anchors_are_fine(tmp_path: Path) -> None:
    text = TAGS.replace("title: {zh: 类, en: Class}", "title: &title {zh: 类, en: Class}")
    text += "  - {code: gift_count, title: *title, type: integer, value: {fact: orders, agg: count}}\n"
    assert in_tags(tmp_path, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()) == []


def test_a_mistake_in_merged_keys_points_at_the_line_where_it_is_written(tmp_path: Path) -> None:
    text = TAGS + "  - &base {code: a_count, title: {zh: a, en: a}, type: integer, value: {fact: orders, agg: cnt}}\n"
    text += "  - <<: *base\n    code: b_count\n"
    found = in_tags(tmp_path, text)
    assert [line.split(":")[1] for line in found] == ["8", "8"]
    assert all(".value.agg" in line for line in found)


def test_all_mistakes_of_all_files_come_at_once_in_order(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        {
            "project.yaml": kit.PROJECT + "timezon: UTC\n",
            "sources/orders.yaml": kit.ORDERS.replace("type: float", "type: flaot").replace(
                "kind: fact", "kindd: fact"
            ),
            "tags/t.yaml": TAGS.replace("type: integer", "type: int").replace("agg: count", "agg: cnt"),
            "tags/u.yaml": "category: [\n",
            "tags/v.yaml": TAGS.replace("category: t", "category: v")
            .replace("order_count", "gift_count")
            .replace("agg: count", "agg: count, where: gifft"),
            "tags/w.yml": "",
            "extra/x.yaml": "a: 1\n",
            "segments/s.yaml": {"segments": [{"code": "a", "title": {"zh": "a", "en": "a"}, "rule": "nonsense > 1"}]},
        },
    )
    places = [":".join(line.split(":")[:2]) for line in found]
    assert places == [
        "extra:1",
        "project.yaml:5",
        "segments/s.yaml:3",
        "sources/orders.yaml:1",
        "sources/orders.yaml:3",
        "sources/orders.yaml:13",
        "tags/t.yaml:6",
        "tags/t.yaml:7",
        "tags/u.yaml:2",
        "tags/w.yml:1",
    ], found
    # gifft is a field of a source that could not be read: nobody can tell whether it is wrong.


def test_what_refers_to_an_unreadable_file_is_not_blamed(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        {
            "tags/t.yaml": TAGS.replace("type: integer", "type: int"),
            "tags/u.yaml": kit.category(
                "u", kit.tag("is_buyer", "boolean", "order_count_30d > 0 or order_count > 0")
            ),
        },
    )
    assert len(found) == 1 and found[0].startswith("tags/t.yaml:6")


def test_a_folder_without_project_is_no_catalog(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, {"project.yaml": None})
    assert "is no catalog folder: project.yaml is missing" in line


@pytest.mark.parametrize("written", ["16_25", "007", "1_1.5"])
def test_a_code_that_looks_like_a_number_stays_what_was_written(tmp_path: Path, written: str) -> None:
    path = tmp_path / "project.yaml"
    path.write_text(f"name: x\ntitle: {{zh: 一, en: a}}\nstart: 2020-01-01\ncode_tables: {{t: {{{written}: [a]}}}}\n")
    read = read_file(path, Project)
    assert isinstance(read, CatalogFile)
    assert read.model.code_tables["t"] == {written: written, "a": written}
