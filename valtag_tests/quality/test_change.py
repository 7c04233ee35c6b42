"""A table in parts of which some changed: profiled and audited as if it had been read whole."""

import math
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.quality.audit import audit
from valtag_assets.quality.change import Change, audit_change
from valtag_assets.quality.column import Column, catalog_checks, not_vanished, present
from valtag_assets.quality.expectation import COMPOUND_UNIQUE, ROW_COUNT, UNIQUE, Expectation
from valtag_assets.quality.figures import part_figures, whole_profile
from valtag_assets.quality.profile import profile
from valtag_assets.spec.block import Check, Title
from valtag_assets.spec.types import DATE, FLOAT, INTEGER, TEXT, TIMESTAMP, DataType, decimal
from valtag_tests.chance import MORE
from valtag_tests.quality.catalogs import small_catalog
from valtag_tests.quality.frames import by_check, expect, write

TYPES: dict[str, DataType] = {
    "uid": TEXT,
    "line": INTEGER,
    "amount": decimal(18, 2),
    "ratio": FLOAT,
    "city": TEXT,
    "day": DATE,
    "at": TIMESTAMP,
}
ARROW = {
    "uid": pa.string(),
    "line": pa.int64(),
    "amount": pa.decimal128(18, 2),
    "ratio": pa.float64(),
    "city": pa.string(),
    "day": pa.date32(),
    "at": pa.timestamp("us"),
}
ROW = st.fixed_dictionaries(
    {
        "uid": st.sampled_from(["1", "2", "3", "4", None]),
        "line": st.none() | st.integers(-3, 3),
        "amount": st.none() | st.decimals(-100, 100, places=2),
        "ratio": st.none() | st.sampled_from([0.5, -1.25, 1e300, math.nan]),
        "city": st.sampled_from(["上海", "北京", "x", None]),
        "day": st.none() | st.dates(date(1, 1, 1), date(9999, 12, 31)),
        "at": st.none() | st.datetimes(datetime(1999, 1, 1), datetime(2030, 1, 1)),
    }
)
TABLE = st.dictionaries(st.sampled_from(["part-a", "part-b", "part-c"]), st.lists(ROW, max_size=6), min_size=1)
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
checked = settings(max_examples=8 * MORE, phases=PHASES, suppress_health_check=list(HealthCheck))


def files_of(folder: Path, table: dict[str, list[dict]]) -> dict[str, Path]:
    folder.mkdir()
    for name, rows in table.items():
        columns = {column: [row[column] for row in rows] for column in TYPES}
        write(folder / f"{name}.parquet", columns, **ARROW)
    return {f"{name}.parquet": folder / f"{name}.parquet" for name in table}


@checked
@given(TABLE)
def test_the_profile_of_parts_is_that_of_the_whole(table):
    with TemporaryDirectory() as folder, open_duckdb() as engine:
        files = files_of(Path(folder) / "t", table)
        whole = profile(engine, list(files.values()), TYPES, private={"uid"})
        bins = {
            name: column["histogram"]
            for name in ("line", "city")
            if "histogram" in (column := whole["columns"][name])
        }
        found = whole_profile(part_figures(engine, files, TYPES, {"uid"}, bins).values(), TYPES, bins)
    assert found["rows"] == whole["rows"]
    for name, column in whole["columns"].items():
        left_out = {"distinct"} if name in bins else {"distinct", "histogram"}
        wanted = {key: value for key, value in column.items() if value is not None and key not in left_out}
        got = {key: value for key, value in found["columns"][name].items() if value is not None}
        assert got.pop("mean", None) == pytest.approx(wanted.pop("mean", None))
        assert got == wanted


@pytest.fixture(scope="module")
def expectations(tmp_path_factory) -> list[Expectation]:
    """Every kind of check a source may ask for, against a snapshot with some of everything."""
    resolved = small_catalog(tmp_path_factory.mktemp("catalog"))
    entry = resolved.sources["orders"].entry
    title = Title(zh="列", en="column")
    seen = {"coverage": 0.5, "mean": 1.0, "histogram": {"edges": [-1.0, 0.0, 1.0], "counts": [1, 1, 1, 1]}}
    metrics = {"profile": {"columns": {"line": seen, "city": {"coverage": 1.0}}}}

    def column(name: str) -> Column:
        return Column(name, TYPES[name], title, "uid", "table", True, entry, (), resolved.catalog.root, metrics)

    asked = [
        Check(coverage=0.5),
        Check(mean_change=0.5),
        Check(stability=0.2),
        Check(unique=True, severity="warn"),
    ]
    return [
        expect("rows", ROW_COUNT, None, min_value=3),
        expect("key", COMPOUND_UNIQUE, None, column_list=["uid", "line"], ignore_row_if="any_value_is_missing"),
        expect("uid", UNIQUE, "uid"),
        present(column("uid")),
        *not_vanished(column("city")),
        *catalog_checks(column("city"), [Check(coverage=0.75), Check(matches="海$")]),
        *catalog_checks(column("line"), asked),
    ]


@checked
@given(TABLE, TABLE)
def test_verdicts_on_a_change_are_those_on_the_whole(expectations, old, new):
    bins = {"line": next(item.drift for item in expectations if item.drift is not None)}
    kept = {name for name in old if new.get(name, old[name]) == old[name]}
    new = {**{name: old[name] for name in kept}, **new}
    with TemporaryDirectory() as folder, open_duckdb() as engine:
        before = files_of(Path(folder) / "old", old)
        made = files_of(Path(folder) / "new", new)
        now = {name: before[name] if name.removesuffix(".parquet") in kept else file for name, file in made.items()}
        shape = whole_profile(part_figures(engine, now, TYPES, (), bins).values(), TYPES, bins)
        change = Change(
            before=audit(list(before.values()), expectations, "uid"),
            came=[file for file in now.values() if file not in before.values()],
            went=[file for file in before.values() if file not in now.values()],
            now=list(now.values()),
            shape=shape,
            columns=TYPES,
        )
        found = by_check(audit_change(engine, change, expectations, "uid", Path(folder)))
        wanted = by_check(audit(list(now.values()), expectations, "uid"))
    assert found.keys() == wanted.keys()
    for check, verdict in wanted.items():
        got = found[check]
        assert (got.passed, got.unexpected, got.evaluated) == (verdict.passed, verdict.unexpected, verdict.evaluated)
        observed = verdict.detail["observed"]
        assert got.detail["observed"] == (pytest.approx(observed) if isinstance(observed, float) else observed)


def test_a_key_that_came_twice_is_found_in_a_part_that_stayed(tmp_path):
    row = {"uid": "1", "line": 1, "amount": Decimal(1), "ratio": None, "city": None, "day": None, "at": None}
    parts = files_of(tmp_path / "t", {"part-a": [row], "part-b": [{**row, "line": 2}], "part-c": [row]})
    key = [expect("key", COMPOUND_UNIQUE, None, column_list=["uid", "line"], ignore_row_if="any_value_is_missing")]
    a, b, c = parts.values()
    with open_duckdb() as engine:
        change = Change(audit([a, b], key, "uid"), [c], [b], [a, c], {"rows": 2, "columns": {}}, TYPES)
        (verdict,) = audit_change(engine, change, key, "uid", tmp_path)
    assert (verdict.passed, verdict.unexpected, verdict.evaluated) == (False, 2, 2)
    assert verdict.detail["sample"]


def test_a_verdict_of_before_that_was_an_error_is_worked_out_anew(tmp_path):
    row = {"uid": None, "line": 1, "amount": Decimal(1), "ratio": None, "city": None, "day": None, "at": None}
    parts = list(files_of(tmp_path / "t", {"part-a": [row], "part-b": [row]}).values())
    check = [replace(expect("uid", "expect_column_values_to_not_be_null", "uid"), by_row=True)]
    (old,) = audit(parts[:1], check, "uid")
    broken = replace(old, unexpected=None, detail={**old.detail, "error": "lost"})
    with open_duckdb() as engine:
        change = Change([broken], parts[1:], [], parts, {"rows": 2, "columns": {}}, TYPES)
        (verdict,) = audit_change(engine, change, check, "uid", tmp_path)
    assert (verdict.unexpected, verdict.evaluated) == (2, 2)
