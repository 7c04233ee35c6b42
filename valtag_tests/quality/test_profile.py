import json
import math
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.quality import queries
from valtag_assets.quality.audit import audit
from valtag_assets.quality.expectation import ROWS
from valtag_assets.quality.figures import part_figures
from valtag_assets.quality.profile import profile
from valtag_assets.spec.types import BOOLEAN, DATE, FLOAT, INTEGER, TEXT, TIMESTAMP, decimal, list_of
from valtag_tests.quality.frames import expect, write

TYPES = {
    "n": INTEGER,
    "spend": decimal(18, 2),
    "ratio": FLOAT,
    "city": TEXT,
    "vip": BOOLEAN,
    "born": DATE,
    "seen": TIMESTAMP,
    "brands": list_of("text"),
    "phone": TEXT,
    "nothing": TEXT,
}


@pytest.fixture(scope="module")
def profiled(tmp_path_factory):
    rows = 100
    files = write(
        tmp_path_factory.mktemp("profile") / "a.parquet",
        {
            "n": range(rows),
            "spend": [Decimal(k) / 4 if k % 4 else None for k in range(rows)],
            "ratio": [math.nan, *[7.5] * 99],
            "city": ["上海"] * 50 + ["北京"] * 30 + [f"c{k}" for k in range(20)],
            "vip": [True] * 60 + [None] * 40,
            "born": [date(2000, 1, 1)] * 99 + [date(2024, 1, 1)],
            "seen": [datetime(2024, 1, 1, 12)] * 100,
            "brands": [["a", "b"]] * 10 + [[]] * 10 + [None] * 80,
            "phone": [f"138{k:08d}" for k in range(rows)],
            "nothing": [None] * rows,
        },
        spend=pa.decimal128(18, 2),
        seen=pa.timestamp("us"),
        nothing=pa.string(),
    )
    with open_duckdb() as engine:
        first = profile(engine, files, TYPES, private={"phone"})
        again = profile(engine, files, TYPES, private={"phone"})
    assert first == again
    return first


def test_the_profile_is_json(profiled):
    assert json.loads(json.dumps(profiled, allow_nan=False)) == profiled
    assert profiled["rows"] == 100


def test_coverage_range_and_mean_are_those_of_the_values(profiled):
    spend = profiled["columns"]["spend"]
    assert (spend["nulls"], spend["coverage"], spend["min"], spend["max"]) == (25, 0.75, 0.25, 24.75)
    assert spend["mean"] == pytest.approx(np.mean([k / 4 for k in range(100) if k % 4]))
    assert profiled["columns"]["born"]["max"] == "2024-01-01"
    assert profiled["columns"]["seen"]["min"] == "2024-01-01T12:00:00"


def test_deciles_cut_numbers_into_equal_bins(profiled):
    histogram = profiled["columns"]["n"]["histogram"]
    assert histogram["edges"] == list(np.quantile(range(100), np.arange(10) / 10, method="inverted_cdf"))
    assert sum(histogram["counts"]) == 100
    assert histogram["counts"][0] == 1 and set(histogram["counts"][1:]) <= {9, 10}


def test_a_constant_has_an_edge_on_each_side_and_nan_no_mean(profiled):
    ratio = profiled["columns"]["ratio"]
    assert ratio["mean"] is None and ratio["max"] == "nan"
    assert ratio["histogram"]["edges"][-1] == 7.5
    assert ratio["histogram"]["counts"] == [0, 99, 1]


def test_the_most_frequent_values_are_named_and_the_rest_counted(profiled):
    city = profiled["columns"]["city"]["histogram"]
    # Twenty more have a row each: they are among the others.
    assert city == {"values": ["上海", "北京"], "counts": [50, 30, 20]}
    assert profiled["columns"]["vip"]["histogram"] == {"values": [True], "counts": [60, 0]}
    assert profiled["columns"]["brands"]["histogram"] == {"values": ["a", "b"], "counts": [10, 10, 0]}
    assert (profiled["columns"]["brands"]["distinct"], profiled["columns"]["city"]["distinct"]) == (2, 22)


def test_of_a_private_column_only_counts_are_kept(profiled):
    assert set(profiled["columns"]["phone"]) == {"type", "nulls", "coverage", "distinct"}
    assert "138" not in json.dumps(profiled["columns"]["phone"])


def test_an_empty_column_and_an_empty_table_have_no_histogram(profiled, tmp_path):
    assert profiled["columns"]["nothing"] == {"type": "text", "nulls": 100, "coverage": 0.0, "distinct": 0}
    files = write(tmp_path / "0.parquet", {"n": []}, n=pa.int64())
    with open_duckdb() as engine:
        empty = profile(engine, files, {"n": INTEGER})
    assert empty["rows"] == 0
    assert empty["columns"]["n"]["coverage"] == 0.0


def test_many_values_are_cut_at_interpolated_deciles_and_counted_as_numpy_counts(tmp_path):
    spend = [Decimal(k * k % 9973) / 100 for k in range(4000)]
    files = write(tmp_path / "a.parquet", {"spend": [*spend, None]}, spend=pa.decimal128(18, 2))
    with open_duckdb() as engine:
        column = profile(engine, files, {"spend": decimal(18, 2)})["columns"]["spend"]
    values = np.array([float(value) for value in spend])
    edges = column["histogram"]["edges"]
    assert edges == pytest.approx(list(np.quantile(values, np.arange(10) / 10)), abs=0.01)
    bins = np.searchsorted(edges, values, side="left")
    assert column["histogram"]["counts"] == np.bincount(bins, minlength=len(edges) + 1).tolist()


@pytest.mark.parametrize("distinct", [7, 3000])
def test_a_table_compared_with_its_own_profile_has_not_moved(tmp_path, distinct):
    ratio = [math.nan, None, *[k % distinct / 3 for k in range(5000)]]
    columns = {"person_id": [str(k) for k in range(5002)], "ratio": ratio}
    files = write(tmp_path / "a.parquet", columns, ratio=pa.float64())
    with open_duckdb() as engine:
        column = profile(engine, files, {"ratio": FLOAT})["columns"]["ratio"]
    query, measure = queries.shifted("ratio", FLOAT, column["histogram"], 0.0001)
    item = expect("ratio.stability", ROWS, "ratio", unexpected_rows_query=query, measure=measure)
    [verdict] = audit(files, [item], "person_id")
    assert verdict.passed and verdict.evaluated == 5001
    assert verdict.detail["observed"] == pytest.approx(0, abs=1e-9)


def test_what_looks_like_somebody_s_number_or_address_is_not_kept(tmp_path):
    rows = {
        "contact": ["13877770070"] * 9 + ["+86 138-7777-0071"] * 8 + ["a.b@example.com"] * 7 + ["shop 12"] * 6,
        "number": [13877770070] * 30,
    }
    files = write(tmp_path / "a.parquet", rows)
    with open_duckdb() as engine:
        found = profile(engine, files, {"contact": TEXT, "number": INTEGER})["columns"]
        parts = part_figures(engine, {"p": files[0]}, {"number": INTEGER}, (), {})
    assert found["contact"]["histogram"] == {"values": ["shop 12"], "counts": [6, 24]}
    assert set(found["number"]) == {"type", "nulls", "coverage", "distinct", "mean"}
    assert set(parts["p"]["columns"]["number"]) == {"filled", "sum"}


def test_free_text_is_not_quoted(tmp_path):
    files = write(tmp_path / "a.parquet", {"note": [f"note {k}" for k in range(3000)]})
    with open_duckdb() as engine:
        note = profile(engine, files, {"note": TEXT})["columns"]["note"]
    assert "histogram" not in note
    assert note["distinct"] == pytest.approx(3000, rel=0.1)
