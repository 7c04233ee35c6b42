"""The bench of fit and score: a contender's figures are of its own work, and scores lie apart by what they differ."""

import shutil
import sys
from pathlib import Path

import numpy as np

from valtag_tests.bench.ltv import apart, contest, customers


def test_a_contender_is_charged_for_its_parts_and_compared_score_by_score(tmp_path: Path) -> None:
    rows = customers(3_000, tmp_path / "customers.npz")
    found = contest("valtag", Path(sys.executable), rows)
    assert found["work"] == round(found["fit"] + found["score"], 2) and found["cpu"] >= found["work"] > 0
    other = tmp_path / "other.npz"
    shutil.copy(tmp_path / "valtag.npz", other)
    assert apart(rows, "other")["worth"] == [0, 0]
    with np.load(other) as stored:
        np.savez(other, **{**stored, "orders": stored["orders"] * 1.1})
    assert np.allclose(apart(rows, "other")["orders"], 0.1, atol=1e-3) and apart(rows, "other")["value"] == [0, 0]


def test_a_contender_that_fails_has_no_figure(tmp_path: Path) -> None:
    found = contest("nobody", Path(sys.executable), customers(100, tmp_path / "customers.npz"))
    assert set(found) == {"contender", "refused"} and "KeyError" in found["refused"]
