"""Constants written in a catalog (``empty``, ``equals``) read as values of the type they stand for."""

import math
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from valtag_assets.spec.types import DataType

_LONG = 2**63


def read_constant(written: Any, kind: DataType) -> Any:
    """``written`` as a Python value of ``kind``; ValueError says what does not fit.

    Text, int, Decimal, float, bool, date, naive datetime, or a list of text or int.
    """
    if kind.kind == "list":
        if not isinstance(written, list | tuple):
            raise ValueError(f"{written!r} is no {kind}; write it like [a, b]")
        assert kind.item is not None
        return [read_constant(item, DataType(kind.item)) for item in written]
    reader = _READERS[kind.kind]
    found = reader(written, kind)
    if found is None:
        raise ValueError(f"{written!r} is no {kind}")
    return found


def _text(written: Any, _: DataType) -> str | None:
    if isinstance(written, bool | list | tuple):
        return None
    return str(written)


def _integer(written: Any, _: DataType) -> int | None:
    if isinstance(written, int) and not isinstance(written, bool) and -_LONG <= written < _LONG:
        return int(written)
    return None


def _decimal(written: Any, kind: DataType) -> Decimal | None:
    if isinstance(written, bool) or not isinstance(written, int | float):
        return None
    assert kind.precision is not None and kind.scale is not None
    value = Decimal(str(float(written)) if isinstance(written, float) else int(written))
    if not value.is_finite() or value != value.quantize(Decimal(1).scaleb(-kind.scale)):
        return None
    return value if abs(value) < Decimal(10) ** (kind.precision - kind.scale) else None


def _float(written: Any, _: DataType) -> float | None:
    if isinstance(written, bool) or not isinstance(written, int | float) or not math.isfinite(written):
        return None
    return float(written)


def _boolean(written: Any, _: DataType) -> bool | None:
    return bool(written) if isinstance(written, bool) else None


def _date(written: Any, _: DataType) -> date | None:
    if isinstance(written, datetime):
        return None
    if isinstance(written, str):
        try:
            return date.fromisoformat(written)
        except ValueError:
            return None
    return written if isinstance(written, date) else None


def _timestamp(written: Any, _: DataType) -> datetime | None:
    if isinstance(written, str):
        try:
            written = datetime.fromisoformat(written)
        except ValueError:
            return None
    if isinstance(written, datetime):
        plain = datetime(*written.timetuple()[:6], written.microsecond)
        return plain if written.tzinfo is None else None
    return datetime(written.year, written.month, written.day) if isinstance(written, date) else None


_READERS: dict[str, Any] = {
    "text": _text,
    "integer": _integer,
    "decimal": _decimal,
    "float": _float,
    "boolean": _boolean,
    "date": _date,
    "timestamp": _timestamp,
}
