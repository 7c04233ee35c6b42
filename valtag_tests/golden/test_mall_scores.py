"""The RFM scores of the mall equal a NumPy computation, and its audiences equal queries over the truth."""

import hashlib
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from valtag_tests.golden.published import Published, differences

# Rows are R 1 to 5, columns F 1 to 5.
TIERS = [
    ["lost", "lost", "at_risk", "at_risk", "cannot_lose"],
    ["hibernating", "hibernating", "at_risk", "at_risk", "at_risk"],
    ["about_to_sleep", "about_to_sleep", "need_attention", "loyal", "loyal"],
    ["promising", "potential_loyalist", "potential_loyalist", "loyal", "loyal"],
    ["new_customers", "potential_loyalist", "potential_loyalist", "champions", "champions"],
]
BUYERS = """
    SELECT person_id, DATE '2026-06-30' - max(order_time::DATE) AS days,
        count(DISTINCT order_id) AS orders, (sum(amount) * 100)::BIGINT AS cents
    FROM paid WHERE order_time >= '2025-07-01' GROUP BY person_id ORDER BY person_id"""

SPRING_TOP = """
    SELECT person_id FROM persons
    JOIN (
        SELECT person_id, sum(amount) AS spend, count(*) FILTER (order_time >= '2025-07-01') AS lines
        FROM paid GROUP BY person_id
    ) USING (person_id)
    WHERE lines >= 2
    QUALIFY row_number() OVER (PARTITION BY city ORDER BY spend DESC, person_id) <= 10"""
AUDIENCES = {
    "young_shanghai_lapsed": """
        SELECT person_id FROM persons
        WHERE city = '上海' AND birth_date <= DATE '2008-06-30' AND birth_date > DATE '2000-06-30'
            AND person_id NOT IN (SELECT person_id FROM paid WHERE order_time >= '2026-06-01')""",
    "high_value_silent": """
        SELECT person_id FROM paid GROUP BY person_id
        HAVING sum(amount) > 3000 AND max(order_time::DATE) < DATE '2026-04-01'""",
    "women_first_tier": """
        SELECT person_id FROM persons
        WHERE gender = 'female' AND (city = '北京' OR city = '上海' OR city = '广州' OR city = '深圳')""",
    "prospects": "SELECT person_id FROM persons WHERE person_id NOT IN (SELECT person_id FROM paid)",
    "skincare_lovers": """
        WITH bought AS (
            SELECT person_id, category, sum(amount) AS spend FROM paid WHERE category IS NOT NULL GROUP BY ALL
        ), viewed AS (
            SELECT person_id, category, count(*) AS n FROM events
            WHERE event_time >= '2026-04-02' AND category IS NOT NULL GROUP BY ALL
        )
        SELECT person_id FROM bought AS one WHERE category = '护肤' AND NOT EXISTS (
            FROM bought AS other WHERE other.person_id = one.person_id
                AND (other.spend > one.spend OR (other.spend = one.spend AND other.category < '护肤')))
        UNION
        SELECT person_id FROM viewed AS one WHERE category = '护肤' AND 3 > (
            SELECT count(*) FROM viewed AS other WHERE other.person_id = one.person_id
                AND (other.n > one.n OR (other.n = one.n AND other.category < '护肤')))""",
    # ``scored`` is the NumPy computation below; a stage of dormant or slipping begins after 90 days.
    "vip_weekly": """
        SELECT person_id FROM events WHERE event_type = 'visit' AND event_time >= '2026-06-01'
            AND person_id IN (SELECT person_id FROM scored WHERE rfm_quadrant = '111' AND days <= 90)
        GROUP BY person_id HAVING count(*) >= 2""",
    "viewed_not_bought": """
        SELECT person_id FROM events AS seen
        WHERE event_type = 'page_view' AND event_time >= '2026-06-01' AND event_time::DATE <= DATE '2026-06-23'
            AND NOT EXISTS (FROM paid WHERE paid.person_id = seen.person_id AND paid.category = seen.category
                AND order_time > event_time AND order_time::DATE - event_time::DATE <= 7)
        GROUP BY person_id""",
    "spring_top": SPRING_TOP,
    "spring_women": f"""
        SELECT person_id FROM persons
        WHERE gender = 'female' AND city IN ('北京', '上海', '广州', '深圳')
            AND person_id IN (SELECT person_id FROM paid) AND person_id NOT IN ({SPRING_TOP})""",
}


def quintiles(values: Any) -> Any:
    """1 to 5, the more the better: 1 + how many of the four edges lie below. An edge is the smallest value
    that a fifth, two fifths, … of all persons do not exceed."""
    ordered = np.sort(values)
    edges = [ordered[-(-len(ordered) * fifths // 5) - 1] for fifths in (1, 2, 3, 4)]
    return 1 + np.sum([values > edge for edge in edges], axis=0)


@pytest.fixture(scope="module")
def scored(truth: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """What the scores should be, computed from the truth with NumPy."""
    buyers = truth.sql(BUYERS).df()
    days, orders, cents = (buyers[name].to_numpy() for name in ("days", "orders", "cents"))
    r, f, m = quintiles(-days), quintiles(orders), quintiles(cents)
    size = len(buyers)
    better = [days * size <= days.sum(), orders * size >= orders.sum(), cents * size >= cents.sum()]
    return buyers.assign(
        rfm_r=r,
        rfm_f=f,
        rfm_m=m,
        rfm_code=[f"{a}{b}{c}" for a, b, c in zip(r, f, m, strict=True)],
        rfm_quadrant=["".join(str(int(mark)) for mark in marks) for marks in zip(*better, strict=True)],
        rfm_tier=[TIERS[a - 1][b - 1] for a, b in zip(r, f, strict=True)],
    )


def test_the_scores_equal_a_numpy_computation(mall: Published, scored: pd.DataFrame) -> None:
    columns = ["person_id", "rfm_r", "rfm_f", "rfm_m", "rfm_code", "rfm_quadrant", "rfm_tier"]
    published = mall.rows("scores/rfm")[columns].sort_values("person_id", ignore_index=True)
    expected = scored[columns].sort_values("person_id", ignore_index=True)
    assert len(expected) > 1000
    pd.testing.assert_frame_equal(published, expected, check_dtype=False)


def test_every_score_and_quadrant_occurs(scored: pd.DataFrame) -> None:
    assert {letter: scored[f"rfm_{letter}"].nunique() for letter in "rfm"} == {"r": 5, "f": 5, "m": 5}
    assert scored["rfm_quadrant"].nunique() == 8
    assert scored["rfm_tier"].nunique() >= 9


def test_the_cells_of_the_heat_map_add_up_to_everybody(mall: Published, scored: pd.DataFrame) -> None:
    cells = pd.DataFrame(mall.snapshot("scores/rfm").metrics["cells"])
    assert cells["persons"].sum() == len(scored)
    assert round(cells["monetary"].sum() * 100) == scored["cents"].sum()
    champions = scored[scored["rfm_tier"] == "champions"]
    assert cells.loc[cells["tier"] == "champions", "persons"].sum() == len(champions)


def test_every_audience_has_a_query_here(mall: Published) -> None:
    assert set(mall.setting.resolved.segments) == set(AUDIENCES)


@pytest.mark.parametrize("audience", AUDIENCES)
def test_an_audience_is_what_its_query_of_the_truth_gives(
    mall: Published, truth: duckdb.DuckDBPyConnection, scored: pd.DataFrame, audience: str
) -> None:
    truth.register("scored", scored)
    published = f"SELECT person_id FROM {mall.scan(f'segments/{audience}')}"
    assert differences(truth, published, AUDIENCES[audience]) == []
    snapshot = mall.snapshot(f"segments/{audience}")
    assert 0 < snapshot.rows < snapshot.metrics["population"] == len(mall.rows("identity/persons"))


def test_the_held_out_are_those_whose_digest_says_so(mall: Published) -> None:
    members = mall.rows("segments/spring_top")
    draws = [
        int(hashlib.md5(f"holdout:2026:{person}".encode()).hexdigest()[:8], 16) / 16**8
        for person in members["person_id"]
    ]
    assert list(members["is_holdout"]) == [draw < 0.1 for draw in draws]
    assert 0 < members["is_holdout"].sum() < len(members) / 3
