"""What came of a trigger, counted on tables written down: who counts, in which arm, and which rows convert them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.trigger_effect import (
    FLAGS,
    OUTCOMES,
    arms_expression,
    funnel_expression,
    levels_expression,
    outcomes_table,
)
from valtag_assets.engine.trigger_state import state_schema
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.types import INTEGER, TEXT
from valtag_tests.engine.test_usefulness import GATEWAY, PROJECT, SEGMENTS, TAGS, TRIGGER
from valtag_tests.kit import connected, write_catalog

AS_OF = date(2024, 3, 31)
KEPT = {"city": TEXT, "nobody_reads": INTEGER}


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> Resolved:
    effect = "{fact: orders, where: amount > 1, value: amount, within: 10d, keep: [city, nobody_reads]}\n"
    effect += "holdout: {share: 0.5, seed: 1}"
    files = {
        "project.yaml": PROJECT,
        "tags/buying.yaml": TAGS,
        "segments/s.yaml": SEGMENTS,
        "triggers/t.yaml": TRIGGER.replace("{fact: orders, keep: [nobody_reads]}", effect),
        "destinations/g.yaml": GATEWAY,
    }
    return resolve_catalog(write_catalog(tmp_path_factory.mktemp("counted"), files))


def arrow(schema: ibis.Schema) -> pa.Schema:
    kinds = {"string": pa.string(), "int64": pa.int64(), "date": pa.date32(), "boolean": pa.bool_()}
    kinds |= {"timestamp(6)": pa.timestamp("us"), "decimal(38, 4)": pa.decimal128(38, 4)}
    return pa.schema([(name, kinds[str(kind)]) for name, kind in schema.items()])


def entry(person: str, entered: date | None, arm: str = "treated", **more: Any) -> dict[str, Any]:
    decision = {"treated": "planned"}.get(arm, "control")
    return {"person_id": person, "entry": 1, "entered": entered, "arm": arm, "decision": decision, **more}


class Tables:
    """The tables an effect is counted from, as files."""

    def __init__(self, folder: Path, resolved: Resolved) -> None:
        self.folder, self.resolved, self.files = folder, resolved, dict[str, list[Path]]()
        self.write(OUTCOMES, [], arrow(outcomes_table().schema()))

    def write(self, name: str, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
        file = self.folder / f"{name.replace('/', '_')}.parquet"
        whole = [{column: row.get(column) for column in schema.names} for row in rows]
        pq.write_table(pa.Table.from_pylist(whole, schema), file)
        self.files[name] = [file]

    def entries(self, *rows: Mapping[str, Any]) -> None:
        self.write("triggers/hello", rows, arrow(state_schema(KEPT)))

    def orders(self, *rows: tuple[str, datetime, str]) -> None:
        columns = {"number": pa.int64(), "member": pa.string(), "paid_at": pa.timestamp("us")}
        schema = pa.schema([*columns.items(), ("amount", pa.decimal128(18, 2))])
        made = [
            {"number": n, "member": person, "paid_at": at, "amount": Decimal(amount)}
            for n, (person, at, amount) in enumerate(rows)
        ]
        self.write("clean/orders", made, schema)

    def count(self, expression: Any) -> list[dict[str, Any]]:
        trigger = self.resolved.triggers["hello"]
        with connected() as connection:
            asked = expression(self.resolved, trigger, KEPT, AS_OF)
            return DuckDBEngine(connection).fetch(asked, self.files).to_pylist()

    def arms(self, period: str = "all") -> dict[bool, dict[str, Any]]:
        return {row["treated"]: row for row in self.count(arms_expression) if row["period"] == period}


@pytest.fixture
def tables(tmp_path: Path, resolved: Resolved) -> Tables:
    return Tables(tmp_path, resolved)


def test_the_window_begins_the_day_after_and_ends_with_its_last_day(tables: Tables) -> None:
    day = date(2024, 3, 10)
    tables.entries(*(entry(person, day) for person in ("same", "first", "last", "after", "small", "none")))
    tables.orders(
        ("same", datetime(2024, 3, 10, 23, 59), "5"),
        ("first", datetime(2024, 3, 11), "5"),
        ("first", datetime(2024, 3, 12), "7.50"),
        ("last", datetime(2024, 3, 20, 23, 59, 59), "5"),
        ("after", datetime(2024, 3, 21), "5"),
        ("small", datetime(2024, 3, 12), "1"),
    )
    whole = tables.arms()[True]
    assert (whole["n"], whole["converted"], whole["y"], whole["yy"]) == (6, 2, Decimal("17.5"), Decimal("181.25"))


def test_the_event_that_made_a_person_enter_is_no_conversion(tables: Tables) -> None:
    at = datetime(2024, 3, 11, 9, 30)
    tables.entries(*(entry(who, date(2024, 3, 10), event_at=at) for who in ("once", "again")))
    tables.orders(("once", at, "5"), ("again", at, "5"), ("again", datetime(2024, 3, 11, 9, 31), "5"))
    assert tables.arms()[True]["converted"] == 1


def test_entries_whose_window_is_not_over_are_counted_apart(tables: Tables) -> None:
    tables.entries(entry("over", date(2024, 3, 21)), entry("not", date(2024, 3, 22)), entry("waits", None))
    tables.orders(("over", datetime(2024, 3, 31, 12), "5"), ("not", datetime(2024, 3, 23), "5"))
    whole = tables.arms()[True]
    assert (whole["entered"], whole["not_over"], whole["n"], whole["converted"]) == (2, 1, 1, 1)


def test_a_person_counts_once_in_the_arm_of_the_first_entry(tables: Tables) -> None:
    again = entry("two", date(2024, 3, 5)) | {"entry": 2}
    tables.entries(entry("two", date(2024, 2, 10)), again, entry("held", date(2024, 3, 1), "control"))
    tables.orders(("two", datetime(2024, 3, 6), "5"), ("held", datetime(2024, 3, 2), "5"))
    assert [tables.arms()[side]["converted"] for side in (True, False)] == [0, 1]
    assert (tables.arms("2024-02")[True]["n"], tables.arms("2024-03")[True]["n"]) == (1, 0)


def test_who_was_not_sent_to_after_the_draw_stays_in_the_arm(tables: Tables) -> None:
    day = date(2024, 3, 1)
    tables.entries(
        entry("sent", day),
        entry("poor", day) | {"decision": "over_budget"},
        entry("asked_not_to", day) | {"decision": "excluded"},
        entry("held", day, "control"),
        entry("held_everywhere", day, "global_control"),
    )
    tables.orders(("poor", datetime(2024, 3, 2), "5"), ("asked_not_to", datetime(2024, 3, 2), "5"))
    assert {side: (row["n"], row["converted"]) for side, row in tables.arms().items()} == {
        True: (2, 1),
        False: (1, 0),
    }


def test_messages_are_those_of_the_entries_of_the_period(tables: Tables) -> None:
    tables.entries(entry("over", date(2024, 2, 1)), entry("not", date(2024, 3, 30)))
    tables.orders()
    told = {"entry": 1, "step": "sms", "destination": "gateway"} | dict.fromkeys(FLAGS, False)
    rows = [{**told, "person_id": who, "planned": True, "sent": True} for who in ("over", "not", "stranger")]
    rows[0]["clicked"] = True
    tables.write(OUTCOMES, rows, arrow(outcomes_table().schema()))
    found = {row["period"]: (row["sent"], row["clicked"], row["counted"]) for row in tables.count(funnel_expression)}
    assert found == {"all": (2, 1, 1), "2024-02": (1, 1, 1), "2024-03": (1, 0, 0)}


def test_holders_are_the_upper_half_of_numbers_and_the_commonest_text(tables: Tables) -> None:
    values = [("a", "上海", 1), ("b", "上海", 2), ("c", "北京", 3), ("d", None, 4), ("e", "成都", None)]
    tables.entries(*(entry(w, date(2024, 3, 1), seen_city=c, seen_nobody_reads=n) for w, c, n in values))
    tables.orders(("a", datetime(2024, 3, 2), "5"), ("d", datetime(2024, 3, 2), "5"))
    found: dict[tuple[str, bool], tuple[int, int]] = {}
    for row in tables.count(levels_expression):
        persons, converted = found.get((row["tag"], row["holder"]), (0, 0))
        found[row["tag"], row["holder"]] = persons + row["persons"], converted + row["converted"]
    assert found == {
        ("city", True): (2, 1),
        ("city", False): (2, 0),
        ("nobody_reads", True): (2, 1),
        ("nobody_reads", False): (2, 1),
    }
