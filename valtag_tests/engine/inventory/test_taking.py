"""What an inventory says of a company's tables, against the same worked out in pandas."""

import pandas as pd
import pytest

from valtag_assets.engine.inventory.profile import Inventory
from valtag_tests.engine.inventory.stock import column, lines, members, table

MISSING = {"", "NULL", "未知"}


def test_files_of_one_table_are_one_and_the_others_are_named(found: Inventory) -> None:
    assert {(item.code, item.rows) for item in found.tables} == {("members", 120), ("orders", 920), ("products", 40)}
    assert [name for name, _ in found.unread] == ["empty.csv"]
    assert found.ignored == ("README.md",)


def test_the_encoding_is_told_by_the_bytes(found: Inventory) -> None:
    assert table(found, "members").place.origin.encoding == "gb18030"
    assert table(found, "orders").place.origin.encoding == "utf-8"


@pytest.mark.parametrize(
    ("code", "name", "kind", "formats"),
    [
        ("members", "会员号", "text", ()),
        ("members", "生日", "date", ("YYYY/M/D", "iso", "YYYYMMDD")),
        ("members", "注册时间", "timestamp", ("iso",)),
        ("members", "积分", "integer", ()),
        ("orders", "order_time", "timestamp", ("iso", "epoch_s")),
        ("orders", "price", "decimal(18,2)", ()),
        ("orders", "amount", "decimal(18,2)", ()),
        ("orders", "qty", "integer", ()),
        ("orders", "line_no", "text", ()),
        ("products", "sku", "text", ()),
    ],
)
def test_types_and_formats_are_guessed(
    found: Inventory, code: str, name: str, kind: str, formats: tuple[str, ...]
) -> None:
    field = column(found, code, name).guess.field
    assert str(field.type) == kind
    assert set(field.formats) == set(formats)


@pytest.mark.parametrize(("code", "frame"), [("members", members()), ("orders", lines())], ids=["members", "orders"])
def test_missing_and_different_values_are_counted_exactly(found: Inventory, code: str, frame: pd.DataFrame) -> None:
    for name in frame.columns:
        item = column(found, code, name)
        nothing = MISSING | set(item.guess.field.missing)
        assert item.measured.missing == frame[name].astype(str).isin(nothing).sum(), name
        assert (item.counted.distinct, item.counted.exact) == (frame[name].nunique(), True), name


def test_quantiles_and_ranges_are_those_of_the_values(found: Inventory) -> None:
    quantity = lines()["qty"]
    measured = column(found, "orders", "qty").measured
    assert (measured.low, measured.high) == (quantity.min(), quantity.max())
    assert measured.quantiles == pytest.approx(quantity.quantile([0.01, 0.05, 0.5, 0.95, 0.99]).tolist())


def test_what_can_not_be_read_is_counted(found: Inventory) -> None:
    assert column(found, "orders", "amount").measured.unread == 1
    assert column(found, "orders", "order_time").measured.unread == 0


def test_spellings_of_nothing_are_found_beyond_those_of_every_project(found: Inventory) -> None:
    born = column(found, "members", "生日")
    assert set(born.guess.field.missing) == {"-1", "1900-01-01"}
    assert born.counted.spellings == {"-1": 6, "1900-01-01": 1}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("手机号", "phone"),
        ("姓名", "name"),
        ("证件", "id card"),
        ("生日", "birth date"),
        ("会员号", "key of a person"),
        ("城市", None),
        ("积分", None),
    ],
)
def test_personal_data_is_suspected_by_name_or_values(found: Inventory, name: str, what: str | None) -> None:
    suspicion = column(found, "members", name).suspicion
    assert (suspicion.what.en if suspicion else None) == what


def test_a_column_that_says_nothing_new_says_why(found: Inventory) -> None:
    reasons = {
        (code, name): item.reason.en
        for code, name in [
            ("members", "导出批次"),
            ("orders", "amount"),
            ("products", "copy"),
            ("products", "brand_name"),
        ]
        if (item := column(found, code, name)).reason
    }
    assert reasons == {
        ("members", "导出批次"): "is the same in every row",
        ("orders", "amount"): "follows from price × qty",
        ("products", "copy"): "is a copy of sku",
        ("products", "brand_name"): "goes one to one with brand",
    }


def test_kinds_persons_times_and_keys_are_told(found: Inventory) -> None:
    said = {item.code: (item.role.kind, item.role.person, item.role.time, item.role.merged) for item in found.tables}
    assert said == {
        "members": ("master", "member_no", None, ("member_no",)),
        "orders": ("fact", "member_no", "order_time", ("order_id", "line_no")),
        "products": ("lookup", None, None, ("sku",)),
    }
    assert table(found, "orders").keys[0].copies == 20


def test_joins_have_the_share_that_sets_have(found: Inventory) -> None:
    bought = set(lines()["member_no"]) - MISSING
    share = len(bought & set(members()["会员号"])) / len(bought)
    joins = {(j.table, j.column, j.master): (j.share, j.values) for j in found.joins}
    assert joins[("orders", "member_no", "members")] == (share, len(bought))
    assert joins[("orders", "sku", "products")] == (1.0, 40)
