"""Catalog types as Ibis types."""

import ibis.expr.datatypes as dt

from valtag_assets.spec.types import DataType, Kind

_SCALARS: dict[Kind, dt.DataType] = {
    "text": dt.string,
    "integer": dt.int64,
    "float": dt.float64,
    "boolean": dt.boolean,
    "date": dt.date,
    "timestamp": dt.Timestamp(timezone=None, scale=6),
}


def to_ibis_type(data_type: DataType) -> dt.DataType:
    """The Ibis type of a catalog type: int64, float64, decimal(p,s), timestamp(6) without zone, array<…>."""
    if data_type.kind == "decimal":
        return dt.Decimal(data_type.precision, data_type.scale)
    if data_type.kind == "list":
        assert data_type.item is not None  # parse_type gives every list its item
        return dt.Array(_SCALARS[data_type.item])
    return _SCALARS[data_type.kind]
