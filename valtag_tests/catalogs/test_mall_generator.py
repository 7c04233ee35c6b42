"""The generator of the shipped example company: its dirt is real, and its truth is what the rules recover."""

import csv
import gzip
import hashlib
from itertools import combinations
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from valtag_assets.catalogs.mall.dirt import DIRT
from valtag_assets.catalogs.mall.generate import UNTIL, generate
from valtag_assets.catalogs.mall.vocabulary import CITIES, MISSING, city_column_spellings, code_tables
from valtag_tests.catalogs import recovery

PERSONS, DAYS, SEED = 2000, 400, 7
KEYS = {
    "crm_members": ["member_no"],
    "orders": ["order_id", "line_no"],
    "events": ["event_id"],
    "events_legacy": ["event_id"],
    "campaign_responses": ["campaign_id", "member_no", "action"],
    "products": ["sku"],
}


@pytest.fixture(scope="module")
def mall(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mall")
    generate(folder, PERSONS, DAYS, SEED)
    return folder


@pytest.fixture(scope="module")
def clean_products(mall: Path) -> recovery.Cleaned:
    return recovery.products(mall / "raw")


@pytest.fixture(scope="module")
def clean_lines(mall: Path, clean_products: recovery.Cleaned) -> recovery.Cleaned:
    return recovery.order_lines(mall / "raw", clean_products.rows)


def truth(mall: Path, table: str, where: str = "true") -> pd.DataFrame:
    return duckdb.connect().sql(f"SELECT * FROM '{mall}/truth/{table}.parquet' WHERE {where}").df()


def balances(mall: Path) -> dict[str, dict[str, int]]:
    with (mall / "truth/rows.csv").open(encoding="utf-8") as file:
        return {row.pop("table"): {key: int(n) for key, n in row.items()} for row in csv.DictReader(file)}


def dirt(mall: Path) -> dict[tuple[str, str], int]:
    with (mall / "truth/dirt.csv").open(encoding="utf-8") as file:
        return {(row["table"], row["kind"]): int(row["rows"]) for row in csv.DictReader(file)}


def fingerprints(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def assert_recovered(mall: Path, table: str, cleaned: recovery.Cleaned, expected: pd.DataFrame) -> None:
    """The independently cleaned rows are the truth, cell for cell, and the counts are those of rows.csv."""
    key = KEYS[table]
    expected = expected.sort_values(key).reset_index(drop=True)
    assert len(cleaned.rows) == len(expected) > 0
    for column in cleaned.rows.columns.intersection(expected.columns):
        ours, theirs = cleaned.rows[column], expected[column]
        both_missing = ours.isna() & theirs.isna()
        if column in ("amount", "price"):
            same = ours.map(lambda v: round(float(v) * 100)) == theirs.map(lambda v: round(float(v) * 100))
        else:
            same = ours == theirs
        assert (same | both_missing).all(), f"{table}.{column}"
    counts = balances(mall)[table]
    found = (cleaned.raw, len(cleaned.rows), cleaned.quarantined, cleaned.filtered, cleaned.merged)
    assert found == tuple(counts.values())


def test_members_cleaned_by_the_rules_are_the_truth(mall: Path) -> None:
    assert_recovered(mall, "crm_members", recovery.members(mall / "raw", pd.Timestamp(UNTIL)), truth(mall, "members"))


def test_order_lines_cleaned_by_the_rules_are_the_truth(mall: Path, clean_lines: recovery.Cleaned) -> None:
    assert_recovered(mall, "orders", clean_lines, truth(mall, "order_lines"))


@pytest.mark.parametrize(("origin", "table"), [("parquet", "events"), ("legacy", "events_legacy")])
def test_events_cleaned_by_the_rules_are_the_truth(mall: Path, origin: str, table: str) -> None:
    expected = truth(mall, "events", f"origin = '{origin}'")
    expected["dwell_ms"] = (expected["dwell_seconds"].astype(float) * 1000).round()
    assert_recovered(mall, table, recovery.events(mall / "raw", origin), expected)


def test_campaign_responses_cleaned_by_the_rules_are_the_truth(mall: Path) -> None:
    cleaned = recovery.responses(mall / "raw")
    assert_recovered(mall, "campaign_responses", cleaned, truth(mall, "campaign_responses"))


def test_products_cleaned_by_the_rules_are_the_truth(mall: Path, clean_products: recovery.Cleaned) -> None:
    assert_recovered(mall, "products", clean_products, truth(mall, "products"))


def test_every_raw_row_is_clean_or_quarantined_or_filtered_or_merged(mall: Path) -> None:
    for table, counts in balances(mall).items():
        assert counts.pop("raw") == sum(counts.values()), table


def test_every_kind_of_dirt_is_there_and_is_explained(mall: Path) -> None:
    found = dirt(mall)
    assert set(found) == {(table, kind) for table, kinds in DIRT.items() for kind in kinds}
    assert [key for key, rows in found.items() if rows == 0 and key[0] != "events_legacy"] == []


def test_the_counts_of_dirt_are_what_the_files_hold(mall: Path) -> None:
    found = dirt(mall)
    crm = pd.read_csv(mall / "raw/crm_members.csv", encoding="gb18030", dtype=str, keep_default_na=False)
    parts = [
        pd.read_csv(path, encoding="utf-8-sig", dtype=str, keep_default_na=False)
        for path in sorted((mall / "raw/orders").iterdir())
    ]
    orders = pd.concat(parts)
    clean_cities = {city.name for city in CITIES}
    times, amounts = orders["order_time"], orders["amount"]
    counted = {
        ("crm_members", "missing_city"): crm["城市"].isin(MISSING).sum(),
        ("crm_members", "city_spelling"): (
            ~crm["城市"].isin(clean_cities) & crm["城市"].map(recovery.text).isin(code_tables()["city"])
        ).sum(),
        ("crm_members", "birthday_format"): crm["生日"].str.fullmatch(r"(19|20)\d{6}|\d{4}[/年].+").sum()
        - crm["生日"].isin(["1985/13/1", "19910431", "2001年2月29日"]).sum(),
        ("crm_members", "special_name"): crm["姓名"].str.contains(r'["\n,🌸]').sum(),
        ("crm_members", "phone_format"): (~crm["手机号"].str.fullmatch("1[0-9]{10}")).sum()
        - crm["手机号"].isin(MISSING).sum(),
        ("orders", "epoch_millis"): times.str.fullmatch(r"\d{13}").sum(),
        ("orders", "epoch_seconds"): times.str.fullmatch(r"\d{10}").sum(),
        ("orders", "two_digit_year"): times.str.match(r"\d\d-").sum(),
        ("orders", "short_time"): times.str.contains("/").sum(),
        ("orders", "unknown_unit"): (orders["amount_unit"] == "厘").sum(),
        ("orders", "amount_in_fen"): (orders["amount_unit"] == "分").sum(),
        ("orders", "amount_text"): amounts.str.contains("[¥,０-９]", na=False).sum(),
        ("orders", "foreign_currency"): orders["currency"].isin(["HKD", "USD"]).sum(),
        ("orders", "test_store"): (orders["store"] == "TEST01").sum(),
        ("crm_members", "fake_phone"): (recovery.phones(crm["手机号"]) == "13800000000").sum(),
        ("orders", "guest_order"): (orders["member_no"].isin(MISSING) & (orders["phone"] == "")).sum(),
        ("orders", "card_left_at_home"): (orders["phone"].fillna("") != "").sum(),
        ("orders", "negative_quantity"): (orders["qty"].str.startswith("-", na=False)).sum(),
        ("orders", "sku_spelling"): (~orders["sku"].fillna("").str.fullmatch(r"(SKU\d{4})?")).sum(),
    }
    assert {key: int(n) for key, n in counted.items()} == {key: found[key] for key in counted}


def test_equal_arguments_give_equal_bytes_with_any_number_of_threads(tmp_path: Path) -> None:
    # large enough for several row groups in one Parquet file, which is where threads could show
    rows = [generate(tmp_path / name, 16_000, 400, 5, threads=n) for name, n in (("a", 1), ("b", 3))]
    assert rows[0] == rows[1]
    assert rows[0]["truth/order_lines.parquet"] > 122_880
    assert fingerprints(tmp_path / "a") == fingerprints(tmp_path / "b")


def test_another_seed_gives_other_persons(tmp_path: Path, mall: Path) -> None:
    generate(tmp_path / "other", PERSONS, 30, SEED + 1)
    one, other = (truth(folder, "members")["phone"].dropna() for folder in (mall, tmp_path / "other"))
    assert set(one) & set(other) == {"13800000000"}


def test_rows_grow_with_persons_and_days(tmp_path: Path) -> None:
    def lines(name: str, persons: int, days: int) -> int:
        generate(tmp_path / name, persons, days, SEED)
        return balances(tmp_path / name)["orders"]["clean"]

    base = lines("base", 2000, 100)
    assert 1.8 < lines("persons", 4000, 100) / base < 2.2
    assert 1.7 < lines("days", 2000, 200) / base < 2.4


def test_two_hundred_persons_are_enough_for_rows_in_every_table(tmp_path: Path) -> None:
    lines: list[str] = []
    rows = generate(tmp_path, 200, DAYS, SEED, lines.append)
    assert min(rows.values()) > 0
    assert len(lines) == len(rows)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert set(rows) == files


def test_ten_order_lines_and_ten_events_a_person_in_400_days(mall: Path) -> None:
    counts = balances(mall)
    assert 8 < counts["orders"]["raw"] / PERSONS < 12
    assert 8 < (counts["events"]["raw"] + counts["events_legacy"]["raw"]) / PERSONS < 12


def test_columns_of_a_person_are_independent(tmp_path: Path) -> None:
    generate(tmp_path, 40_000, 30, SEED)
    members = truth(tmp_path, "members").dropna(subset=["gender", "birth_date", "city", "phone"])
    columns = pd.DataFrame(
        {
            "gender": members["gender"] == "male",
            "born": members["birth_date"].astype("int64"),
            "city": members["city"].map({city.name: n for n, city in enumerate(CITIES)}),
            "phone": members["phone"].str[-6:].astype(int),
            "prefix": members["phone"].str[1:3].astype(int),
            "channel": members["channel"].astype("category").cat.codes,
            "hour": members["registered_at"].dt.hour,
            "joined": members["registered_at"].astype("int64"),
            "points": members["points"].rank(),
        }
    ).astype(float)
    assert columns.nunique().min() >= 2
    assert columns["phone"].nunique() > 0.95 * len(columns)
    for one, other in combinations(columns, 2):
        assert abs(columns[one].corr(columns[other])) < 0.02, (one, other)


def test_columns_of_an_order_line_are_independent(clean_lines: recovery.Cleaned) -> None:
    lines = clean_lines.rows[clean_lines.rows["channel"].isin(["APP", "MINI"])]
    columns = pd.DataFrame(
        {
            "qty": lines["qty"].abs().clip(upper=3),
            "line": lines["line_no"] % 10,
            "second": lines["order_time"].dt.second,
            "minute": lines["order_time"].dt.minute,
            "paid": lines["status"] == "paid",
        }
    ).astype(float)
    # about 8,000 lines, and lines of one order share their time: chance alone reaches 0.03
    assert len(columns) > 5000
    for one, other in combinations(columns, 2):
        if {one, other} != {"line", "paid"}:
            assert abs(columns[one].corr(columns[other])) < 0.05, (one, other)


def test_activity_has_a_long_tail_and_people_leave(mall: Path) -> None:
    lines = truth(mall, "order_lines")
    orders = lines.groupby("member_no")["order_id"].nunique().sort_values(ascending=False)
    assert (orders == 1).mean() > 0.15
    assert orders.head(len(orders) // 10).sum() > 0.35 * orders.sum()
    last = lines.groupby("member_no")["order_time"].max()
    assert 0.3 < (last < pd.Timestamp(UNTIL) - pd.Timedelta(days=90)).mean() < 0.8


def test_seasons_show_in_the_orders(mall: Path) -> None:
    days = truth(mall, "order_lines")["order_time"].dt.date.value_counts()
    daily = days.reindex(pd.date_range("2025-05-27", UNTIL).date, fill_value=0)
    daily.index = pd.to_datetime(daily.index)
    assert daily["2025-11-11"] > 2.5 * daily["2025-10-01":"2025-10-31"].mean()
    assert daily["2026-06-18"] > 2 * daily["2026-04-01":"2026-04-30"].mean()
    assert daily["2026-02-15":"2026-02-22"].mean() < 0.6 * daily["2026-01-10":"2026-02-10"].mean()
    calm = daily["2025-07-01":"2025-10-31"]
    weekend = calm.index.dayofweek >= 5
    assert calm[weekend].mean() > 1.1 * calm[~weekend].mean()


def test_people_have_preferences_that_last(clean_lines: recovery.Cleaned) -> None:
    lines = clean_lines.rows.dropna(subset=["brand"])
    early = lines[lines["order_time"] < "2025-12-15"].groupby("member_no")
    late = lines[lines["order_time"] >= "2025-12-15"].groupby("member_no")
    for column in ("brand", "category", "channel"):
        before, after = (group[column].agg(lambda values: values.mode()[0]) for group in (early, late))
        both = before.index.intersection(after.index)
        agreeing = (before[both] == after[both]).mean()
        shuffled = (before[both].to_numpy() == np.roll(after[both].to_numpy(), 1)).mean()
        assert agreeing > shuffled + 0.2, column


def test_the_crm_export_is_gb18030_with_line_breaks_inside_quotes(mall: Path) -> None:
    content = (mall / "raw/crm_members.csv").read_bytes()
    with pytest.raises(UnicodeDecodeError):
        content.decode("utf-8")
    rows = list(csv.reader(content.decode("gb18030").splitlines(keepends=True)))
    assert len(rows) - 1 == balances(mall)["crm_members"]["raw"] < content.count(b"\n")
    assert any("🌸" in row[1] for row in rows)
    assert any("\r\n" in row[1] for row in rows)


def test_order_files_have_a_bom_a_cut_line_and_a_re_export(mall: Path) -> None:
    files = sorted((mall / "raw/orders").iterdir())
    contents = {f.name: gzip.decompress(f.read_bytes()) if f.suffix == ".gz" else f.read_bytes() for f in files}
    assert all(content.startswith(b"\xef\xbb\xbforder_id,") for content in contents.values())
    assert {f.suffix for f in files} == {".csv", ".gz"}
    assert [name for name, content in contents.items() if not content.endswith(b"\n")] == ["orders_2026-06.csv"]
    again = contents["orders_reexport_2026-05-21.csv"].splitlines()[1:]
    assert len(again) > 50
    assert set(again) <= set(contents["orders_2026-05.csv"].splitlines())


def test_log_ins_cleaned_by_the_rules_are_the_truth(mall: Path) -> None:
    cleaned, expected = recovery.logins(mall / "raw"), truth(mall, "logins")
    order = ["seen_at", "member_no", "openid", "device_id", "cookie"]
    ours, theirs = (table.sort_values(order)[[*order, "phone", "channel"]] for table in (cleaned.rows, expected))
    pd.testing.assert_frame_equal(
        ours.astype(object).where(ours.notna(), None).reset_index(drop=True),
        theirs.astype(object).where(theirs.notna(), None).reset_index(drop=True),
    )
    assert (cleaned.raw, len(cleaned.rows)) == (balances(mall)["web_members"]["raw"], len(expected))


def test_people_have_second_cards_and_visits_before_they_sign_up(mall: Path) -> None:
    members = truth(mall, "members")
    cards = members.groupby("person")["phone"]
    assert 0.01 < (cards.size() == 2).mean() < 0.03
    assert (cards.nunique()[cards.size() == 2] == 1).all()
    joined = members.groupby("person")["registered_at"].min()
    events = truth(mall, "events")
    early = events["event_time"] < events["person"].map(joined).dt.normalize()
    assert events[early]["member_no"].isna().all() and early.sum() > 100


def test_a_number_that_went_on_was_silent_for_half_a_year(mall: Path) -> None:
    """In between nobody uses it: by the time of a row its owner can be told."""
    members = truth(mall, "members", "phone <> '13800000000'").rename(columns={"updated_at": "at"})
    used = pd.concat(
        [
            members[["phone", "person", "at"]],
            truth(mall, "logins")[["phone", "person", "seen_at"]].set_axis(["phone", "person", "at"], axis=1),
            truth(mall, "order_lines")[["phone", "person", "order_time"]].set_axis(["phone", "person", "at"], axis=1),
        ]
    ).dropna(subset="phone")
    spans = used.groupby(["phone", "person"])["at"].agg(["min", "max"]).reset_index().sort_values(["phone", "min"])
    before = spans.groupby("phone")["max"].shift()
    gaps = (spans["min"] - before).dropna()
    assert len(gaps) >= 10 and gaps.min() > pd.Timedelta(days=181)


def test_every_spelling_of_a_city_belongs_to_one_city() -> None:
    spelled = [(recovery.text(text), city.name) for city in CITIES for text in city_column_spellings(city)]
    assert all(code_tables()["city"][str(text)] == name for text, name in spelled)


@pytest.mark.parametrize(("persons", "days"), [(0, 400), (5_000_001, 400), (10, 29)])
def test_sizes_out_of_range_are_refused(tmp_path: Path, persons: int, days: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        generate(tmp_path, persons, days, SEED)


def test_a_folder_that_holds_a_company_already_is_not_overwritten(tmp_path: Path) -> None:
    generate(tmp_path, 10, 30, SEED)
    before = fingerprints(tmp_path)
    with pytest.raises(FileExistsError, match="another folder"):
        generate(tmp_path, 10, 30, SEED + 1)
    assert fingerprints(tmp_path) == before
