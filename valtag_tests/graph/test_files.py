"""A source of many files: one that comes, changes or goes costs what it touches, and the result is exact."""

import shutil
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from valtag_assets.definitions import build_definitions
from valtag_assets.graph.jobs import INTAKE
from valtag_assets.warehouse.snapshot import Snapshot
from valtag_tests.graph.shop import FILES, ORDERS, Shop

TABLES = ("clean/orders", "merged/orders", "quarantine/orders")
MONTHLY = ORDERS.replace(
    "deduplicate: {key: [order_id]}", "deduplicate: {key: [order_id], order: [amount desc]}"
).replace("bounds: {min: 0}", "bounds: {min: 0}, checks: [{stability: 10}, {mean_change: 5}]")


def day(on: date, rows: int = 6, first: int = 0, amount: float = 10.0) -> pd.DataFrame:
    """The orders of one day."""
    return pd.DataFrame(
        {
            "order_id": [f"O{on:%m%d}-{n}" for n in range(first, first + rows)],
            "customer_id": [f"C{1 + (n * 7) % 50:03d}" for n in range(rows)],
            "ordered_at": [f"{on} {8 + n % 12:02d}:00:00" for n in range(rows)],
            "amount": [f"{amount + n % 10:.2f}" for n in range(rows)],
        }
    )


def days(first: date, count: int) -> dict[str, pd.DataFrame]:
    return {f"orders_{on}.csv": day(on) for on in (first + timedelta(days=n) for n in range(count))}


class Company:
    """A shop whose orders come in files."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        shop.files = {**FILES, "sources/orders.yaml": MONTHLY}
        self.data = shop.root / "catalog/data"
        self.write()

    def write(self) -> None:
        """The catalog, and the customers."""
        self.shop.write()
        (self.data / "orders.csv").unlink()

    def export(self, files: Mapping[str, pd.DataFrame | None]) -> None:
        for name, rows in files.items():
            if rows is None:
                (self.data / name).unlink()
            else:
                rows.to_csv(self.data / name, index=False)

    def clean(self) -> str:
        """Clean the orders; the outcome."""
        self.shop.heard.clear()
        definitions = build_definitions(self.shop.setting)
        job = definitions.resolve_job_def(INTAKE).get_subset(asset_selection={dg.AssetKey(["clean", "orders"])})
        job.execute_in_process(
            instance=self.shop.instance,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        (done,) = self.shop.heard
        return done.outcome

    def served(self, table: str = "clean/orders") -> Snapshot:
        snapshot = self.shop.served(table, None)
        assert snapshot is not None
        return snapshot

    def read(self) -> int:
        return int(self.served().metrics["cleaning"]["files_read"])


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a company that has cleaned eight days of two months."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = Company(Shop(tmp_path_factory.mktemp("company"), instance))
        made.export(days(date(2024, 1, 28), 8))
        assert made.clean() == "published"
        return made.shop.root


@pytest.fixture
def company(cleaned: Path, tmp_path: Path) -> Iterator[Company]:
    """That company, with files and a warehouse of its own."""
    shutil.copytree(cleaned, tmp_path / "company")
    with dg.DagsterInstance.ephemeral() as instance:
        made = Company(Shop(tmp_path / "company", instance))
        yield made


@pytest.fixture
def afresh(tmp_path: Path) -> Iterator[Company]:
    """A second company, which has seen nothing yet."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Company(Shop(tmp_path / "afresh", instance))


def assert_as_if_new(company: Company, afresh: Company) -> None:
    """The company's tables are those of one that has only ever seen its present files."""
    for file in company.data.glob("orders*.*"):
        (afresh.data / file.name).write_bytes(file.read_bytes())
    afresh.clean()
    for table in TABLES:
        ours, theirs = company.served(table), afresh.served(table)
        assert [(part.name, part.digest) for part in ours.parts] == [(p.name, p.digest) for p in theirs.parts], table
        assert ours.content_hash == theirs.content_hash
    ours, theirs = company.served(), afresh.served()
    assert ours.metrics["account"] == theirs.metrics["account"]
    assert ours.metrics["cleaning"]["files"] == theirs.metrics["cleaning"]["files"]
    assert ours.data_until == theirs.data_until
    assert ours.metrics["figures"].keys() == theirs.metrics["figures"].keys()
    counts = [
        {v.check: (v.unexpected, v.evaluated) for v in snapshot.verdicts if v.check.endswith(("present", "key"))}
        for snapshot in (ours, theirs)
    ]
    assert counts[0] == counts[1]


def test_one_more_day_is_all_that_is_read_and_its_month_all_that_is_written(
    company: Company, afresh: Company
) -> None:
    before = company.served()
    assert [part.name for part in before.parts] == ["part-2024-01.parquet", "part-2024-02.parquet"]
    company.export(days(date(2024, 2, 5), 1))
    assert company.clean() == "published"
    after = company.served()
    assert company.read() == 1
    assert after.metrics["cleaning"]["parts_written"] == ["part-2024-02.parquet"]
    assert after.parts[0] == before.parts[0]
    assert after.files[0].samefile(before.files[0])
    assert after.parts[1] != before.parts[1]
    assert_as_if_new(company, afresh)


def test_every_row_of_a_month_lies_in_its_part_sorted_by_person_and_time(company: Company) -> None:
    for file in company.served().files:
        rows = pd.DataFrame(pq.read_table(file).to_pylist())
        assert {f"part-{at:%Y-%m}.parquet" for at in rows["ordered_at"]} == {file.name}
        assert rows.equals(rows.sort_values(["customer_id", "ordered_at", "order_id"], ignore_index=True))


def test_late_corrected_doubled_and_deleted_rows_end_as_if_they_had_always_been_so(
    company: Company, afresh: Company
) -> None:
    late = day(date(2024, 1, 2), rows=2)
    doubled = pd.concat([day(date(2024, 2, 1), amount=50), day(date(2024, 1, 28), rows=3, amount=1)])
    company.export({"orders_late.csv": late, "orders_again.csv": doubled})
    company.clean()
    assert company.served("merged/orders").rows == 9
    wrong = day(date(2024, 1, 29))
    wrong.loc[1, "amount"] = "-1"
    company.export({"orders_2024-01-29.csv": wrong, "orders_2024-01-30.csv": day(date(2024, 1, 30), rows=5)})
    company.clean()
    assert company.read() == 2
    # The winners of the merged rows go again, and a day with them.
    company.export({"orders_again.csv": None, "orders_2024-02-03.csv": None})
    company.clean()
    assert company.read() == 0
    assert company.served("merged/orders").rows == 0
    assert_as_if_new(company, afresh)


def test_a_re_exported_history_is_restated_where_it_differs(company: Company, afresh: Company) -> None:
    whole = pd.concat(days(date(2024, 1, 28), 8).values())
    company.export({**dict.fromkeys(days(date(2024, 1, 28), 8)), "orders_all.csv": whole})
    company.clean()
    before = company.served()
    company.export({"orders_all.csv": pd.concat([whole, day(date(2024, 2, 6))])})
    company.clean()
    after = company.served()
    assert after.metrics["cleaning"]["everything"] == "every file is new or changed"
    assert after.parts[0].digest == before.parts[0].digest
    assert after.parts[1].digest != before.parts[1].digest
    assert_as_if_new(company, afresh)


def test_a_changed_rule_reads_everything_again(company: Company) -> None:
    company.shop.files = {**company.shop.files, "sources/orders.yaml": MONTHLY.replace("min: 0}", "min: 1}")}
    company.write()
    company.clean()
    assert company.served().metrics["cleaning"]["everything"] == "the rules, a lookup or the project changed"
    assert company.read() == 8


@pytest.mark.parametrize("table", ["clean/orders", "merged/orders"])
def test_a_damaged_part_is_named_and_healed_by_reading_everything(
    company: Company, afresh: Company, table: str
) -> None:
    file = company.served(table).files[0]
    file.write_bytes(file.read_bytes()[:-7])
    company.export(days(date(2024, 2, 5), 1))
    assert company.clean() == "published"
    assert file.name in company.served().metrics["cleaning"]["everything"]
    assert_as_if_new(company, afresh)


def test_a_refused_load_is_not_built_upon(company: Company, afresh: Company) -> None:
    company.export({"orders_bad.csv": day(date(2024, 2, 5), rows=30, amount=-100)})
    assert company.clean() == "refused"
    assert company.served("quarantine/orders").rows == 30
    company.export({"orders_bad.csv": day(date(2024, 2, 5), rows=3)})
    assert company.clean() == "published"
    assert company.served("quarantine/orders").rows == 0
    assert_as_if_new(company, afresh)


def test_a_day_exported_again_with_few_of_its_rows_is_refused_by_name(company: Company) -> None:
    company.export({"orders_2024-02-02.csv": day(date(2024, 2, 2), rows=200)})
    assert company.clean() == "published"
    company.export(
        {"orders_2024-02-02.csv": day(date(2024, 2, 2), rows=20), "orders_x.csv": day(date(2024, 2, 6), 90)}
    )
    assert company.clean() == "refused"
    assert "orders_2024-02-02.csv 200 → 20 rows" in company.shop.reason("clean/orders")
    company.export({"orders_2024-02-02.csv": day(date(2024, 2, 2), rows=190)})
    assert company.clean() == "published"


def test_a_complete_month_that_loses_its_files_is_refused_by_name(company: Company) -> None:
    company.export(dict.fromkeys(days(date(2024, 1, 28), 3)))
    company.export({"orders_x.csv": day(date(2024, 2, 6), 90)})
    assert company.clean() == "refused"
    assert "2024-01 24 → 6 rows" in company.shop.reason("clean/orders")


PARQUET = MONTHLY.replace("data/orders*.csv", "data/orders*.parquet")


def write_parquet(path: Path, numbers: pa.Array) -> None:
    rows = pa.Table.from_pandas(day(date(2024, 2, 1), len(numbers)), preserve_index=False)
    place = rows.schema.get_field_index("customer_id")
    rows = rows.set_column(place, "customer_id", numbers)
    pq.write_table(rows.set_column(0, "order_id", pa.array([f"{path.stem}-{n}" for n in range(len(numbers))])), path)


def test_a_person_key_that_changes_its_type_between_files_is_refused_by_name(shop: Shop) -> None:
    company = Company(shop)
    shop.files = {**shop.files, "sources/orders.yaml": PARQUET}
    shop.write()
    write_parquet(company.data / "orders_a.parquet", pa.array(["007", "008"]))
    assert company.clean() == "published"
    write_parquet(company.data / "orders_b.parquet", pa.array([7, 8], pa.int64()))
    assert company.clean() == "refused"
    assert "text in orders_a.parquet; whole number in orders_b.parquet" in shop.reason("clean/orders")
    write_parquet(company.data / "orders_b.parquet", pa.array(["009", "010"]))
    assert company.clean() == "published"


def test_whole_numbers_of_two_widths_are_one_type_and_read_alone(shop: Shop, afresh: Company) -> None:
    company = Company(shop)
    for shops in (shop, afresh.shop):
        shops.files = {**shops.files, "sources/orders.yaml": PARQUET}
        shops.write()
    write_parquet(company.data / "orders_a.parquet", pa.array([7, 8], pa.int64()))
    company.clean()
    write_parquet(company.data / "orders_b.parquet", pa.array([9], pa.int32()))
    assert company.clean() == "published"
    assert company.read() == 1
    assert_as_if_new(company, afresh)
