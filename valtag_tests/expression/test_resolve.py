"""What ``valtag check`` finds in the meaning of a catalog, and what a sound one resolves to."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from valtag_assets.engine.session import compile_sql
from valtag_assets.engine.tags import category_expression
from valtag_assets.expression.resolved import Window
from valtag_tests import kit
from valtag_tests.engine.test_facts import every_tag
from valtag_tests.kit import category, make_catalog, problems, tag

COUNT = {"fact": "orders", "agg": "count"}
MONEY = "decimal(18,2)"
SPEND = tag("spend", MONEY, {"fact": "orders", "agg": "sum", "of": "amount"}, windows=["all", "30d"])


def of(folder: Path, *tags: dict[str, Any], **more: Any) -> list[str]:
    return problems(folder, {"tags/t.yaml": category("t", *tags, **more)})


def fact(**value: Any) -> dict[str, Any]:
    return {"fact": "orders", **value}


TOP = {"agg": "top", "of": "brand"}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            tag("x", MONEY, fact(agg="sum", of="amuont")),
            "tags[x].value.of: unknown field of orders 'amuont'; did you mean 'amount'?",
        ),
        (
            tag("x_count", "integer", {"fact": "order", "agg": "count"}),
            "tags[x_count].value.fact: 'order' is no fact; did you mean 'orders'?",
        ),
        (tag("x_count", "integer", {"fact": "members", "agg": "count"}), "'members' is no fact"),
        (
            tag("x", "text", {"master": "orders", "of": "brand"}),
            "tags[x].value.master: 'orders' is no master; there is members",
        ),
        (
            tag("x_count", "integer", {**COUNT, "where": "chanel = 'app'"}),
            "tags[x_count].value.where: unknown field of orders 'chanel'; did you mean 'channel'?",
        ),
        (
            tag("x_count", "integer", {**COUNT, "where": "channel = 'ap'"}),
            "'ap' is no value of channel; its values are 'app', 'web', 'store'; did you mean 'app'?",
        ),
        (tag("x_count", "integer", {**COUNT, "where": "amount"}), "tags[x_count].value.where: "),
        (tag("x_count", "integer", {**COUNT, "where": "amount > 'a'"}), "cannot be compared"),
        (tag("x_count", "integer", {**COUNT, "where": "spend > 1"}), "unknown field of orders 'spend'"),
        (tag("x", MONEY, fact(agg="sum", of="brand")), "agg sum needs a number, and 'brand' is a text"),
        (tag("x", "text", fact(agg="top", of="amount")), "agg top needs text or integer values"),
        (
            tag("x", "integer", fact(agg="sum", of="amount")),
            "tags[x].type: the tag is declared integer but its value is decimal(18,2); wrap it in round()",
        ),
        (tag("x", "text", fact(agg="last", of="quantity")), "the tag is declared text but its value is integer"),
        (
            tag("x", "list(text)", fact(agg="list", of="quantity")),
            "declared list(text) but its value is list(integer)",
        ),
        (
            tag("x", "text", fact(**TOP, by="avg(amount)")),
            "tags[x].value.by: 'avg(amount)' is no measure; write count() or sum(field)",
        ),
        (tag("x", "text", fact(**TOP, by="sum(amount) asc")), "the largest comes first"),
        (tag("x", "text", fact(**TOP, by="sum(amuont)")), "did you mean 'amount'?"),
        (
            tag("x", "text", fact(**TOP, ties=["sum(brand)"])),
            "tags[x].value.ties[1]: 'sum(brand)': sum needs a number",
        ),
        (tag("x", "text", fact(**TOP, ties=["brand desc"])), "'brand desc' is no measure"),
        (tag("x", "float", fact(agg="quantile", of="amount", q=1.5)), "q is 1.5; a quantile lies between 0 and 1"),
        (tag("x", "list(text)", fact(agg="top_k", of="brand", k=0)), "k is 0; it must be at least 1"),
        (
            tag("x", "float", fact(agg="share", of="channel", equals="ap")),
            "tags[x].value.equals: 'ap' is no value of channel; did you mean 'app'?",
        ),
        (
            tag("x", "float", fact(agg="share", of="quantity", equals="one")),
            "'one' is no integer, and 'quantity' is one",
        ),
        (tag("x_count", "integer", COUNT, empty="无"), "tags[x_count].empty: empty: '无' is no integer"),
        (tag("is_x", "boolean", "no_such_tag"), "tags[is_x].value: unknown tag 'no_such_tag'"),
        (tag("x", "text", "amount"), "unknown tag 'amount'"),
        (
            tag("x", "integer", "spend / 2"),
            "tags[x].value: the tag is declared integer but its value is float; wrap it in round()",
        ),
        (tag("x", "text", "总消费"), "unknown tag '总消费'"),
        (tag("vip", "boolean", {"master": "members", "of": "is_vip"}), "tags[vip].code: 'vip' is a yes or no"),
        (
            tag("person_id", "text", {"master": "members", "of": "member"}),
            "'person_id' is the key of every table of tags",
        ),
    ],
)
def test_a_tag_that_means_nothing_is_explained(tmp_path: Path, block: dict[str, Any], expected: str) -> None:
    found = of(tmp_path, SPEND, block)
    assert any(line.startswith("tags/t.yaml:") and expected in line for line in found), found


def test_value_tags_read_tables_and_computed_tags_read_tags_only(tmp_path: Path) -> None:
    found = of(tmp_path, SPEND, tag("x", MONEY, fact(agg="sum", of="spend")), tag("y", MONEY, "amount + spend"))
    assert ["unknown field of orders 'spend'" in found[0], "unknown tag 'amount'" in found[1]] == [True, True]


def test_the_line_of_the_mistake_is_told(tmp_path: Path) -> None:
    text = "category: t\ntitle: {zh: t, en: t}\ntags:\n  - code: x_count\n    title: {zh: x, en: x}\n"
    text += "    type: integer\n    value:\n      fact: orders\n      agg: count\n      where: amount >\n"
    (line,) = problems(tmp_path, {"tags/t.yaml": text})
    assert line.startswith("tags/t.yaml:10: tags[x_count].value.where: ")


def test_every_mistake_of_every_file_comes_at_once_and_no_reader_is_blamed(tmp_path: Path) -> None:
    score = {
        "score": "rfm",
        "title": {"zh": "R", "en": "R"},
        "recency": "broken",
        "frequency": "spned",
        "monetary": "city",
    }
    found = problems(
        tmp_path,
        {
            "tags/a.yaml": category(
                "a", tag("broken", MONEY, fact(agg="sum", of="amuont"), windows=["all", "7d"]), SPEND
            ),
            "tags/b.yaml": category(
                "b",
                tag("reader", MONEY, "broken_7d + broken"),
                tag("city", "text", {"master": "members", "of": "city"}),
                tag("typo", MONEY, "spned"),
                laws=[{"name": "l", "law": "brokn <= spend"}],
            ),
            "scores/rfm.yaml": score,
            "segments/s.yaml": {
                "segments": [
                    {
                        "code": "ok",
                        "title": {"zh": "a", "en": "a"},
                        "rule": {"all": ["broken > 1", "rfm_r = 5", "reader > 1"]},
                    },
                    {
                        "code": "bad",
                        "title": {"zh": "a", "en": "a"},
                        "rule": {"all": ["city = '上 海'", {"none": ["rfm_tier = 'champion'"]}]},
                    },
                ]
            },
        },
    )
    wanted = [
        "'spned' is no tag; did you mean 'spend'?",
        "'city' is a text; RFM needs numbers",
        "rule.all[1]: '上 海' is no value of city",
        "rule.all[2].none[1]: 'champion' is no value of rfm_tier; its values are",
        "unknown field of orders 'amuont'",
        "laws[l].law: unknown tag 'brokn'; did you mean 'broken'?",
        "tags[typo].value: unknown tag 'spned'; did you mean 'spend'?",
    ]
    assert len(found) == len(wanted), "\n".join(found)
    for line, part in zip(found, wanted, strict=True):
        assert part in line, (line, part)


@pytest.mark.parametrize(
    ("rules", "chain"),
    [
        ({"a": "b", "b": "c", "c": "a"}, ("a", "b", "c")),
        ({"a": "a"}, ("a",)),
    ],
)
def test_tags_that_rest_on_each_other_in_a_circle(
    tmp_path: Path, rules: dict[str, str], chain: tuple[str, ...]
) -> None:
    found = of(tmp_path, *[tag(code, MONEY, rule) for code, rule in rules.items()])
    (line,) = [line for line in found if "circle" in line]
    assert all(code in line for code in chain) and line.count("→") == len(chain)


def test_categories_that_read_each_other_in_a_circle(tmp_path: Path) -> None:
    files = {
        "tags/a.yaml": category("a", SPEND, tag("a_late", MONEY, "b_spend + 1")),
        "tags/b.yaml": category("b", tag("b_spend", MONEY, "spend * 2")),
    }
    (line,) = problems(tmp_path, files)
    assert "categories read each other in a circle: " in line and "move the tags that read both" in line


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            tag("spend_30d", MONEY, "spend"),
            "tag 'spend_30d' gives the column 'spend_30d', which is defined already at t.yaml:3 (tag 'spend')",
        ),
        (tag("spend_before_7d", MONEY, {"master": "members", "of": "rate"}), "by its window before_7d"),
    ],
)
def test_a_window_that_collides_with_a_tag_names_both(tmp_path: Path, more: dict[str, Any], expected: str) -> None:
    wide = {**SPEND, "windows": ["30d", "before 7d"]}
    found = of(tmp_path, wide, more)
    if "window" in expected:
        found = of(tmp_path, more, wide)
    assert any(expected in line for line in found), found


def test_a_score_column_that_is_a_tag_already(tmp_path: Path) -> None:
    score = {
        "score": "rfm",
        "title": {"zh": "R", "en": "R"},
        "recency": "spend",
        "frequency": "spend",
        "monetary": "spend",
    }
    tags = category("t", SPEND, tag("rfm", MONEY, "spend"), tag("rfm_r", MONEY, "spend"))
    (line,) = problems(tmp_path, {"tags/t.yaml": tags, "scores/rfm.yaml": score})
    assert line.startswith("scores/rfm.yaml:") and "a column 'rfm_r', and a tag has that code already" in line


def test_a_law_must_read_a_tag_of_its_own_category(tmp_path: Path) -> None:
    files = {
        "tags/a.yaml": category("a", SPEND),
        "tags/b.yaml": category("b", tag("x_count", "integer", COUNT), laws=[{"name": "l", "law": "spend > 0"}]),
    }
    (line,) = problems(tmp_path, files)
    assert line.startswith("tags/b.yaml:") and "reads no tag of b" in line


# --- a sound catalog ----------------------------------------------------------------------------------------------

EVIL = "'; DROP TABLE x; --\" 😀 {zh} $1 \\"


def test_quotes_sql_and_emoji_in_titles_and_values_are_only_data(tmp_path: Path) -> None:
    tags = category(
        "t",
        tag(
            "brand",
            "text",
            fact(agg="last", of="brand"),
            title={"zh": EVIL, "en": EVIL},
            domain={"values": [EVIL, "x"]},
            empty=EVIL,
        ),
        tag("is_evil", "boolean", "brand = '" + EVIL.replace("'", "''") + "'", empty=False),
        tag("evil_share", "float", fact(agg="share", of="brand", equals=EVIL)),
    )
    members = kit.MEMBERS.replace("values: {沪: 上海, 京: 北京}", "values: {沪: \"a'b\", 京: '😀\"'}")
    resolved = make_catalog(tmp_path, {"tags/t.yaml": tags, "sources/members.yaml": members})
    rows = kit.compute(tmp_path, resolved, "t", date(2024, 2, 29), {})
    assert [(row["brand"], row["is_evil"], row["evil_share"]) for row in rows] == [(EVIL, True, None)] * 3


def test_windows_expand_to_columns_with_suffix_and_title(tmp_path: Path) -> None:
    windows = ["all", "30d", "before 30d", "mtd", "ytd"]
    resolved = make_catalog(tmp_path, {"tags/t.yaml": category("t", {**SPEND, "windows": windows})})
    assert list(resolved.tags) == ["spend", "spend_30d", "spend_before_30d", "spend_mtd", "spend_ytd"]
    assert str(resolved.tags["spend_before_30d"].title) == "spend（30天以前） · spend (before the last 30 days)"
    assert [item.aggregate.window.kind for item in resolved.tags.values() if item.aggregate] == [
        "all",
        "last",
        "before",
        "month",
        "year",
    ]
    assert Window("all").suffix == ""


def test_a_tie_by_the_value_itself_may_be_written_out(tmp_path: Path) -> None:
    plain = tag("top", "text", fact(agg="top", of="brand", ties=["sum(amount) desc"]))
    written = tag(
        "top", "text", fact(agg="top", of="brand", by="COUNT（）", ties=["Sum（amount）　DESC", "brand asc"])
    )
    one = make_catalog(tmp_path / "one", {"tags/t.yaml": category("t", plain)})
    two = make_catalog(tmp_path / "two", {"tags/t.yaml": category("t", written)})
    assert one.tags["top"].meaning == two.tags["top"].meaning
    assert one.tags["top"].aggregate == two.tags["top"].aggregate


def test_rewording_keeps_a_tags_meaning_and_recomputing_changes_it(tmp_path: Path) -> None:
    def found(number: int, block: dict[str, Any]) -> str:
        return make_catalog(tmp_path / str(number), {"tags/t.yaml": category("t", block)}).categories["t"].meaning

    base = tag("x_count", "integer", {**COUNT, "where": "amount > 1 and channel = 'app'"})
    same = [
        {**base, "title": {"zh": "别的", "en": "else"}, "meaning": "Something", "unit": "x", "used_for": ["rfm"]},
        {**base, "value": {**COUNT, "where": "(amount>1) AND channel='app'"}},
    ]
    other = [
        {**base, "empty": 5},
        {**base, "type": "decimal(9,2)"},
        {**base, "null_policy": "keep_last"},
        {**base, "windows": ["7d"]},
        {**base, "value": {**COUNT, "where": "amount > 1"}},
    ]
    first = found(0, base)
    assert {found(n, block) for n, block in enumerate(same, 1)} == {first}
    assert len({first, *(found(n, block) for n, block in enumerate(other, 10))}) == len(other) + 1


def test_closed_values_follow_a_tag_with_what_stands_for_nothing(tmp_path: Path) -> None:
    tags = category(
        "t",
        tag("city", "text", {"master": "members", "of": "city"}, empty="未知"),
        tag("channels", "list(text)", fact(agg="list", of="channel")),
        tag("is_unknown", "boolean", "city = '未知' or has(channels, 'app')"),
    )
    resolved = make_catalog(tmp_path, {"tags/t.yaml": tags})
    assert resolved.tags["city"].values == ("上海", "北京", "未知")
    assert resolved.tags["channels"].values == ("app", "web", "store")


def test_columns_stand_as_written_with_each_tag_behind_what_it_reads(tmp_path: Path) -> None:
    tags = category("t", tag("z", MONEY, "y * 2"), tag("b", MONEY, "spend"), SPEND, tag("y", MONEY, "spend + b"))
    resolved = make_catalog(tmp_path, {"tags/t.yaml": tags})
    assert [item.code for item in resolved.categories["t"].tags] == ["spend", "b", "y", "z", "spend_30d"]


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_order_of_columns_is_the_same_in_every_process(tmp_path: Path, seed: str) -> None:
    tags = [tag(f"t{n}", MONEY, " + ".join(f"v{m}" for m in range(n + 1))) for n in range(5)]
    values = [tag(f"v{n}", MONEY, fact(agg="sum", of="amount")) for n in range(5)]
    kit.write_catalog(tmp_path, {"tags/t.yaml": category("t", *tags, *values)})
    code = "import sys, pathlib; from valtag_assets.expression.resolve import resolve_catalog as r\n"
    code += "c = r(pathlib.Path(sys.argv[1])).categories['t']; print(*[t.code for t in c.tags], c.meaning)"
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.startswith("v0 t0 v1 t1 v2 t2 v3 t3 v4 t4 ")


# --- the Spark form -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["everything", "filtered", "dated"])
def test_every_aggregation_has_a_spark_form(name: str) -> None:
    resolved = every_tag()
    expression = category_expression(resolved, resolved.categories[name], date(2024, 2, 29))
    assert "`identity/persons`" in compile_sql(expression, "spark")
