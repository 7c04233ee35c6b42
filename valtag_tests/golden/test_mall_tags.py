"""Every tag of the mall equals what a query over the truth gives, written here by hand.

Each query gives (person_id, value); a member it leaves out has no value. The as-of is 2026-06-30: the last
30 days begin on 2026-06-01, the last 90 on 2026-04-02, the last 365 on 2025-07-01.
"""

import duckdb
import pytest

from valtag_tests.golden.published import Published, differences


def count_of(rows: str, what: str = "count(*)") -> str:
    """Counted per member; 0 for those without rows."""
    return f"""SELECT person_id, coalesce(n, 0) FROM persons
        LEFT JOIN (SELECT person_id, {what} AS n FROM {rows} GROUP BY person_id) USING (person_id)"""


def sum_of(rows: str) -> str:
    return count_of(rows, "sum(amount)")


def first_of(rows: str, value: str, order: str) -> str:
    """The value that comes first in the order, of all that a member has."""
    return f"""SELECT person_id, {value} FROM (
            SELECT person_id, {value}, row_number() OVER (PARTITION BY person_id ORDER BY {order}) AS place
            FROM {rows} GROUP BY person_id, {value}
        ) WHERE place = 1"""


BORN = "FROM persons WHERE birth_date IS NOT NULL"
AGE = f"SELECT person_id, date_sub('year', birth_date, DATE '2026-06-30') AS age {BORN}"
DAYS_AGO = "DATE '2026-06-30' - max(order_time::DATE) AS days"

ATTRIBUTE = {
    "gender": "SELECT person_id, gender FROM persons",
    "age": AGE,
    "age_band": f"""SELECT person_id, CASE
            WHEN age <= 17 THEN 'age_under_18'
            WHEN age <= 25 THEN 'age_18_25'
            WHEN age <= 35 THEN 'age_26_35'
            WHEN age <= 50 THEN 'age_36_50'
            ELSE 'age_over_50' END FROM ({AGE})""",
    "city": "SELECT person_id, city FROM persons",
    "member_channel": "SELECT person_id, channel FROM persons",
    "registered_at": "SELECT person_id, registered_at FROM persons",
    "member_level": "SELECT person_id, level FROM persons",
    "phone": "SELECT person_id, phone FROM persons",
}
BEHAVIOR = {
    "visit_count": count_of("events WHERE event_type = 'visit'"),
    "visit_count_30d": count_of("events WHERE event_type = 'visit' AND event_time >= '2026-06-01'"),
    "active_days_30d": count_of("events WHERE event_time >= '2026-06-01'", "count(DISTINCT event_time::DATE)"),
    "page_view_count": count_of("events WHERE event_type IN ('page_view', 'click')"),
    "page_view_count_30d": count_of(
        "events WHERE event_type IN ('page_view', 'click') AND event_time >= '2026-06-01'"
    ),
    "last_active_at": "SELECT person_id, max(event_time) FROM events GROUP BY person_id",
    "last_viewed_category": """SELECT person_id, category FROM (
            SELECT *, row_number() OVER (PARTITION BY person_id ORDER BY event_time DESC, event_id DESC) AS place
            FROM events WHERE event_type = 'page_view' AND category IS NOT NULL
        ) WHERE place = 1""",
}
TRANSACTION = {
    "total_spend": sum_of("paid"),
    "total_spend_365d": sum_of("paid WHERE order_time >= '2025-07-01'"),
    "total_spend_30d": sum_of("paid WHERE order_time >= '2026-06-01'"),
    "refund_amount": count_of("refunded", "-sum(amount)"),
    "net_spend": """SELECT person_id, coalesce(sum(amount) FILTER (status IN ('paid', 'refunded')), 0)
        FROM persons LEFT JOIN lines USING (person_id) GROUP BY person_id""",
    "yearly_spend_ytd": sum_of("paid WHERE order_time >= '2026-01-01'"),
    "order_count": count_of("paid", "count(DISTINCT order_id)"),
    "order_count_365d": count_of("paid WHERE order_time >= '2025-07-01'", "count(DISTINCT order_id)"),
    "order_count_30d": count_of("paid WHERE order_time >= '2026-06-01'", "count(DISTINCT order_id)"),
    "last_order_at": "SELECT person_id, max(order_time) FROM paid GROUP BY person_id",
    "top_brand": first_of("paid WHERE brand IS NOT NULL", "brand", "count(*) DESC, sum(amount) DESC, brand"),
    "spend_tier": """SELECT person_id, CASE
            WHEN coalesce(spend, 0) < 0.01 THEN 'none'
            WHEN spend < 1000 THEN 'low'
            WHEN spend < 3000 THEN 'middle'
            ELSE 'high' END FROM persons
        LEFT JOIN (SELECT person_id, sum(amount) AS spend FROM paid GROUP BY person_id) USING (person_id)""",
}
LIFECYCLE = {
    "days_since_first_visit": """SELECT person_id, DATE '2026-06-30' - min(event_time::DATE)
        FROM (FROM events UNION ALL FROM legacy_events) GROUP BY person_id""",
    "days_since_first_event": """SELECT person_id, DATE '2026-06-30' - min(event_time::DATE)
        FROM events GROUP BY person_id""",
    "days_since_first_legacy_event": """SELECT person_id, DATE '2026-06-30' - min(event_time::DATE)
        FROM legacy_events GROUP BY person_id""",
    "days_since_last_order": f"SELECT person_id, {DAYS_AGO} FROM paid GROUP BY person_id",
    "lifecycle_stage": f"""SELECT person_id, CASE
            WHEN orders IS NULL THEN 'prospect'
            WHEN days > 90 AND spend > 3000 THEN 'dormant_high_value'
            WHEN days > 180 THEN 'dormant'
            WHEN days > 90 THEN 'slipping'
            WHEN days <= 30 AND orders = 1 THEN 'new'
            ELSE 'active' END
        FROM persons LEFT JOIN (
            SELECT person_id, {DAYS_AGO}, sum(amount) AS spend, count(DISTINCT order_id) AS orders
            FROM paid GROUP BY person_id) USING (person_id)""",
}
INTEREST = {
    "category_preference": first_of("paid WHERE category IS NOT NULL", "category", "sum(amount) DESC, category"),
    "brand_preference": first_of("paid WHERE brand IS NOT NULL", "brand", "sum(amount) DESC, brand"),
    "campaign_preference": first_of(
        "responses JOIN campaigns USING (campaign_id) WHERE action IN ('clicked', 'redeemed')",
        "type",
        "count(*) DESC, type",
    ),
    "interest_categories_90d": """SELECT person_id, list(category ORDER BY n DESC, category)[1:3] FROM (
            SELECT person_id, category, count(*) AS n FROM events
            WHERE event_time >= '2026-04-02' AND category IS NOT NULL GROUP BY person_id, category
        ) GROUP BY person_id""",
    "channel_preference": first_of("paid", "channel", "count(*) DESC, sum(amount) DESC, channel"),
}
# Quotients that are rounded from floats: the published value is within half a unit of the exact one.
ROUNDED = {
    "avg_order_value": (
        "0.005",
        "SELECT person_id, sum(amount) / count(DISTINCT order_id) AS value FROM paid GROUP BY person_id",
    ),
    "avg_dwell_seconds": (
        "0.0005",
        "SELECT person_id, avg(dwell_seconds * 1000) / 1000 AS value FROM events"
        " WHERE dwell_seconds IS NOT NULL GROUP BY person_id",
    ),
    "brand_loyalty": (
        "0.00005",
        "SELECT person_id, max(spend) / sum(spend) AS value FROM (SELECT person_id, brand, sum(amount) AS spend"
        " FROM paid WHERE brand IS NOT NULL GROUP BY person_id, brand) GROUP BY person_id",
    ),
}
EXACT = ATTRIBUTE | BEHAVIOR | TRANSACTION | LIFECYCLE | INTEREST


def test_every_tag_of_the_catalog_has_a_query_here(mall: Published) -> None:
    assert set(mall.tags()) == set(EXACT) | set(ROUNDED)


@pytest.mark.parametrize("category", ["attribute", "behavior", "transaction", "lifecycle", "interest"])
def test_a_category_holds_every_person_once(mall: Published, truth: duckdb.DuckDBPyConnection, category: str) -> None:
    persons = f"SELECT person_id FROM {mall.scan(f'tags/{category}')}"
    assert differences(truth, persons, "SELECT person_id FROM persons") == []


@pytest.mark.parametrize("tag", EXACT)
def test_a_tag_is_what_its_query_of_the_truth_gives(
    mall: Published, truth: duckdb.DuckDBPyConnection, tag: str
) -> None:
    published = f'SELECT person_id, "{tag}" FROM {mall.scan(mall.tags()[tag])} WHERE "{tag}" IS NOT NULL'
    expected = f"SELECT * FROM ({EXACT[tag]}) AS found(person_id, value) WHERE value IS NOT NULL"
    assert len(truth.sql(expected).fetchall()) > 50
    assert differences(truth, published, expected) == []


@pytest.mark.parametrize("tag", ROUNDED)
def test_a_quotient_is_rounded_to_the_digits_it_declares(
    mall: Published, truth: duckdb.DuckDBPyConnection, tag: str
) -> None:
    half, query = ROUNDED[tag]
    wrong = truth.sql(
        f"""SELECT person_id, value, "{tag}" FROM ({query}) FULL JOIN
            (SELECT person_id, "{tag}" FROM {mall.scan(mall.tags()[tag])} WHERE "{tag}" IS NOT NULL)
            USING (person_id)
            WHERE value IS NULL OR "{tag}" IS NULL OR abs(value::DOUBLE - "{tag}"::DOUBLE) > {half} + 1e-9"""
    )
    assert wrong.fetchmany(5) == []
    assert len(truth.sql(query).fetchall()) > 1000


def test_ties_are_frequent_enough_to_be_tested(truth: duckdb.DuckDBPyConnection) -> None:
    tied = """SELECT count(*) FROM (SELECT person_id FROM (
            SELECT person_id, category, count(*) AS n FROM events
            WHERE event_time >= '2026-04-02' AND category IS NOT NULL GROUP BY person_id, category)
        GROUP BY person_id, n HAVING count(*) > 1)"""
    assert truth.sql(tied).fetchall()[0][0] > 100
