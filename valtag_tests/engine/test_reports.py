"""Reports: every line as plain Python counts it, whoever has no value of a dimension included."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valtag_assets.engine.persons import PERSONS, clean_name
from valtag_assets.engine.reports import report_columns, report_expression
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.types import DataType
from valtag_tests import kit
from valtag_tests.chance import MORE

AS_OF = date(2024, 2, 29)
TAGS = kit.category(
    "who",
    kit.tag("city", "text", {"master": "members", "of": "city"}),
    kit.tag("points", "integer", {"master": "members", "of": "points"}),
    refresh={"schedule": "on_demand"},
)
SEGMENTS = {"segments": [{"code": "vips", "title": {"zh": "贵宾", "en": "VIPs"}, "rule": "points > 5"}]}
CITIES = ("上海", "北京", None)


def measure(code: str, **more: Any) -> dict[str, Any]:
    return {"code": code, "title": {"zh": code, "en": code}, **more}


PERSONS_MEASURES = [
    measure("persons", agg="persons"),
    measure("buyers", agg="persons", fact="orders", where="gift = false", window="30d"),
    measure("orders", agg="count", fact="orders"),
    measure("channels", agg="count_distinct", fact="orders", of="channel"),
    measure("revenue", agg="sum", fact="orders", of="amount", window="30d"),
    measure("mean_amount", agg="avg", fact="orders", of="amount"),
    measure("part", share="orders"),
    measure("conversion", ratio=["buyers", "persons"]),
]
FACT_MEASURES = [
    measure("buyers", agg="persons"),
    measure("orders", agg="count", where="quantity > 1"),
    measure("pieces", agg="sum", of="quantity"),
]


def report(dimensions: Sequence[Mapping[str, Any]], measures: Sequence[Mapping[str, Any]], **more: Any) -> Any:
    block = {"code": "numbers", "title": {"zh": "数字", "en": "Numbers"}, "dimensions": list(dimensions)}
    return {"reports": [{**block, "measures": list(measures), **more}]}


def catalog(folder: Path, written: Any) -> Resolved:
    files = {"tags/who.yaml": TAGS, "segments/s.yaml": SEGMENTS, "reports/r.yaml": written}
    return kit.make_catalog(folder, files)


def lines(
    folder: Path, written: Any, who: Sequence[kit.Row], orders: Sequence[kit.Row], vips: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The report's lines, its types checked."""
    resolved = catalog(folder / "catalog", written)
    found = resolved.reports["numbers"]
    text = {"person_id": DataType("text")}
    inputs = {
        PERSONS: kit.write_persons(folder, [row["person_id"] for row in who]),
        clean_name("orders"): kit.write_clean(folder, resolved, "orders", orders, parts=2),
        "tags/who": [kit.write_rows(folder / "who.parquet", kit.tag_columns(resolved, "who"), who)],
        "segments/vips": [kit.write_rows(folder / "vips.parquet", text, [{"person_id": item} for item in vips])],
    }
    table = kit.run(report_expression(resolved, found, AS_OF), inputs, folder / "out.parquet")
    wanted = {name: str(kit.arrow_type(kind)) for name, kind in report_columns(found).items()}
    assert {name: str(table.schema.field(name).type) for name in table.column_names} == wanted
    assert [row["row"] for row in table.to_pylist()] == list(range(table.num_rows))
    return table.to_pylist()


WHO = [
    {"person_id": "a", "city": "上海", "points": 9},
    {"person_id": "b", "city": "上海", "points": 1},
    {"person_id": "c", "city": None, "points": None},
    {"person_id": "d", "city": "北京", "points": 7},
]


def order(number: int, member: str | None, days_ago: int, amount: str | None = "10.00", **more: Any) -> kit.Row:
    paid = datetime.combine(AS_OF - timedelta(days=days_ago), datetime.min.time()) + timedelta(hours=23)
    known = {"channel": "app", "quantity": 2, "gift": False}
    value = None if amount is None else Decimal(amount)
    return {"number": number, "member": member, "paid_at": paid, "amount": value, **known, **more}


ORDERS = [
    order(1, "a", 0),
    order(2, "a", 29, "0.10"),
    order(3, "a", 30, "5.00", channel="web"),
    order(4, "c", 1, "7.00", gift=True),
    order(5, "stranger", 0),
    order(6, None, 0),
    order(7, "b", -1),
]


def test_conversion_by_city_with_a_line_for_those_without_one(tmp_path: Path) -> None:
    found = lines(tmp_path, report([{"tag": "city"}], PERSONS_MEASURES), WHO, ORDERS)
    numbers = [
        (row["is_total"], row["city"], row["persons"], row["buyers"], row["orders"], row["channels"]) for row in found
    ]
    assert numbers == [
        (True, None, 4, 1, 4, 2),
        (False, "上海", 2, 1, 3, 2),
        (False, "北京", 1, 0, 0, 0),
        (False, None, 1, 0, 1, 1),
    ]
    assert [row["revenue"] for row in found] == [Decimal("17.10"), Decimal("10.10"), Decimal(0), Decimal("7.00")]
    assert [row["conversion"] for row in found] == [0.25, 0.5, 0.0, 0.0]
    assert [row["part"] for row in found] == [1.0, 0.75, 0.0, 0.25]
    assert [row["mean_amount"] for row in found] == [pytest.approx(5.525), pytest.approx(15.1 / 3), None, 7.0]


def test_members_against_the_others(tmp_path: Path) -> None:
    found = lines(tmp_path, report([{"segment": "vips"}], PERSONS_MEASURES[:1]), WHO, ORDERS, vips=["a", "d"])
    assert [(row["in_vips"], row["persons"]) for row in found] == [(None, 4), (False, 2), (True, 2)]


def test_only_the_chosen_persons_count(tmp_path: Path) -> None:
    written = report([{"tag": "city"}], PERSONS_MEASURES[:3], where="city = '上海'", segments=["vips"])
    found = lines(tmp_path, written, WHO, ORDERS, vips=["a", "d"])
    assert [(row["city"], row["persons"], row["orders"]) for row in found] == [(None, 1, 3), ("上海", 1, 3)]


def test_persons_may_be_chosen_by_any_rule(tmp_path: Path) -> None:
    written = report([{"tag": "city"}], PERSONS_MEASURES[:1], where={"any": ["did_not(orders)", "points > 8"]})
    found = lines(tmp_path, written, WHO, ORDERS)
    # b's order lies after the as-of, d has none, a has points.
    assert [(row["city"], row["persons"]) for row in found] == [(None, 3), ("上海", 2), ("北京", 1)]


def test_the_rows_of_a_fact_by_one_of_its_fields_and_by_month(tmp_path: Path) -> None:
    written = report([{"field": "channel"}, {"date": "month"}], FACT_MEASURES, fact="orders")
    found = lines(tmp_path, written, WHO, ORDERS)
    assert [(row["channel"], row["month"], row["buyers"], row["pieces"]) for row in found] == [
        (None, None, 2, 8),
        ("app", date(2024, 1, 1), 1, 2),
        ("app", date(2024, 2, 1), 2, 4),
        ("web", date(2024, 1, 1), 1, 2),
    ]


def test_nobody_and_nothing_give_the_line_of_all_alone(tmp_path: Path) -> None:
    found = lines(tmp_path, report([{"tag": "city"}], PERSONS_MEASURES), [], [])
    assert [(row["persons"], row["revenue"], row["conversion"], row["part"]) for row in found] == [(0, 0, None, None)]


rows_of_orders = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d", "stranger", None]),
        st.integers(-2, 70),
        st.one_of(st.none(), st.decimals(-50, 50, places=2, allow_nan=False)),
        st.sampled_from(["app", "web", None]),
        st.booleans(),
        st.one_of(st.none(), st.integers(-3, 3)),
    ),
    max_size=25,
)
persons_of_tags = st.lists(st.tuples(st.sampled_from(CITIES), st.integers(0, 9)), min_size=1, max_size=4)


@settings(max_examples=25 * MORE)
@given(rows_of_orders, persons_of_tags)
def test_every_line_is_what_plain_python_counts(rows: list[tuple[Any, ...]], people: list[tuple[Any, ...]]) -> None:
    who = [{"person_id": "abcd"[n], "city": city, "points": points} for n, (city, points) in enumerate(people)]
    orders = [
        order(n, member, ago, None if amount is None else str(amount), channel=channel, gift=gift, quantity=quantity)
        for n, (member, ago, amount, channel, gift, quantity) in enumerate(rows)
    ]
    with TemporaryDirectory() as folder:
        by_city = lines(Path(folder), report([{"tag": "city"}], PERSONS_MEASURES), who, orders)
    city_of = {row["person_id"]: row["city"] for row in who}
    seen = [row for row in orders if row["member"] in city_of and row["paid_at"].date() <= AS_OF]
    cities = {row["city"] for row in by_city if not row["is_total"]}
    assert cities == set(city_of.values())
    for line in by_city:
        own = [row for row in seen if line["is_total"] or city_of[row["member"]] == line["city"]]
        new = [row for row in own if row["paid_at"].date() > AS_OF - timedelta(days=30)]
        amounts = [row["amount"] for row in own if row["amount"] is not None]
        assert line["persons"] == sum(line["is_total"] or city == line["city"] for city in city_of.values())
        assert line["buyers"] == len({row["member"] for row in new if not row["gift"]})
        assert line["orders"] == len(own)
        assert line["channels"] == len({row["channel"] for row in own} - {None})
        assert line["revenue"] == sum((row["amount"] or Decimal(0)) for row in new)
        assert line["conversion"] == line["buyers"] / line["persons"]
        assert line["mean_amount"] == (float(sum(amounts)) / len(amounts) if amounts else None)
        assert line["part"] == (len(own) / len(seen) if seen else None)
