"""Mistakes in reports: each is named with its line and a suggestion, before any data is read."""

from pathlib import Path
from typing import Any

import pytest

from valtag_tests import kit

TAGS = kit.category(
    "who",
    kit.tag("city", "text", {"master": "members", "of": "city"}),
    kit.tag("rate", "decimal(9,3)", {"master": "members", "of": "rate"}),
    kit.tag("phone", "text", {"master": "members", "of": "member"}, access="pii"),
)
SEGMENTS = {"segments": [{"code": "locals", "title": {"zh": "本地", "en": "Locals"}, "rule": "city = '上海'"}]}
HEAD = """\
reports:
  - code: numbers
    title: {zh: 数字, en: Numbers}
"""


def mistakes(folder: Path, text: str) -> list[str]:
    files = {"tags/who.yaml": TAGS, "segments/s.yaml": SEGMENTS, "reports/r.yaml": HEAD + text}
    return kit.problems(folder, files)


def measure(rest: str) -> str:
    return f"    measures: [{{code: m, title: {{zh: 数, en: M}}, {rest}}}]\n"


PERSONS = measure("agg: persons")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("    dimensions: [{tag: citty}]\n" + PERSONS, 4, "'citty' is no tag or score column; did you mean 'city'?"),
        ("    dimensions: [{tag: rate}]\n" + PERSONS, 4, "'rate' is a decimal(9,3); a dimension is a text"),
        ("    dimensions: [{tag: phone}]\n" + PERSONS, 4, "'phone' is personal data"),
        ("    dimensions: [{segment: local}]\n" + PERSONS, 4, "'local' is no segment; did you mean 'locals'?"),
        ("    dimensions: [{field: brand}]\n" + PERSONS, 4, "give the report its fact"),
        ("    fact: orders\n    dimensions: [{field: brnd}]\n" + PERSONS, 5, "'brnd' is no field of orders; did you"),
        ("    dimensions: [{tag: city, field: brand}]\n" + PERSONS, 4, "exactly one of tag, segment, field, date"),
        ("    dimensions: [{tag: city}]\n" + measure("agg: sum, of: amount"), 5, "name the fact"),
        ("    dimensions: [{tag: city}]\n" + measure("agg: persons, window: 30d"), 5, "name the fact"),
        (
            "    dimensions: [{tag: city}]\n" + measure("agg: sum, fact: order, of: amount"),
            5,
            "'order' is no fact; did",
        ),
        ("    dimensions: [{tag: city}]\n" + measure("agg: sum, fact: orders, of: brand"), 5, "needs a number"),
        (
            "    dimensions: [{tag: city}]\n" + measure("agg: sum, fact: orders, of: amout"),
            5,
            "did you mean 'amount'?",
        ),
        ("    dimensions: [{tag: city}]\n" + measure("agg: count, fact: orders, of: brand"), 5, "takes no of"),
        (
            "    dimensions: [{tag: city}]\n" + measure("agg: count, fact: orders, where: channel = 'ap'"),
            5,
            "did you mean 'app'?",
        ),
        (
            "    dimensions: [{tag: city}]\n" + measure("agg: count, fact: orders, window: 30days"),
            5,
            "unknown window '30days'",
        ),
        ("    dimensions: [{tag: city}]\n" + measure("share: n"), 5, "'n' is no measure with agg"),
        (
            "    dimensions: [{tag: city}]\n" + measure("agg: persons, share: m"),
            5,
            "exactly one of agg, share, ratio",
        ),
        ("    dimensions: [{tag: city}]\n    where: city = '沪'\n" + PERSONS, 5, "'沪'"),
        ("    dimensions: [{tag: city}]\n    segments: [lokals]\n" + PERSONS, 5, "'lokals' is no segment"),
        (
            "    dimensions: [{tag: city}]\n" + measure("agg: persons").replace("code: m", "code: city"),
            2,
            "called 'city'",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_a_suggestion(tmp_path: Path, text: str, line: int, said: str) -> None:
    (found,) = mistakes(tmp_path, text)
    assert found.startswith(f"reports/r.yaml:{line}:"), found
    assert said in found


def test_all_mistakes_of_a_report_are_named_at_once(tmp_path: Path) -> None:
    text = "    dimensions: [{tag: x}, {segment: y}]\n    where: z > 1\n" + measure("ratio: [a, b]")
    assert len(mistakes(tmp_path, text)) == 4


def read(folder: Path, **more: Any) -> Any:
    block = {
        "code": "numbers",
        "title": {"zh": "数字", "en": "Numbers"},
        "dimensions": [{"tag": "city"}],
        "measures": [
            {"code": "n", "title": {"zh": "数", "en": "N"}, "agg": "sum", "fact": "orders", "of": "amount + 1"}
        ],
    }
    files = {"tags/who.yaml": TAGS, "segments/s.yaml": SEGMENTS, "reports/r.yaml": {"reports": [block | more]}}
    return kit.make_catalog(folder, files).reports["numbers"]


def test_a_report_knows_what_it_reads(tmp_path: Path) -> None:
    found = read(tmp_path, segments=["locals"], where="rate > 1")
    assert (found.tags, found.segments) == ({"city", "rate"}, {"locals"})
    assert found.facts == {"orders": {"amount", "paid_at"}}


def test_rewording_leaves_the_meaning_and_another_window_changes_it(tmp_path: Path) -> None:
    plain = read(tmp_path / "a")
    assert read(tmp_path / "b", title={"zh": "数", "en": "Other"}, meaning="x").meaning == plain.meaning
    assert read(tmp_path / "c", window="30d").meaning != plain.meaning
