"""RFM scores, quadrants and tiers, from small tables of tags."""

import itertools
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.rfm import cell_sizes, quadrant_groups, rfm_expression, tier_groups
from valtag_assets.engine.scores import scores_name
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.score import COMMON_TIERS, QUADRANTS, Rfm
from valtag_tests import kit
from valtag_tests.chance import MORE

AS_OF = date(2024, 2, 29)
TAGS = kit.category(
    "t",
    kit.tag("days_since_last_order", "integer", {"fact": "orders", "agg": "days_since_last"}),
    kit.tag("order_count", "integer", {"fact": "orders", "agg": "count"}),
    kit.tag("spend", "decimal(18,2)", {"fact": "orders", "agg": "sum", "of": "amount"}),
    kit.tag("city", "text", {"master": "members", "of": "city"}),
)
Person = tuple[int | None, int | None, Any]


def model(folder: Path, **options: Any) -> Resolved:
    rfm = {
        "score": "rfm",
        "title": {"zh": "RFM", "en": "RFM"},
        "recency": "days_since_last_order",
        "frequency": "order_count",
        "monetary": "spend",
        **options,
    }
    return kit.make_catalog(folder, {"tags/t.yaml": TAGS, "scores/rfm.yaml": rfm})


def scored(
    folder: Path, resolved: Resolved, persons: Sequence[Person], cities: Sequence[str | None] = ()
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The score table (by person p0, p1, …) and its cells."""
    rows = []
    for number, ((r, f, m), city) in enumerate(itertools.zip_longest(persons, cities)):
        money = None if m is None else Decimal(str(m))
        rows.append(
            {"person_id": f"p{number:03}", "days_since_last_order": r, "order_count": f, "spend": money, "city": city}
        )
    inputs = {"tags/t": [kit.write_rows(folder / "t.parquet", kit.tag_columns(resolved, "t"), rows)]}
    score = resolved.scores["rfm"]
    table = kit.run(rfm_expression(resolved, score, AS_OF), inputs, folder / "rfm.parquet")
    assert [str(kind) for kind in table.schema.types] == ["string"] + ["int64"] * 3 + ["string"] * 3
    with kit.connected() as connection:
        cells = DuckDBEngine(connection).fetch(
            cell_sizes(resolved, score, AS_OF), {**inputs, scores_name("rfm"): [folder / "rfm.parquet"]}
        )
    return table.to_pylist(), cells.to_pylist()


def rfm_of(rows: Sequence[dict[str, Any]]) -> list[tuple[int, int, int]]:
    return [(row["rfm_r"], row["rfm_f"], row["rfm_m"]) for row in rows]


histories = st.lists(
    st.tuples(
        st.integers(0, 8) | st.integers(0, 400),
        st.integers(1, 3) | st.integers(1, 50),
        st.integers(-500, 5000).map(lambda cents: Decimal(cents) / 100),
    ),
    min_size=1,
    max_size=40,
)


@given(people=histories, bins=st.sampled_from([2, 3, 5]))
@settings(max_examples=25 * MORE)
def test_scores_follow_the_quantile_edges_of_numpy(people: list[Person], bins: int) -> None:
    tiers = [{"code": "all", "title": {"zh": "全", "en": "all"}}]
    with TemporaryDirectory() as name:
        rows, _ = scored(Path(name), model(Path(name), bins=bins, tiers=tiers), people)
    wanted = []
    for column, sign in ((0, -1), (1, 1), (2, 1)):
        values = [sign * person[column] for person in people]  # type: ignore[operator]
        edges = [inverted_cdf(values, p, bins) for p in range(1, bins)]
        wanted.append([1 + sum(edge < value for edge in edges) for value in values])
    assert rfm_of(rows) == list(zip(*wanted, strict=True))


def inverted_cdf(values: list[Any], p: int, bins: int) -> Any:
    """The smallest value whose cumulative share reaches p/bins: numpy's, where its floats can't miss the edge."""
    found = sorted(values)[-(-p * len(values) // bins) - 1]
    if p * len(values) % bins:
        assert float(found) == np.quantile(np.array(values, dtype=float), p / bins, method="inverted_cdf")
    return found


@given(people=histories, seed=st.randoms(use_true_random=False))
@settings(max_examples=15 * MORE)
def test_equal_values_have_equal_scores_in_any_order_of_rows(people: list[Person], seed: Any) -> None:
    shuffled = seed.sample(people, len(people))
    with TemporaryDirectory() as name:
        resolved = model(Path(name))
        one, _ = scored(Path(name), resolved, people)
        two, _ = scored(Path(name), resolved, shuffled)
    first, second = dict(zip(people, rfm_of(one), strict=True)), dict(zip(shuffled, rfm_of(two), strict=True))
    assert first == second
    for column in range(3):
        by_value: dict[Any, set[int]] = {}
        for person, scores in zip(people, rfm_of(one), strict=True):
            by_value.setdefault(person[column], set()).add(scores[column])
        assert all(len(found) == 1 for found in by_value.values())


def test_everybody_equal_is_one_cell(tmp_path: Path) -> None:
    rows, cells = scored(tmp_path, model(tmp_path), [(10, 1, 5)] * 7)
    assert set(rfm_of(rows)) == {(1, 1, 1)}
    assert [(cell["persons"], cell["monetary"]) for cell in cells] == [(7, 35.0)]
    assert {row["rfm_quadrant"] for row in rows} == {"111"}, "nobody is below the mean"


def test_fewer_distinct_values_than_bins_leave_gaps(tmp_path: Path) -> None:
    # Six in ten have one order: F 1; the others lie above three edges.
    people = [(n, 1 if n < 6 else 2, 1) for n in range(10)]
    rows, _ = scored(tmp_path, model(tmp_path), people)
    assert sorted({row["rfm_f"] for row in rows}) == [1, 4]


def test_fewer_days_score_higher(tmp_path: Path) -> None:
    rows, _ = scored(tmp_path, model(tmp_path), [(n, n + 1, n) for n in range(5)])
    assert rfm_of(rows) == [(5, 1, 1), (4, 2, 2), (3, 3, 3), (2, 4, 4), (1, 5, 5)]
    assert [row["rfm_code"] for row in rows] == ["511", "422", "333", "244", "155"]


def test_a_value_on_a_cut_has_the_lower_score(tmp_path: Path) -> None:
    resolved = model(
        tmp_path, cuts={"recency": [7, 30, 90, 180], "frequency": [1, 2, 5, 10], "monetary": [0, 0.1, 1, 9]}
    )
    people: list[Person] = [
        (6, 1, "0.00"),
        (7, 2, "0.10"),
        (30, 3, "0.11"),
        (180, 10, "9.00"),
        (181, 11, "9.01"),
    ]
    rows, _ = scored(tmp_path, resolved, people)
    assert rfm_of(rows) == [(5, 1, 1), (4, 2, 2), (3, 3, 3), (1, 4, 4), (1, 5, 5)]


def test_only_persons_with_all_measures_that_satisfy_where_are_scored(tmp_path: Path) -> None:
    people: list[Person] = [(1, 1, 1), (None, 1, 1), (1, None, 1), (1, 1, None), (1, 1, 1), (2, 2, 2)]
    rows, cells = scored(tmp_path, model(tmp_path, where="city = '上海'"), people, ["上海"] * 4 + ["北京", None])
    assert [row["person_id"] for row in rows] == ["p000"]
    assert sum(cell["persons"] for cell in cells) == 1


def test_nobody_to_score_is_an_empty_table(tmp_path: Path) -> None:
    rows, cells = scored(tmp_path, model(tmp_path), [(None, None, None)])
    assert (rows, cells) == ([], [])


PEOPLE: list[Person] = [(0, 1, 1), (1, 1, 2), (2, 1, 3), (97, 5, 94)]


@pytest.mark.parametrize(
    ("threshold", "quadrants"),
    [
        ("mean", ["100", "100", "100", "011"]),  # 25 days, 2 orders, 25 spent
        ("median", ["110", "111", "011", "011"]),  # 1 day, 1 order, 2 spent
        ({"recency": 2, "frequency": 5, "monetary": 3}, ["100", "100", "101", "011"]),
    ],
)
def test_quadrants_are_near_high_high_with_the_threshold_itself_inside(
    tmp_path: Path, threshold: Any, quadrants: list[str]
) -> None:
    rows, _ = scored(tmp_path, model(tmp_path, quadrant_threshold=threshold), PEOPLE)
    assert [row["rfm_quadrant"] for row in rows] == quadrants


def test_cells_tiers_and_quadrants_add_up_to_everybody(tmp_path: Path) -> None:
    people: list[Person] = [(n % 97, 1 + n % 5, Decimal(n * 7 % 50) / 10) for n in range(60)]
    resolved = model(tmp_path)
    rows, cells = scored(tmp_path, resolved, people)
    money = sum(float(person[2]) for person in people)
    assert sum(cell["persons"] for cell in cells) == len(rows) == 60
    for groups in (tier_groups(resolved.scores["rfm"].spec, cells), quadrant_groups(cells)):
        assert sum(group.persons for group in groups) == 60
        assert sum(group.monetary for group in groups) == pytest.approx(money)
        assert sum(group.share for group in groups) == pytest.approx(1)
        assert sum(group.revenue_share for group in groups) == pytest.approx(1)


def test_every_cell_has_the_tier_the_model_names(tmp_path: Path) -> None:
    cuts = {"recency": [1, 2, 3, 4], "frequency": [1, 2, 3, 4], "monetary": [1, 2, 3, 4]}
    resolved = model(tmp_path, cuts=cuts)
    cells = list(itertools.product(range(1, 6), repeat=3))
    rows, _ = scored(tmp_path, resolved, [(5 - r, f, m) for r, f, m in cells])
    assert rfm_of(rows) == cells
    spec = resolved.scores["rfm"].spec
    assert [row["rfm_tier"] for row in rows] == [spec.tier_of(*cell).code for cell in cells]  # type: ignore[union-attr]


def test_the_built_in_tiers_are_a_partition_with_no_empty_tier() -> None:
    spec = Rfm.model_validate(
        {"score": "x", "title": {"zh": "x", "en": "x"}, "recency": "r", "frequency": "f", "monetary": "m"}
    )
    found = [spec.tier_of(*cell) for cell in itertools.product(range(1, 6), repeat=3)]
    assert len(found) == 125
    assert {tier.code for tier in found if tier} == {tier.code for tier in COMMON_TIERS}
    assert len(COMMON_TIERS) == 11 and len(QUADRANTS) == 8


def test_customers_with_one_order_are_never_champions(tmp_path: Path) -> None:
    people: list[Person] = [(n, 1, n) for n in range(20)]
    rows, _ = scored(tmp_path, model(tmp_path), people)
    assert {row["rfm_f"] for row in rows} == {1}
    assert {row["rfm_tier"] for row in rows} == {
        "new_customers",
        "promising",
        "about_to_sleep",
        "hibernating",
        "lost",
    }
