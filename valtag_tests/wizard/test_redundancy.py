"""Redundant is what goes together where it could differ: over persons with one row of a fact nothing could."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from valtag_assets.wizard.drafting import draft
from valtag_assets.wizard.one import Wish, propose_one
from valtag_assets.wizard.redundancy import Likeness, Verdict
from valtag_tests.kit import make_catalog

PERSONS = 1000
FIRST, LAST, POINTS = "days_since_first_order", "days_since_last_order", "points"


class Drawn:
    """A sample of persons who all have an order, and so many have two or more."""

    persons = PERSONS
    reach: ClassVar = {"orders": 1.0}

    def __init__(self, often: int) -> None:
        self.often = {"orders": pa.chunked_array([pa.array(np.arange(PERSONS) < often)])}

    def served(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, {}


def verdict(folder: Path, often: int, *, apart: bool, other: str = LAST) -> Verdict | None:
    """Of the first order, against the last one: the same day for who has one, ``apart`` for the others."""
    resolved = make_catalog(folder, {})
    wishes = (Wish("orders", "days_since_first"), Wish("orders", "days_since_last"), Wish("members.points"))
    made = draft(resolved, [propose_one(resolved, wish) for wish in wishes]).resolved
    first = np.random.default_rng(5).permutation(PERSONS)
    last = np.where((np.arange(PERSONS) < often) & apart, first[::-1], first)
    values = {FIRST: first, LAST: last, POINTS: first}
    columns = {code: pa.chunked_array([pa.array(values[code])]) for code in (FIRST, other)}
    return Likeness(Drawn(often), made, columns).verdict(FIRST, lambda code, value: value >= 0.9)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("often", "apart", "expected"),
    [
        (0, False, Verdict(False, LAST, f"so far like {LAST} (1.00): only 0 persons have two rows of orders, who ")),
        (20, True, Verdict(False, LAST, f"so far like {LAST} (0.98): only 20 persons have two rows of orders, who ")),
        (50, True, None),
        (50, False, Verdict(True, LAST, f"redundant with {LAST} (1.00 over 50 who could differ)")),
    ],
)
def test_who_bought_once_says_nothing(tmp_path: Path, often: int, apart: bool, expected: Verdict | None) -> None:
    found = verdict(tmp_path, often, apart=apart)
    if expected is None or found is None:
        assert found is expected
    else:
        assert (found.redundant, found.near) == (expected.redundant, expected.near)
        assert found.why.startswith(expected.why)


def test_where_most_persons_could_differ_all_of_them_count(tmp_path: Path) -> None:
    found = verdict(tmp_path, 600, apart=False)
    assert found == Verdict(True, LAST, f"redundant with {LAST} (1.00)")


def test_what_is_made_of_different_things_is_compared_over_everybody(tmp_path: Path) -> None:
    found = verdict(tmp_path, 0, apart=False, other=POINTS)
    assert found == Verdict(True, POINTS, "redundant with points (1.00)")
