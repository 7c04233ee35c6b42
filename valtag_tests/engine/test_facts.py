"""Every aggregation × every window × where, against the same thing computed in plain Python."""

import random
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.persons import PERSONS, clean_name
from valtag_assets.engine.tags import category_expression
from valtag_assets.expression.resolved import Resolved
from valtag_tests import kit
from valtag_tests.chance import MORE
from valtag_tests.engine.reference import expected, typed

WINDOWS = ["all", "1d", "30d", "before 30d", "mtd", "ytd"]
AS_OFS = [date(2024, 2, 29), date(2023, 12, 31), date(2024, 1, 1), date(2023, 3, 30)]
PERSONS_THERE = ["a", "B", "陈 😀", "it's", *(f"p{n}" for n in range(8)), "quiet"]
# One run computes hundreds of columns for a dozen persons: few examples see much, and shrinking one is slow.
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
WHERE: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "everything": ("", lambda row: True),
    "filtered": ("channel = 'app' or amount < 0", lambda r: r["channel"] == "app" or (r["amount"] or 0) < 0),
}
MONEY = "decimal(18,2)"


def _field(name: str) -> Callable[[Any], Any]:
    return lambda row: row[name]


# What each tag reads (YAML), its declared type, and the value of one row in Python.
VALUES: dict[str, tuple[dict[str, Any], str, Callable[[Any], Any]]] = {
    "row_count": ({"agg": "count"}, "integer", _field("number")),
    "brand_count": ({"agg": "count_distinct", "of": "brand"}, "integer", _field("brand")),
    "quantity_count": ({"agg": "count_distinct", "of": "quantity"}, "decimal(9,1)", _field("quantity")),
    "active_days": (
        {"agg": "count_distinct", "of": "date(paid_at)"},
        "integer",
        lambda row: row["paid_at"].date(),
    ),
    "sum_amount": ({"agg": "sum", "of": "amount"}, MONEY, _field("amount")),
    "sum_doubled": ({"agg": "sum", "of": "amount * 2"}, "float", lambda r: r["amount"] and 2 * r["amount"]),
    "sum_quantity": ({"agg": "sum", "of": "quantity"}, "integer", _field("quantity")),
    "sum_ratio": ({"agg": "sum", "of": "ratio"}, "float", _field("ratio")),
    "avg_amount": ({"agg": "avg", "of": "amount"}, MONEY, _field("amount")),
    "avg_quantity": ({"agg": "avg", "of": "quantity"}, "float", _field("quantity")),
    "avg_ratio": ({"agg": "avg", "of": "ratio"}, "float", _field("ratio")),
    "min_amount": ({"agg": "min", "of": "amount"}, "decimal(20,4)", _field("amount")),
    "max_brand": ({"agg": "max", "of": "brand"}, "text", _field("brand")),
    "min_paid_at": ({"agg": "min", "of": "paid_at"}, "timestamp", _field("paid_at")),
    "max_due_date": ({"agg": "max", "of": "due"}, "date", _field("due")),
    "is_ever_gift": ({"agg": "max", "of": "gift"}, "boolean", _field("gift")),
    "first_brand": ({"agg": "first", "of": "brand"}, "text", _field("brand")),
    "last_brand": ({"agg": "last", "of": "brand"}, "text", _field("brand")),
    "first_amount": ({"agg": "first", "of": "amount"}, MONEY, _field("amount")),
    "last_quantity": ({"agg": "last", "of": "quantity"}, "integer", _field("quantity")),
    "last_ratio": ({"agg": "last", "of": "ratio"}, "float", _field("ratio")),
    "last_paid_at": ({"agg": "last", "of": "paid_at"}, "timestamp", _field("paid_at")),
    "first_due_date": ({"agg": "first", "of": "due"}, "date", _field("due")),
    "is_last_gift": ({"agg": "last", "of": "gift"}, "boolean", _field("gift")),
    "top_brand": ({"agg": "top", "of": "brand"}, "text", _field("brand")),
    "top_paid_brand": (
        {"agg": "top", "of": "brand", "by": "sum(amount)", "ties": ["count() asc"]},
        "text",
        _field("brand"),
    ),
    "top_quantity": (
        {"agg": "top", "of": "quantity", "ties": ["sum(amount) asc", "sum(ratio)"]},
        "integer",
        _field("quantity"),
    ),
    "top_brands": (
        {"agg": "top_k", "of": "brand", "k": 2, "ties": ["sum(amount) desc"]},
        "list(text)",
        _field("brand"),
    ),
    "top_quantities": (
        {"agg": "top_k", "of": "quantity", "by": "sum(ratio)"},
        "list(integer)",
        _field("quantity"),
    ),
    "brand_share": ({"agg": "share", "of": "brand"}, "float", _field("brand")),
    "a_share": (
        {"agg": "share", "of": "brand", "equals": "a", "by": "sum(amount)"},
        "decimal(18,4)",
        _field("brand"),
    ),
    "one_share": ({"agg": "share", "of": "quantity", "equals": 1}, "float", _field("quantity")),
    "all_brands": ({"agg": "list", "of": "brand", "k": 2}, "list(text)", _field("brand")),
    "all_quantities": ({"agg": "list", "of": "quantity"}, "list(integer)", _field("quantity")),
    "days_since_first_order": ({"agg": "days_since_first"}, "integer", _field("number")),
    "days_since_last_order": ({"agg": "days_since_last"}, "integer", _field("number")),
    "median_amount": ({"agg": "median", "of": "amount"}, MONEY, _field("amount")),
    "median_quantity": ({"agg": "median", "of": "quantity"}, "float", _field("quantity")),
    "high_amount": ({"agg": "quantile", "of": "amount", "q": 0.9}, "float", _field("amount")),
    "low_ratio": ({"agg": "quantile", "of": "ratio", "q": 0.25}, "float", _field("ratio")),
}


class Remembering(DuckDBEngine):
    """Compiles an expression once, however often Hypothesis runs it."""

    texts: ClassVar[dict[int, str]] = {}

    def sql(self, expression: ibis.Table) -> str:
        if id(expression) not in self.texts:
            self.texts[id(expression)] = super().sql(expression)
        return self.texts[id(expression)]


@cache
def every_tag() -> Resolved:
    files = {"sources/orders.yaml": kit.ORDERS, "sources/calls.yaml": CALLS}
    for name, (where, _) in WHERE.items():
        tags = []
        for code, (value, kind, _) in VALUES.items():
            block = {"fact": "orders", **value} | ({"where": where} if where else {})
            tags.append(kit.tag(_code(name, code), kind, block, windows=WINDOWS))
        files[f"tags/{name}.yaml"] = kit.category(name, *tags)
    files["tags/dated.yaml"] = kit.category("dated", *_dated())
    with TemporaryDirectory() as folder:
        return kit.make_catalog(Path(folder), files)


def _code(name: str, code: str) -> str:
    start = next((word for word in ("days_since_", "is_") if code.startswith(word)), "")
    return f"{start}{name}_{code.removeprefix(start)}"


CALLS = """\
source: calls
title: {zh: 通话, en: Calls}
kind: fact
person: member
time: day
read: {path: calls.csv}
deduplicate: {key: [number]}
fields:
  - {name: member, type: integer}
  - {name: day, type: date}
  - {name: number, type: text}
  - {name: topic, type: text}
"""
DATED: dict[str, tuple[dict[str, Any], str]] = {
    "call_count": ({"agg": "count"}, "integer"),
    "first_topic": ({"agg": "first", "of": "topic"}, "text"),
    "last_topic": ({"agg": "last", "of": "topic"}, "text"),
    "last_day_date": ({"agg": "last", "of": "day"}, "date"),
    "days_since_last_call": ({"agg": "days_since_last"}, "integer"),
    "top_topic": ({"agg": "top", "of": "topic"}, "text"),
}


def _dated() -> list[dict[str, Any]]:
    return [kit.tag(c, kind, {"fact": "calls", **v}, windows=WINDOWS) for c, (v, kind) in DATED.items()]


@cache
def expression(category: str, as_of: date) -> ibis.Table:
    return category_expression(every_tag(), every_tag().categories[category], as_of)


def days_at_edges(as_of: date) -> st.SearchStrategy[date]:
    """Days on both sides of every window's edge, leap days, and any others near."""
    month, year = as_of.replace(day=1), as_of.replace(month=1, day=1)
    edges = [as_of - timedelta(days=n) for n in (-1, 0, 1, 29, 30, 31, 365)]
    edges += [month, month - timedelta(days=1), year, year - timedelta(days=1), date(2020, 2, 29)]
    return st.sampled_from(edges) | st.dates(date(2022, 12, 1), date(2024, 3, 5))


def moments_at_edges(as_of: date) -> st.SearchStrategy[datetime]:
    times = st.sampled_from([time(), time(23, 59, 59, 999999), time(12)])
    return st.builds(datetime.combine, days_at_edges(as_of), times)


def histories(as_of: date) -> st.SearchStrategy[list[dict[str, Any]]]:
    row = st.fixed_dictionaries(
        {
            "member": st.sampled_from([*PERSONS_THERE[:-1], "stranger", None]),
            "number": st.none() | st.integers(8, 12),
            "paid_at": moments_at_edges(as_of),
            "amount": st.none() | st.integers(-300, 300).map(lambda cents: Decimal(cents) / 100),
            "ratio": st.none() | st.integers(-16, 16).map(lambda part: part / 8),
            "quantity": st.none() | st.integers(-1, 2),
            "brand": st.sampled_from(["a", "B", "b", "é", "茅台", "😀", "'; --", "", None]),
            "channel": st.sampled_from(["app", "web", None]),
            "gift": st.sampled_from([True, False, None]),
            "due": st.none() | days_at_edges(as_of),
        }
    )
    return st.lists(row, max_size=60).map(lambda rows: rows + rows[:3])


def computed(folder: Path, category: str, source: str, as_of: date, rows: Any, parts: int, threads: int) -> pa.Table:
    resolved = every_tag()
    inputs = {PERSONS: kit.write_persons(folder, [*PERSONS_THERE, "7"])}
    inputs[clean_name(source)] = kit.write_clean(folder, resolved, source, rows, parts)
    return kit.run(expression(category, as_of), inputs, folder / "out.parquet", Remembering, threads)


@pytest.mark.parametrize(
    ("category", "as_of"),
    [
        ("everything", AS_OFS[0]),
        ("filtered", AS_OFS[0]),
        *(pytest.param("everything", as_of, marks=pytest.mark.long) for as_of in AS_OFS[1:]),
    ],
)
def test_every_aggregation_in_every_window_equals_plain_python(category: str, as_of: date) -> None:
    where = WHERE[category][1]
    expression(category, as_of)

    @given(rows=histories(as_of))
    @settings(max_examples=4 * MORE, phases=WITHOUT_SHRINKING, suppress_health_check=list(HealthCheck))
    def agrees(rows: list[dict[str, Any]]) -> None:
        with TemporaryDirectory() as name:
            table = computed(Path(name), category, "orders", as_of, rows, 1, 1)
        for got in table.to_pylist():
            own = [row for row in rows if row["member"] == got["person_id"]]
            for code, (value, kind, of) in VALUES.items():
                for window in WINDOWS:
                    column = _code(category, code) + _suffix(window)
                    found = expected(own, value, window, as_of, "paid_at", "number", where, of)
                    assert got[column] == typed(found, kind), (column, value, own)

    agrees()


@given(rows=histories(AS_OFS[0]), seed=st.integers(0, 9))
@settings(max_examples=4 * MORE, phases=WITHOUT_SHRINKING, suppress_health_check=list(HealthCheck))
def test_the_order_of_rows_the_files_and_the_threads_do_not_matter(rows: list[dict[str, Any]], seed: int) -> None:
    shuffled = random.Random(seed).sample(rows, len(rows))
    with TemporaryDirectory() as name:
        table = computed(Path(name), "everything", "orders", AS_OFS[0], rows, 1, 1)
        again = computed(Path(name), "everything", "orders", AS_OFS[0], shuffled, 3, 4)
    assert table.equals(again)


@pytest.mark.parametrize("as_of", AS_OFS[:2])
def test_a_fact_dated_by_days_counts_the_same_windows(as_of: date) -> None:
    row = st.fixed_dictionaries(
        {
            "member": st.sampled_from([7, 8, None]),
            "number": st.sampled_from(["9", "10", None]),
            "day": st.none() | days_at_edges(as_of),
            "topic": st.sampled_from(["x", "y", None]),
        }
    )

    @given(rows=st.lists(row, max_size=20))
    @settings(max_examples=20 * MORE)
    def agrees(rows: list[dict[str, Any]]) -> None:
        with TemporaryDirectory() as name:
            table = computed(Path(name), "dated", "calls", as_of, rows, 2, 2)
        got = next(item for item in table.to_pylist() if item["person_id"] == "7")
        own = [item for item in rows if item["member"] == 7]
        for code, (value, kind) in DATED.items():
            for window in WINDOWS:
                of = _field(value.get("of", "number"))
                found = expected(own, value, window, as_of, "day", "number", lambda _: True, of)
                assert got[code + _suffix(window)] == typed(found, kind), (code, window)

    agrees()


def _suffix(window: str) -> str:
    return "" if window == "all" else "_" + window.replace(" ", "_")


@pytest.mark.parametrize("category", [*WHERE, "dated"])
def test_parquet_columns_have_exactly_the_declared_types(tmp_path: Path, category: str) -> None:
    source = "calls" if category == "dated" else "orders"
    table = computed(tmp_path, category, source, AS_OFS[0], [], 1, 1)
    wanted = kit.tag_columns(every_tag(), category)
    assert table.column_names == list(wanted)
    for name, kind in wanted.items():
        got = table.schema.field(name).type
        assert got == kit.arrow_type(kind) or (
            pa.types.is_list(got) and got.value_type == kit.arrow_type(kind).value_type
        )


def test_every_person_has_one_row_in_order_and_strangers_have_none(tmp_path: Path) -> None:
    rows = [{"member": "stranger", "paid_at": datetime(2024, 2, 1), "number": 1}]
    table = computed(tmp_path, "everything", "orders", AS_OFS[0], rows, 1, 1)
    assert table["person_id"].to_pylist() == sorted([*PERSONS_THERE, "7"], key=str.encode)


def test_huge_sums_stay_exact(tmp_path: Path) -> None:
    rows = [
        {"member": "a", "paid_at": datetime(2024, 2, 1), "amount": Decimal("9999999999999999.99"), "quantity": 2**62},
        {
            "member": "a",
            "paid_at": datetime(2024, 2, 1),
            "amount": Decimal("-9999999999999999.98"),
            "quantity": -(2**62),
        },
        {"member": "a", "paid_at": datetime(2024, 2, 2), "quantity": 2**62 + 1},
    ]
    (row,) = [
        item
        for item in computed(tmp_path, "everything", "orders", AS_OFS[0], rows, 1, 1).to_pylist()
        if item["person_id"] == "a"
    ]
    assert row["everything_sum_amount"] == Decimal("0.01")
    assert row["everything_sum_quantity"] == 2**62 + 1


def test_floats_add_up_alike_in_any_order(tmp_path: Path) -> None:
    resolved = kit.make_catalog(
        tmp_path,
        {
            "tags/t.yaml": kit.category(
                "t", kit.tag("ratio_sum", "float", {"fact": "orders", "agg": "sum", "of": "ratio"})
            )
        },
    )
    rows = [{"member": "a", "paid_at": datetime(2024, 2, 1), "ratio": n} for n in (0.1, 0.2, 0.3, 1e9, -1e9) * 40]
    sums = set()
    for seed in range(4):
        random.Random(seed).shuffle(rows)
        (found,) = kit.compute(tmp_path, resolved, "t", AS_OFS[0], {"orders": rows}, ["a"])
        sums.add(found["ratio_sum"])
    assert sums == {24.0}
