"""Refused rows as a reader may see them: raw values, each judged by the field it was meant for."""

import json
from typing import Any

from valtag_assets.engine.access import field_needs
from valtag_assets.engine.reader import Reader
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.spec.masking import MASK


def hides_refused(reader: Reader, source: ResolvedSource) -> bool:
    """Whether refused rows of ``source`` may hold values that are not for the reader."""
    return not all(reader.may(need) for need in field_needs(reader.resolved, source).values())


def hide_refused(reader: Reader, source: ResolvedSource, row: dict[str, Any]) -> dict[str, Any]:
    """A refused row without the values that are not for the reader, in ``value`` and inside ``record``."""
    if not hides_refused(reader, source):
        return row
    needs = field_needs(reader.resolved, source)
    fields = source.spec.fields
    readable = {field.source_name for field in fields if reader.may(needs[field.name])}
    hidden = {field.source_name for field in fields if not reader.may(needs[field.name])}
    about = str(row.get("field"))
    shown = about in needs and reader.may(needs[about])
    return {
        **row,
        "value": row.get("value") if shown else MASK,
        "record": _only(row.get("record"), readable - hidden),
    }


def _only(record: object, readable: set[str]) -> object:
    """The record's JSON object with only these values; a text that is no object is hidden whole."""
    try:
        values = json.loads(str(record))
    except ValueError:
        return MASK
    if not isinstance(values, dict):
        return MASK
    shown = {key: value if key in readable or value is None else MASK for key, value in values.items()}
    return json.dumps(shown, ensure_ascii=False)
