"""A portrait of an audience against pandas and scipy over the same persons."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.persons import PERSON, PERSONS
from valtag_assets.engine.portrait import (
    Column,
    Difference,
    Histogram,
    Portrait,
    compare,
    histogram,
    portrait,
    sides_expression,
    sums_expression,
    values_expression,
)
from valtag_assets.engine.session import COMPILERS, compile_sql, unbound
from valtag_assets.spec.types import DataType, parse_type
from valtag_tests import kit
from valtag_tests.chance import MORE
from valtag_tests.engine.test_effects import bergsma

AS_OF = date(2024, 2, 29)
COLUMNS = [
    Column("tags/t", "age", parse_type("integer")),
    Column("tags/t", "spend", parse_type("decimal(18,2)")),
    Column("tags/t", "ratio", parse_type("float")),
    Column("tags/t", "born", parse_type("date")),
    Column("tags/t", "city", parse_type("text"), closed=True),
    Column("tags/t", "name", parse_type("text")),
    Column("tags/t", "is_vip", parse_type("boolean")),
    Column("tags/t", "brands", parse_type("list(text)")),
    Column("scores/s", "s_r", parse_type("integer")),
    Column("scores/s", "s_tier", parse_type("text"), closed=True),
]
Row = Mapping[str, Any]


def people(n: int, seed: int = 7) -> list[dict[str, Any]]:
    """Persons with every kind of tag; about one in ten has none of it."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        row = {
            "age": int(random.integers(18, 80)),
            "spend": Decimal(int(random.integers(0, 10**6))).scaleb(-2),
            "ratio": float(random.normal()),
            "born": AS_OF - timedelta(days=int(random.integers(0, 20000))),
            "city": str(random.choice(["上海", "北京", "成都"], p=[0.6, 0.3, 0.1])),
            "name": f"name {number}",
            "is_vip": bool(random.random() < 0.3),
            "brands": sorted(set(random.choice(["a", "b", "ü"], size=2).tolist())),
        }
        rows.append(
            {"person_id": f"p{number:04}"} | {k: None if random.random() < 0.1 else v for k, v in row.items()}
        )
    return rows


def scores(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Two in three persons are scored."""
    return [
        {"person_id": row["person_id"], "s_r": number % 5 + 1, "s_tier": f"t{number % 2}"}
        for number, row in enumerate(rows)
        if number % 3
    ]


def portrayed(
    rows: Sequence[Row], members: Sequence[str], against: Sequence[str] | None = None, fewest: int = 30
) -> tuple[Portrait, list[Histogram | None]]:
    """The portrait, and the histograms of age and ratio."""
    with TemporaryDirectory() as name, kit.connected() as connection:
        folder = Path(name)
        types = {PERSON: DataType("text")}
        tables: dict[str, tuple[dict[str, DataType], Sequence[Row]]] = {
            PERSONS: (types, [{PERSON: row[PERSON]} for row in rows]),
            "members": (types, [{PERSON: person} for person in members]),
            "against": (types, [{PERSON: person} for person in against or ()]),
            "tags/t": (types | {c.code: c.type for c in COLUMNS if c.table == "tags/t"}, rows),
            "scores/s": (types | {c.code: c.type for c in COLUMNS if c.table == "scores/s"}, scores(rows)),
        }
        inputs = {
            key: [kit.write_rows(folder / f"{number}.parquet", columns, data)]
            for number, (key, (columns, data)) in enumerate(tables.items())
        }
        persons = {PERSON: "string"}
        other = None if against is None else unbound("against", persons)
        engine = DuckDBEngine(connection)
        comparison = compare(engine, inputs, AS_OF, unbound("members", persons), other, folder)
        found = portrait(comparison, COLUMNS, fewest=fewest)
        return found, [histogram(comparison, COLUMNS[0]), histogram(comparison, COLUMNS[2])]


def by_code(found: Portrait) -> dict[str, Difference]:
    return {item.code: item for item in found.differences if item.kind != "unfilled"}


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows)).set_index(PERSON)
    return table.join(pd.DataFrame(scores(rows)).set_index(PERSON))


def numbers(column: pd.Series, code: str) -> list[float]:
    known = column.dropna()
    return [(AS_OF - value).days for value in known] if code == "born" else [float(value) for value in known]


@settings(max_examples=12 * MORE)
@given(st.integers(0, 10**6), st.floats(0.15, 0.85))
def test_every_figure_is_that_of_the_values_themselves(seed: int, share: float) -> None:
    rows = people(300, seed)
    random = np.random.default_rng(seed)
    members = [row[PERSON] for row in rows if random.random() < share]
    found = portrayed(rows, [*members, "nobody"], fewest=5)[0]
    table = frame(rows)
    inside = table.index.isin(members)
    assert (found.members, found.rest) == (inside.sum(), (~inside).sum())
    items = by_code(found)
    assert set(items) == {column.code for column in COLUMNS} - {"name"} and set(found.too_few) == {"name"}
    for code in ("age", "spend", "ratio", "born", "s_r"):
        one, other = (numbers(table[code][side], code) for side in (inside, ~inside))
        item = items[code]
        assert item.means == pytest.approx((np.mean(one), np.mean(other)))
        assert item.medians == pytest.approx((np.median(one), np.median(other)))
        assert item.effect.p == pytest.approx(stats.ttest_ind(one, other, equal_var=False).pvalue)
        assert (item.members, item.rest) == (len(one), len(other))
    for code in ("city", "is_vip", "s_tier"):
        check_shares(items[code], table[code], inside)
    for value in items["brands"].values:
        has = table["brands"].dropna().map(lambda brands, wanted=value.value: wanted in brands)
        own = has[has.index.isin(members)]
        assert (value.share, value.reference_share) == pytest.approx((own.mean(), has.mean()))


def check_shares(item: Difference, column: pd.Series, inside: np.ndarray) -> None:
    known = column.notna()
    words = column[known].map(lambda value: str(value).lower() if isinstance(value, bool) else value)
    cells = pd.crosstab(words, inside[known])
    test = stats.chi2_contingency(cells, correction=False)
    if test.expected_freq.min() >= 5:
        assert item.effect.p == pytest.approx(test.pvalue)
        assert item.effect.size == pytest.approx(bergsma(cells.to_numpy()))
    own = words[inside[known]].value_counts(normalize=True)
    everybody = words.value_counts(normalize=True)
    assert {value.value for value in item.values} == set(everybody.index)
    for value in item.values:
        assert value.share == pytest.approx(own.get(value.value, 0.0))
        assert value.reference_share == pytest.approx(everybody[value.value])
        assert value.index == pytest.approx(100 * own.get(value.value, 0.0) / everybody[value.value])


def test_what_sets_the_audience_apart_most_comes_first_with_corrected_p_values() -> None:
    rows = people(400)
    members = [row[PERSON] for row in rows if row["city"] == "北京"]
    found = portrayed(rows, members)[0]
    assert (found.differences[0].code, found.differences[0].effect.size) == ("city", pytest.approx(1.0, abs=0.01))
    assert found.differences[0].values[0].value == "北京"
    strengths = [item.effect.strength for item in found.differences]
    assert strengths == sorted(strengths, reverse=True)
    known = [item for item in found.differences if item.effect.p is not None]
    expected = stats.false_discovery_control([item.effect.p for item in known], method="bh")
    assert [item.adjusted for item in known] == pytest.approx(list(expected))


def test_an_empty_cell_is_a_fact_of_its_own() -> None:
    rows = people(300)
    members = [row[PERSON] for row in rows if row["age"] is None or row["is_vip"]]
    found = portrayed(rows, members, fewest=5)[0]
    unfilled = {item.code: item for item in found.differences if item.kind == "unfilled"}
    table = frame(rows)
    inside = table.index.isin(members)
    share = unfilled["age"].values[0]
    assert share.share == pytest.approx(table["age"][inside].isna().mean())
    assert share.reference_share == pytest.approx(table["age"].isna().mean())
    assert unfilled["age"].effect.size is not None and unfilled["age"].effect.size > 0
    # A person without a score has none of its columns: one fact, not two.
    assert unfilled["s_r"].alike == ("s_tier",) and "s_tier" not in unfilled


def test_another_audience_is_compared_without_those_in_both() -> None:
    rows = people(300)
    persons = [row[PERSON] for row in rows]
    found = portrayed(rows, persons[:100], persons[60:160])[0]
    assert (found.members, found.rest) == (100, 60)
    alone = portrayed(rows[:100] + rows[100:160], persons[:100])[0]
    age, same = by_code(found)["age"], by_code(alone)["age"]
    assert (age.means, age.effect) == (same.means, same.effect)
    city = by_code(found)["city"].values[0]
    rest = [row["city"] for row in rows[100:160] if row["city"] is not None]
    assert city.reference_share == pytest.approx(rest.count(city.value) / len(rest))


@pytest.mark.parametrize(("size", "rest"), [(0, 100), (100, 0), (29, 71)])
def test_nobody_everybody_and_too_few_give_no_figures(size: int, rest: int) -> None:
    rows = people(100)
    found = portrayed(rows, [row[PERSON] for row in rows[:size]])[0]
    assert (found.members, found.rest, found.differences) == (size, rest, ())
    assert not found.comparable


def test_constant_and_empty_tags_mislead_nobody() -> None:
    rows = [
        {**row, "age": 5, "spend": None, "city": "上海", "ratio": float(n < 50)} for n, row in enumerate(people(100))
    ]
    found = portrayed(rows, [row[PERSON] for row in rows[:50]])[0]
    items = by_code(found)
    assert (items["age"].effect.size, items["age"].effect.p) == (0.0, 1.0)
    assert (items["city"].effect.size, items["city"].effect.strength) == (0.0, 0.0)
    assert (items["ratio"].effect.size, items["ratio"].effect.strength) == (None, 1.0)
    assert found.differences[0].code == "ratio"
    assert found.too_few["spend"] == "too few values: 0 in the audience, 0 in the rest"


def test_a_histogram_has_the_shares_of_both_sides() -> None:
    rows = [{**row, "age": n % 4} for n, row in enumerate(people(200))]
    whole, floating = portrayed(rows, [row[PERSON] for row in rows if row["age"] in (0, 1)])[1]
    assert whole is not None and floating is not None
    assert list(whole.edges) == [-0.5, 0.5, 1.5, 2.5, 3.5]
    assert list(whole.members) == [0.5, 0.5, 0, 0] and list(whole.rest) == [0, 0, 0.5, 0.5]
    assert len(floating.members) == 20
    assert sum(floating.members) == pytest.approx(1) and sum(floating.rest) == pytest.approx(1)
    assert portrayed([{**row, "age": 1} for row in rows], [rows[0][PERSON]])[1][0] is None


@pytest.mark.parametrize("engine", sorted(COMPILERS))
def test_every_engine_has_the_sums(engine: str) -> None:
    persons = unbound("members", {PERSON: "string"})
    own = [column for column in COLUMNS if column.table == "tags/t"]
    groups = [column for column in own if column.kind in ("category", "list")]
    for expression in (
        sides_expression(persons, unbound("against", {PERSON: "string"})),
        sums_expression("tags/t", own, AS_OF),
        values_expression("tags/t", groups),
    ):
        assert "select" in compile_sql(expression, engine).lower()
