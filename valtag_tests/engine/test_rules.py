"""Segment rules: every operator against a plain evaluator, person by person."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valtag_assets.engine.lists import lists_name
from valtag_assets.engine.persons import PERSONS, clean_name
from valtag_assets.engine.rules import rule_table, segments_name
from valtag_assets.expression.resolve_rule import resolve_rule
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.rule import ResolvedRule, rule_meaning
from valtag_assets.expression.rule_text import read_rule, rule_data, write_rule
from valtag_assets.spec.segment import Rule
from valtag_assets.spec.types import DataType
from valtag_tests import kit
from valtag_tests.chance import MORE
from valtag_tests.engine.rule_oracle import World, holds

AS_OF = date(2024, 3, 1)
PERSONS_OF_TEST = ("a", "b", "陈", "nobody")
VISITS = """
source: visits
title: {zh: 到店, en: Visits}
kind: fact
person: member
time: visited_on
read: {path: visits.csv}
fields:
  - {name: visit, type: integer}
  - {name: member, type: text}
  - {name: visited_on, type: date}
  - {name: brand, type: text}
  - {name: label, type: text}
"""
STAFF = """
source: staff
title: {zh: 员工, en: Staff}
kind: list
person: member
read: {path: staff.csv}
fields: [{name: member, type: text}]
"""
FILES = {
    "sources/visits.yaml": VISITS,
    "sources/staff.yaml": STAFF,
    "tags/who.yaml": kit.category(
        "who",
        kit.tag("city", "text", {"master": "members", "of": "city"}),
        kit.tag("age", "integer", {"master": "members", "of": "years_since(born)"}),
    ),
    "segments/s.yaml": {
        "segments": [{"code": "known", "title": {"zh": "已知", "en": "Known"}, "rule": "city is not null"}]
    },
}
CONDITIONS = {
    "city = '上海'": lambda row: row.get("city") == "上海",
    "city != '上海'": lambda row: row.get("city") != "上海",
    "age between 18 and 25": lambda row: row.get("age") is not None and 18 <= row["age"] <= 25,
    "age is null": lambda row: row.get("age") is None,
}
WHERES = {
    "brand = 'x'": lambda row: row["brand"] == "x",
    "amount > 10": lambda row: row["amount"] is not None and row["amount"] > 10,
}
TAGS = {"a": {"city": "上海", "age": 20}, "b": {"city": "北京", "age": 40}, "陈": {"city": None, "age": 18}}


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> Resolved:
    return kit.make_catalog(tmp_path_factory.mktemp("catalog"), FILES)


def rule_of(resolved: Resolved, data: Any) -> ResolvedRule:
    faults: list[str] = []
    rule = resolve_rule(Rule.model_validate(data), resolved.rules, lambda said, _: faults.append(said))
    assert faults == []
    return rule


def inputs_of(folder: Path, resolved: Resolved, world: World) -> dict[str, list[Path]]:
    """The published tables of ``world``."""
    tags = [{"person_id": person, **row} for person, row in world.tags.items()]
    members = {"person_id": DataType("text"), "is_holdout": DataType("boolean")}
    known = [{"person_id": person, "is_holdout": False} for person in sorted(world.segments["known"])]
    staff = [{"person_id": person} for person in sorted(world.lists["staff"])]
    return {
        PERSONS: kit.write_persons(folder, PERSONS_OF_TEST),
        "tags/who": [kit.write_rows(folder / "who.parquet", kit.tag_columns(resolved, "who"), tags)],
        segments_name("known"): [kit.write_rows(folder / "known.parquet", members, known)],
        lists_name("staff"): [kit.write_rows(folder / "staff.parquet", {"person_id": DataType("text")}, staff)],
        **{clean_name(fact): kit.write_clean(folder, resolved, fact, rows) for fact, rows in world.facts.items()},
    }


def evaluated(folder: Path, resolved: Resolved, rules: Sequence[Any], world: World) -> list[dict[str, bool]]:
    """Which of ``rules`` hold, by person in the order of their ids."""
    named = {f"rule_{number}": rule_of(resolved, rule) for number, rule in enumerate(rules)}
    table = rule_table(resolved, named, world.as_of).order_by("person_id")
    rows = kit.run(table, inputs_of(folder, resolved, world), folder / "out.parquet").to_pylist()
    assert [row.pop("person_id") for row in rows] == sorted(PERSONS_OF_TEST)
    return rows


def world_of(orders: Sequence[Mapping[str, Any]], visits: Sequence[Mapping[str, Any]]) -> World:
    return World(
        as_of=AS_OF,
        tags=TAGS,
        facts={"orders": orders, "visits": visits},
        times={"orders": "paid_at", "visits": "visited_on"},
        conditions=CONDITIONS,
        wheres=WHERES,
        segments={"known": {"a", "b"}},
        lists={"staff": {"b"}},
    )


def agree(folder: Path, resolved: Resolved, rules: Sequence[Any], world: World) -> None:
    found = evaluated(folder, resolved, rules, world)
    for number, rule in enumerate(rules):
        wanted = [holds(rule, person, world) for person in sorted(PERSONS_OF_TEST)]
        assert [row[f"rule_{number}"] for row in found] == wanted, (rule, rule_meaning(rule_of(resolved, rule)))


# Random rows and rules

MOMENTS = st.builds(
    lambda back, hour: datetime(2024, 3, 2, hour) - timedelta(days=back),
    st.integers(0, 40),
    st.sampled_from([0, 9, 9, 23]),
)
BRANDS = st.sampled_from(["x", "x", "y", "é", None])
AMOUNTS = st.sampled_from([None, Decimal("0.01"), Decimal("10.00"), Decimal("99.99"), Decimal("-5.00")])
BUYERS = st.sampled_from(["a", "a", "b", "陈", None, "stranger"])
ORDER_ROWS = st.lists(
    st.fixed_dictionaries({"member": BUYERS, "paid_at": MOMENTS, "amount": AMOUNTS, "brand": BRANDS}), max_size=12
)
VISIT_ROWS = st.lists(
    st.fixed_dictionaries(
        {"member": BUYERS, "visited_on": MOMENTS.map(datetime.date), "brand": BRANDS, "label": BRANDS}
    ),
    max_size=8,
)
DAYS = st.integers(1, 40).map(lambda days: f"{days}d")
DATES = st.dates(date(2024, 1, 20), date(2024, 3, 3))
PERIODS = st.one_of(
    st.just({}),
    DAYS.map(lambda days: {"within": days}),
    st.sampled_from(["mtd", "ytd"]).map(lambda word: {"within": word}),
    st.one_of(DAYS, DATES).map(lambda end: {"before": end}),
    st.tuples(DATES, DATES).map(lambda ends: {"between": tuple(sorted(ends))}),
    st.integers(2, 40).map(lambda days: {"between": (f"{days}d", f"{days // 2}d")}),
    DATES.map(lambda day: {"since": day}),
)
TIMES = st.one_of(
    st.just({}),
    st.tuples(st.sampled_from(["at_least", "at_most", "exactly"]), st.integers(1, 4)).map(lambda it: dict([it])),
)
SUMS = st.tuples(st.sampled_from(["at_least", "at_most", "exactly"]), st.sampled_from([0, 5, 10.01, 104.99, 0.005]))
MEASURES = st.one_of(
    TIMES,
    st.tuples(st.sampled_from(["at_least", "at_most", "exactly"]), st.integers(1, 3)).map(
        lambda it: {"distinct": "brand", **dict([it])}
    ),
)
ORDER_EVENTS = st.builds(
    lambda period, measure, where: {"fact": "orders", **period, **measure, **where},
    PERIODS,
    st.one_of(MEASURES, SUMS.map(lambda it: {"sum": "amount", **dict([it])})),
    st.sampled_from([{}, {"where": "brand = 'x'"}, {"where": "amount > 10"}]),
)
VISIT_EVENTS = st.builds(
    lambda period, measure, where: {"fact": "visits", **period, **measure, **where},
    PERIODS,
    MEASURES,
    st.sampled_from([{}, {"where": "brand = 'x'"}]),
)


@st.composite
def sequences(draw: st.DrawFn) -> dict[str, Any]:
    facts = st.sampled_from(["orders", "visits"])
    wheres = st.sampled_from([{}, {"where": "brand = 'x'"}])
    steps = [{"did": {"fact": draw(facts), **draw(wheres)}}]
    for _ in range(draw(st.integers(1, 3))):
        fact = draw(facts)
        gap = draw(st.one_of(st.just({}), st.integers(1, 20).map(lambda days: {"within": f"{days}d"})))
        same = draw(st.sampled_from([{}, {"same": ["brand"]}]))
        if fact == "visits" and same:
            same = draw(st.sampled_from([same, {"same": ["label = brand"]}]))
        steps.append(
            {draw(st.sampled_from(["did", "did", "did_not"])): {"fact": fact, **gap, **same, **draw(wheres)}}
        )
    return {"sequence": {"steps": steps, **draw(PERIODS)}}


LEAVES = st.one_of(
    st.sampled_from(sorted(CONDITIONS)),
    st.tuples(st.sampled_from(["did", "did_not"]), st.one_of(ORDER_EVENTS, VISIT_EVENTS)).map(lambda it: dict([it])),
    sequences(),
    st.just({"in_segment": "known"}),
    st.just({"in_list": "staff"}),
)


def _branches(below: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(below, min_size=1, max_size=3)
    return st.one_of(
        st.tuples(st.sampled_from(["all", "any", "none"]), some).map(lambda it: dict([it])),
        some.flatmap(lambda rules: st.integers(1, len(rules)).map(lambda least: {"at_least": least, "of": rules})),
    )


RULES = st.recursive(LEAVES, _branches, max_leaves=6)
# More of them before a release.
RARELY = settings(max_examples=12 * MORE, suppress_health_check=list(HealthCheck))


@RARELY
@given(rules=st.lists(RULES, min_size=4, max_size=8), orders=ORDER_ROWS, visits=VISIT_ROWS)
def test_random_rules_hold_for_whom_a_plain_evaluator_says(
    resolved: Resolved, tmp_path_factory: pytest.TempPathFactory, rules: Any, orders: Any, visits: Any
) -> None:
    agree(tmp_path_factory.mktemp("rules"), resolved, rules, world_of(orders, visits))


@settings(max_examples=200 * MORE)
@given(rule=RULES)
def test_a_rule_is_printed_as_text_and_as_yaml_without_loss(resolved: Resolved, rule: Any) -> None:
    written = Rule.model_validate(rule)
    text = write_rule(written)
    # A text that is one condition or call alone stays what it is.
    assert read_rule(text) == written
    assert Rule.model_validate(rule_data(written)) == written
    found = rule_of(resolved, rule)
    assert rule_meaning(rule_of(resolved, text)) == rule_meaning(found)
    assert rule_meaning(rule_of(resolved, rule_meaning(found))) == rule_meaning(found)


def test_not_having_done_something_holds_for_those_without_any_row(tmp_path: Path, resolved: Resolved) -> None:
    orders = [{"member": "a", "paid_at": datetime(2024, 2, 10), "amount": Decimal(1), "brand": "x"}]
    rules = ["did_not(orders, within 30d)", "did(orders, at most 0 times, within 30d)", "did(orders)"]
    found = evaluated(tmp_path, resolved, rules, world_of(orders, []))
    assert [list(row.values()) for row in found] == [[False, False, True], *[[True, True, False]] * 3]


def test_an_absence_is_judged_when_its_days_are_over(tmp_path: Path, resolved: Resolved) -> None:
    visits = [{"member": "a", "visited_on": date(2024, 2, 25), "brand": "x", "label": None}]
    rule = {"sequence": {"steps": [{"did": "visits"}, {"did_not": {"fact": "orders", "within": "7d"}}]}}
    world = world_of([], visits)
    on_time = [
        evaluated(tmp_path / str(day), resolved, [rule], replace(world, as_of=day))[0]["rule_0"]
        for day in (date(2024, 3, 2), date(2024, 3, 3), date(2024, 3, 4))
    ]
    assert on_time == [False, True, True]


@pytest.mark.parametrize("as_of", [date(1, 1, 1), date(100, 2, 28), AS_OF])
def test_a_window_longer_than_the_calendar_begins_with_its_first_date(
    tmp_path: Path, resolved: Resolved, as_of: date
) -> None:
    visits = [{"member": "a", "visited_on": date(1, 1, 1), "brand": "x", "label": None}]
    rules = ["did(visits, within 99999d)", "did(visits, before 99999d)"]
    found = evaluated(tmp_path, resolved, rules, replace(world_of([], visits), as_of=as_of))
    assert found[0]["rule_0"] == (as_of < date(200, 1, 1))


@pytest.mark.parametrize(("at_least", "holds_for"), [(10**17, []), (-(10**17), ["a", "b", "nobody", "陈"])])
def test_a_sum_is_compared_with_what_no_sum_can_be(
    tmp_path: Path, resolved: Resolved, at_least: int, holds_for: list[str]
) -> None:
    orders = [{"member": "a", "paid_at": datetime(2024, 2, 10), "amount": Decimal("9.99"), "ratio": 0.5}]
    text = "round(ratio, 15) * 1.00000000000000000000001"
    data = {"did": {"fact": "orders", "sum": "amount", "at_least": at_least}}
    found = evaluated(tmp_path, resolved, [data, {"did": {**data["did"], "sum": text}}], world_of(orders, []))
    for rule in ("rule_0", "rule_1"):
        assert [person for person, row in zip(sorted(PERSONS_OF_TEST), found, strict=True) if row[rule]] == holds_for
