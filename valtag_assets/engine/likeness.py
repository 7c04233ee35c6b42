"""Which tags say the same: their values of a few persons drawn by lot, compared two by two."""

from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from valtag_assets.engine.persons import PERSON, beside, persons_table
from valtag_assets.engine.segments import drawn_first
from valtag_assets.engine.session import unbound
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.models.likeness import Numbers, of_categories, of_numbers
from valtag_assets.spec.types import DataType

# A text with more values than this names things, and sets nobody apart from anybody.
MOST_VALUES = 50


def sample_expression(tables: Mapping[str, Mapping[str, DataType]], persons: int, seed: int) -> ibis.Table:
    """(one column per tag) of so many persons. ``tables``: the tags of each table, with their types."""
    found = drawn_first(persons_table(), seed, persons)
    for name, columns in tables.items():
        schema = {PERSON: ibis.dtype("string")} | {code: to_ibis_type(kind) for code, kind in columns.items()}
        found = beside(found, unbound(name, ibis.schema(schema)))
    return found.order_by(PERSON).drop(PERSON)


def closest(sample: pa.Table, types: Mapping[str, DataType]) -> dict[str, tuple[str, float]]:
    """The tag that is most like each one, and how closely."""
    found = {}
    for code, others in likenesses(sample, types).items():
        nearest = max(others, key=others.__getitem__, default=None)
        if nearest is not None and others[nearest] > 0:
            found[code] = (nearest, round(others[nearest], 4))
    return found


def likenesses(sample: pa.Table, types: Mapping[str, DataType]) -> dict[str, dict[str, float]]:
    """How like each tag is to each other one, 0 to 1: numbers (dates, booleans) and texts apart."""
    numbers = [code for code, kind in types.items() if kind.kind not in ("text", "list")]
    texts = [code for code, kind in types.items() if kind.kind == "text"]
    found: dict[str, dict[str, float]] = {}
    if len(numbers) > 1:
        columns = np.column_stack([as_numbers(sample[code], types[code]) for code in numbers])
        found |= _by_code(numbers, of_numbers(columns))
    codes = {code: _codes(sample[code]) for code in texts}
    few = [code for code in texts if 1 <= codes[code].max(initial=-1) < MOST_VALUES]
    if len(few) > 1:
        found |= _by_code(few, of_categories(np.column_stack([codes[code] for code in few])))
    return found


def as_numbers(column: pa.ChunkedArray, kind: DataType) -> Numbers:
    """Numbers, dates (in days), timestamps (in µs) and booleans as floats; NaN where there is none."""
    if kind.kind == "date":
        column = column.cast(pa.date32()).cast(pa.int32())
    elif kind.kind == "timestamp":
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    values = column.cast(pa.float64()) if kind.kind != "boolean" else column.cast(pa.int8()).cast(pa.float64())
    found: Numbers = values.to_numpy()
    return np.where(values.is_null().to_numpy(), np.nan, found)


def _codes(column: pa.ChunkedArray) -> Any:
    coded = column.combine_chunks().dictionary_encode()
    return coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def _by_code(codes: Sequence[str], likeness: Numbers) -> dict[str, dict[str, float]]:
    return {
        code: {other: float(likeness[row, place]) for place, other in enumerate(codes) if place != row}
        for row, code in enumerate(codes)
    }
