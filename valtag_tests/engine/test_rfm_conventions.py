"""The conventions of RFM that a catalog may choose: nested scores, and persons with one order apart."""

import itertools
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valtag_tests import kit
from valtag_tests.chance import MORE
from valtag_tests.engine.test_rfm import TAGS, Person, histories, model, rfm_of, scored

ONE = [{"code": "all", "title": {"zh": "全", "en": "all"}}]
COLUMNS = ["recency", "frequency", "monetary"]


def quantile_scores(values: pd.Series, bins: int) -> pd.Series:
    """1 + how many of the inverse-CDF edges lie below each value, from ranks alone."""
    upto = values.map(values.value_counts().sort_index().cumsum())
    edges = [values[upto * bins >= len(values) * p].min() for p in range(1, bins)]
    return values.map(lambda value: 1 + sum(edge < value for edge in edges))


def apart(values: pd.Series, bins: int) -> pd.Series:
    more = values[values > 1]
    return (quantile_scores(more, bins - 1) + 1 if len(more) else more).reindex(values.index).fillna(1).astype(int)


def expected(people: Sequence[Person], bins: int, *, nested: bool, one_order: str) -> list[tuple[int, ...]]:
    frame = pd.DataFrame(people, columns=COLUMNS)
    frame["recency"] = -frame["recency"]
    found = pd.DataFrame(index=frame.index)
    for place, (name, letter) in enumerate(zip(COLUMNS, "rfm", strict=True)):
        cut = apart if name == "frequency" and one_order == "apart" else quantile_scores
        within = list("rfm"[:place]) if nested else []
        rows = found.groupby(within).groups.values() if within else [frame.index]
        found[letter] = pd.concat([cut(frame.loc[own, name], bins) for own in rows])
    return [tuple(row) for row in found.to_numpy().tolist()]


@given(
    people=histories,
    bins=st.sampled_from([2, 3, 5]),
    nested=st.booleans(),
    one_order=st.sampled_from(["score", "apart"]),
)
@settings(max_examples=30 * MORE)
def test_scores_are_those_of_pandas(people: list[Person], bins: int, nested: bool, one_order: str) -> None:
    scoring = "nested" if nested else "independent"
    with TemporaryDirectory() as name:
        resolved = model(Path(name), bins=bins, tiers=ONE, scoring=scoring, one_order=one_order)
        rows, _ = scored(Path(name), resolved, people)
    assert rfm_of(rows) == expected(people, bins, nested=nested, one_order=one_order)


@given(people=histories, seed=st.randoms(use_true_random=False))
@settings(max_examples=10 * MORE)
def test_nested_scores_are_the_same_in_any_order_of_rows(people: list[Person], seed: Any) -> None:
    shuffled = seed.sample(people, len(people))
    with TemporaryDirectory() as name:
        resolved = model(Path(name), scoring="nested", one_order="apart")
        one, _ = scored(Path(name), resolved, people)
        two, _ = scored(Path(name), resolved, shuffled)
    assert dict(zip(people, rfm_of(one), strict=True)) == dict(zip(shuffled, rfm_of(two), strict=True))


def test_nested_cells_are_about_as_large_as_each_other(tmp_path: Path) -> None:
    # Frequency follows recency closely: cut independently, most of the 8 cells would be empty.
    people: list[Person] = [(n, 1000 - n, (n * 37) % 101) for n in range(80)]
    alone, _ = scored(tmp_path, model(tmp_path, bins=2, tiers=ONE), people)
    nested, _ = scored(tmp_path, model(tmp_path, bins=2, tiers=ONE, scoring="nested"), people)
    assert len(set(rfm_of(alone))) == 4
    assert Counter(rfm_of(nested)) == dict.fromkeys(itertools.product((1, 2), repeat=3), 10)


def test_a_majority_with_one_order_leaves_the_others_all_scores_above(tmp_path: Path) -> None:
    people: list[Person] = [(n, 1 if n < 60 else 2 + (n - 60) // 10, 1) for n in range(100)]
    rows, _ = scored(tmp_path, model(tmp_path, one_order="apart"), people)
    counts = pd.Series([row["rfm_f"] for row in rows]).value_counts().sort_index()
    assert counts.to_dict() == {1: 60, 2: 10, 3: 10, 4: 10, 5: 10}
    rows, _ = scored(tmp_path, model(tmp_path), people)
    assert {row["rfm_f"] for row in rows} == {1, 4, 5}, "gaps, where they are cut like the others"


@pytest.mark.parametrize("counts", [[1, 1, 1], [0, 1, 1], [7, 7, 7]])
def test_apart_only_one_order_scores_one(tmp_path: Path, counts: list[int]) -> None:
    rows, _ = scored(tmp_path, model(tmp_path, one_order="apart"), [(1, n, Decimal(1)) for n in counts])
    assert [row["rfm_f"] for row in rows] == [1 if n < 2 else 2 for n in counts]


def test_fixed_cuts_hold_in_every_cell_of_nested_scores(tmp_path: Path) -> None:
    resolved = model(tmp_path, bins=2, tiers=ONE, scoring="nested", cuts={"frequency": [3]})
    rows, _ = scored(tmp_path, resolved, [(n, n, n) for n in range(8)])
    assert [row["rfm_f"] for row in rows] == [1] * 4 + [2] * 4
    # M is the upper half of those with equal R and F: 0–3 are recent and seldom, 4–7 are neither.
    assert [row["rfm_m"] for row in rows] == [1, 1, 2, 2, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"one_order": "apart", "cuts": {"frequency": [1, 2, 3, 4]}}, "leave it or cuts.frequency out"),
        ({"scoring": "nest"}, "none of independent, nested"),
        ({"compare_days": 0}, "greater than or equal to 1"),
        ({"one_order": "apart", "frequency": "spend"}, "one_order: apart needs a number of orders"),
    ],
)
def test_conventions_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    rfm = {
        "score": "rfm",
        "title": {"zh": "RFM", "en": "RFM"},
        "recency": "days_since_last_order",
        "frequency": "order_count",
        "monetary": "spend",
    }
    found = kit.problems(tmp_path, {"tags/t.yaml": TAGS, "scores/rfm.yaml": {**rfm, **options}})
    assert len(found) == 1 and said in found[0] and found[0].startswith("scores/rfm.yaml:"), found
