"""Audiences: who satisfies a rule, empty values and absent persons included."""

import hashlib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from valtag_assets.engine.persons import PERSONS
from valtag_assets.engine.rules import rule_inputs, segments_name
from valtag_assets.engine.scores import scores_name
from valtag_assets.engine.segments import changes_expression, segment_expression
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.types import DataType
from valtag_tests import kit

AS_OF = date(2024, 2, 29)
FILES = {
    "tags/who.yaml": kit.category(
        "who",
        kit.tag("city", "text", {"master": "members", "of": "city"}),
        kit.tag("age", "integer", {"master": "members", "of": "years_since(born)"}),
    ),
    "tags/trade.yaml": kit.category(
        "trade",
        kit.tag("order_count", "integer", {"fact": "orders", "agg": "count"}, windows=["all", "30d"], empty=0),
        kit.tag("days_since_last_order", "integer", {"fact": "orders", "agg": "days_since_last"}),
        kit.tag("spend", "decimal(18,2)", {"fact": "orders", "agg": "sum", "of": "amount"}),
        kit.tag("brands", "list(text)", {"fact": "orders", "agg": "list", "of": "brand"}),
    ),
    "scores/rfm.yaml": {
        "score": "rfm",
        "title": {"zh": "RFM", "en": "RFM"},
        "recency": "days_since_last_order",
        "frequency": "order_count",
        "monetary": "spend",
    },
}
# Someone of 20 in Shanghai who bought; the same who didn't; no city; nothing known, in no table at all.
WHO = [
    {"person_id": "buyer", "city": "上海", "age": 20},
    {"person_id": "idle", "city": "上海", "age": 25},
    {"person_id": "nowhere", "city": None, "age": 40},
]
TRADE = [
    {"person_id": "buyer", "order_count": 3, "order_count_30d": 1, "brands": ["a", "b"]},
    {"person_id": "idle", "order_count": 2, "order_count_30d": 0, "brands": None},
    {"person_id": "nowhere", "order_count": 0, "order_count_30d": 0, "brands": []},
]
RFM = [{"person_id": "buyer", "rfm_r": 5, "rfm_tier": "champions"}]
EVERYBODY = ["buyer", "idle", "nowhere", "absent"]


def catalog(folder: Path, rule: Any) -> Resolved:
    segments = {"segments": [{"code": "audience", "title": {"zh": "人群", "en": "Audience"}, "rule": rule}]}
    return kit.make_catalog(folder, {**FILES, "segments/s.yaml": segments})


def members(folder: Path, rule: Any) -> list[str]:
    resolved = catalog(folder, rule)
    score = {"person_id": DataType("text"), **resolved.scores["rfm"].columns}
    inputs = {
        PERSONS: kit.write_persons(folder, sorted(EVERYBODY)),
        "tags/who": [kit.write_rows(folder / "who.parquet", kit.tag_columns(resolved, "who"), WHO)],
        "tags/trade": [kit.write_rows(folder / "trade.parquet", kit.tag_columns(resolved, "trade"), TRADE)],
        scores_name("rfm"): [kit.write_rows(folder / "rfm.parquet", score, RFM)],
    }
    expression = segment_expression(resolved, resolved.segments["audience"], AS_OF)
    table = kit.run(expression, inputs, folder / "out.parquet")
    assert table.column_names == ["person_id", "is_holdout"]
    found: list[str] = table["person_id"].to_pylist()
    assert found == sorted(found)
    return found


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("city = '上海'", "buyer idle"),
        ("city != '上海'", "absent nowhere"),
        ("not city = '上海'", "absent nowhere"),
        ("city in ('北京')", ""),
        ("city not in ('北京')", "absent buyer idle nowhere"),
        ("city is null", "absent nowhere"),
        ("age between 18 and 25", "buyer idle"),
        ("age not between 18 and 25", "absent nowhere"),
        ("order_count_30d = 0", "idle nowhere"),
        ("coalesce(order_count_30d, 0) = 0", "absent idle nowhere"),
        ("has(brands, 'a')", "buyer"),
        ("not has(brands, 'a')", "absent idle nowhere"),
        ("rfm_tier = 'champions'", "buyer"),
        ("rfm_r < 5", ""),
        ("not rfm_r = 5", "absent idle nowhere"),
    ],
)
def test_a_condition_takes_the_persons_of_whom_it_is_known_to_hold(tmp_path: Path, rule: str, wanted: str) -> None:
    assert members(tmp_path, rule) == wanted.split()


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ({"all": ["age between 18 and 25", "city = '上海'", "order_count_30d = 0"]}, "idle"),
        ({"any": ["age > 30", "rfm_r = 5"]}, "buyer nowhere"),
        ({"none": ["age > 30", "rfm_r = 5"]}, "absent idle"),
        ({"all": ["city = '上海'", {"none": ["order_count_30d > 0"]}]}, "idle"),
        (
            {"any": [{"all": ["age > 30", {"none": ["city is not null"]}]}, {"all": [{"any": ["rfm_r = 5"]}]}]},
            "buyer nowhere",
        ),
        ({"none": [{"none": ["age = 20"]}]}, "buyer"),
        ({"none": [{"all": ["age > 10", {"any": ["city is null", "order_count > 2"]}]}]}, "absent idle"),
    ],
)
def test_all_any_and_none_nest(tmp_path: Path, rule: Any, wanted: str) -> None:
    assert members(tmp_path, rule) == wanted.split()


def test_a_rule_of_a_thousand_parts_is_computed(tmp_path: Path) -> None:
    assert members(tmp_path, {"any": [f"age = {n}" for n in range(1000, 2000)] + ["age = 40"]}) == ["nowhere"]


def test_a_segment_reads_only_the_tables_its_rule_names(tmp_path: Path) -> None:
    resolved = catalog(tmp_path, {"all": ["age > 1", {"none": ["rfm_r = 1"]}]})
    rule = resolved.segments["audience"].rule
    assert rule_inputs(resolved, [rule]) == {"scores/rfm": {"rfm_r"}, "tags/who": {"age"}}


def test_quotes_in_a_rule_are_data(tmp_path: Path) -> None:
    assert members(tmp_path, "has(brands, 'x'') or true --')") == []


# Who of the matching is taken


def chosen(folder: Path, persons: list[dict[str, Any]], **segment: Any) -> list[tuple[str, bool]]:
    """(person, held out) of an audience of everybody in ``persons``, described by ``segment``."""
    spec = {"code": "audience", "title": {"zh": "人群", "en": "Audience"}, "rule": "true", **segment}
    resolved = kit.make_catalog(folder, {**FILES, "segments/s.yaml": {"segments": [spec]}})
    inputs = {
        PERSONS: kit.write_persons(folder, sorted(row["person_id"] for row in persons)),
        "tags/who": [kit.write_rows(folder / "who.parquet", kit.tag_columns(resolved, "who"), persons)],
    }
    expression = segment_expression(resolved, resolved.segments["audience"], AS_OF)
    return [tuple(row.values()) for row in kit.run(expression, inputs, folder / "out.parquet").to_pylist()]


CROWD = [
    {"person_id": f"p{number:03d}", "city": ["上海", "北京", None][number % 3], "age": number * 37 % 60 or None}
    for number in range(300)
]


def by_age(rows: list[dict[str, Any]]) -> list[str]:
    """Oldest first, unknown ages last, then by id."""
    ordered = sorted(rows, key=lambda row: (row["age"] is None, -(row["age"] or 0), row["person_id"]))
    return [row["person_id"] for row in ordered]


def test_a_limit_takes_the_first_by_the_order_unknown_values_last(tmp_path: Path) -> None:
    found = [person for person, _ in chosen(tmp_path, CROWD, order="age desc", limit=100)]
    assert found == sorted(by_age(CROWD)[:100])
    everybody = [person for person, _ in chosen(tmp_path / "all", CROWD, order="age desc", limit=1000)]
    assert everybody == sorted(row["person_id"] for row in CROWD)


def test_two_steps_of_an_order_may_look_at_the_same(tmp_path: Path) -> None:
    order = ["age is null desc", "age desc", "age asc"]
    found = [person for person, _ in chosen(tmp_path, CROWD, order=order, limit=100)]
    unknown_first = sorted(by_age(CROWD), key=lambda person: CROWD[int(person[1:])]["age"] is not None)
    assert found == sorted(unknown_first[:100])


def test_caps_take_the_first_of_each_value_and_of_those_without_one(tmp_path: Path) -> None:
    found = chosen(tmp_path, CROWD, order="age desc", caps=[{"per": "city", "at_most": 7}], limit=20)
    kept = [
        person for city in ("上海", "北京", None) for person in by_age([r for r in CROWD if r["city"] == city])[:7]
    ]
    wanted = by_age([row for row in CROWD if row["person_id"] in kept])[:20]
    assert [person for person, _ in found] == sorted(wanted)


def drawn(seed: int | str, person: str) -> float:
    return int(hashlib.md5(f"{seed}:{person}".encode()).hexdigest()[:8], 16) / 16**8


def test_a_sample_depends_on_the_seed_and_the_person_alone(tmp_path: Path) -> None:
    found = {person for person, _ in chosen(tmp_path / "a", CROWD, sample={"share": 0.3, "seed": 7})}
    assert found == {row["person_id"] for row in CROWD if drawn(7, row["person_id"]) < 0.3}
    fewer = {person for person, _ in chosen(tmp_path / "b", CROWD[:100], sample={"share": 0.3, "seed": 7})}
    assert fewer == {person for person in found if person < "p100"}
    other = {person for person, _ in chosen(tmp_path / "c", CROWD, sample={"share": 0.3, "seed": 8})}
    assert other != found
    counted = [person for person, _ in chosen(tmp_path / "d", CROWD, sample={"count": 40, "seed": 7})]
    digests = sorted(CROWD, key=lambda row: hashlib.md5(f"7:{row['person_id']}".encode()).hexdigest())
    assert counted == sorted(row["person_id"] for row in digests[:40])
    whole = chosen(tmp_path / "e", CROWD, sample={"share": 1, "seed": 7})
    assert len(whole) == len(CROWD)


def test_the_same_persons_are_held_out_whoever_else_is_in(tmp_path: Path) -> None:
    found = chosen(tmp_path / "a", CROWD, holdout={"share": 0.2, "seed": 3})
    assert len(found) == len(CROWD)
    assert {person for person, out in found if out} == {
        row["person_id"] for row in CROWD if drawn("holdout:3", row["person_id"]) < 0.2
    }
    fewer = chosen(tmp_path / "b", CROWD[50:120], holdout={"share": 0.2, "seed": 3})
    assert {person for person, out in fewer if out} == {p for p, out in found if out and "p050" <= p < "p120"}


def test_the_holdout_of_a_sample_is_its_share_whatever_the_seeds(tmp_path: Path) -> None:
    crowd = [{**CROWD[0], "person_id": f"p{number:04d}"} for number in range(2000)]
    for name, sample in {"share": {"share": 0.2, "seed": 7}, "count": {"count": 400, "seed": 7}}.items():
        found = chosen(tmp_path / name, crowd, sample=sample, holdout={"share": 0.2, "seed": 7})
        assert 300 < len(found) < 500
        assert 0.1 < sum(out for _, out in found) / len(found) < 0.3


def write_members(path: Path, persons: list[str]) -> Path:
    columns = {"person_id": DataType("text"), "is_holdout": DataType("boolean")}
    return kit.write_rows(path, columns, [{"person_id": person, "is_holdout": False} for person in persons])


def test_changes_are_the_entries_and_exits_since_the_previous_members(tmp_path: Path) -> None:
    inputs = {
        segments_name("audience"): [write_members(tmp_path / "now.parquet", ["a", "b", "陈"])],
        "previous": kit.write_persons(tmp_path / "before", ["b", "x"]),
    }
    table = kit.run(changes_expression("audience"), inputs, tmp_path / "out.parquet")
    assert table.to_pylist() == [{"entries": 2, "exits": 1}]
