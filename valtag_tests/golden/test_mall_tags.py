"""Every tag of the mall equals what a query over the truth gives, written here by hand.

Each query gives (member_no, value); a member it leaves out has no value. The as-of is 2026-06-30: the last
30 days begin on 2026-06-01, the last 90 on 2026-04-02, the last 365 on 2025-07-01.
"""

import duckdb
import pytest

from valtag_tests.golden.published import Published, differences


def count_of(rows: str, what: str = "count(*)") -> str:
    """Counted per member; 0 for those without rows."""
    return f"""SELECT member_no, coalesce(n, 0) FROM members
        LEFT JOIN (SELECT member_no, {what} AS n FROM {rows} GROUP BY member_no) USING (member_no)"""


def sum_of(rows: str) -> str:
    return count_of(rows, "sum(amount)")


def first_of(rows: str, value: str, order: str) -> str:
    """The value that comes first in the order, of all that a member has."""
    return f"""SELECT member_no, {value} FROM (
            SELECT member_no, {value}, row_number() OVER (PARTITION BY member_no ORDER BY {order}) AS place
            FROM {rows} GROUP BY member_no, {value}
        ) WHERE place = 1"""


BORN = "FROM members WHERE birth_date IS NOT NULL"
AGE = f"SELECT member_no, date_sub('year', birth_date, DATE '2026-06-30') AS age {BORN}"
DAYS_AGO = "DATE '2026-06-30' - max(order_time::DATE) AS days"

ATTRIBUTE = {
    "gender": "SELECT member_no, gender FROM members",
    "age": AGE,
    "age_band": f"""SELECT member_no, CASE
            WHEN age <= 17 THEN 'age_under_18'
            WHEN age <= 25 THEN 'age_18_25'
            WHEN age <= 35 THEN 'age_26_35'
            WHEN age <= 50 THEN 'age_36_50'
            ELSE 'age_over_50' END FROM ({AGE})""",
    "city": "SELECT member_no, city FROM members",
    "member_channel": "SELECT member_no, channel FROM members",
    "registered_at": "SELECT member_no, registered_at FROM members",
    "member_level": "SELECT member_no, level FROM members",
    "phone": "SELECT member_no, phone FROM members",
}
BEHAVIOR = {
    "visit_count": count_of("events WHERE event_type = 'visit'"),
    "visit_count_30d": count_of("events WHERE event_type = 'visit' AND event_time >= '2026-06-01'"),
    "active_days_30d": count_of("events WHERE event_time >= '2026-06-01'", "count(DISTINCT event_time::DATE)"),
    "page_view_count": count_of("events WHERE event_type IN ('page_view', 'click')"),
    "page_view_count_30d": count_of(
        "events WHERE event_type IN ('page_view', 'click') AND event_time >= '2026-06-01'"
    ),
    "last_active_at": "SELECT member_no, max(event_time) FROM events GROUP BY member_no",
    "last_viewed_category": """SELECT member_no, category FROM (
            SELECT *, row_number() OVER (PARTITION BY member_no ORDER BY event_time DESC, event_id DESC) AS place
            FROM events WHERE event_type = 'page_view' AND category IS NOT NULL
        ) WHERE place = 1""",
}
TRANSACTION = {
    "total_spend": sum_of("paid"),
    "total_spend_365d": sum_of("paid WHERE order_time >= '2025-07-01'"),
    "total_spend_30d": sum_of("paid WHERE order_time >= '2026-06-01'"),
    "refund_amount": count_of("refunded", "-sum(amount)"),
    "net_spend": """SELECT member_no, coalesce(sum(amount) FILTER (status IN ('paid', 'refunded')), 0)
        FROM members LEFT JOIN lines USING (member_no) GROUP BY member_no""",
    "yearly_spend_ytd": sum_of("paid WHERE order_time >= '2026-01-01'"),
    "order_count": count_of("paid", "count(DISTINCT order_id)"),
    "order_count_365d": count_of("paid WHERE order_time >= '2025-07-01'", "count(DISTINCT order_id)"),
    "order_count_30d": count_of("paid WHERE order_time >= '2026-06-01'", "count(DISTINCT order_id)"),
    "last_order_at": "SELECT member_no, max(order_time) FROM paid GROUP BY member_no",
    "top_brand": first_of("paid WHERE brand IS NOT NULL", "brand", "count(*) DESC, sum(amount) DESC, brand"),
    "spend_tier": """SELECT member_no, CASE
            WHEN coalesce(spend, 0) < 0.01 THEN 'none'
            WHEN spend < 1000 THEN 'low'
            WHEN spend < 3000 THEN 'middle'
            ELSE 'high' END FROM members
        LEFT JOIN (SELECT member_no, sum(amount) AS spend FROM paid GROUP BY member_no) USING (member_no)""",
}
LIFECYCLE = {
    "days_since_first_visit": """SELECT member_no, DATE '2026-06-30' - min(event_time::DATE)
        FROM (FROM events UNION ALL FROM legacy_events) GROUP BY member_no""",
    "days_since_first_event": """SELECT member_no, DATE '2026-06-30' - min(event_time::DATE)
        FROM events GROUP BY member_no""",
    "days_since_first_legacy_event": """SELECT member_no, DATE '2026-06-30' - min(event_time::DATE)
        FROM legacy_events GROUP BY member_no""",
    "days_since_last_order": f"SELECT member_no, {DAYS_AGO} FROM paid GROUP BY member_no",
    "lifecycle_stage": f"""SELECT member_no, CASE
            WHEN orders IS NULL THEN 'prospect'
            WHEN days > 90 AND spend > 3000 THEN 'dormant_high_value'
            WHEN days > 180 THEN 'dormant'
            WHEN days > 90 THEN 'slipping'
            WHEN days <= 30 AND orders = 1 THEN 'new'
            ELSE 'active' END
        FROM members LEFT JOIN (
            SELECT member_no, {DAYS_AGO}, sum(amount) AS spend, count(DISTINCT order_id) AS orders
            FROM paid GROUP BY member_no) USING (member_no)""",
}
INTEREST = {
    "category_preference": first_of("paid WHERE category IS NOT NULL", "category", "sum(amount) DESC, category"),
    "brand_preference": first_of("paid WHERE brand IS NOT NULL", "brand", "sum(amount) DESC, brand"),
    "campaign_preference": first_of(
        "responses JOIN campaigns USING (campaign_id) WHERE action IN ('clicked', 'redeemed')",
        "type",
        "count(*) DESC, type",
    ),
    "interest_categories_90d": """SELECT member_no, list(category ORDER BY n DESC, category)[1:3] FROM (
            SELECT member_no, category, count(*) AS n FROM events
            WHERE event_time >= '2026-04-02' AND category IS NOT NULL GROUP BY member_no, category
        ) GROUP BY member_no""",
    "channel_preference": first_of("paid", "channel", "count(*) DESC, sum(amount) DESC, channel"),
}
# Quotients that are rounded from floats: the published value is within half a unit of the exact one.
ROUNDED = {
    "avg_order_value": (
        "0.005",
        "SELECT member_no, sum(amount) / count(DISTINCT order_id) AS value FROM paid GROUP BY member_no",
    ),
    "avg_dwell_seconds": (
        "0.0005",
        "SELECT member_no, avg(dwell_seconds * 1000) / 1000 AS value FROM events"
        " WHERE dwell_seconds IS NOT NULL GROUP BY member_no",
    ),
    "brand_loyalty": (
        "0.00005",
        "SELECT member_no, max(spend) / sum(spend) AS value FROM (SELECT member_no, brand, sum(amount) AS spend"
        " FROM paid WHERE brand IS NOT NULL GROUP BY member_no, brand) GROUP BY member_no",
    ),
}
EXACT = ATTRIBUTE | BEHAVIOR | TRANSACTION | LIFECYCLE | INTEREST


def test_every_tag_of_the_catalog_has_a_query_here(mall: Published) -> None:
    assert set(mall.tags()) == set(EXACT) | set(ROUNDED)


@pytest.mark.parametrize("category", ["attribute", "behavior", "transaction", "lifecycle", "interest"])
def test_a_category_holds_every_person_once(mall: Published, truth: duckdb.DuckDBPyConnection, category: str) -> None:
    persons = f"SELECT person_id FROM {mall.scan(f'tags/{category}')}"
    assert differences(truth, persons, "SELECT member_no FROM members") == []


@pytest.mark.parametrize("tag", EXACT)
def test_a_tag_is_what_its_query_of_the_truth_gives(
    mall: Published, truth: duckdb.DuckDBPyConnection, tag: str
) -> None:
    published = f'SELECT person_id, "{tag}" FROM {mall.scan(mall.tags()[tag])} WHERE "{tag}" IS NOT NULL'
    expected = f"SELECT * FROM ({EXACT[tag]}) AS found(member_no, value) WHERE value IS NOT NULL"
    assert len(truth.sql(expected).fetchall()) > 50
    assert differences(truth, published, expected) == []


@pytest.mark.parametrize("tag", ROUNDED)
def test_a_quotient_is_rounded_to_the_digits_it_declares(
    mall: Published, truth: duckdb.DuckDBPyConnection, tag: str
) -> None:
    half, query = ROUNDED[tag]
    wrong = truth.sql(
        f"""SELECT member_no, value, "{tag}" FROM ({query}) FULL JOIN
            (SELECT person_id AS member_no, "{tag}" FROM {mall.scan(mall.tags()[tag])} WHERE "{tag}" IS NOT NULL)
            USING (member_no)
            WHERE value IS NULL OR "{tag}" IS NULL OR abs(value::DOUBLE - "{tag}"::DOUBLE) > {half} + 1e-9"""
    )
    assert wrong.fetchmany(5) == []
    assert len(truth.sql(query).fetchall()) > 1000


def test_ties_are_frequent_enough_to_be_tested(truth: duckdb.DuckDBPyConnection) -> None:
    tied = """SELECT count(*) FROM (SELECT member_no FROM (
            SELECT member_no, category, count(*) AS n FROM events
            WHERE event_time >= '2026-04-02' AND category IS NOT NULL GROUP BY member_no, category)
        GROUP BY member_no, n HAVING count(*) > 1)"""
    assert truth.sql(tied).fetchall()[0][0] > 100
