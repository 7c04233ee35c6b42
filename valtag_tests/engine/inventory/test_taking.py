"""What an inventory says of a company's tables, against the same worked out in pandas."""

import sqlite3
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from valtag_assets.engine.inventory import counting, keys, measuring
from valtag_assets.engine.inventory.profile import Inventory
from valtag_tests.engine.inventory.stock import column, inventory_of, lines, members, table

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


def test_what_forms_do_not_tell_is_suspected_by_its_name(tmp_path: Path) -> None:
    names = ["银行卡号", "银行账号", "passport_no", "护照号", "车牌号", "紧急联系人", "contact", "iban"]
    things = ["bank_name", "contact_count", "账号类型"]
    rows = {name: [f"{name}-{number}" for number in range(60)] for name in (*names, *things)}
    pd.DataFrame({"member_no": [f"M{number}" for number in range(60)], **rows}).to_csv(
        tmp_path / "x.csv", index=False
    )
    found = inventory_of(tmp_path)
    masked = {item.counted.name for item in table(found, "x").columns if item.suspicion is not None}
    assert masked == {"member_no", *names}


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


def test_the_total_of_lines_is_told_from_the_lines(tmp_path: Path) -> None:
    lines = pd.DataFrame(
        {"order_id": [f"T{n // 3:04}" for n in range(180)], "amount": [n % 17 + 0.5 for n in range(180)]}
    )
    orders = lines.groupby("order_id", as_index=False)["amount"].sum().rename(columns={"amount": "total_amount"})
    orders["member_no"] = [f"M{n % 25:03}" for n in range(len(orders))]
    orders["ordered_at"] = [f"2024-03-{1 + n % 28:02} 10:00:00" for n in range(len(orders))]
    orders["fee"] = 1.5 + orders.index % 3
    lines.to_csv(tmp_path / "lines.csv", index=False)
    orders.to_csv(tmp_path / "orders.csv", index=False)
    found = inventory_of(tmp_path)
    total, fee = column(found, "orders", "total_amount"), column(found, "orders", "fee")
    assert total.reason is not None and total.reason.en == "is the total of lines.amount"
    assert fee.reason is None


def write_form(frame: pd.DataFrame, folder: Path, form: str) -> None:
    """The table ``visits`` in one of the forms a source may have."""
    texts = frame.astype(str)
    file = folder / f"visits.{form}"
    if form == "jsonl":
        texts.to_json(file, orient="records", lines=True, force_ascii=False)
    elif form == "xlsx":
        texts.to_excel(file, index=False)
    elif form == "parquet":
        frame.to_parquet(file)
    elif form == "sqlite":
        with sqlite3.connect(file) as database:
            texts.to_sql("visits", database, index=False)
    elif form == "duckdb":
        with duckdb.connect(str(file)) as database:
            database.execute("create table visits as select * from frame")
    elif form == "tsv":
        texts.to_csv(file, index=False, sep="\t", encoding="utf-16")
    else:
        texts.to_csv(file, index=False, encoding="gb18030")


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet", "xlsx", "sqlite", "duckdb"])
def test_a_table_is_the_same_in_any_form(tmp_path: Path, form: str) -> None:
    rows = range(60)
    frame = pd.DataFrame(
        {
            "会员号": [f"M{n % 20:03}" for n in rows],
            "访问时间": pd.to_datetime([f"2024-05-{1 + n % 28:02} 08:30:{n:02}" for n in rows]),
            "页面": ["首页", "商品", "购物车"] * 20,
            "停留时长": [n * 3 for n in rows],
        }
    )
    write_form(frame, tmp_path, form)
    found = inventory_of(tmp_path)
    (visits,) = found.tables
    assert (visits.code, visits.rows, visits.role.kind) == ("visits", 60, "fact")
    assert (visits.role.person, visits.role.time) == ("member_no", "visited_at")
    assert [str(item.type) for item in visits.columns] == ["text", "timestamp", "text", "integer"]
    assert (visits.columns[3].measured.low, visits.columns[3].measured.high) == (0, 177)


def test_the_column_that_names_persons_stays_of_two_copies(tmp_path: Path) -> None:
    rows = [f"{n},{n},{n % 3},2024-01-{1 + n % 28:02} 09:00:00" for n in range(60)]
    (tmp_path / "visits.csv").write_text("\n".join(["key,user_id,page,visit_time", *rows]))
    visits = inventory_of(tmp_path).tables[0]
    assert visits.role.person == "user_id" and visits.column("key").left_out


def test_large_tables_are_sampled_and_measured_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (counting, keys, measuring):
        monkeypatch.setattr(module, "EXACT", 1_000)
    monkeypatch.setattr(counting, "LOOKED_AT", 400)
    rows = range(3_000)
    users = pd.DataFrame({"user_id": [f"u{n:05}" for n in rows], "city": [["上海", "北京"][n % 2] for n in rows]})
    users["birthday"] = pd.to_datetime([f"19{60 + n % 40}-03-0{1 + n % 9}" for n in rows])
    orders = pd.DataFrame({"order_id": [f"T{n:06}" for n in rows], "user_id": [f"u{n * 2 % 4000:05}" for n in rows]})
    orders["amount"] = ["bad" if n % 1000 == 1 else "NULL" if n % 100 == 0 else f"{n % 90}.5" for n in rows]
    orders["order_time"] = [f"2024-0{1 + n % 9}-11 10:00:00" for n in rows]
    users.to_parquet(tmp_path / "users.parquet")
    orders.to_csv(tmp_path / "orders.csv", index=False)
    found = inventory_of(tmp_path)
    assert all(item.sampled is not None and 250 < item.sampled < 600 for item in found.tables)
    amount = column(found, "orders", "amount")
    assert (amount.measured.missing, amount.measured.unread) == (30, 3)
    assert not amount.counted.exact and amount.counted.distinct == pytest.approx(92, rel=0.15)
    assert {item.code: (item.role.kind, item.role.person) for item in found.tables} == {
        "users": ("master", "user_id"),
        "orders": ("fact", "user_id"),
    }
    assert [key.columns for key in table(found, "orders").keys] == [("order_id",)]
    (join,) = found.joins
    assert (join.table, join.master) == ("orders", "users")
    seen = {f"u{n * 2 % 4000:05}" for n in rows}
    assert join.share == pytest.approx(len(seen & set(users["user_id"])) / len(seen), abs=0.1)


def test_two_tables_of_the_same_persons_are_copies_only_if_their_values_are_the_same(tmp_path: Path) -> None:
    before = pd.DataFrame({"member_no": [f"M{n:03}" for n in range(90)], "score": range(90)})
    before.to_csv(tmp_path / "before.csv", index=False)
    before.sample(frac=1, random_state=1).to_parquet(tmp_path / "copied.parquet", index=False)
    before.assign(score=before["score"] * 2).to_csv(tmp_path / "later.csv", index=False)
    tables = {item.code: item for item in inventory_of(tmp_path).tables}
    assert {code: item.role.kind for code, item in tables.items()} == {
        "before": "master",
        "copied": None,
        "later": "master",
    }
    assert [note.en[:36] for note in tables["later"].notes] == ["has exactly the columns of before.csv"[:36]]
