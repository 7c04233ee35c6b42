"""Any value comes out of the store as it was put in."""

import math
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.lookup import json_text
from valtag_assets.engine.session import unbound
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.serving.store import Records, write_store
from valtag_assets.spec.types import BOOLEAN, DATE, FLOAT, INTEGER, TEXT, TIMESTAMP, DataType, decimal, list_of
from valtag_tests.chance import MORE
from valtag_tests.kit import write_rows

# No lone surrogates: they are no text, and no Parquet file holds one.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KINDS: dict[str, tuple[DataType, st.SearchStrategy[Any]]] = {
    "a": (TEXT, texts),
    "b": (INTEGER, st.integers(-(2**63), 2**63 - 1)),
    "c": (decimal(18, 2), st.decimals(-(10**15), 10**15, places=2)),
    "d": (FLOAT, st.floats(allow_nan=True, allow_infinity=True)),
    "e": (BOOLEAN, st.booleans()),
    "f": (DATE, st.dates(date(1, 1, 1), date(9999, 12, 31))),
    "g": (TIMESTAMP, st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))),
    "h": (list_of("text"), st.lists(texts, max_size=4)),
    "i": (list_of("integer"), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4)),
}
rows_of_values = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, (_, values) in KINDS.items()}), min_size=1, max_size=8
)


@settings(max_examples=40 * MORE)
@given(rows=rows_of_values)
def test_every_value_is_json_that_reads_back_as_it_was(rows: list[dict[str, Any]]) -> None:
    types = {name: kind for name, (kind, _) in KINDS.items()}
    table = unbound("t", {"n": "int64"} | {name: to_ibis_type(kind) for name, kind in types.items()})
    texts_of = {name: json_text(table[name], kind) for name, kind in types.items()}
    with TemporaryDirectory() as folder, open_duckdb() as engine:
        numbered = [{"n": number, **row} for number, row in enumerate(rows)]
        file = write_rows(Path(folder) / "t.parquet", {"n": INTEGER, **types}, numbered)
        found = engine.fetch(table.select("n", **texts_of).order_by("n"), {"t": [file]}).to_pylist()
    for row, made in zip(rows, found, strict=True):
        assert {name: orjson.loads(made[name]) for name in KINDS} == {
            name: as_json(value) for name, value in row.items()
        }


def as_json(value: Any) -> Any:
    """What the service documents: exact decimals as text, ISO dates, no number that JSON does not know."""
    if isinstance(value, Decimal):
        return f"{value:.2f}" if value else "0.00"
    if isinstance(value, datetime):
        return without_zeros(value.isoformat())
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def without_zeros(text: str) -> str:
    """Fractions of a second are written as short as they are."""
    return text.rstrip("0") if "." in text else text


@settings(max_examples=25 * MORE)
@given(persons=st.sets(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), max_size=30))
def test_every_person_is_found_and_nobody_else(persons: set[str]) -> None:
    ordered = sorted(persons, key=lambda person: person.encode())
    batch = pa.record_batch({"person_id": ordered, "record": [f"[{number}]" for number in range(len(ordered))]})
    with TemporaryDirectory() as folder:
        file = Path(folder) / "x%41 ?#.sqlite"
        assert write_store(file, [batch] if ordered else []) == len(persons)
        records = Records(file)
        assert [records.find(person) for person in ordered] == [f"[{number}]" for number in range(len(ordered))]
        for stranger in ("'; drop table person; --", "\0", "\ud800", "x" * 10_000):
            assert stranger in persons or records.find(stranger) is None
        records.close()
